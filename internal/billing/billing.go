// Package billing turns seconds into money: the documented truncation of reference clips, and (billable input seconds +
// output seconds) × price per second, in exact decimals. It has no clock and does no I/O.
//
// Source of the rules: "Billing and rate limiting" in the Wan reference-to-video guide of Model Studio.
package billing

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Truncation lists how many seconds of each reference clip are billed at most when 1, 2, 3, 4 or 5 references count. It is
// the documented table and not a division: three references are billed 1.65 seconds each, although 5/3 is more.
func Truncation() []decimal.Decimal {
	return []decimal.Decimal{
		decimal.New(5, 0), decimal.New(25, -1), decimal.New(165, -2), decimal.New(125, -2), decimal.New(1, 0),
	}
}

// Interval is an amount that is known only to lie between Low and High. They are equal when it is known.
type Interval struct{ Low, High decimal.Decimal }

// Exactly is the interval of a known amount.
func Exactly(d decimal.Decimal) Interval { return Interval{Low: d, High: d} }

// Known reports whether nothing is left open.
func (i Interval) Known() bool { return i.Low.Equal(i.High) }

// Order is what decides a clip's price.
type Order struct {
	Clips     []Interval      // the length of each reference clip in seconds
	Counted   int             // how many references divide the input that is billed, 0 to 5; at least one where there is a clip
	Output    decimal.Decimal // seconds of the new clip
	PerSecond decimal.Decimal // price of one second, zero where no rate is known: then only the seconds are told
	Whole     bool            // clips are billed whole, whatever is counted: no rule is documented that cuts them
}

// Estimate is what an order will be billed.
type Estimate struct {
	Limit decimal.Decimal // billed seconds of one reference clip at most; zero when there is no clip or no limit
	Clips []Interval      // billed seconds of each reference clip, in the order's sequence
	Input Interval        // billed seconds of all reference clips together
	Total Interval        // Input and the new clip's seconds
	Cost  Interval        // in the currency of PerSecond
}

// Estimate prices an order. It returns an error for an order that no request can make: negative amounts, a length whose
// High is below its Low, or counts outside the documented table.
func (o Order) Estimate() (Estimate, error) {
	if err := o.verify(); err != nil {
		return Estimate{}, err
	}
	var e Estimate
	if len(o.Clips) > 0 && !o.Whole {
		e.Limit = Truncation()[o.Counted-1]
	}
	for _, length := range o.Clips {
		billed := length
		if !o.Whole {
			billed = Interval{Low: decimal.Min(length.Low, e.Limit), High: decimal.Min(length.High, e.Limit)}
		}
		e.Clips = append(e.Clips, billed)
		e.Input = Interval{Low: e.Input.Low.Add(billed.Low), High: e.Input.High.Add(billed.High)}
	}
	e.Total = Interval{Low: e.Input.Low.Add(o.Output), High: e.Input.High.Add(o.Output)}
	e.Cost = Interval{Low: Cost(e.Total.Low, o.PerSecond), High: Cost(e.Total.High, o.PerSecond)}
	return e, nil
}

func (o Order) verify() error {
	if !o.Whole && len(o.Clips) > o.Counted || o.Counted > len(Truncation()) {
		return fmt.Errorf("bill %d clips of %d counted references: at most %d are documented", len(o.Clips), o.Counted, len(Truncation()))
	}
	if o.Output.IsNegative() || o.PerSecond.IsNegative() {
		return fmt.Errorf("bill %s seconds at %s: negative", o.Output, o.PerSecond)
	}
	for _, length := range o.Clips {
		if length.Low.IsNegative() || length.High.LessThan(length.Low) {
			return fmt.Errorf("bill a clip of %s to %s seconds: no such length", length.Low, length.High)
		}
	}
	return nil
}

// Cost is the price of so many seconds, exact and unrounded: no rounding is documented.
func Cost(seconds, perSecond decimal.Decimal) decimal.Decimal { return seconds.Mul(perSecond) }
