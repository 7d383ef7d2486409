package billing_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"r2v-mcp/internal/billing"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func clips(lengths ...string) []billing.Interval {
	var out []billing.Interval
	for _, l := range lengths {
		out = append(out, billing.Exactly(dec(l)))
	}
	return out
}

// Every worked example of the facts about DashScope's billing, with Beijing's prices.
func TestWorkedExamples(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		order                       billing.Order
		input, total, cost, limited string
	}{
		{"wan2.7, 5 images, 10 s",
			billing.Order{Counted: 0, Output: dec("10"), PerSecond: dec("0.6")}, "0", "10", "6.00", "0"},
		{"wan2.7, clips of 8 s and 2 s, 3 images, 5 s",
			billing.Order{Clips: clips("8", "2"), Counted: 2, Output: dec("5"), PerSecond: dec("0.6")}, "4.5", "9.5", "5.70", "2.5"},
		{"wan2.6, the same five references, 5 s",
			billing.Order{Clips: clips("8", "2"), Counted: 5, Output: dec("5"), PerSecond: dec("0.6")}, "2", "7", "4.20", "1"},
		{"wan2.7, three clips of 10 s, 10 s",
			billing.Order{Clips: clips("10", "10", "10"), Counted: 3, Output: dec("10"), PerSecond: dec("0.6")}, "4.95", "14.95", "8.97", "1.65"},
		{"wan2.6-r2v-flash silent, one clip of 10 s, 5 s",
			billing.Order{Clips: clips("10"), Counted: 1, Output: dec("5"), PerSecond: dec("0.15")}, "5", "10", "1.50", "5"},
		{"wan2.6 at a relay, clips of 10 s, 1 s and 3 s, 5 s",
			billing.Order{Clips: clips("10", "1", "3"), Counted: 3, Output: dec("5"), PerSecond: dec("6.8")}, "4.3", "9.3", "63.24", "1.65"},
		{"clips that nothing cuts, of 10 s and 30 s, 5 s",
			billing.Order{Clips: clips("10", "30"), Whole: true, Output: dec("5"), PerSecond: dec("6.8")}, "40", "45", "306.00", "0"},
		{"without a rate, one clip of 10 s, 5 s",
			billing.Order{Clips: clips("10"), Counted: 1, Output: dec("5")}, "5", "10", "0.00", "5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tt.order.Estimate()
			require.NoError(t, err)
			require.Equal(t, dec(tt.input).String(), e.Input.High.String(), "input seconds")
			require.Equal(t, dec(tt.total).String(), e.Total.High.String(), "total seconds")
			require.Equal(t, dec(tt.cost).StringFixed(2), e.Cost.High.StringFixed(2), "cost")
			require.Equal(t, dec(tt.limited).String(), e.Limit.String(), "truncation limit")
			require.True(t, e.Cost.Known())
		})
	}
}

func TestImpossibleOrdersAreRefused(t *testing.T) {
	for name, o := range map[string]billing.Order{
		"more clips than counted references": {Clips: clips("1"), Counted: 0},
		"more than five references":          {Clips: clips("1"), Counted: 6},
		"negative output":                    {Output: dec("-1")},
		"negative price":                     {PerSecond: dec("-0.1")},
		"negative clip":                      {Clips: clips("-1"), Counted: 1},
		"an interval upside down":            {Clips: []billing.Interval{{Low: dec("2"), High: dec("1")}}, Counted: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := o.Estimate()
			require.Error(t, err)
		})
	}
}

// seconds draws lengths with milliseconds, as clips have them.
func seconds(t *rapid.T, name string, most int64) decimal.Decimal {
	return decimal.New(rapid.Int64Range(0, most*1000).Draw(t, name), -3)
}

func drawOrder(t *rapid.T) billing.Order {
	o := billing.Order{
		Counted:   rapid.IntRange(0, 5).Draw(t, "counted"),
		Whole:     rapid.Bool().Draw(t, "whole"),
		Output:    seconds(t, "output", 15),
		PerSecond: decimal.New(rapid.Int64Range(0, 2_000_000).Draw(t, "price"), -6),
	}
	for range rapid.IntRange(0, o.Counted).Draw(t, "clips") {
		low := seconds(t, "low", 30)
		o.Clips = append(o.Clips, billing.Interval{Low: low, High: low.Add(seconds(t, "more", 30))})
	}
	return o
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOrder(t)
		e, err := o.Estimate()
		require.NoError(t, err)

		require.False(t, e.Cost.High.LessThan(e.Cost.Low), "the interval is upright")
		whole := decimal.Zero
		for _, c := range o.Clips {
			whole = whole.Add(c.High)
		}
		require.False(t, !o.Whole && e.Input.High.GreaterThan(dec("5")), "never more than five seconds of input are billed where they are cut")
		require.False(t, o.Whole && !e.Input.High.Equal(whole), "clips that nothing cuts are billed whole")
		require.False(t, e.Total.Low.LessThan(o.Output), "the new clip is always billed whole")
		require.True(t, e.Cost.High.Equal(e.Total.High.Mul(o.PerSecond)), "cost is seconds times price, unrounded")

		known := o
		known.Clips = nil
		for _, c := range o.Clips {
			length := c.Low.Add(c.High).Div(dec("2"))
			known.Clips = append(known.Clips, billing.Exactly(length))
		}
		k, err := known.Estimate()
		require.NoError(t, err)
		require.True(t, k.Cost.Known())
		require.False(t, k.Cost.Low.LessThan(e.Cost.Low) || k.Cost.High.GreaterThan(e.Cost.High),
			"any length within the interval costs something within the estimate")
	})
}

// A longer clip never costs less, and one more counted reference never makes the same clip dearer.
func TestMonotony(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length, more := seconds(t, "length", 30), seconds(t, "more", 5)
		n := rapid.IntRange(1, 4).Draw(t, "counted")
		price := func(l decimal.Decimal, counted int) decimal.Decimal {
			e, err := billing.Order{Clips: []billing.Interval{billing.Exactly(l)}, Counted: counted, PerSecond: dec("1")}.Estimate()
			require.NoError(t, err)
			return e.Cost.High
		}
		require.False(t, price(length.Add(more), n).LessThan(price(length, n)))
		require.False(t, price(length, n+1).GreaterThan(price(length, n)))
	})
}
