package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// reserved is what the clips since a moment cost, and may still cost; reservedBy is that of one person. It is the asker's midnight:
// processes in several time zones see the same spending, each since the beginning of its own day.
const (
	reserved   = "SELECT CAST(COALESCE(SUM(reserved), 0) AS BIGINT) FROM r2v_task WHERE created_at >= $1 AND currency = $2"
	reservedBy = reserved + " AND owner = $3"
)

// checkBudget refuses an order whose highest estimate is more than the day has left, for its owner or for all. One that is more
// than a whole day has will be refused on every day: it is not worth waiting for.
func (l *Ledger) checkBudget(ctx context.Context, tx *sql.Tx, o video.Order) error {
	budgets, err := l.budgets(ctx, tx, o.Owner, o.Estimate.Currency)
	if err != nil {
		return err
	}
	if !o.Estimate.Known() && o.Estimate.Currency != "" && len(budgets) > 0 {
		return l.checkUnpriced(ctx, tx, o, budgets)
	}
	for _, b := range budgets {
		if o.Estimate.High.GreaterThan(b.Left) || o.Estimate.High.GreaterThan(fromNanos(most)) {
			return overDay(o.Estimate.High, b, o.Owner == "" && l.BudgetPerPerson == nil)
		}
	}
	return nil
}

// unpriced are the purchases of today, without a rate, whose bill has not been told. $3 is 0 where those of one person count alone.
const unpriced = "SELECT CAST(count(*) AS BIGINT) FROM r2v_task WHERE created_at >= $1 AND currency = $2 AND ($3 = 1 OR owner = $4) AND fingerprint <> '' " +
	"AND estimate_high = '' AND billed = '' AND status IN ('PENDING', 'RUNNING', 'UNKNOWN', 'SUCCEEDED')"

// checkUnpriced refuses an order without a rate where the day has nothing left, or where the bill of another such purchase is still
// open: so a day can go beyond its budget by one clip, and by no more.
func (l *Ledger) checkUnpriced(ctx context.Context, tx *sql.Tx, o video.Order, budgets []video.Budget) error {
	for _, b := range budgets {
		if !b.Left.IsPositive() {
			return unpricedOverDay(b, o.Owner == "" && l.BudgetPerPerson == nil)
		}
	}
	var others int64
	err := tx.QueryRowContext(ctx, unpriced, micros(l.midnight(time.Now())), o.Estimate.Currency, flag(l.BudgetPerDay != nil), o.Owner).Scan(&others)
	if err != nil || others == 0 {
		return err
	}
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "PriceUnknown", Message: "no rate is known for this clip, and the bill of an earlier one is not known yet either: under a day's budget one such clip is made at a time",
		Advice: "Nothing was bought. Call again when the clip that is being made has ended and its bill is told, which takes minutes; if its fate or its bill stays unknown, it is tomorrow. " +
			"A rate in the operator's R2V_PRICES_FILE ends this.", Retryable: true,
	}}
}

// unpricedOverDay refuses a clip of unknown price when nothing of a budget is left.
func unpricedOverDay(b video.Budget, alone bool) error {
	code, setting := "DayBudgetExceeded", "R2V_BUDGET_PER_DAY"
	if b.Own {
		code, setting = "PersonBudgetExceeded", "R2V_BUDGET_PER_PERSON"
	}
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: code, Message: "no rate is known for this clip, and " + remainder(b, alone), Retryable: true,
		Advice: fmt.Sprintf("Nothing was bought. The budget comes back at %s; only the operator can raise %s.", b.ResetsAt.Format(time.RFC3339), setting),
	}}
}

// overDay refuses a clip for what one of the budgets has left. Of a person's own it tells what they have spent; of everybody's only
// what is left, unless there is but one person.
func overDay(high decimal.Decimal, b video.Budget, alone bool) error {
	code, setting := "DayBudgetExceeded", "R2V_BUDGET_PER_DAY"
	if b.Own {
		code, setting = "PersonBudgetExceeded", "R2V_BUDGET_PER_PERSON"
	}
	f := video.Failure{
		Code: code, Message: fmt.Sprintf("this clip may cost up to %s %s, and ", high, b.Currency) + remainder(b, alone),
		Advice: fmt.Sprintf("Nothing was bought. The budget comes back at %s; what is held beyond the bill comes back as soon as a clip is finished. "+
			"estimate_cost says what would cost little enough now, if anything does; only the operator can raise %s.", b.ResetsAt.Format(time.RFC3339), setting),
		Retryable: true,
	}
	if high.GreaterThan(b.PerDay) || high.GreaterThan(fromNanos(most)) {
		whole := "the budget of a whole day"
		if b.Own {
			whole = "what you may spend on a whole day"
		}
		f.Message = fmt.Sprintf("this clip may cost up to %s %s, and %s is %s", high, b.Currency, whole, b.PerDay)
		f.Advice = "Nothing was bought. No day's budget is enough for this clip: waiting does not help, and only the operator can raise " + setting + ". " +
			"estimate_cost says what would cost little enough now, if anything does."
		f.Retryable = false
	}
	return &video.Error{Charged: video.NotCharged, Failure: f}
}

// remainder says what is left of a budget today.
func remainder(b video.Budget, alone bool) string {
	switch {
	case b.Own:
		return fmt.Sprintf("%s of the %s that you may spend today is left (%s is spent or held for your clips being made)", b.Left, b.PerDay, b.Used)
	case alone:
		return fmt.Sprintf("%s of today's %s is left (%s is spent or held for clips being made)", b.Left, b.PerDay, b.Used)
	}
	return fmt.Sprintf("%s of today's %s is left for all", b.Left, b.PerDay)
}

// budgets are a person's own part of the day and what all have together, as far as there are limits.
func (l *Ledger) budgets(ctx context.Context, q queryer, owner, currency string) ([]video.Budget, error) {
	now := time.Now()
	var all []video.Budget
	for _, limit := range []struct {
		perDay *decimal.Decimal
		own    bool
	}{{l.BudgetPerPerson, true}, {l.BudgetPerDay, false}} {
		if limit.perDay == nil {
			continue
		}
		query, args := reserved, []any{micros(l.midnight(now)), currency}
		if limit.own {
			query, args = reservedBy, append(args, owner)
		}
		var used int64
		if q != nil {
			if err := q.QueryRowContext(ctx, query, args...).Scan(&used); err != nil {
				return nil, err
			}
		}
		b := video.Budget{Own: limit.own, PerDay: *limit.perDay, Used: fromNanos(used), Currency: currency, ResetsAt: l.tomorrow(now)}
		b.Left = decimal.Max(decimal.Zero, b.PerDay.Sub(b.Used))
		all = append(all, b)
	}
	return all, nil
}

// Budget tells how the day's budget stands for a person in a currency: their own part or that of all, whichever has less left; nil
// when there is neither.
func (l *Ledger) Budget(ctx context.Context, owner, currency string) (*video.Budget, error) {
	if l.BudgetPerDay == nil && l.BudgetPerPerson == nil {
		return nil, nil //nolint:nilnil // no budget is no failure
	}
	var q queryer // nil where nothing was ever spent
	db, err := l.existing(ctx)
	switch {
	case err == nil:
		q = db
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	budgets, err := l.budgets(ctx, q, owner, currency)
	if err != nil {
		return nil, l.explain(err)
	}
	tightest := slices.MinFunc(budgets, func(a, b video.Budget) int { return a.Left.Cmp(b.Left) })
	return &tightest, nil
}

// Spent is what a person's clips of today cost in a currency, and may still cost while they are being made.
func (l *Ledger) Spent(ctx context.Context, owner, currency string) (decimal.Decimal, error) {
	db, err := l.existing(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		return decimal.Zero, nil
	case err != nil:
		return decimal.Zero, err
	}
	var used int64
	err = db.QueryRowContext(ctx, reservedBy, micros(l.midnight(time.Now())), currency, owner).Scan(&used)
	return fromNanos(used), l.explain(err)
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

	People []Share // of those who have spent anything, by name
}

// Share is what of a day's spending is one person's, in the day's currency.
type Share struct {
	Owner  string // empty for whoever has no name
	Tasks  int
	Used   decimal.Decimal
	Billed decimal.Decimal
}

// share is the one of a person.
func (d *Day) share(owner string) *Share {
	i, found := slices.BinarySearchFunc(d.People, owner, func(s Share, owner string) int { return strings.Compare(s.Owner, owner) })
	if !found {
		d.People = slices.Insert(d.People, i, Share{Owner: owner})
	}
	return &d.People[i]
}

// settle holds a bill against its own estimate: a bill too high and one too low are two mistakes, not none.
func (d *Day) settle(bill, low, high decimal.Decimal) {
	miss, off := video.Cost{Low: low, High: high}.Miss(bill)
	d.EstimatedLow, d.Estimated = d.EstimatedLow.Add(low), d.Estimated.Add(high)
	d.Above, d.Below = d.Above.Add(decimal.Max(miss, decimal.Zero)), d.Below.Sub(decimal.Min(miss, decimal.Zero))
	if off {
		d.Missed++
	}
}

// Days returns what was spent on each day since a moment, latest first.
func (l *Ledger) Days(ctx context.Context, since time.Time) ([]Day, error) {
	var days []Day
	err := l.each(ctx, func(rows *sql.Rows) error {
		var owner, currency, low, high, billed string
		var created, held int64
		if err := rows.Scan(&owner, &created, &currency, &low, &high, &billed, &held); err != nil {
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
		s := d.share(owner)
		s.Tasks++
		s.Used = s.Used.Add(fromNanos(held))
		if billed == "" {
			return nil
		}
		var bill, lowest, highest decimal.Decimal
		if err := read(billed, &bill); err != nil {
			return err
		}
		d.Billed, s.Billed = d.Billed.Add(bill), s.Billed.Add(bill)
		if low == "" { // no rate was known: there is nothing to hold the bill against
			return nil
		}
		err := errors.Join(read(low, &lowest), read(high, &highest))
		if err == nil {
			d.settle(bill, lowest, highest)
		}
		return err
	}, "SELECT owner, created_at, currency, estimate_low, estimate_high, billed, reserved FROM r2v_task WHERE created_at >= $1 AND currency <> '' ORDER BY created_at DESC", micros(l.midnight(since)))
	return days, err
}
