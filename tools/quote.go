package tools

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/video"
)

// quote is a request held against the catalogue, with its price: what estimate_cost answers and generate_r2v checks.
type quote struct {
	report   *video.Report
	unread   []video.Problem   // arguments that could not be read
	estimate *billing.Estimate // nil when the request cannot be priced
}

func (s *Set) quote(in generateArguments, unread []video.Problem) *quote {
	q := &quote{report: s.Catalogue.Check(in.request(), s.Region), unread: unread}
	if m := q.report.Model; m != nil && in.Duration != nil && *in.Duration == 0 {
		// To the catalogue 0 means "not given"; whoever writes it out means something else than the default.
		q.report.Problems = append(q.report.Problems, video.Problem{Field: "duration", Wrong: "there is no clip of 0 seconds", Allowed: fmt.Sprintf("%d or more seconds", m.Duration.Min)})
	}
	q.price()
	return q
}

func (q *quote) price() {
	r := q.report
	if r.Model == nil || r.Price == nil {
		return
	}
	order := billing.Order{Output: decimal.NewFromInt(int64(r.Request.Duration)), PerSecond: r.Price.PerSecond}
	for _, ref := range r.Request.References {
		switch ref.Kind {
		case video.Clip:
			order.Clips = append(order.Clips, length(ref, r.Model.Media["video"].Seconds))
			order.Counted++
		case video.Image:
			if r.Model.TruncationCounts == video.CountReferences {
				order.Counted++
			}
		}
	}
	if e, err := order.Estimate(); err == nil {
		q.estimate = &e
	}
}

// length is how long a reference clip is: as given, or else anything that the model takes.
func length(ref video.Reference, limits video.Range) billing.Interval {
	if ref.Seconds != nil {
		return billing.Exactly(*ref.Seconds)
	}
	return billing.Interval{Low: decimal.NewFromInt(limits.Min), High: decimal.NewFromInt(limits.Max)}
}

// cost is the estimate as it is kept with a task; zero when the request cannot be priced.
func (q *quote) cost() video.Cost {
	if q.estimate == nil {
		return video.Cost{}
	}
	return video.Cost{Low: q.estimate.Cost.Low, High: q.estimate.Cost.High, PerSecond: q.report.Price.PerSecond, Currency: q.report.Price.Currency}
}

// checkGuards compares the highest estimate with what the caller and the operator are ready to pay.
func (q *quote) checkGuards(in generateArguments, budget *decimal.Decimal) {
	r := q.report
	if key := in.IdempotencyKey; len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
		r.Problems = append(r.Problems, video.Problem{Field: "idempotency_key", Wrong: "it is too long or holds blanks or other characters", Allowed: "1 to 255 visible ASCII characters"})
	}
	if in.MaxCost != nil && in.MaxCost.IsNegative() {
		r.Problems = append(r.Problems, video.Problem{Field: "max_cost", Wrong: in.MaxCost.String() + " is negative", Allowed: "0 or more"})
	}
	if q.estimate == nil {
		if len(r.Problems)+len(q.unread) == 0 {
			r.Problems = append(r.Problems, video.Problem{Field: "model", Wrong: "no price is known for this request", Allowed: "a request that estimate_cost can price"})
		}
		return
	}
	high, currency := q.estimate.Cost.High, r.Price.Currency
	if in.MaxCost != nil && high.GreaterThan(*in.MaxCost) {
		r.Problems = append(r.Problems, video.Problem{
			Field: "max_cost", Wrong: fmt.Sprintf("this clip may cost up to %s %s, more than %s", high, currency, in.MaxCost),
			Allowed: fmt.Sprintf("%s or more, or a cheaper request: 720P, a shorter duration, fewer or shorter reference videos, duration_seconds for each of them", high),
		})
	}
	if budget != nil && high.GreaterThan(*budget) {
		r.Problems = append(r.Problems, video.Problem{
			Field: "cost", Wrong: fmt.Sprintf("this clip may cost up to %s %s, and the operator allows %s for one", high, currency, budget),
			Allowed: "a cheaper request: 720P, a shorter duration, fewer or shorter reference videos; only the operator can raise R2V_BUDGET_PER_TASK",
		})
	}
}

// problems lists what is wrong, arguments that could not be read first. Of such an argument nothing else is said: its
// value is not known.
func (q *quote) problems() []video.Problem {
	out := append([]video.Problem{}, q.unread...)
	for _, p := range q.report.Problems {
		if !q.unreadable(p.Field) {
			out = append(out, p)
		}
	}
	return out
}

func (q *quote) unreadable(field string) bool {
	return slices.ContainsFunc(q.unread, func(p video.Problem) bool {
		return p.Field == field || p.Field == "arguments" || strings.HasPrefix(field, p.Field+"[") || strings.HasPrefix(field, p.Field+".")
	})
}

// forgive drops the problems of a field that need not be given yet.
func (q *quote) forgive(field string) {
	q.report.Problems = slices.DeleteFunc(q.report.Problems, func(p video.Problem) bool { return p.Field == field })
}

func (q *quote) warnings() []string {
	return append([]string{}, q.report.Warnings...)
}

// references says of each reference how the prompt must call it and what of it is billed.
func (q *quote) references() []estimatedAnswer {
	var out []estimatedAnswer
	clips := 0
	for i, ref := range q.report.Request.References {
		answer := estimatedAnswer{Type: ref.Kind}
		if i < len(q.report.Aliases) {
			answer.Alias = q.report.Aliases[i]
		}
		if ref.Kind == video.Clip && q.estimate != nil {
			billed := asInterval(q.estimate.Clips[clips])
			answer.Billable = &billed
			answer.LengthKnown = "unknown"
			if ref.Seconds != nil {
				answer.LengthKnown = "given"
			}
			clips++
		}
		out = append(out, answer)
	}
	return out
}
