package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/video"
)

const (
	// settled is a success of which the provider has told all that makes its bill.
	settled = "(billed <> '' OR usage <> '')"
	// unsettled is a look that tells a purchase's success without a bill: $8 is the usage, $10 the bill.
	unsettled = "fingerprint <> '' AND billed = '' AND usage = '' AND CAST($8 AS TEXT) = '' AND CAST($10 AS TEXT) = '' AND CAST($2 AS TEXT) = 'SUCCEEDED' AND bill_due_at IS NULL"

	// A process whose account a clip was not bought with lets the others go first, for a minute: a new key of the same account looks like another.
	billAt   = "CASE WHEN bill_due_at > $4 THEN $3 WHEN account = $2 THEN bill_due_at ELSE bill_due_at + 60000000 END"
	billable = " FROM r2v_task WHERE upstream = $1 AND bill_due_at IS NOT NULL"
	nextBill = "SELECT min(" + billAt + ")" + billable
	dueBills = "SELECT " + columns + billable + " AND " + billAt + " <= $3 ORDER BY ended_at DESC LIMIT $5"
)

// NextBill is the earliest time at which a clip's bill is to be asked for that was not told with its end, the zero time when none is.
func (l *Ledger) NextBill(ctx context.Context) (time.Time, error) {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	row, err := l.row(ctx, db, nextBill, l.Upstream, l.Account, micros(now), micros(now.Add(farAhead)))
	if err != nil {
		return time.Time{}, l.explain(err)
	}
	var first sql.NullInt64
	if err := row.Scan(&first); err != nil {
		return time.Time{}, l.explain(err)
	}
	return fromMicros(first.Int64), nil
}

// DueBills returns up to limit clips whose bill is to be asked for now, those first that have ended last: somebody waits for them.
func (l *Ledger) DueBills(ctx context.Context, limit int) ([]video.Task, error) {
	now := time.Now()
	return l.some(ctx, dueBills, l.Upstream, l.Account, micros(now), micros(now.Add(farAhead)), limit)
}

// TakeBill gives the question for a clip's bill, as [Ledger.DueBills] has returned it, to exactly one process, until then. It returns the task as
// it is now, and false for who comes too late.
func (l *Ledger) TakeBill(ctx context.Context, task video.Task, until time.Time) (video.Task, bool, error) {
	return l.change(ctx, task.ID, "UPDATE r2v_task SET bill_due_at = $2 WHERE id = $1 AND bill_due_at = $3 RETURNING "+columns, due(until), micros(task.BillAt))
}

// Billed records what the provider says of a clip whose bill this process has taken to ask for: where it tells one, that replaces what was held, and
// the end's callback need not wait for it any longer; else it is asked for again at next, the zero time gives up. It reports whether this call has
// told the bill. It changes nothing when the question has taken so long that it is another process's, or the clip is another by now.
func (l *Ledger) Billed(ctx context.Context, taken video.Task, s video.Snapshot, next time.Time) (video.Task, bool, error) {
	const mine = " WHERE id = $1 AND bill_due_at = $2 AND provider_task_id = $3 AND status = 'SUCCEEDED' AND billed = '' RETURNING " + columns
	billed, reserved := billOf(&taken, s)
	usage := pack(s.Usage)
	if s.Status != video.Succeeded || billed == "" && usage == "" {
		task, _, err := l.change(ctx, taken.ID, "UPDATE r2v_task SET bill_due_at = $4"+mine, micros(taken.BillAt), taken.ProviderTaskID, due(next))
		return task, false, err
	}
	task, changed, err := l.change(ctx, taken.ID, `UPDATE r2v_task SET billed = $4, bill_due_at = NULL, version = version + 1,
		reserved = CASE WHEN CAST($5 AS BIGINT) >= 0 THEN CAST($5 AS BIGINT) ELSE reserved END,
		usage = CASE WHEN CAST($6 AS TEXT) <> '' THEN CAST($6 AS TEXT) ELSE usage END,
		callback_due_at = CASE WHEN callback_due_at > $7 AND `+untried+` AND NOT (`+beingSaved+`) THEN $7 ELSE callback_due_at END`+mine,
		micros(taken.BillAt), taken.ProviderTaskID, billed, reserved, usage, micros(time.Now()))
	return task, changed && billed != "", err
}

// BillBy makes the bill of a clip be asked for at a time that is earlier than it would be. It changes nothing where none is.
func (l *Ledger) BillBy(ctx context.Context, id string, at time.Time) error {
	_, err := l.changeMany(ctx, "UPDATE r2v_task SET bill_due_at = $3 WHERE upstream = $1 AND id = $2 AND bill_due_at > $3", id, micros(at))
	return err
}

// billOf is the bill of a success as the provider tells it, or by the seconds that it tells, and what that takes of the budget; empty and
// -1 where there is none.
func billOf(before *video.Task, s video.Snapshot) (billed string, reserved int64) {
	switch {
	case s.Status != video.Succeeded:
	case s.Bill != nil && !s.Bill.IsNegative():
		return s.Bill.String(), nanos(*s.Bill)
	case s.Usage != nil && !s.Usage.Duration.IsNegative() && before.Estimate != nil:
		bill := billing.Cost(s.Usage.Duration, before.Estimate.PerSecond)
		return bill.String(), nanos(bill)
	}
	return "", -1
}
