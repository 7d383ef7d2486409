package tools_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

// listener takes every address, and keeps what is sent to it.
type listener struct {
	mu  sync.Mutex
	all []heard
}

type heard struct {
	at   time.Time
	body string
}

func (l *listener) Check(context.Context, string) (*video.Problem, string) { return nil, "" }
func (l *listener) Refusal(string) string                                  { return "" }
func (l *listener) Send(_ context.Context, _, _ string, body []byte) video.Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, heard{time.Now(), string(body)})
	return video.Delivery{Delivered: true}
}

func (l *listener) heard() []heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// atTheRelay is a bubble at the relay without rates, where one clip after the other is bought under a day's budget.
func atTheRelay(t *testing.T, poll time.Duration, scenario func(t *testing.T, w *bubble, l *listener)) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		scenario(t, newBubble(t, sellers()[1], bubbleOptions{region: "evolink", budgetPerDay: "100", callbacks: l, poll: poll}), l)
	})
}

func calledBack(fault string) arguments {
	more := marked(fault)
	more["callback_url"] = "https://hooks.example/"
	return more
}

func TestABillThatComesAfterTheEndIsAskedFor(t *testing.T) {
	t.Parallel()
	atTheRelay(t, 0, func(t *testing.T, w *bubble, l *listener) {
		made := w.answer("generate_r2v", w.clip(calledBack("late-bill")))
		task := w.ended(made["task_id"])
		ended := time.Now()
		require.Equal(t, "SUCCEEDED", task["status"])
		require.NotContains(t, task["cost"], "billed")
		require.Contains(t, warningsOf(task), "the service has told no bill yet, and is asked again by a server with its key: look at the bill in ")
		require.Contains(t, w.refused("generate_r2v", w.clip(arguments{"prompt": "another"})), "PriceUnknown", "one clip without a rate at a time")

		time.Sleep(2 * time.Minute)
		task = w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 0})
		require.Equal(t, json.Number("34"), path(task, "cost", "billed"))
		require.NotContains(t, task, "warnings")
		require.Equal(t, json.Number("66"), path(w.answer("estimate_cost", w.clip(nil)), "budget", "left_today"))
		require.Equal(t, "PENDING", w.answer("generate_r2v", w.clip(arguments{"prompt": "another"}))["status"])

		require.Len(t, l.heard(), 1)
		require.InDelta(t, time.Minute, l.heard()[0].at.Sub(ended), float64(20*time.Second), "it waits for the bill, and not for long")
		require.GreaterOrEqual(t, w.shortestGap(), w.readGap)
	})
}

func TestACallbackTellsABillThatComesSoonAfterTheEnd(t *testing.T) {
	t.Parallel()
	atTheRelay(t, 0, func(t *testing.T, w *bubble, l *listener) {
		made := w.answer("generate_r2v", w.clip(calledBack("no-usage x3")))
		ended := w.ended(made["task_id"])["ended_at"]
		time.Sleep(2 * time.Minute)
		require.Len(t, l.heard(), 1)
		told := decode(t, l.heard()[0].body)
		require.Equal(t, json.Number("34"), path(told, "cost", "billed"))
		require.Equal(t, ended, told["ended_at"])
	})
}

func TestABillThatIsNeverToldIsAskedForEverMoreRarely(t *testing.T) {
	t.Parallel()
	atTheRelay(t, 10*time.Minute, func(t *testing.T, w *bubble, l *listener) {
		made := w.answer("generate_r2v", w.clip(calledBack("no-usage")))
		w.ended(made["task_id"])
		before := w.count("get")
		time.Sleep(25 * time.Hour)
		asked := w.count("get") - before
		require.Greater(t, asked, 20)
		require.Less(t, asked, 70, "at 10, 20, 40 s and so on, and then every half hour for a day")
		require.Len(t, l.heard(), 1, "who waits is told all the same")
		require.NotContains(t, l.heard()[0].body, `"billed"`)
		task := w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 0})
		require.NotContains(t, warningsOf(task), "asked again")
		time.Sleep(25 * time.Hour)
		require.Equal(t, before+asked, w.count("get"))
		require.Equal(t, "PENDING", w.answer("generate_r2v", w.clip(arguments{"prompt": "another"}))["status"], "it is another day")
	})
}
