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

// Claim gives the right to buy an order to exactly one caller, in this process or another: claimed is true for it, and the
// highest estimate is held against the day's budget. Everybody else with the same key gets the task of that claim. Without a
// key, an equal request that is still being made, that may have been bought, or that is younger than the duplicate window
// counts as the same. A claim whose purchase was refused may be claimed again. When it returns, the claim is on the disk.
//
// It returns ErrNotFound for an order that is only to be replayed and never was, and a *[video.Error] when the key belongs to
// another request, when an equal one is of unknown fate, and when the budget has too little left.
func (l *Ledger) Claim(ctx context.Context, o video.Order) (task video.Task, claimed bool, err error) {
	reach := l.database
	if o.Replay {
		reach = l.existing // looking back makes no file
	}
	db, err := reach(ctx)
	if err != nil {
		return video.Task{}, false, err
	}
	err = l.transaction(ctx, db, func(tx *sql.Tx) error {
		task, claimed, err = l.claim(ctx, tx, o)
		return err
	})
	if err != nil {
		return video.Task{}, false, l.explain(err)
	}
	if claimed {
		l.watch.wake(task.ID)
	}
	return task, claimed, nil
}

func (l *Ledger) claim(ctx context.Context, tx *sql.Tx, o video.Order) (video.Task, bool, error) {
	old, fingerprint, err := l.earlier(ctx, tx, o)
	none := errors.Is(err, ErrNotFound)
	switch {
	case none && o.Replay:
		return video.Task{}, false, ErrNotFound
	case err != nil && !none:
		return video.Task{}, false, err
	case !none && fingerprint != o.Fingerprint && (!o.Replay || !o.AnyFiles):
		return video.Task{}, false, l.keyReused(old)
	case !none && (o.Replay || !refused(&old)):
		return old, false, nil
	}
	if err := l.doubtful(ctx, tx, o); err != nil {
		return video.Task{}, false, err
	}
	if err := l.checkBudget(ctx, tx, o); err != nil {
		return video.Task{}, false, err
	}
	if none {
		task, err := l.insert(ctx, tx, o)
		return task, true, err
	}
	task, err := l.reclaim(ctx, tx, old.ID, o)
	return task, true, err
}

// earlier finds the task that an order would repeat, and what it would have bought.
func (l *Ledger) earlier(ctx context.Context, tx *sql.Tx, o video.Order) (task video.Task, fingerprint string, err error) {
	if o.IdempotencyKey != "" {
		task, err = scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM r2v_task WHERE owner = $1 AND idempotency_key = $2", o.Owner, o.IdempotencyKey))
		if err == nil {
			err = tx.QueryRowContext(ctx, "SELECT fingerprint FROM r2v_task WHERE id = $1", task.ID).Scan(&fingerprint)
		}
		return task, fingerprint, err
	}
	now := time.Now()
	task, err = scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM r2v_task WHERE owner = $1 AND fingerprint = $2 AND ("+
		// what is still being made, or may have been bought, counts until everybody would know; what failed does not
		"status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED') AND created_at > $3 OR status = 'SUCCEEDED' AND created_at > $4)"+
		" ORDER BY created_at DESC LIMIT 1", o.Owner, o.Fingerprint, micros(now.Add(-video.Lifetime)), micros(now.Add(-l.Window))))
	return task, o.Fingerprint, err
}

// refused reports whether the purchase itself was refused, so that nothing was ever made under this claim.
func refused(t *video.Task) bool { return t.Status == video.Failed && t.ProviderTaskID == "" }

// doubtful refuses an order while an equal one may have been bought: another key must not buy it again before it has been
// looked for.
func (l *Ledger) doubtful(ctx context.Context, tx *sql.Tx, o video.Order) error {
	now := time.Now()
	found, err := scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM r2v_task WHERE owner = $1 AND fingerprint = $2 AND created_at > $3 AND ("+
		"status = 'UNKNOWN' OR found = 1 AND status IN ('PENDING', 'RUNNING') OR status = 'PENDING' AND provider_task_id IS NULL AND created_at < $4) ORDER BY created_at LIMIT 1",
		o.Owner, o.Fingerprint, micros(now.Add(-video.Lifetime)), micros(now.Add(-unanswered))))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return mayBeBought(found)
}

func (l *Ledger) insert(ctx context.Context, tx *sql.Tx, o video.Order) (video.Task, error) {
	id, key, now, e := newID(), o.IdempotencyKey, time.Now(), estimateOf(o)
	if key == "" {
		key = "auto-" + strings.TrimPrefix(newID(), IDPrefix)
	}
	request := withoutData(o.Request)
	return scan(tx.QueryRowContext(ctx, `INSERT INTO r2v_task (id, owner, idempotency_key, fingerprint, upstream, account, found, model, request, status,
		estimate_low, estimate_high, per_second, currency, billed, reserved, created_at, submitted_at, scheduled_at, ended_at, looked_at,
		video_url, usage, failure, trouble, saved_to, save_error, due_at, version, callback_url, hint)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, 'PENDING', $9, $10, $11, $12, '', $13, $14, 0, 0, 0, 0, '', '', '', '', '', '', $15, 1, $16, $17)
		RETURNING `+columns,
		id, o.Owner, key, o.Fingerprint, l.Upstream, l.Account, request.Model, pack(&request),
		e.low, e.high, e.perSecond, o.Estimate.Currency, nanos(o.Estimate.High), micros(now), due(now.Add(l.Lease)), storable(o.CallbackURL), newHint()))
}

// estimated is an estimate as a row keeps it, nothing where no rate is known.
type estimated struct{ low, high, perSecond string }

func estimateOf(o video.Order) estimated {
	if !o.Estimate.Known() {
		return estimated{}
	}
	return estimated{o.Estimate.Low.String(), o.Estimate.High.String(), o.Estimate.PerSecond.String()}
}

// newHint makes a name that nobody can guess, apart from the task's id, which is no secret.
func newHint() string { return strings.ToLower(rand.Text()) }

// reclaim gives a claim that came to nothing to who asks again.
func (l *Ledger) reclaim(ctx context.Context, tx *sql.Tx, id string, o video.Order) (video.Task, error) {
	now, request, e := time.Now(), withoutData(o.Request), estimateOf(o) // the request's files may have been sent anew
	return scan(tx.QueryRowContext(ctx, `UPDATE r2v_task SET status = 'PENDING', failure = '', upstream = $2, account = $3, request = $11,
		estimate_low = $4, estimate_high = $5, per_second = $6, currency = $7, reserved = $8, created_at = $9, due_at = $10, version = version + 1,
		callback_url = $12, callback = '', callback_due_at = NULL, hint = $13
		WHERE id = $1 AND status = 'FAILED' AND provider_task_id IS NULL RETURNING `+columns,
		id, l.Upstream, l.Account, e.low, e.high, e.perSecond, o.Estimate.Currency,
		nanos(o.Estimate.High), micros(now), due(now.Add(l.Lease)), pack(&request), storable(o.CallbackURL), newHint()))
}
