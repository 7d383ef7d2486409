package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// day is the budget's day of a moment.
func (l *Ledger) day(at time.Time) string { return at.In(l.Zone).Format(time.DateOnly) }

// tomorrow is when the next of the budget's days begins.
func (l *Ledger) tomorrow(now time.Time) time.Time {
	y, m, d := now.In(l.Zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, l.Zone)
}

// reserved is what the clips of a day cost, and may still cost.
const reserved = "SELECT CAST(COALESCE(SUM(reserved), 0) AS BIGINT) FROM r2v_task WHERE day = $1 AND currency = $2"

// checkBudget refuses an order whose highest estimate is more than the day has left.
func (l *Ledger) checkBudget(ctx context.Context, tx *sql.Tx, o video.Order) error {
	if l.BudgetPerDay == nil {
		return nil
	}
	now := time.Now()
	var used int64
	if err := tx.QueryRowContext(ctx, reserved, l.day(now), o.Estimate.Currency).Scan(&used); err != nil {
		return err
	}
	b := l.budget(used, o.Estimate.Currency, now)
	if !o.Estimate.High.GreaterThan(b.Left) && !o.Estimate.High.GreaterThan(fromNanos(most)) {
		return nil
	}
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "DayBudgetExceeded",
		Message: fmt.Sprintf("this clip may cost up to %s %s, and %s of today's %s is left (%s is spent or held for clips being made)",
			o.Estimate.High, b.Currency, b.Left, b.PerDay, b.Used),
		Advice: fmt.Sprintf("Nothing was bought. The budget comes back at %s; what is held beyond the bill comes back as soon as a clip is finished. "+
			"Ask for a cheaper clip, or wait; only the operator can raise R2V_BUDGET_PER_DAY.", b.ResetsAt.Format(time.RFC3339)),
		Retryable: true,
	}}
}

func (l *Ledger) budget(used int64, currency string, now time.Time) video.Budget {
	b := video.Budget{PerDay: *l.BudgetPerDay, Used: fromNanos(used), Currency: currency, ResetsAt: l.tomorrow(now)}
	b.Left = decimal.Max(decimal.Zero, b.PerDay.Sub(b.Used))
	return b
}

// Budget tells how the day's budget stands in a currency, nil when there is none.
func (l *Ledger) Budget(ctx context.Context, currency string) (*video.Budget, error) {
	if l.BudgetPerDay == nil {
		return nil, nil //nolint:nilnil // no budget is no failure
	}
	var used int64
	now := time.Now()
	db, err := l.existing(ctx)
	if err == nil {
		err = db.QueryRowContext(ctx, reserved, l.day(now), currency).Scan(&used)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, l.explain(err)
	}
	b := l.budget(used, currency, now)
	return &b, nil
}

// Day is what the clips of one day cost.
type Day struct {
	Date      string // 2006-01-02, where the operator lives
	Currency  string
	Tasks     int
	Used      decimal.Decimal // billed, and held for what is not billed yet
	Billed    decimal.Decimal
	Estimated decimal.Decimal // the highest estimates of those that are billed
}

// Days returns what was spent on each day since a moment, latest first.
func (l *Ledger) Days(ctx context.Context, since time.Time) ([]Day, error) {
	var days []Day
	err := l.each(ctx, func(rows *sql.Rows) error {
		var date, currency, high, billed string
		var held int64
		if err := rows.Scan(&date, &currency, &high, &billed, &held); err != nil {
			return err
		}
		if n := len(days); n == 0 || days[n-1].Date != date || days[n-1].Currency != currency {
			days = append(days, Day{Date: date, Currency: currency})
		}
		d := &days[len(days)-1]
		d.Tasks++
		d.Used = d.Used.Add(fromNanos(held))
		if billed == "" {
			return nil
		}
		var bill, estimate decimal.Decimal
		if err := errors.Join(read(billed, &bill), read(high, &estimate)); err != nil {
			return err
		}
		d.Billed, d.Estimated = d.Billed.Add(bill), d.Estimated.Add(estimate)
		return nil
	}, "SELECT day, currency, estimate_high, billed, reserved FROM r2v_task WHERE day >= $1 AND day <> '' ORDER BY day DESC, currency", l.day(since))
	return days, err
}
