package ledger

import (
	"context"
	"time"

	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/video"
)

const (
	// settled is a success of which the provider has told all that makes its bill.
	settled = "(billed <> '' OR usage <> '')"
	// lacksBill are the clips that were bought here, and of which no bill was told with their end; $2 is since when the provider remembers them.
	lacksBill   = "upstream = $1 AND status = 'SUCCEEDED' AND billed = '' AND usage = '' AND fingerprint <> '' AND ended_at > $2 AND (video_url <> '' OR saved_to <> '')"
	withoutBill = "SELECT " + columns + " FROM r2v_task WHERE " + lacksBill + " ORDER BY looked_at LIMIT $3"
	// manyBillless is how many of them are asked for at a time.
	manyBillless = 50
)

// Billless returns clips that were bought here and have ended without a bill, those first that nobody has asked for since long, as long as
// the provider remembers them.
func (l *Ledger) Billless(ctx context.Context) ([]video.Task, error) {
	return l.some(ctx, withoutBill, l.Upstream, micros(time.Now().Add(-video.Lifetime)), manyBillless)
}

// Billed records what the provider says of a clip that has ended without a bill, and that it was asked: where it tells a bill, that replaces what
// was held, and the end's callback need not wait for it any longer. It reports whether this call has told it: of all processes one does.
func (l *Ledger) Billed(ctx context.Context, before video.Task, s video.Snapshot) (video.Task, bool, error) {
	now := time.Now()
	billed, reserved := billOf(&before, s)
	if billed == "" {
		_, err := l.changeMany(ctx, "UPDATE r2v_task SET looked_at = $3 WHERE upstream = $1 AND id = $2 AND billed = ''", before.ID, micros(now))
		return before, false, err
	}
	return l.change(ctx, before.ID, `UPDATE r2v_task SET billed = $2, reserved = $3, looked_at = $4, version = version + 1,
		usage = CASE WHEN CAST($5 AS TEXT) <> '' THEN CAST($5 AS TEXT) ELSE usage END,
		callback_due_at = CASE WHEN callback_due_at > $4 AND `+untried+` AND NOT (`+beingSaved+`) THEN $4 ELSE callback_due_at END
		WHERE id = $1 AND status = 'SUCCEEDED' AND billed = '' RETURNING `+columns, billed, reserved, micros(now), pack(s.Usage))
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
