package tools_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A clip of 5 s in 1080P may cost 0.75 USD.
func TestEstimateShowsWhatIsLeftOfTheDay(t *testing.T) {
	w := newWorld(t, options{budgetPerDay: "1", budget: "0.8"})
	y, m, d := time.Now().UTC().Date()
	tomorrow := time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)
	require.Equal(t, map[string]any{
		"per_task": json.Number("0.8"), "per_day": json.Number("1"), "left_today": json.Number("1"), "left_after": json.Number("0.25"),
		"resets_at": tomorrow, "currency": "USD", "exceeded": false,
	}, w.answer("estimate_cost", wan27(nil))["budget"])

	w.answer("generate_r2v", wan27(nil))
	e := w.answer("estimate_cost", wan27(arguments{"seed": 1}))
	require.Equal(t, json.Number("0.25"), path(e, "budget", "left_today"), "what is being made is held")
	require.Equal(t, json.Number("-0.5"), path(e, "budget", "left_after"))
	require.Equal(t, true, path(e, "budget", "exceeded"))
	require.Len(t, e["problems"], 1)
	problem := e["problems"].([]any)[0]
	require.Equal(t, "cost", path(problem, "field"))
	require.Equal(t, "this clip may cost up to 0.75 USD, and 0.25 of today's 1 is left", path(problem, "problem"))
	require.Contains(t, path(problem, "allowed"), "0.25 or less, by resolution 720P with a duration of 2 s or less; the budget comes back at "+tomorrow)
	require.Contains(t, path(problem, "allowed"), "only the operator can raise R2V_BUDGET_PER_DAY")
	require.Contains(t, e["next_step"], "generate_r2v would refuse this")

	cheap := w.answer("estimate_cost", wan27(arguments{"resolution": "720P", "duration": 2}))
	require.Empty(t, cheap["problems"])
	require.Equal(t, false, path(cheap, "budget", "exceeded"))
}

func TestNoBudgetIsShownWhereThereIsNone(t *testing.T) {
	require.NotContains(t, newWorld(t, options{}).answer("estimate_cost", wan27(nil)), "budget")
	w := newWorld(t, options{budgetPerDay: "1"})
	require.NotContains(t, w.answer("estimate_cost", wan27(arguments{"model": "wan9"})), "budget", "without a price there is nothing to compare")
	budget := path(w.answer("estimate_cost", wan27(nil)), "budget")
	require.NotContains(t, budget, "per_task")
	require.NotContains(t, path(newWorld(t, options{budget: "1"}).answer("estimate_cost", wan27(nil)), "budget"), "per_day")
}

func TestEstimateWithoutALedger(t *testing.T) {
	w := newWorld(t, options{budgetPerDay: "1", ledgerPath: spoiled(t)})
	e := w.answer("estimate_cost", wan27(nil))
	require.Equal(t, json.Number("0.75"), path(e, "cost", "high"))
	require.Empty(t, e["problems"])
	require.Contains(t, warningsOf(e), "budget: what is left of today's is not known: LedgerUnavailable: ")
	require.NotContains(t, e, "budget")
}

func TestPurchaseAboveTheDaysBudgetIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{budgetPerDay: "1", speed: slow})
	request := wan27(arguments{"idempotency_key": "k"})
	first := w.answer("generate_r2v", request)
	text, isError := w.call("generate_r2v", wan27(arguments{"idempotency_key": "k2", "max_cost": 100}))
	require.True(t, isError)
	require.Contains(t, text, "DayBudgetExceeded: this clip may cost up to 0.75 USD, and 0.25 of today's 1 is left (0.75 is spent or held for clips being made)")
	require.Contains(t, text, "charged: no\nnext_step: Nothing was bought. The budget comes back at 20")
	require.Contains(t, text, "R2V_BUDGET_PER_DAY")
	require.NotContains(t, text, "Image 1")
	require.Equal(t, 1, w.created())

	again := w.answer("generate_r2v", request)
	require.Equal(t, first["task_id"], again["task_id"], "a budget is for buying: what is bought is told")
	require.Equal(t, true, again["replayed"])
	require.Contains(t, again["next_step"], "Do not call generate_r2v again")

	w.answer("cancel_task", arguments{"task_id": first["task_id"]})
	require.Equal(t, false, w.answer("generate_r2v", wan27(arguments{"idempotency_key": "k2"}))["replayed"], "what was held is free again")
}

func TestBudgetIsHeldAtTheEstimateAndSettledToTheBill(t *testing.T) {
	usage := `{"duration":2,"input_video_duration":0,"output_video_duration":2,"video_count":1}`
	w := newWorld(t, options{budgetPerDay: "1", handler: telling(ended(0), usage)})
	created := w.answer("generate_r2v", wan27(nil))
	w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, json.Number("0.7"), path(w.answer("estimate_cost", wan27(nil)), "budget", "left_today"), "2 s are billed")
}

// No day is long enough for a clip that costs more than all of it.
func TestClipAboveAWholeDaysBudgetIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{budgetPerDay: "0.7"})
	e := w.answer("estimate_cost", wan27(nil))
	problem := e["problems"].([]any)[0]
	require.Equal(t, "this clip may cost up to 0.75 USD, and the budget of a whole day is 0.7, of which 0.7 is left today", path(problem, "problem"))
	require.Equal(t, "0.7 or less, by resolution 720P, or a duration of 4 s or less; no day's budget is enough for this clip, so waiting does not help; "+
		"only the operator can raise R2V_BUDGET_PER_DAY", path(problem, "allowed"))
	text := w.refusal("generate_r2v", wan27(nil))
	require.Contains(t, text, "DayBudgetExceeded: this clip may cost up to 0.75 USD, and the budget of a whole day is 0.7")
	require.Contains(t, text, "No day's budget is enough for this clip: waiting does not help")
	require.NotContains(t, text, "comes back")
}

// What is offered as cheaper is cheap enough: the limit of the offer is a clip that is taken.
func TestOnlyWhatFitsIsOffered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	long := ref(clip8, "")
	for name, tt := range map[string]struct {
		request arguments
		most    float64
		want    string // after the price that would be enough
	}{
		"one way is enough":               {nil, 0.5, "0.75 or more, or resolution 720P, or a duration of 3 s or less"},
		"only both together":              {nil, 0.2, "0.75 or more, or resolution 720P with a duration of 2 s or less"},
		"nothing is":                      {nil, 0.19, "0.75 or more"},
		"nothing, and no money":           {nil, 0, "0.75 or more"},
		"a clip whose length is not told": {arguments{"references": refs(long), "prompt": "Video 1 waves"}, 0.9, "1.5 or more, or duration_seconds of each reference video, if they are short, or fewer or shorter reference videos"},
		"a clip that cannot be so short":  {arguments{"references": refs(long), "prompt": "Video 1 waves"}, 0.89, "1.5 or more, or resolution 720P with a duration of 3 s or less"},
		"what is cheapest already":        {arguments{"resolution": "720P", "duration": 2}, 0.1, "0.2 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.on(t)
			request := wan27(tt.request)
			request["max_cost"] = tt.most
			e := w.answer("estimate_cost", request)
			require.Len(t, e["problems"], 1)
			require.Equal(t, tt.want, path(e["problems"].([]any)[0], "allowed"))
		})
	}
}

func TestNothingIsOfferedOnADayThatIsSpent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{budgetPerDay: "0.75", speed: slow})
	w.answer("generate_r2v", wan27(nil))
	e := w.answer("estimate_cost", wan27(arguments{"seed": 1}))
	require.Regexp(t, `^nothing more today; the budget comes back at 20`, path(e["problems"].([]any)[0], "allowed"))
}
