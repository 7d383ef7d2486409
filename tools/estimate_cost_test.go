package tools_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func clipOf(seconds float64) map[string]any {
	return ref("https://media.example/clip.mp4", "video", "duration_seconds", seconds)
}

// The worked examples of the billing rules, asked for as an agent would, and the bill that the simulator writes by its own
// reading of the rules.
func TestEstimateIsTheBill(t *testing.T) {
	t.Parallel()
	pictures := func(n int) []any {
		var out []any
		for range n {
			out = append(out, ref(picture, ""))
		}
		return out
	}
	named := func(url string, seconds float64) map[string]any {
		return ref(fmt.Sprintf("%s-%gs.mp4", url, seconds), "", "duration_seconds", seconds)
	}
	two := []any{named("https://media.example/a", 8), named("https://media.example/b", 2)}
	three := []any{named("https://media.example/a", 10), named("https://media.example/b", 10), named("https://media.example/c", 10)}
	for _, tt := range []struct {
		name           string
		request        arguments
		total, cost    string
		input, limited any
	}{
		{"wan2.7, five images, 10 s", arguments{"model": "wan2.7-r2v", "duration": 10, "references": pictures(5)}, "10", "6", "0", nil},
		{"wan2.7, clips of 8 s and 2 s, three images, 5 s", arguments{"model": "wan2.7-r2v", "duration": 5, "references": append(pictures(3), two...)}, "9.5", "5.7", "4.5", "2.5"},
		{"wan2.6, the same references, 5 s", arguments{"model": "wan2.6-r2v", "duration": 5, "references": append(pictures(3), two...)}, "7", "4.2", "2", "1"},
		{"wan2.7, three clips of 10 s, 10 s", arguments{"model": "wan2.7-r2v", "duration": 10, "references": three}, "14.95", "8.97", "4.95", "1.65"},
		{"flash silent, one clip of 10 s, 5 s", arguments{"model": "wan2.6-r2v-flash", "audio": false, "duration": 5, "references": three[:1]}, "10", "1.5", "5", "5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{region: "beijing"})
			tt.request["resolution"] = "720P"
			e := w.answer("estimate_cost", tt.request)
			require.Empty(t, e["problems"])
			for _, end := range []string{"low", "high"} {
				require.Equal(t, json.Number(tt.total), path(e, "billable_seconds", "total", end))
				require.Equal(t, json.Number(tt.input.(string)), path(e, "billable_seconds", "input", end))
				require.Equal(t, json.Number(tt.cost), path(e, "cost", end))
			}
			require.Equal(t, "CNY", path(e, "cost", "currency"))
			if tt.limited == nil {
				require.NotContains(t, e, "truncation_limit_seconds")
			} else {
				require.Equal(t, json.Number(tt.limited.(string)), e["truncation_limit_seconds"])
			}

			tt.request["prompt"] = "everybody dances"
			created := w.answer("generate_r2v", tt.request)
			task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
			require.Equal(t, "SUCCEEDED", task["status"])
			require.Equal(t, json.Number(tt.cost), path(task, "cost", "billed"))
			require.Equal(t, json.Number(tt.total), path(task, "usage", "duration"))
		})
	}
}

func TestUnknownLengthIsARange(t *testing.T) {
	w := newWorld(t, options{region: "beijing"})
	e := w.answer("estimate_cost", arguments{"model": "wan2.7-r2v", "resolution": "720P", "references": []any{
		ref(clip8, ""), clipOf(2),
	}})
	require.Equal(t, "map[high:4.5 low:3]", fmt.Sprint(path(e, "billable_seconds", "input")), "from the shortest clip that is taken to the limit")
	require.Equal(t, "map[high:9.5 low:8]", fmt.Sprint(path(e, "billable_seconds", "total")))
	require.Equal(t, json.Number("4.8"), path(e, "cost", "low"))
	require.Equal(t, json.Number("5.7"), path(e, "cost", "high"))
	known := e["references"].([]any)
	require.Equal(t, "unknown", path(known[0], "length_known"))
	require.Equal(t, "given", path(known[1], "length_known"))
	require.Equal(t, "Video 1", path(known[0], "alias"))
}

func TestEstimateSaysWhereItsPriceIsFrom(t *testing.T) {
	for region, want := range map[string]struct{ currency, source string }{
		"beijing":   {"CNY", "https://help.aliyun.com/zh/model-studio/model-pricing"},
		"singapore": {"USD", "not read on a USD page"},
		"simulator": {"USD", "nothing is charged"},
	} {
		t.Run(region, func(t *testing.T) {
			w := newWorld(t, options{region: region})
			e := w.answer("estimate_cost", wan27(nil))
			require.Equal(t, want.currency, path(e, "cost", "currency"))
			require.Contains(t, e["price_source"], want.source)
			require.Regexp(t, `^20\d\d-\d\d(-\d\d)?$`, e["price_as_of"])
		})
	}
}

func TestEstimateNeedsNoPromptAndNoKey(t *testing.T) {
	w := newWorld(t, options{noKey: true})
	e := w.answer("estimate_cost", arguments{"references": refs(picture)})
	require.Empty(t, e["problems"])
	require.Equal(t, []any{"prompt: none is given, so it is not checked; generate_r2v needs one"}, e["warnings"])
	require.Equal(t, "1080P", e["resolution"], "what was priced is said")
	require.Equal(t, json.Number("5"), e["duration"])
	require.Equal(t, json.Number("0.75"), path(e, "cost", "high"), "the dearer default is not hidden: 1080P, 5 s")
	require.Contains(t, w.refusal("generate_r2v", wan27(nil)), "DASHSCOPE_API_KEY")
}

func TestBudgetOfTheOperator(t *testing.T) {
	w := newWorld(t, options{budget: "0.50"})
	e := w.answer("estimate_cost", wan27(nil))
	require.Equal(t, true, path(e, "budget", "exceeded"))
	text := w.refusal("generate_r2v", wan27(arguments{"max_cost": 100}))
	require.Contains(t, text, "up to 0.75 USD, and the operator allows 0.5 for one")
	require.Equal(t, false, path(w.answer("estimate_cost", wan27(arguments{"resolution": "720P"})), "budget", "exceeded"))
}

// On wan2.6 only the address is sent. What does not say that it is an image may be billed as a video.
func TestImageThatMayBeAVideoIsPricedAsEither(t *testing.T) {
	w := newWorld(t, options{region: "beijing"})
	untold := ref("https://media.example/media?id=7", "image")
	e := w.answer("estimate_cost", wan26(arguments{"references": refs(untold)}))
	require.Equal(t, json.Number("5"), path(e, "cost", "low"))
	require.Equal(t, json.Number("10"), path(e, "cost", "high"))
	require.Contains(t, e["warnings"].([]any)[0], "a video would be billed")
	e = w.answer("estimate_cost", wan27(arguments{"references": refs(untold)}))
	require.Equal(t, path(e, "cost", "low"), path(e, "cost", "high"), "wan2.7 is told the type")
}

// A figure is taken for a fact: there is none where something that decides it is not known.
func TestNoPriceWithoutItsReasons(t *testing.T) {
	w := newWorld(t, options{})
	for name, request := range map[string]arguments{
		"a kind that is not told":     wan27(arguments{"references": refs("https://media.example/stream?id=7")}),
		"a duration that is no count": wan27(arguments{"duration": "5s"}),
		"references that are no list": wan27(arguments{"references": 5}),
		"a model that is not known":   wan27(arguments{"model": "wan9"}),
		"too many references":         wan27(arguments{"references": refs(picture, picture, picture, picture, picture, picture, picture)}),
	} {
		t.Run(name, func(t *testing.T) {
			w := w.on(t)
			e := w.answer("estimate_cost", request)
			require.NotContains(t, e, "cost")
			require.NotEmpty(t, e["problems"])
		})
	}
}
