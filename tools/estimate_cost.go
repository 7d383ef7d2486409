package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
	"r2v-mcp/schema"
)

// estimateArguments is what the schema of estimate_cost shows: the arguments that change the price. The tool takes any
// argument of generate_r2v and checks it.
type estimateArguments struct {
	References []estimateReference `json:"references"`
	Model      string              `json:"model,omitempty" catalogue:"models"`
	Resolution string              `json:"resolution,omitempty" catalogue:"resolutions" jsonschema_description:"Default {resolution}"`
	Duration   int                 `json:"duration,omitempty" jsonschema_description:"Default {duration}"`
	Audio      bool                `json:"audio,omitempty"`
}

type estimateReference struct {
	URL     string          `json:"url"`
	Type    string          `json:"type,omitempty" catalogue:"kinds"`
	Seconds decimal.Decimal `json:"duration_seconds,omitempty" jsonschema_description:"If not measurable"`
}

type estimateAnswer struct {
	Model           string            `json:"model"`
	Resolution      string            `json:"resolution"`
	Duration        int               `json:"duration"`
	Audio           *bool             `json:"audio,omitempty"`
	BillableSeconds *billableSeconds  `json:"billable_seconds,omitempty"`
	TruncationLimit json.Number       `json:"truncation_limit_seconds,omitempty" jsonschema_description:"Billed seconds of each reference video at most"`
	References      []estimatedAnswer `json:"references,omitempty"`
	Cost            *costAnswer       `json:"cost,omitempty"`
	PriceAsOf       string            `json:"price_as_of,omitempty"`
	PriceSource     string            `json:"price_source,omitempty"`
	Budget          *budgetAnswer     `json:"budget,omitempty"`
	Problems        []video.Problem   `json:"problems" jsonschema_description:"What generate_r2v would refuse"`
	Warnings        []string          `json:"warnings"`
	Charged         video.Charged     `json:"charged" catalogue:"charged"`
	NextStep        string            `json:"next_step"`
}

type billableSeconds struct {
	Input  interval    `json:"input"`
	Output json.Number `json:"output"`
	Total  interval    `json:"total"`
}

type estimatedAnswer struct {
	Alias       string      `json:"alias,omitempty"`
	Type        video.Kind  `json:"type,omitempty"`
	Billable    *interval   `json:"billable_seconds,omitempty"`
	Length      json.Number `json:"length_seconds,omitempty"`
	LengthKnown string      `json:"length_known,omitempty" jsonschema:"enum=given,enum=measured,enum=unknown"`
}

type budgetAnswer struct {
	PerTask   json.Number `json:"per_task,omitempty"`
	PerDay    json.Number `json:"per_day,omitempty"`
	LeftToday json.Number `json:"left_today,omitempty"`
	LeftAfter json.Number `json:"left_after,omitempty" jsonschema_description:"Once the highest estimate is spent; below 0 it is refused"`
	ResetsAt  time.Time   `json:"resets_at,omitzero"`
	Currency  string      `json:"currency"`
	Exceeded  bool        `json:"exceeded"`
}

func (s *Set) estimate(ctx context.Context, in generateArguments, problems []video.Problem, _ mcp.CallToolRequest) (*estimateAnswer, error) {
	q := s.quote(ctx, in, problems)
	q.checkGuards(in, s.BudgetPerTask)
	s.checkCallback(ctx, in, q)
	budget := s.budget(ctx, q)
	if strings.TrimSpace(in.Prompt) == "" && !q.unreadable("prompt") { // a price can be asked for before there is a prompt
		q.forgive("prompt")
		q.report.Warnings = append(q.report.Warnings, "prompt: none is given, so it is not checked; generate_r2v needs one")
	}
	req := q.report.Request
	out := &estimateAnswer{
		Model: req.Model, Resolution: req.Resolution, Duration: req.Duration, Audio: req.Audio,
		Problems: q.problems(), Warnings: q.warnings(), Charged: video.NotCharged,
		NextStep: "Correct the problems and call estimate_cost again; generate_r2v would refuse this.",
	}
	if len(out.Problems) == 0 {
		out.NextStep = q.agreed()
	}
	if q.estimate == nil {
		return out, nil
	}
	e, price := q.estimate, q.report.Price
	out.BillableSeconds = &billableSeconds{
		Input: asInterval(e.Input), Output: number(decimal.NewFromInt(int64(q.report.Request.Duration))), Total: asInterval(e.Total),
	}
	if e.Limit.IsPositive() {
		out.TruncationLimit = number(e.Limit)
	}
	out.References = q.references()
	cost := q.cost()
	out.Cost = asCost(&cost)
	if price != nil {
		out.PriceAsOf, out.PriceSource = price.AsOf, s.Catalogue.SourceText(price)
	}
	out.Budget = budget
	return out, nil
}

// agreed is what to do once the user agrees.
func (q *quote) agreed() string {
	if q.report.NoRate {
		return "Tell the user how many seconds are billed, and that their price is not known before. If that is agreed, call generate_r2v once with the same arguments, without max_cost."
	}
	return fmt.Sprintf("If the price is agreed, call generate_r2v once with the same arguments and max_cost %s.", q.cost().High)
}

// budget tells what the operator lets a clip and a day cost, nil where there is no limit or no price could be had. A day that has not
// enough left is a problem: generate_r2v would be refused. What the ledger cannot tell is a warning: a price is worth having
// without it.
func (s *Set) budget(ctx context.Context, q *quote) *budgetAnswer {
	if q.estimate == nil {
		return nil
	}
	high, currency := q.estimate.Cost.High, q.cost().Currency
	out := budgetAnswer{Currency: currency}
	if s.BudgetPerTask != nil { // without a rate it cannot be held, which is told already
		out.PerTask, out.Exceeded = number(*s.BudgetPerTask), high.GreaterThan(*s.BudgetPerTask) || q.report.Price == nil
	}
	day, err := s.Tasks.Budget(ctx, s.owner(ctx), currency)
	if err != nil {
		q.report.Warnings = append(q.report.Warnings, "budget: what is left of today's is not known: "+s.told(err).Error())
	}
	if day != nil {
		out.PerDay, out.LeftToday, out.ResetsAt = number(day.PerDay), number(day.Left), stamp(day.ResetsAt)
		if q.report.Price != nil {
			out.LeftAfter = number(day.Left.Sub(high))
		}
		if over := q.overBudget(day); over != nil {
			out.Exceeded = true
			q.report.Problems = append(q.report.Problems, *over)
		}
	}
	if s.BudgetPerTask == nil && day == nil {
		return nil
	}
	return &out
}

// overBudget is the problem of a clip for which the day has not enough left, nil where it has. A clip without a rate can be bought while
// anything is left.
func (q *quote) overBudget(day *video.Budget) *video.Problem {
	var over video.Problem
	switch {
	case q.report.Price == nil && day.Left.IsPositive():
		q.report.Warnings = append(q.report.Warnings, "budget: one clip without a known rate can be bought at a time, while something of the day is left: the next when the service has told what this one costs")
		return nil
	case q.report.Price == nil:
		over = q.nothingLeft(day)
	case q.estimate.Cost.High.GreaterThan(day.Left):
		over = q.overDay(day)
	default:
		return nil
	}
	return &over
}

func (s *Set) estimateCost() (server.ServerTool, error) {
	arguments, err := schema.Arguments[estimateArguments](s.Catalogue)
	if err != nil {
		return server.ServerTool{}, err
	}
	description, err := schema.Describe(s.Catalogue, `Checks a generate_r2v request (takes any of its arguments), measures its references and prices it. Free.
Price = (billable input + output seconds) x price per second. Images are free. Each reference video bills its length, cut to `+
		truncationWords(s.Catalogue.MostCounted())+` references count: {counted}.`)
	if err != nil {
		return server.ServerTool{}, err
	}
	return declare(s, declaration{
		name: "estimate_cost", title: "Estimate the cost of a video clip", description: description,
		readOnly: true, idempotent: true, openWorld: true,
	}, arguments, s.estimate)
}
