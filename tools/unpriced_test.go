package tools_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// reserving is a service that sets an amount aside, says how far it is, and says what it has charged.
type reserving struct {
	provider.Provider
	hold, bill string // empty where it does not say
	percent    int
}

func (r reserving) Create(ctx context.Context, p provider.Purchase) (provider.Bought, error) {
	b, err := r.Provider.Create(ctx, p)
	if err == nil && r.hold != "" {
		b.Hold = amountOf(r.hold)
	}
	return b, err
}

func (r reserving) Look(ctx context.Context, id string) (video.Snapshot, error) {
	s, err := r.Provider.Look(ctx, id)
	s.Progress = r.percent
	if s.Status == video.Succeeded && r.bill != "" {
		s.Bill = amountOf(r.bill)
	}
	return s, err
}

func amountOf(s string) *decimal.Decimal {
	d := decimal.RequireFromString(s)
	return &d
}

// withoutRates is the relay's catalogue, before a service that reserves. It is said in each test what else is.
func withoutRates(t *testing.T, o options, r reserving) *world {
	o.models, o.region = relay(t), "evolink"
	o.between = func(p provider.Provider) provider.Provider {
		r.Provider = p
		return r
	}
	return newWorld(t, o)
}

const noRate = "no rate is known for wan2.7-r2v at 720P in evolink"

func TestEstimateWithoutARate(t *testing.T) {
	w := withoutRates(t, options{}, reserving{})
	e := w.answer("estimate_cost", arguments{
		"model": "wan2.6-r2v", "prompt": "character1, character2, character3",
		"references": refs(ref(clip8, "", "duration_seconds", 10), ref(clip8, "", "duration_seconds", 2), clip8),
	})
	require.Empty(t, e["problems"])
	require.NotContains(t, e, "cost")
	require.NotContains(t, e, "price_as_of")
	require.NotContains(t, e, "price_source")
	require.NotContains(t, e, "budget")
	require.Equal(t, json.Number("1.65"), e["truncation_limit_seconds"])
	require.Equal(t, map[string]any{"low": json.Number("9.95"), "high": json.Number("9.95")}, path(e, "billable_seconds", "total"), "of no clip less than 1.65 s count: each has 2 s at least")
	require.Equal(t, map[string]any{"low": json.Number("1.65"), "high": json.Number("1.65")}, path(e["references"].([]any)[2], "billable_seconds"))
	require.Equal(t, []any{"cost: no rate is known for wan2.6-r2v at 720P in evolink, so no price can be told before the clip is made; the operator can give the rate in R2V_PRICES_FILE. 68 credits are about 1 USD"}, e["warnings"])
	require.Equal(t, "Tell the user how many seconds are billed, and that their price is not known before. If that is agreed, call generate_r2v once with the same arguments, without max_cost.", e["next_step"])
}

func TestClipsThatNothingCutsAreEstimatedWhole(t *testing.T) {
	w := withoutRates(t, options{}, reserving{})
	e := w.answer("estimate_cost", arguments{"prompt": "Video 1 and Video 2", "references": refs(ref(clip8, "", "duration_seconds", "12.5"), clip8)})
	require.Empty(t, e["problems"])
	require.NotContains(t, e, "truncation_limit_seconds")
	require.Equal(t, map[string]any{"low": json.Number("18.5"), "high": json.Number("47.5")}, path(e, "billable_seconds", "total"), "12.5 s, 1 to 30 s, and 5 s of output")
	require.Contains(t, warningsOf(e), "no limit to the billed seconds of a reference video is documented for wan2.7-r2v here, so each is counted whole: the bill may be lower")
}

// What cannot be held is refused, and costs nothing.
func TestLimitsThatCannotBeHeldAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		operator string
		change   arguments
		says     []string
	}{
		"max_cost": {"", arguments{"max_cost": 100}, []string{
			"max_cost: 100 credits cannot be held: " + noRate, "leave max_cost out", "only the operator can give a rate, in R2V_PRICES_FILE"}},
		"max_cost of nothing": {"", arguments{"max_cost": 0}, []string{"max_cost: 0 credits cannot be held"}},
		"max_cost below zero": {"", arguments{"max_cost": -1}, []string{"max_cost: -1 is negative"}},
		"the operator's":      {"50", nil, []string{"cost: the operator allows 50 credits for one clip, which cannot be held: " + noRate, "R2V_PRICES_FILE", "R2V_BUDGET_PER_TASK"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := withoutRates(t, options{budget: tt.operator}, reserving{})
			request := wan27(tt.change)
			text := w.refusal("generate_r2v", request)
			require.Contains(t, text, "charged: no\n")
			e := w.answer("estimate_cost", request)
			require.Len(t, e["problems"], 1)
			require.Contains(t, e["next_step"], "generate_r2v would refuse this")
			require.NotContains(t, e, "cost")
			for _, says := range tt.says {
				require.Contains(t, text, says)
			}
		})
	}
}

func TestPurchaseWithoutARate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service     reserving
		open, ended any // the cost, as get_task tells it
		warning     string
	}{
		"held and billed": {reserving{hold: "34", bill: "33.5"}, map[string]any{"held": json.Number("34"), "currency": "credits"},
			map[string]any{"billed": json.Number("33.5"), "currency": "credits"}, ""},
		"billed alone": {reserving{bill: "33.5"}, nil, map[string]any{"billed": json.Number("33.5"), "currency": "credits"}, ""},
		"held alone": {reserving{hold: "34"}, map[string]any{"held": json.Number("34"), "currency": "credits"}, map[string]any{"held": json.Number("34"), "currency": "credits"},
			": look at the bill in the Model Studio console; the budget counts the 34 credits that are held for it"},
		"nothing told": {reserving{}, nil, nil, ": look at the bill in the Model Studio console]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := withoutRates(t, options{}, tt.service)
			bought := w.answer("generate_r2v", wan27(nil))
			require.Equal(t, "no", bought["charged"])
			require.Equal(t, tt.open, bought["cost"])
			require.Contains(t, warningsOf(bought), noRate)
			task := w.answer("get_task", arguments{"task_id": bought["task_id"], "wait_seconds": 20})
			require.Equal(t, []any{"SUCCEEDED", "yes"}, []any{task["status"], task["charged"]})
			require.Equal(t, tt.ended, task["cost"])
			require.Equal(t, tt.ended, listed(w.answer("list_tasks", nil))[0]["cost"])
			if tt.warning == "" {
				require.NotContains(t, task, "warnings")
			} else {
				require.Contains(t, warningsOf(task), tt.warning)
			}
			again := w.answer("generate_r2v", wan27(nil))
			require.Equal(t, []any{true, bought["task_id"]}, []any{again["replayed"], again["task_id"]})
		})
	}
}

// With a rate, what the service holds stands beside the estimate.
func TestHoldBesideAnEstimate(t *testing.T) {
	t.Parallel()
	o := options{models: relay(t), region: "evolink-simulator", speed: slow}
	o.between = func(p provider.Provider) provider.Provider {
		return reserving{Provider: p, hold: "36", percent: 42}
	}
	w := newWorld(t, o)
	bought := w.answer("generate_r2v", wan27(arguments{"max_cost": 34}))
	require.Equal(t, map[string]any{
		"low": json.Number("34"), "high": json.Number("34"), "held": json.Number("36"), "per_second": json.Number("6.8"), "currency": "credits",
	}, bought["cost"])
	task := w.answer("get_task", arguments{"task_id": bought["task_id"], "wait_seconds": 0})
	require.Equal(t, json.Number("36"), path(task, "cost", "held"))
	require.Equal(t, json.Number("34"), path(task, "cost", "estimated", "high"))
	row := listed(w.answer("list_tasks", nil))[0]
	require.Equal(t, map[string]any{"estimated_high": json.Number("34"), "held": json.Number("36"), "currency": "credits"}, row["cost"])
}

func TestDaysBudgetWithoutARate(t *testing.T) {
	t.Parallel()
	w := withoutRates(t, options{budgetPerDay: "50", speed: slow}, reserving{hold: "60"})
	e := w.answer("estimate_cost", wan27(nil))
	require.Equal(t, json.Number("50"), path(e, "budget", "left_today"))
	require.NotContains(t, e["budget"], "left_after", "nobody knows")
	require.Equal(t, []any{false, "credits"}, []any{path(e, "budget", "exceeded"), path(e, "budget", "currency")})
	require.Empty(t, e["problems"])
	require.Contains(t, warningsOf(e), "budget: one clip without a known rate can be bought at a time, while something of the day is left")

	w.answer("generate_r2v", wan27(nil))
	e = w.answer("estimate_cost", wan27(arguments{"seed": 1}))
	require.Equal(t, json.Number("0"), path(e, "budget", "left_today"), "what is held counts")
	require.Equal(t, true, path(e, "budget", "exceeded"))
	require.Len(t, e["problems"], 1)
	problem := e["problems"].([]any)[0]
	require.Equal(t, noRate+", and nothing of today's 50 is left", path(problem, "problem"))
	require.Contains(t, path(problem, "allowed"), "nothing more today; the budget comes back at ")
	text, isError := w.call("generate_r2v", wan27(arguments{"seed": 1}))
	require.True(t, isError)
	require.Contains(t, text, "charged: no\n")
	require.Contains(t, text, "R2V_BUDGET_PER_DAY")
	require.Equal(t, 1, w.created())
}

// A rate of the operator for one resolution prices that one, and the other is sold without a price.
func TestRateOfTheOperator(t *testing.T) {
	c, err := video.ParseOperators([]byte(`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "6.5"}]}`))
	require.NoError(t, err)
	w := newWorld(t, options{models: c.For("evolink"), region: "evolink"})
	e := w.answer("estimate_cost", wan27(arguments{"max_cost": 33}))
	require.Equal(t, json.Number("32.5"), path(e, "cost", "high"))
	require.Equal(t, "the operator's prices file", e["price_source"])
	require.Empty(t, e["problems"])
	require.Contains(t, e["next_step"], "max_cost 32.5")
	require.NotContains(t, warningsOf(e), "no rate")
	dear := w.answer("estimate_cost", wan27(arguments{"resolution": "1080P"}))
	require.NotContains(t, dear, "cost")
	require.Contains(t, warningsOf(dear), "no rate is known for wan2.7-r2v at 1080P in evolink")
	tight := w.answer("estimate_cost", wan27(arguments{"max_cost": 20}))
	require.Contains(t, warningsOf(arguments{"warnings": tight["problems"]}), "32.5 or more, or a duration of 3 s or less")
}

func TestToolsOfferNoLimitThatCannotBeHeld(t *testing.T) {
	rated, unrated := newWorld(t, options{}), newWorld(t, options{models: relay(t), region: "evolink"})
	require.Contains(t, rated.published("generate_r2v"), "max_cost")
	require.NotContains(t, unrated.published("generate_r2v"), "max_cost")
	require.NotContains(t, unrated.published("generate_r2v"), "watermark", "no model there has it")
	text := unrated.set(options{models: relay(t), region: "evolink"}).Instructions()
	require.NotContains(t, text, "max_cost")
	require.Contains(t, text, "No rate is known here: tell the user how many seconds are billed")
	require.Contains(t, text, "\nA reference or a voice_url may also be the path of a file")
	require.Contains(t, rated.set(options{}).Instructions(), "\nWith wan2.7 a reference or a voice_url may also be the path of a file")
}

// published is what the list tells of a tool.
func (w *world) published(name string) string {
	for _, tool := range w.tools() {
		if tool.Name == name {
			text, err := json.Marshal(tool)
			require.NoError(w.t, err)
			return string(text)
		}
	}
	return ""
}

func TestTaskTellsHowFarItIs(t *testing.T) {
	for name, tt := range map[string]struct {
		status  video.Status
		percent int
		shown   any
	}{
		"running":         {video.Running, 42, json.Number("42")},
		"pending":         {video.Pending, 3, json.Number("3")},
		"no word of it":   {video.Running, 0, nil},
		"it has ended":    {video.Succeeded, 100, nil},
		"it has failed":   {video.Failed, 60, nil},
		"it is forgotten": {video.Unknown, 60, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := tellingOf(t, video.Task{CreatedAt: time.Now(), ProviderTaskID: "p", Snapshot: video.Snapshot{Status: tt.status, Progress: tt.percent}})
			require.Equal(t, tt.shown, w.answer("get_task", arguments{"task_id": "r2v-x"})["progress"])
		})
	}
}

// moving is a life of tasks in which one is on its way, as the service says it.
type moving struct{ tools.Tasks }

func (moving) Wait(ctx context.Context, _, id string, limit time.Duration) (video.Task, error) {
	task := video.Task{ID: "r2v-x", ProviderTaskID: "p", CreatedAt: time.Now(), Snapshot: video.Snapshot{Status: video.Running, Progress: 42}}
	if limit == 0 {
		return task, nil
	}
	if id != task.ID {
		return video.Task{}, &video.Error{Failure: video.Failure{Code: "TaskNotFound", Message: "it is known by now"}}
	}
	<-ctx.Done()
	return task, nil
}

func TestClientHearsHowFarATaskIs(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	w.connect(&tools.Set{Catalogue: relay(t), Region: "evolink", Tasks: moving{}, MaxWait: 50 * time.Second})
	told := make(chan map[string]any, 10)
	w.client.OnNotification(func(n mcp.JSONRPCNotification) {
		if n.Method == "notifications/progress" {
			told <- n.Params.AdditionalFields
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		var req mcp.CallToolRequest
		req.Params.Name, req.Params.Arguments = "get_task", arguments{"task_id": "p", "wait_seconds": 50}
		req.Params.Meta = &mcp.Meta{ProgressToken: "mine"}
		_, _ = w.client.CallTool(ctx, req)
	}()
	heard := <-told // the first may go to another test's client: the library has one stdio session for all servers of a process
	require.InDelta(t, 42, heard["progress"], 0.9)
	delete(heard, "progress")
	require.Equal(t, map[string]any{"progressToken": "mine", "total": 100.0, "message": "the service says that 42 % are done"}, heard)
	cancel()
}

// What a service sets aside may be less than its bill: the next clip waits for the bill, so that a day is overrun by one clip at the most.
func TestADayGoesBeyondItsBudgetByOneClipAtTheMost(t *testing.T) {
	t.Parallel()
	w := withoutRates(t, options{budgetPerDay: "100"}, reserving{hold: "17", bill: "34"})
	for seed := range 3 {
		made := w.answer("generate_r2v", wan27(arguments{"seed": seed + 1}))
		text, isError := w.call("generate_r2v", wan27(arguments{"seed": seed + 100}))
		require.True(t, isError, "one at a time")
		require.Contains(t, text, "PriceUnknown")
		require.Contains(t, text, "charged: no\n")
		require.Equal(t, "SUCCEEDED", w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 20})["status"])
	}
	text, isError := w.call("generate_r2v", wan27(arguments{"seed": 200}))
	require.True(t, isError)
	require.Contains(t, text, "R2V_BUDGET_PER_DAY", "102 of 100 are billed")
	require.Equal(t, 3, w.created())
}

func TestAServiceThatTellsNeitherHoldNorBillCannotEmptyABudget(t *testing.T) {
	t.Parallel()
	w := withoutRates(t, options{budgetPerDay: "100"}, reserving{})
	made := w.answer("generate_r2v", wan27(nil))
	require.Equal(t, "SUCCEEDED", w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 20})["status"])
	text, isError := w.call("generate_r2v", wan27(arguments{"seed": 1}))
	require.True(t, isError)
	require.Contains(t, text, "PriceUnknown")
	require.Contains(t, text, "R2V_PRICES_FILE")
	require.Equal(t, 1, w.created())
}
