package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// midnight is when the budget's day of a moment began.
func (l *Ledger) midnight(at time.Time) time.Time {
	y, m, d := at.In(l.Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, l.Zone)
}

// tomorrow is when the next of the budget's days begins.
func (l *Ledger) tomorrow(now time.Time) time.Time {
	y, m, d := now.In(l.Zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, l.Zone)
}

// reserved is what the clips since a moment cost, and may still cost. It is the asker's midnight: processes in
// several time zones see the same spending, each since the beginning of its own day.
const reserved = "SELECT CAST(COALESCE(SUM(reserved), 0) AS BIGINT) FROM r2v_task WHERE created_at >= $1 AND currency = $2"

// checkBudget refuses an order whose highest estimate is more than the day has left. One that is more than a whole day has will
// be refused on every day: it is not worth waiting for.
func (l *Ledger) checkBudget(ctx context.Context, tx *sql.Tx, o video.Order) error {
	if l.BudgetPerDay == nil {
		return nil
	}
	now := time.Now()
	var used int64
	if err := tx.QueryRowContext(ctx, reserved, micros(l.midnight(now)), o.Estimate.Currency).Scan(&used); err != nil {
		return err
	}
	b := l.budget(used, o.Estimate.Currency, now)
	if !o.Estimate.High.GreaterThan(b.Left) && !o.Estimate.High.GreaterThan(fromNanos(most)) {
		return nil
	}
	return overDay(o.Estimate.High, b)
}

func overDay(high decimal.Decimal, b video.Budget) error {
	f := video.Failure{
		Code: "DayBudgetExceeded",
		Message: fmt.Sprintf("this clip may cost up to %s %s, and %s of today's %s is left (%s is spent or held for clips being made)",
			high, b.Currency, b.Left, b.PerDay, b.Used),
		Advice: fmt.Sprintf("Nothing was bought. The budget comes back at %s; what is held beyond the bill comes back as soon as a clip is finished. "+
			"estimate_cost says what would cost little enough now, if anything does; only the operator can raise R2V_BUDGET_PER_DAY.", b.ResetsAt.Format(time.RFC3339)),
		Retryable: true,
	}
	if high.GreaterThan(b.PerDay) || high.GreaterThan(fromNanos(most)) {
		f.Message = fmt.Sprintf("this clip may cost up to %s %s, and the budget of a whole day is %s", high, b.Currency, b.PerDay)
		f.Advice = "Nothing was bought. No day's budget is enough for this clip: waiting does not help, and only the operator can raise R2V_BUDGET_PER_DAY. " +
			"estimate_cost says what would cost little enough now, if anything does."
		f.Retryable = false
	}
	return &video.Error{Charged: video.NotCharged, Failure: f}
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
		err = db.QueryRowContext(ctx, reserved, micros(l.midnight(now)), currency).Scan(&used)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, l.explain(err)
	}
	b := l.budget(used, currency, now)
	return &b, nil
}

// Day is what the clips of one day cost. Amounts are in Currency.
type Day struct {
	Date     string // 2006-01-02, where the operator lives
	Currency string
	Tasks    int
	Used     decimal.Decimal // billed, and held for what is not billed yet
	Billed   decimal.Decimal

	EstimatedLow decimal.Decimal // the lowest estimates of those that are billed
	Estimated    decimal.Decimal // the highest estimates of those that are billed
	Above, Below decimal.Decimal // by how much bills are above the highest and below the lowest of their estimates, each 0 or more
	Missed       int             // tasks whose bill is more than 1 % outside its estimate
}

// settle holds a bill against its own estimate: a bill too high and one too low are two mistakes, not none.
func (d *Day) settle(bill, low, high decimal.Decimal) {
	miss, off := video.Cost{Low: low, High: high}.Miss(bill)
	d.Billed, d.EstimatedLow, d.Estimated = d.Billed.Add(bill), d.EstimatedLow.Add(low), d.Estimated.Add(high)
	d.Above, d.Below = d.Above.Add(decimal.Max(miss, decimal.Zero)), d.Below.Sub(decimal.Min(miss, decimal.Zero))
	if off {
		d.Missed++
	}
}

// Days returns what was spent on each day since a moment, latest first.
func (l *Ledger) Days(ctx context.Context, since time.Time) ([]Day, error) {
	var days []Day
	err := l.each(ctx, func(rows *sql.Rows) error {
		var currency, low, high, billed string
		var created, held int64
		if err := rows.Scan(&created, &currency, &low, &high, &billed, &held); err != nil {
			return err
		}
		date := fromMicros(created).In(l.Zone).Format(time.DateOnly)
		i := slices.IndexFunc(days, func(d Day) bool { return d.Date == date && d.Currency == currency })
		if i < 0 {
			i, days = len(days), append(days, Day{Date: date, Currency: currency})
		}
		d := &days[i]
		d.Tasks++
		d.Used = d.Used.Add(fromNanos(held))
		if billed == "" {
			return nil
		}
		var bill, lowest, highest decimal.Decimal
		if err := errors.Join(read(billed, &bill), read(low, &lowest), read(high, &highest)); err != nil {
			return err
		}
		d.settle(bill, lowest, highest)
		return nil
	}, "SELECT created_at, currency, estimate_low, estimate_high, billed, reserved FROM r2v_task WHERE created_at >= $1 AND currency <> '' ORDER BY created_at DESC", micros(l.midnight(since)))
	return days, err
}
