package tools_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// One suite holds every provider to the same behaviour, through the tools and by a clock that is not waited for. What differs between
// them is told here, and nowhere in the scenarios.

// seller is what the suite has to know of a provider.
type seller struct {
	name      string
	reference string // that its cheapest model takes
	currency  string
	price     string // of the suite's clip
	wrongKey  string // what a refusal of the key names
	noCredit  string // the code of an empty account
	foreign   string // an id in its form that it never gave out
	readGap   time.Duration
}

func sellers() []seller {
	return []seller{
		{
			name: "dashscope", reference: clip8, currency: "USD", price: "0.5", wrongKey: "DASHSCOPE_API_KEY", noCredit: "Arrearage",
			foreign: "0c1a2b3c-0000-4000-8000-000000000000", readGap: 0,
		},
		{
			name: "evolink", reference: clip8, currency: "credits", price: "34", wrongKey: "EVOLINK_API_KEY", noCredit: "insufficient_quota",
			foreign: "task-unified-1757169743-7cvnl5zw", readGap: 8 * time.Second,
		},
	}
}

// eachProvider runs a scenario with every provider, each in a bubble of its own.
func eachProvider(t *testing.T, o bubbleOptions, scenario func(t *testing.T, w *bubble)) {
	for _, s := range sellers() {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { scenario(t, newBubble(t, s, o)) })
		})
	}
}

// clip is a request for the suite's clip: with wan2.6-r2v-flash, 5 seconds from 5 that are billed of a reference, with sound.
func (s seller) clip(more arguments) arguments {
	request := arguments{
		"model": "wan2.6-r2v-flash", "prompt": "character1 waves", "resolution": "720P", "duration": 5,
		"references": refs(ref(s.reference, "", "duration_seconds", 8)),
	}
	for name, value := range more {
		request[name] = value
	}
	return request
}

func marked(fault string) arguments {
	return arguments{"prompt": "character1 waves [[fault:" + fault + "]]"}
}

func TestEveryProviderMakesAClip(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		request := w.clip(arguments{"idempotency_key": "k", "max_cost": json.Number(w.price)})
		estimate := w.answer("estimate_cost", request)
		require.Equal(t, json.Number(w.price), path(estimate, "cost", "high"))
		require.Equal(t, w.currency, path(estimate, "cost", "currency"))
		created := w.answer("generate_r2v", request)
		require.Equal(t, "PENDING", created["status"])
		require.Equal(t, "no", created["charged"])
		require.Equal(t, created["task_id"], w.answer("generate_r2v", request)["task_id"], "the same call buys nothing")

		began := time.Now()
		task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 2})
		require.Equal(t, 2*time.Second, time.Since(began), "it waits no longer than it is asked to")
		require.Equal(t, "PENDING", task["status"])

		task = w.ended(created["task_id"])
		require.Equal(t, "SUCCEEDED", task["status"])
		require.Equal(t, "yes", task["charged"])
		require.Equal(t, json.Number(w.price), path(task, "cost", "billed"))
		require.Equal(t, w.currency, path(task, "cost", "currency"))
		require.FileExists(t, task["saved_to"].(string))
		require.NotEmpty(t, task["video_url"])
		require.Equal(t, task["task_id"], w.answer("get_task", arguments{"task_id": task["provider_task_id"]})["task_id"])
		require.Equal(t, 1, w.count("create"))
		require.GreaterOrEqual(t, w.shortestGap(), w.readGap, "between two reads of a task")
	})
}

// A task is followed by the list while there are many, and each is read by itself in the end.
func TestEveryProviderMakesManyClips(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		var ids []any
		for i := range 12 {
			ids = append(ids, w.answer("generate_r2v", w.clip(arguments{"prompt": "character1 waves " + strings.Repeat("again ", i+1)}))["task_id"])
		}
		for _, id := range ids {
			require.Equal(t, "SUCCEEDED", w.ended(id)["status"])
		}
		require.GreaterOrEqual(t, w.shortestGap(), w.readGap, "between two reads of a task")
	})
}

func TestEveryProviderTellsWhyAClipFailed(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{budgetPerDay: "1000"}, func(t *testing.T, w *bubble) {
		created := w.answer("generate_r2v", w.clip(marked("fail-data-inspection")))
		task := w.ended(created["task_id"])
		require.Equal(t, "FAILED", task["status"])
		require.Equal(t, "no", task["charged"])
		require.NotEmpty(t, path(task, "error", "code"))
		require.Contains(t, path(task, "error", "advice"), "content check")
		require.Equal(t, false, path(task, "error", "retryable"))
		require.Equal(t, json.Number("1000"), path(w.answer("estimate_cost", w.clip(nil)), "budget", "left_today"), "a failure costs nothing")
	})
}

// A task whose end nobody saw is forgotten by the service after a day.
func TestEveryProviderForgetsATaskAfterADay(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		created := w.answer("generate_r2v", w.clip(nil))
		w.rest()
		time.Sleep(23*time.Hour + 50*time.Minute)
		task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})
		require.Equal(t, "PENDING", task["status"])
		require.Contains(t, task["warnings"].([]any)[0], "this clip may be lost")
		time.Sleep(time.Hour)
		w.follow()
		time.Sleep(time.Minute)
		task = w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})
		require.Equal(t, "UNKNOWN", task["status"])
		require.Equal(t, "unknown", task["charged"])
		require.Contains(t, task["next_step"], "has forgotten this task")
		require.Contains(t, task["next_step"], w.words.Console)
	})
}

// Nobody looked for most of a day: the link is as old as it can be, whether or not the service tells when the clip was made.
func TestNoProvidersLinkIsCountedOnForTooLong(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		created := w.answer("generate_r2v", w.clip(nil))
		dies := time.Now().Add(24*time.Hour + 10*time.Minute)
		w.rest()
		time.Sleep(20 * time.Hour)
		w.follow()
		task := w.ended(created["task_id"])
		require.Equal(t, "SUCCEEDED", task["status"])
		until, err := time.Parse(time.RFC3339, task["video_url_expires_at"].(string))
		require.NoError(t, err)
		require.True(t, until.Before(dies), "%v", until)
	})
}

func TestEveryProviderRefusesAnIDThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		for _, id := range []string{w.foreign, "nonsense"} {
			text := w.refused("get_task", arguments{"task_id": id})
			require.Contains(t, text, "TaskNotFound")
			require.Contains(t, text, id)
			require.Contains(t, text, "charged: unknown")
		}
	})
}

func TestEveryProviderRefusesAWrongKey(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{key: "sk-wrong-canary-77"}, func(t *testing.T, w *bubble) {
		text := w.refused("generate_r2v", w.clip(nil))
		require.Contains(t, text, w.wrongKey)
		require.Contains(t, text, "charged: no")
		require.NotContains(t, text, "sk-wrong-canary-77")
		require.Equal(t, 1, w.count("create"), "a wrong key is not tried again")
	})
}

func TestEveryProviderIsBoughtFromAgainAfterAThrottle(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		created := w.answer("generate_r2v", w.clip(marked("throttled x2")))
		require.Equal(t, "PENDING", created["status"])
		require.Equal(t, 3, w.count("create"))
		require.Equal(t, "SUCCEEDED", w.ended(created["task_id"])["status"])

		w.order("throttled", "create")
		text := w.refused("generate_r2v", w.clip(arguments{"idempotency_key": "later"}))
		require.Contains(t, text, "Too many requests at once")
		require.Contains(t, text, "charged: no")
	})
}

func TestEveryProviderSaysThatAnAccountIsEmpty(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		text := w.refused("generate_r2v", w.clip(marked("arrearage")))
		require.Contains(t, text, w.noCredit)
		require.Contains(t, text, "charged: no")
		require.Contains(t, text, "tell the user")
		require.Equal(t, 1, w.count("create"))
	})
}

// The answer to a purchase is lost: what was made is found in the service's list, and what was not is set free
// after half an hour, by a list that is known to show what was bought.
func TestEveryProviderIsAskedWhatBecameOfAPurchase(t *testing.T) {
	t.Parallel()
	for fault, made := range map[string]bool{"drop-after": true, "empty-200": true, "503-after": true, "drop-before": false, "html-502": false} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
				request := w.clip(marked(fault))
				request["idempotency_key"] = "k"
				created := w.answer("generate_r2v", request)
				require.Equal(t, "UNKNOWN", created["status"])
				require.Equal(t, "unknown", created["charged"])
				require.Contains(t, created["next_step"], "do not buy it again")
				text := w.refused("generate_r2v", w.clip(arguments{"prompt": request["prompt"], "idempotency_key": "another"}))
				require.Contains(t, text, "MayBeBoughtAlready")
				if made {
					task := w.ended(created["task_id"])
					require.Equal(t, "SUCCEEDED", task["status"])
					require.FileExists(t, task["saved_to"].(string))
					if w.name == "evolink" {
						require.Contains(t, task["warnings"].([]any)[0], "look at the clip before you use it", "the relay tells no prompts")
					}
					require.Equal(t, created["task_id"], w.answer("generate_r2v", request)["task_id"])
					require.Equal(t, 1, w.count("create"))
					return
				}
				if w.name == "evolink" { // nobody vouches for its list, unless it shows another purchase
					time.Sleep(40 * time.Minute)
					require.Equal(t, "UNKNOWN", w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})["status"])
				}
				w.ended(w.answer("generate_r2v", w.clip(arguments{"prompt": "character1 sings"}))["task_id"])
				time.Sleep(40 * time.Minute)
				task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})
				require.Equal(t, "FAILED", task["status"])
				require.Equal(t, "NeverArrived", path(task, "error", "code"))
				require.Equal(t, "no", task["charged"])
				require.Equal(t, 2, w.count("create"))
			})
		})
	}
}

// Two purchases are lost at once. DashScope tells the prompts, so that each gets its own clip; the relay does not, so that both clips are
// kept beside the purchases, and nothing is bought again.
func TestNoProvidersLostClipsAreLost(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		var lost []any
		for _, prompt := range []string{"character1 waves", "character1 sings"} {
			lost = append(lost, w.answer("generate_r2v", w.clip(arguments{"prompt": prompt + " [[fault:drop-after]]"}))["task_id"])
		}
		time.Sleep(30 * time.Minute)
		saved := map[any]bool{}
		for _, row := range w.answer("list_tasks", nil)["tasks"].([]any) {
			if path := row.(map[string]any)["saved_to"]; path != nil {
				require.FileExists(t, path.(string))
				saved[path] = true
			}
		}
		require.Len(t, saved, 2)
		for _, id := range lost {
			want := map[string]string{"dashscope": "SUCCEEDED", "evolink": "UNKNOWN"}[w.name]
			require.Equal(t, want, w.answer("get_task", arguments{"task_id": id, "wait_seconds": 0})["status"])
		}
		require.Equal(t, 2, w.count("create"))
	})
}

// DashScope stops a task that has not begun; the relay stops none, and the task goes on unharmed.
func TestEveryProviderSaysWhetherATaskCanBeCancelled(t *testing.T) {
	t.Parallel()
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		created := w.answer("generate_r2v", w.clip(nil))
		if w.name == "dashscope" {
			require.Equal(t, "CANCELED", w.answer("cancel_task", arguments{"task_id": created["task_id"]})["status"])
			return
		}
		text := w.refused("cancel_task", arguments{"task_id": created["task_id"]})
		require.Contains(t, text, "the relay has no call that cancels a task")
		require.Contains(t, text, "billed if it succeeds")
		require.Contains(t, text, "was not cancelled")
		require.Equal(t, "SUCCEEDED", w.ended(created["task_id"])["status"])
		for _, fault := range []string{"cancelled", "request-cancelled"} {
			created := w.answer("generate_r2v", w.clip(marked(fault)))
			task := w.ended(created["task_id"])
			require.Equal(t, "CANCELED", task["status"], fault)
			require.Equal(t, "no", task["charged"])
		}
	})
}

// The seed's request, said once, arrives at each provider in that one's own form.
func TestTheSeedsRequestReachesEveryProvider(t *testing.T) {
	t.Parallel()
	const address = "https://help-static-aliyun-doc.aliyuncs.com/file-manage-files/xxx.mp4"
	want := map[string]string{
		"dashscope": `{"model":"wan2.6-r2v-flash","input":{"prompt":"A person dancing","reference_urls":["` + address + `"]},
			"parameters":{"size":"1280*720","duration":5,"audio":true}}`,
		"evolink": `{"model":"wan2.6-reference-video-flash","prompt":"A person dancing","video_urls":["` + address + `"],
			"aspect_ratio":"16:9","quality":"720p","duration":5,"generate_audio":true}`,
	}
	eachProvider(t, bubbleOptions{}, func(t *testing.T, w *bubble) {
		w.answer("generate_r2v", arguments{"model": "wan2.6-r2v-flash", "prompt": "A person dancing", "references": []any{address}, "resolution": "720P"})
		var received []struct{ Body string }
		w.control(http.MethodGet, "/control/requests", "", &received)
		require.Len(t, received, 1)
		require.JSONEq(t, want[w.name], received[0].Body)
	})
}

// order makes every call of a kind go wrong in this way from now on; no fault lets all go well.
func (w *bubble) order(fault, on string) {
	w.t.Helper()
	w.control(http.MethodDelete, "/control/faults", "", nil)
	if fault != "" {
		w.control(http.MethodPost, "/control/faults", `{"fault":"`+fault+`","on":"`+on+`","times":-1}`, nil)
	}
}

func (w *bubble) control(method, at, body string, into any) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "http://127.0.0.1"+at, strings.NewReader(body))
	r.RemoteAddr = "" // as in memory
	recorder := httptest.NewRecorder()
	w.sim.ServeHTTP(recorder, r)
	require.Equal(w.t, http.StatusOK, recorder.Code, recorder.Body.String())
	if into != nil {
		require.NoError(w.t, json.Unmarshal(recorder.Body.Bytes(), into))
	}
}

// count counts the calls of a kind that reached the service.
func (w *bubble) count(call string) int {
	w.t.Helper()
	var counters map[string]int
	w.control(http.MethodGet, "/control/counters", "", &counters)
	return counters[call]
}

// shortestGap is the shortest time between two reads of one task, an hour where none was read twice.
func (w *bubble) shortestGap() time.Duration {
	w.t.Helper()
	shortest := time.Hour
	if w.name == "dashscope" {
		return shortest // which documents no such limit, and whose simulator does not count it
	}
	var reads []struct {
		Shortest *float64 `json:"shortest_seconds"`
	}
	w.control(http.MethodGet, "/control/reads", "", &reads)
	for _, r := range reads {
		if r.Shortest != nil {
			shortest = min(shortest, time.Duration(*r.Shortest*float64(time.Second)))
		}
	}
	return shortest
}
