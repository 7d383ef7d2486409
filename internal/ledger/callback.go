package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"time"

	"r2v-mcp/internal/video"
)

const (
	// callGrace is how long the callback of a success waits for the first attempt to save its clip, and for its bill.
	callGrace = time.Minute

	// ends is whether a look ends the task: $2 is what the provider says, $7 the link.
	ends = "(status <> 'SUCCEEDED' AND CAST($2 AS TEXT) IN ('FAILED', 'CANCELED', 'UNKNOWN')" +
		" OR (status = 'SUCCEEDED' OR CAST($2 AS TEXT) = 'SUCCEEDED') AND (video_url <> '' OR CAST($7 AS TEXT) <> ''))"
	// untried is a callback that is due, and was not tried yet.
	untried = `callback_due_at IS NOT NULL AND callback NOT LIKE '%"attempts"%'`
	// beingSaved is a clip that may be saved any moment, by whichever version.
	beingSaved = "status = 'SUCCEEDED' AND video_url <> '' AND saved_to = '' AND save_error = '' AND due_at IS NOT NULL"
)

// tell is the part of a change that makes its end's callback due under a condition: once, where there is somebody to tell. message and at are
// the parameters that hold a new message and its time.
func tell(condition, message, at string) string {
	return "callback = " + told(condition, text(message), "callback") + ", callback_due_at = " + told(condition, number(at), "callback_due_at")
}

func told(condition, then, otherwise string) string {
	return "CASE WHEN callback_url <> '' AND callback = '' AND " + condition + " THEN " + then + " ELSE " + otherwise + " END"
}

// PostgreSQL is told the type of a parameter where nothing else tells it.
func text(parameter string) string   { return "CAST(" + parameter + " AS TEXT)" }
func number(parameter string) string { return "CAST(" + parameter + " AS BIGINT)" }

// newMessage is the state of a callback that is to be sent: an id that is the same at each attempt, by which receivers know it again. It holds
// no dot, which stands between the parts of what is signed.
func newMessage() string {
	return pack(&video.Callback{ID: "msg_" + strings.ToLower(rand.Text())})
}

// toldByCall is the state of a callback that is not sent, since the call itself has told it all.
func toldByCall() string { return pack(&video.Callback{Told: true}) }

const (
	// callable is what a process can send: $2 is whether it serves people with names.
	callable = "upstream = $1 AND callback_due_at IS NOT NULL AND (owner = '' OR $2 = 1)"
	dueCalls = callable + " AND (callback_due_at <= $3 OR callback_due_at > $4)"
	// toCall takes from each person's in turn, so that a thousand of one are in nobody's way.
	toCall = "SELECT " + columns + " FROM r2v_task WHERE id IN (SELECT id FROM (SELECT id, callback_due_at, row_number() OVER (PARTITION BY owner ORDER BY callback_due_at) AS nth" +
		" FROM r2v_task WHERE " + dueCalls + ") AS waiting ORDER BY nth, callback_due_at LIMIT $5) ORDER BY callback_due_at"
	nextCall = "SELECT (SELECT callback_due_at FROM r2v_task WHERE " + callable + " ORDER BY callback_due_at LIMIT 1)," +
		" (SELECT callback_due_at FROM r2v_task WHERE " + callable + " ORDER BY callback_due_at DESC LIMIT 1)"
)

// ToCall returns up to limit tasks whose callback is due, the most urgent first and, where they are many, some of each person's. named is whether
// those of people with a name count: a message tells where a clip is, which only a server for people can tell them.
func (l *Ledger) ToCall(ctx context.Context, named bool, limit int) ([]video.Task, error) {
	now := time.Now()
	return l.some(ctx, toCall, l.Upstream, flag(named), micros(now), micros(now.Add(farAhead)), limit)
}

// NextCall is the earliest time at which a callback is due that [Ledger.ToCall] would return, the zero time when none is.
func (l *Ledger) NextCall(ctx context.Context, named bool) (time.Time, error) {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	row, err := l.row(ctx, db, nextCall, l.Upstream, flag(named))
	if err != nil {
		return time.Time{}, l.explain(err)
	}
	var first, last sql.NullInt64
	if err := row.Scan(&first, &last); err != nil {
		return time.Time{}, l.explain(err)
	}
	if now := time.Now(); fromMicros(last.Int64).After(now.Add(farAhead)) {
		return now, nil // written before the clock was set back
	}
	return fromMicros(first.Int64), nil
}

// TakeCall begins an attempt at a callback, as [Ledger.ToCall] has returned it, for exactly one process, until then. It returns the task as it is
// now, with the attempt counted, and false for who comes too late.
func (l *Ledger) TakeCall(ctx context.Context, task video.Task, until time.Time) (video.Task, bool, error) {
	now := *task.Callback
	now.Attempts++
	now.LastAt = time.Now().UTC().Truncate(time.Microsecond)
	return l.change(ctx, task.ID, "UPDATE r2v_task SET callback = $2, callback_due_at = $3, version = version + 1 WHERE id = $1 AND callback_due_at = $4 RETURNING "+columns,
		pack(&now), due(until), micros(task.Callback.NextAt))
}

// Called records what came of an attempt that [Ledger.TakeCall] has begun: it was delivered, or is made again at next; the zero time gives it up.
// It changes nothing when the attempt has taken so long that it is another process's.
func (l *Ledger) Called(ctx context.Context, task video.Task, d video.Delivery, next time.Time) (video.Task, error) {
	now := *task.Callback
	now.Error = storable(d.Error)
	if d.Delivered {
		now.DeliveredAt, next = time.Now().UTC().Truncate(time.Microsecond), time.Time{}
	}
	return l.become(ctx, task.ID, "UPDATE r2v_task SET callback = $2, callback_due_at = $3, version = version + 1 WHERE id = $1 AND callback_due_at = $4 RETURNING "+columns,
		pack(&now), due(next), micros(task.Callback.NextAt))
}

// Uncalled gives back an attempt that [Ledger.TakeCall] has begun and that its process could not finish: it is due at once, for whoever
// comes, and all is as it was before. It changes nothing when the attempt is another process's by now.
func (l *Ledger) Uncalled(ctx context.Context, taken video.Task, before *video.Callback) error {
	_, _, err := l.change(ctx, taken.ID, "UPDATE r2v_task SET callback = $2, callback_due_at = $3, version = version + 1 WHERE id = $1 AND callback_due_at = $4 RETURNING "+columns,
		pack(before), micros(time.Now()), micros(taken.Callback.NextAt))
	return err
}

// CallNow makes a callback due at once that waits for its clip to be saved, where nobody saves. One that waits for its bill goes on waiting.
func (l *Ledger) CallNow(ctx context.Context, id string) error {
	_, err := l.changeMany(ctx, "UPDATE r2v_task SET callback_due_at = $3 WHERE upstream = $1 AND id = $2 AND callback_due_at > $3 AND "+settled+" AND "+untried, id, micros(time.Now()))
	return err
}

// untold are ends that nobody was told of: those of a day ago at $2 whose link never came, or whose purchase was looked for in vain until
// the provider forgot it, and those that a server has recorded which is too old to know of callbacks. A purchase that was refused within
// its call is none: its callback says so.
const untold = "upstream = $1 AND callback_url <> '' AND callback = '' AND (status IN ('FAILED', 'CANCELED')" +
	" OR status = 'UNKNOWN' AND (provider_task_id IS NOT NULL OR created_at <= $2)" +
	" OR status = 'SUCCEEDED' AND (video_url <> '' OR saved_to <> '' OR ended_at <= $2))"

const lost = "SELECT id FROM r2v_task WHERE " + untold

// CallLost makes the callbacks due of ends that would never be told otherwise: of purchases that nobody will ever know the fate of, of
// clips whose link has not come within a day, and of whatever a server of an earlier version has recorded on the same ledger.
func (l *Ledger) CallLost(ctx context.Context) error {
	now := time.Now()
	before := micros(now.Add(-video.Lifetime))
	var ids []string
	err := l.each(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, lost, l.Upstream, before)
	for _, id := range ids {
		_, e := l.changeMany(ctx, "UPDATE r2v_task SET callback = $4, version = version + 1, callback_due_at = CASE WHEN "+beingSaved+
			" THEN CAST($6 AS BIGINT) ELSE CAST($5 AS BIGINT) END WHERE id = $3 AND "+untold, before, id, newMessage(), micros(now), micros(now.Add(callGrace)))
		err = errors.Join(err, e)
	}
	return err
}
