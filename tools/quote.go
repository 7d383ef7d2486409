package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/video"
)

// quote is a request held against the catalogue, with its price: what estimate_cost answers and generate_r2v checks.
type quote struct {
	report   *video.Report
	unread   []video.Problem   // arguments that could not be read
	estimate *billing.Estimate // nil when the request cannot be priced; where no rate is known it tells the seconds alone
	region   *video.Region     // nil where the settings name none that is known
	callback string            // who is to be told of the end, empty for nobody

	priceOf func(resolution string) *video.Price // of the same request in another resolution, nil where there is none
}

func (s *Set) quote(ctx context.Context, in generateArguments, unread []video.Problem) *quote {
	req := in.request()
	if s.Media != nil && len(req.References) <= s.Catalogue.MostReferences() { // more are refused as a whole
		req.References = s.Media.Look(ctx, req.References)
	}
	check := s.Catalogue.Check
	if s.NoFiles {
		check = s.Catalogue.CheckFar
	}
	q := &quote{report: check(req, s.Region), unread: unread, region: s.Catalogue.Region(s.Region)}
	if s.Media != nil {
		s.Media.Forget(q.refusedFiles()...)
	}
	q.priceOf = func(resolution string) *video.Price {
		return s.Catalogue.Price(s.Region, q.report.Model, resolution, q.report.Request.Audio)
	}
	if in.Duration != nil && *in.Duration == 0 {
		// To the catalogue 0 means "not given"; whoever writes it out means something else than the default.
		q.report.Problems = append(q.report.Problems, video.Problem{Field: "duration", Wrong: "there is no clip of 0 seconds", Allowed: fmt.Sprintf("%d or more seconds", q.report.Model.Duration.Min)})
	}
	q.price()
	return q
}

// price prices the request, unless something that decides the price could not be read: a figure would be taken for a fact.
func (q *quote) price() {
	r := q.report
	for _, field := range []string{"model", "resolution", "duration", "audio", "references", "arguments"} {
		if slices.ContainsFunc(q.unread, func(p video.Problem) bool { return p.Field == field || strings.HasPrefix(p.Field, field+"[") }) {
			return
		}
	}
	order := billing.Order{Output: decimal.NewFromInt(int64(r.Request.Duration)), Whole: r.Model.TruncationCounts == video.CountNone}
	switch {
	case r.Price != nil:
		order.PerSecond = r.Price.PerSecond
	case r.NoRate:
		r.Warnings = append(r.Warnings, "cost: "+q.noRate()+", so no price can be told before the clip is made; the operator can give the rate in R2V_PRICES_FILE"+q.worth())
	default:
		return
	}
	for i, ref := range r.Request.References {
		switch ref.Kind {
		case video.Video:
			order.Clips = append(order.Clips, length(ref, r.Model.Media["video"].Seconds))
			order.Counted++
		case video.Image:
			if r.Model.TruncationCounts == video.CountReferences {
				order.Counted++
			}
			if r.Untold[i] { // if it turns out to be a video, it is billed as one
				order.Clips = append(order.Clips, billing.Interval{High: decimal.NewFromInt(r.Model.Media["video"].Seconds.Max)})
			}
		}
	}
	if e, err := order.Estimate(); err == nil { // what has no price breaks a rule that is told already
		q.estimate = &e
	}
}

// length is how long a reference clip is: as measured or given, or else anything that the model takes.
func length(ref video.Reference, limits video.Range) billing.Interval {
	if seconds, _ := ref.Length(); seconds != nil {
		return billing.Exactly(*seconds)
	}
	return billing.Interval{Low: decimal.NewFromInt(limits.Min), High: decimal.NewFromInt(limits.Max)}
}

// noRate says of what no rate is known.
func (q *quote) noRate() string {
	return fmt.Sprintf("no rate is known for %s at %s in %s", q.report.Model.Name, q.report.Request.Resolution, q.region.Name)
}

// worth tells what an account's currency is worth that is no money, in a sentence of its own; nothing of money.
func (q *quote) worth() string {
	if q.region.PerUSD == 0 {
		return ""
	}
	return fmt.Sprintf(". %d %s are about 1 USD", q.region.PerUSD, q.region.Currency)
}

// cost is the estimate as it is kept with a task; of a request without a rate only its currency, and zero when it cannot be priced.
func (q *quote) cost() video.Cost {
	switch {
	case q.estimate == nil:
		return video.Cost{}
	case q.report.Price == nil:
		return video.Cost{Currency: q.region.Currency}
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
	if r.Price == nil {
		r.Problems = append(r.Problems, q.unguarded(in.MaxCost, budget)...)
		return
	}
	high, currency := q.estimate.Cost.High, r.Price.Currency
	if in.MaxCost != nil && high.GreaterThan(*in.MaxCost) && !in.MaxCost.IsNegative() {
		r.Problems = append(r.Problems, video.Problem{
			Field: "max_cost", Wrong: fmt.Sprintf("this clip may cost up to %s %s, more than %s", high, currency, in.MaxCost),
			Allowed: fmt.Sprintf("%s or more", high) + q.cheaper(", or ", *in.MaxCost),
		})
	}
	if budget != nil && high.GreaterThan(*budget) {
		r.Problems = append(r.Problems, video.Problem{
			Field: "cost", Wrong: fmt.Sprintf("this clip may cost up to %s %s, and the operator allows %s for one", high, currency, budget),
			Allowed: fmt.Sprintf("%s or less", budget) + q.cheaper(", by ", *budget) + "; only the operator can raise R2V_BUDGET_PER_TASK",
		})
	}
}

// unguarded are the problems of limits for one clip, where nobody can tell whether it keeps to them.
func (q *quote) unguarded(most, budget *decimal.Decimal) (problems []video.Problem) {
	if most != nil && !most.IsNegative() {
		problems = append(problems, video.Problem{
			Field: "max_cost", Wrong: fmt.Sprintf("%s %s cannot be held: %s", most, q.region.Currency, q.noRate()),
			Allowed: "leave max_cost out, if the user agrees to a clip whose price is not known before; only the operator can give a rate, in R2V_PRICES_FILE",
		})
	}
	if budget != nil {
		problems = append(problems, video.Problem{
			Field: "cost", Wrong: fmt.Sprintf("the operator allows %s %s for one clip, which cannot be held: %s", budget, q.region.Currency, q.noRate()),
			Allowed: "a model and resolution with a rate; only the operator can give one, in R2V_PRICES_FILE, or take R2V_BUDGET_PER_TASK away",
		})
	}
	return problems
}

// nothingLeft is the problem of a clip without a rate on a day that has nothing left.
func (q *quote) nothingLeft(b *video.Budget) video.Problem {
	whose, raise := "today's "+b.PerDay.String(), "R2V_BUDGET_PER_DAY"
	if b.Own {
		whose, raise = fmt.Sprintf("the %s that you may spend today", b.PerDay), "R2V_BUDGET_PER_PERSON"
	}
	return video.Problem{
		Field: "cost", Wrong: fmt.Sprintf("%s, and nothing of %s is left", q.noRate(), whose),
		Allowed: fmt.Sprintf("nothing more today; the budget comes back at %s; only the operator can raise %s", stamp(b.ResetsAt).Format(time.RFC3339), raise),
	}
}

// overDay is the problem of a clip that may cost more than the day has left, or than any day has.
func (q *quote) overDay(b *video.Budget) video.Problem {
	high := q.estimate.Cost.High
	today, whole, raise := "today's %s", "the budget of a whole day", "only the operator can raise R2V_BUDGET_PER_DAY"
	if b.Own {
		today, whole, raise = "the %s that you may spend today", "what you may spend on a whole day", "only the operator can raise R2V_BUDGET_PER_PERSON"
	}
	p := video.Problem{
		Field: "cost", Wrong: fmt.Sprintf("this clip may cost up to %s %s, and %s of %s is left", high, b.Currency, b.Left, fmt.Sprintf(today, b.PerDay)),
		Allowed: "nothing more today",
	}
	if b.Left.IsPositive() {
		p.Allowed = fmt.Sprintf("%s or less", b.Left) + q.cheaper(", by ", b.Left)
	}
	if high.GreaterThan(b.PerDay) {
		p.Wrong = fmt.Sprintf("this clip may cost up to %s %s, and %s is %s, of which %s is left today", high, b.Currency, whole, b.PerDay, b.Left)
		p.Allowed += "; no day's budget is enough for this clip, so waiting does not help; " + raise
		return p
	}
	p.Allowed += fmt.Sprintf("; the budget comes back at %s, what is held beyond a bill when its clip is finished; %s", stamp(b.ResetsAt).Format(time.RFC3339), raise)
	return p
}

// mostProblems bounds an answer: a model reads it, and somebody pays for that too.
const mostProblems = 20

// problems lists what is wrong, arguments that could not be read first. Of such an argument nothing else is said: its
// value is not known.
func (q *quote) problems() []video.Problem {
	out := append([]video.Problem{}, q.unread...)
	for _, p := range q.report.Problems {
		if !q.unreadable(p.Field) {
			out = append(out, p)
		}
	}
	if len(out) > mostProblems {
		more := video.Problem{Field: "arguments", Wrong: fmt.Sprintf("there are %d more problems", len(out)-mostProblems), Allowed: "a request without them"}
		out = append(out[:mostProblems], more)
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
	out := append([]string{}, q.report.Warnings...)
	if len(out) > mostProblems {
		out = append(out[:mostProblems], fmt.Sprintf("there are %d more warnings", len(out)-mostProblems))
	}
	return out
}

// refusedFiles are the addresses of which something is wrong with what they lead to.
func (q *quote) refusedFiles() []string {
	var out []string
	for i, ref := range q.report.Request.References {
		ofIt := func(p video.Problem) bool {
			return p.OfFile && strings.HasPrefix(p.Field, fmt.Sprintf("references[%d].", i))
		}
		if slices.ContainsFunc(q.report.Problems, ofIt) {
			out = append(out, ref.URL, ref.VoiceURL)
		}
	}
	return out
}

// hasFiles reports whether the request names files on this machine.
func (q *quote) hasFiles() bool {
	return slices.ContainsFunc(q.report.Request.References, func(ref video.Reference) bool {
		return ref.Medium != nil && ref.Medium.Local || ref.VoiceMedium != nil && ref.VoiceMedium.Local
	})
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
		if q.estimate != nil && (ref.Kind == video.Video || i < len(q.report.Untold) && q.report.Untold[i]) {
			billed := asInterval(q.estimate.Clips[clips])
			answer.Billable = &billed
			var seconds *decimal.Decimal
			if seconds, answer.LengthKnown = ref.Length(); seconds != nil {
				answer.Length = number(*seconds)
			}
			clips++
		}
		out = append(out, answer)
	}
	return out
}
