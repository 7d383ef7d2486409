package ledger_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// perDay is the ledger with a budget for each day in a zone.
func perDay(t *testing.T, l *ledger.Ledger, budget string, zone *time.Location) *ledger.Ledger {
	return beside(t, l, func(o *ledger.Options) {
		most := amount(budget)
		o.BudgetPerDay, o.Zone = &most, zone
	})
}

// left is what is left of the day's budget.
func left(t *testing.T, l *ledger.Ledger, currency string) string {
	b, err := l.Budget(t.Context(), "", currency)
	require.NoError(t, err)
	require.True(t, b.PerDay.Sub(b.Used).Equal(b.Left) || b.Left.IsZero())
	return b.Left.String()
}

func costing(prompt, high string) video.Order {
	o := order(prompt, prompt)
	o.Estimate.High = amount(high)
	return o
}

// bought claims an order and records its purchase.
func bought(t *testing.T, l *ledger.Ledger, o video.Order, providerTaskID string) video.Task {
	task, claimed, err := l.Claim(t.Context(), o)
	require.NoError(t, err)
	require.True(t, claimed)
	task, err = l.Bought(t.Context(), task.ID, providerTaskID, false)
	require.NoError(t, err)
	return task
}

func seconds(text string) *video.Usage { return &video.Usage{Duration: amount(text)} }

// budgets is what may still be spent.
func budgets() map[string]func(t *testing.T, l *ledger.Ledger) {
	notCharged, unknown := &video.Error{Charged: video.NotCharged}, &video.Error{Charged: video.ChargedUnknown}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"the highest estimate is held from the claim, and settled to the bill": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			require.Equal(t, "1", left(t, l, "USD"), "before there is any file")
			task := bought(t, l, order("a", ""), "theirs")
			require.Equal(t, "0.6", left(t, l, "USD"))
			_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "0.6", left(t, l, "USD"))
			task, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", Usage: seconds("2.5")}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "0.25", task.Billed.String())
			require.Equal(t, "0.75", left(t, l, "USD"), "the bill is below the estimate")
			more := bought(t, l, order("b", ""), "another")
			_, _, err = l.Looked(t.Context(), more.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", Usage: seconds("9")}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "0", left(t, l, "USD"), "the bill is above the estimate, and above the budget")
		},
		"a success without a bill keeps its hold": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			for name, usage := range map[string]*video.Usage{"none": nil, "negative": seconds("-5")} {
				task := bought(t, l, costing(name, "0.1"), name)
				task, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", Usage: usage}, time.Time{})
				require.NoError(t, err)
				require.Nil(t, task.Billed, name)
			}
			require.Equal(t, "0.8", left(t, l, "USD"))
		},
		"a clip that failed or was cancelled, and a purchase that was refused, set their hold free": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			for _, end := range []video.Status{video.Failed, video.Canceled} {
				task := bought(t, l, order(string(end), ""), string(end))
				require.Equal(t, "0.6", left(t, l, "USD"))
				_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: end}, time.Time{})
				require.NoError(t, err)
				require.Equal(t, "1", left(t, l, "USD"))
			}
			task, _, err := l.Claim(t.Context(), order("refused", ""))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, notCharged)
			require.NoError(t, err)
			require.Equal(t, "1", left(t, l, "USD"))
		},
		"what may have been bought keeps its hold until it is known to be absent, and holds again when it is found": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			for i, step := range []func() error{
				func() error { _, err := l.NotBought(t.Context(), task, unknown); return err },
				func() error { _, err := l.NotBought(t.Context(), task, notCharged); return err },
				func() error { _, err := l.Bought(t.Context(), task.ID, "theirs", true); return err },
				func() error { _, err := l.Disowned(t.Context(), task.ID, "theirs"); return err },
			} {
				require.NoError(t, step())
				require.Equal(t, []string{"0.6", "1", "0.6", "0.6"}[i], left(t, l, "USD"), i)
			}
		},
		"an id that goes to another purchase leaves the whole estimate held": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "2", time.UTC)
			finder, _, err := l.Claim(t.Context(), order("a", "1"))
			require.NoError(t, err)
			for _, end := range []video.Snapshot{{Status: video.Failed}, {Status: video.Succeeded, VideoURL: "u", Usage: seconds("1")}} {
				_, err = l.Bought(t.Context(), finder.ID, string(end.Status), true)
				require.NoError(t, err)
				_, _, err = l.Looked(t.Context(), finder.ID, end, time.Time{})
				require.NoError(t, err)
				bought(t, l, costing(string(end.Status), "0.1"), string(end.Status))
				finder, err = l.Task(t.Context(), finder.ID)
				require.NoError(t, err)
				require.Equal(t, video.Unknown, finder.Status)
				require.Nil(t, finder.Billed)
				require.Nil(t, finder.Usage)
			}
			require.Equal(t, "1.4", left(t, l, "USD"), "0.4 in doubt, and two purchases of 0.1")
		},
		"a bill of a clip that turns out to be another one's is held as an estimate again": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "theirs", true)
			require.NoError(t, err)
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, Usage: seconds("1")}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "0.9", left(t, l, "USD"))
			task, err = l.Disowned(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			require.Nil(t, task.Billed)
			require.Equal(t, "0.6", left(t, l, "USD"))
		},
		"however many ask at once, the budget is never overdrawn": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			other := perDay(t, l, "1", time.UTC)
			var granted atomic.Int32
			var wait sync.WaitGroup
			for i := range 50 {
				wait.Go(func() {
					if _, claimed, err := []*ledger.Ledger{l, other}[i%2].Claim(t.Context(), order(strconv.Itoa(i), "")); claimed && err == nil {
						granted.Add(1)
					}
				})
			}
			wait.Wait()
			require.EqualValues(t, 2, granted.Load())
			require.Equal(t, "0.2", left(t, l, "USD"))
		},
	}
}

// days is when a budget comes back, and what a day has cost.
func days() map[string]func(t *testing.T, l *ledger.Ledger) {
	shanghai := time.FixedZone("UTC+8", 8*60*60)
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a refusal says what is left and when it comes back, which is at midnight of the zone": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "0.5", shanghai) // a bubble begins on 2000-01-01T00:00Z, at 8 there
			bought(t, l, order("a", ""), "theirs")
			_, _, err := l.Claim(t.Context(), order("b", ""))
			refusal := new(video.Error)
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, "DayBudgetExceeded", refusal.Code)
			require.Equal(t, video.NotCharged, refusal.Charged)
			for _, words := range []string{"0.4 USD", "0.1 of", "0.5 is left"} {
				require.Contains(t, refusal.Message, words)
			}
			require.Contains(t, refusal.Advice, "2000-01-02T00:00:00+08:00")
			b, err := l.Budget(t.Context(), "", "USD")
			require.NoError(t, err)
			require.True(t, b.ResetsAt.Equal(time.Date(2000, 1, 2, 0, 0, 0, 0, shanghai)))
			pass(time.Until(b.ResetsAt) - time.Microsecond)
			_, _, err = l.Claim(t.Context(), order("b", ""))
			require.ErrorAs(t, err, &refusal)
			pass(time.Microsecond)
			require.Equal(t, "0.5", left(t, l, "USD"))
			bought(t, l, order("b", ""), "another")
		},
		"currencies have budgets of their own": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "0.5", time.UTC)
			bought(t, l, order("a", ""), "theirs")
			yuan := order("b", "")
			yuan.Estimate.Currency = "CNY"
			bought(t, l, yuan, "another")
			require.Equal(t, "0.1", left(t, l, "CNY"))
			require.Equal(t, "0.5", left(t, l, "EUR"))
		},
		"without a budget nothing is refused, and there is none to tell": func(t *testing.T, l *ledger.Ledger) {
			bought(t, l, costing("a", "1000000"), "theirs")
			b, err := l.Budget(t.Context(), "", "USD")
			require.NoError(t, err)
			require.Nil(t, b)
		},
		"absurd amounts neither overflow nor open a budget": func(t *testing.T, l *ledger.Ledger) {
			for i, high := range []string{"1e30", "1e30", "92233720368547758.07", "-1e30", "-5"} {
				bought(t, l, costing(strconv.Itoa(i), high), strconv.Itoa(i))
			}
			small := perDay(t, l, "1", time.UTC)
			require.Equal(t, "0", left(t, small, "USD"))
			_, _, err := small.Claim(t.Context(), costing("free", "0.000000001"))
			require.ErrorContains(t, err, "DayBudgetExceeded")
			huge := perDay(t, l, "1e40", time.UTC)
			_, _, err = huge.Claim(t.Context(), costing("more than can be added up", "1e30"))
			require.ErrorContains(t, err, "DayBudgetExceeded")
			bought(t, huge, order("as usual", ""), "theirs")
			negative := perDay(t, l, "-1", time.UTC)
			require.Equal(t, "0", left(t, negative, "EUR"))
			_, _, err = negative.Claim(t.Context(), order("b", ""))
			require.ErrorContains(t, err, "DayBudgetExceeded")
		},
		"what a claim holds is rounded up": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			bought(t, l, costing("a", "0.3333333333333"), "a")
			bought(t, l, costing("b", "0.3333333333333"), "b")
			require.Equal(t, "0.333333332", left(t, l, "USD"))
			_, _, err := l.Claim(t.Context(), costing("c", "0.3333333333333"))
			require.ErrorContains(t, err, "DayBudgetExceeded")
		},
		"the days tell what was held, billed and estimated, latest first": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "10", time.UTC)
			days, err := l.Days(t.Context(), time.Now())
			require.NoError(t, err)
			require.Empty(t, days, "there is no file yet")
			start := time.Now()
			bill := func(name, took string) {
				task := bought(t, l, order(name, name), name)
				_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", Usage: seconds(took)}, time.Time{})
				require.NoError(t, err)
			}
			bill("a", "3")
			bill("b", "5")
			pass(24 * time.Hour)
			bought(t, l, order("c", ""), "c")
			_, err = l.Adopt(t.Context(), "", "made elsewhere", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			days, err = l.Days(t.Context(), start)
			require.NoError(t, err)
			text := func(d ledger.Day) []string {
				return []string{d.Date, d.Currency, strconv.Itoa(d.Tasks), d.Used.String(), d.Billed.String(), d.Estimated.String()}
			}
			require.Len(t, days, 2)
			require.Equal(t, []string{"2000-01-02", "USD", "1", "0.4", "0", "0"}, text(days[0]))
			require.Equal(t, []string{"2000-01-01", "USD", "2", "0.8", "0.8", "0.8"}, text(days[1]))
			days, err = l.Days(t.Context(), time.Now())
			require.NoError(t, err)
			require.Len(t, days, 1)
		},
	}
}
