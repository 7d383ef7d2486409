package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"
)

// Faults are ordered in the prompt; each says what must become of the purchase.
func TestWhatBecomesOfAPurchase(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault   string
		creates int
		want    string
	}{
		{"throttled x2", 3, "PENDING"},
		{"burst x1", 2, "PENDING"},
		{"allocation-quota", 1, "Throttling.AllocationQuota"},
		{"arrearage", 1, "Arrearage"},
		{"data-inspection", 1, "content check"},
		{"redirect-307", 1, "HTTP 307"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			text, isError := w.call("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:" + tt.fault + "]]", "idempotency_key": "k"}))
			require.Contains(t, text, tt.want)
			require.Equal(t, tt.creates, w.created())
			require.NotContains(t, text, simulatedKey)
			require.Equal(t, tt.want != "PENDING", isError)
			if isError {
				require.Contains(t, text, "charged: no")
			}
		})
	}
}

// The answer to the create is lost. What the service has made is found in its list; what it has not stays in doubt, and nobody
// may buy it again meanwhile.
func TestPurchaseWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for fault, made := range map[string]bool{
		"drop-after": true, "503-after": true, "empty-200": true, "truncated-200": true, "garbage-200": true,
		"drop-before": false, "503": false, "html-502": false,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			request := wan27(arguments{"prompt": "Image 1 [[fault:" + fault + "]]", "idempotency_key": "k"})
			answer := w.answer("generate_r2v", request)
			require.Equal(t, "unknown", answer["charged"])
			require.Equal(t, "UNKNOWN", answer["status"])
			require.Contains(t, answer["next_step"], "do not buy it again")
			require.Equal(t, json.Number("15"), answer["poll_after_seconds"])
			if made {
				w.isFound(answer["task_id"], request)
			} else {
				w.isInDoubt(answer["task_id"], request)
			}
			require.Equal(t, 1, w.created())
		})
	}
}

func (w *world) isFound(id any, request arguments) {
	task := w.answer("get_task", arguments{"task_id": id, "wait_seconds": 20})
	require.Equal(w.t, "SUCCEEDED", task["status"])
	require.Equal(w.t, "yes", task["charged"])
	require.NotEmpty(w.t, task["saved_to"])
	again := w.answer("generate_r2v", request)
	require.Equal(w.t, id, again["task_id"])
	require.Equal(w.t, task["provider_task_id"], again["provider_task_id"])
	require.Equal(w.t, true, again["replayed"])
}

func (w *world) isInDoubt(id any, request arguments) {
	require.Equal(w.t, id, w.answer("generate_r2v", request)["task_id"], "the same key asks about it and buys nothing")
	task := w.answer("get_task", arguments{"task_id": id, "wait_seconds": 0})
	require.Equal(w.t, "unknown", task["charged"])
	require.Equal(w.t, false, path(task, "error", "retryable"))
	require.Contains(w.t, task["warnings"].([]any)[0], "looked for in the service's list")
	require.Contains(w.t, task["next_step"], "It is being looked for: call get_task with task_id "+id.(string))
	other := arguments{"idempotency_key": "another"}
	maps.Copy(other, arguments{"prompt": request["prompt"]})
	text, isError := w.call("generate_r2v", wan27(other))
	require.True(w.t, isError)
	require.Contains(w.t, text, "Nobody can tell yet what became of this purchase. MayBeBoughtAlready: ")
	require.Contains(w.t, text, "charged: unknown")
	require.Contains(w.t, text, id)
}

// What went wrong with an earlier purchase stands in get_task's answer, not in this one.
func TestReplayedPurchaseThatCameToNothing(t *testing.T) {
	t.Parallel()
	t.Run("failed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, options{})
		request := wan27(arguments{"prompt": "Image 1 [[fault:fail-data-inspection]]", "idempotency_key": "k"})
		id := w.answer("generate_r2v", request)["task_id"]
		w.answer("get_task", arguments{"task_id": id, "wait_seconds": 20})
		again := w.answer("generate_r2v", request)
		require.Equal(t, "FAILED", again["status"])
		require.Equal(t, true, again["replayed"])
		require.Equal(t, fmt.Sprintf("This task has FAILED and cost nothing: call get_task with task_id %s for what went wrong. A new purchase needs a new idempotency_key.", id), again["next_step"])
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, options{speed: slow})
		request := wan27(arguments{"idempotency_key": "k"})
		id := w.answer("generate_r2v", request)["task_id"]
		w.answer("cancel_task", arguments{"task_id": id})
		again := w.answer("generate_r2v", request)
		require.Equal(t, "CANCELED", again["status"])
		require.Contains(t, again["next_step"], fmt.Sprintf("This task was cancelled and cost nothing: call get_task with task_id %s", id))
	})
}

// What is not in the service's list for long enough was never bought: it is set free, and its key buys it.
func TestPurchaseThatNeverArrived(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{absence: 300 * time.Millisecond})
	request := wan27(arguments{"prompt": "Image 1 [[fault:503 x1]]", "idempotency_key": "k"})
	first := w.answer("generate_r2v", request)
	task := w.answer("get_task", arguments{"task_id": first["task_id"], "wait_seconds": 20})
	require.Equal(t, "FAILED", task["status"])
	require.Equal(t, "no", task["charged"])
	require.Equal(t, "NeverArrived", path(task, "error", "code"))
	require.NotContains(t, task, "warnings")
	require.Contains(t, task["next_step"], "Nothing was charged")
	second := w.answer("generate_r2v", request)
	require.Equal(t, first["task_id"], second["task_id"])
	require.Equal(t, false, second["replayed"])
	require.Equal(t, 2, w.created())
}

// A server that reads a create and hangs up, told apart from the simulator: it counts for itself.
func TestOneCreateArrivesWhenTheConnectionBreaks(t *testing.T) {
	var creates atomic.Int32
	w := newWorld(t, options{handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost { // it is looked for afterwards
			creates.Add(1)
		}
		panic(http.ErrAbortHandler)
	})})
	answer := w.answer("generate_r2v", wan27(nil))
	require.Equal(t, "unknown", answer["charged"])
	require.EqualValues(t, 1, creates.Load())
}

func TestRefusedPurchaseMayBeTriedAgainWithItsKey(t *testing.T) {
	w := newWorld(t, options{})
	request := wan27(arguments{"prompt": "Image 1 [[fault:arrearage x1]]", "idempotency_key": "k"})
	text, isError := w.call("generate_r2v", request)
	require.True(t, isError, text)
	answer := w.answer("generate_r2v", request)
	require.Equal(t, false, answer["replayed"])
	require.Equal(t, 2, w.created())
}

// A client that hangs up does not stop a purchase: its id is recorded all the same.
func TestHangUpDuringACreate(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{})
	w := newWorld(t, options{handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-release
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"output":{"task_status":"PENDING","task_id":"the-id"},"request_id":"r"}`)
	})})
	ctx, hangUp := context.WithCancel(t.Context())
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = "generate_r2v", wan27(arguments{"idempotency_key": "k"})
	gone := make(chan struct{})
	go func() { defer close(gone); _, _ = w.client.CallTool(ctx, req) }()
	<-arrived
	hangUp()
	<-gone
	close(release)
	answer := w.answer("generate_r2v", req.Params.Arguments)
	require.Equal(t, "the-id", answer["provider_task_id"])
	require.Equal(t, true, answer["replayed"])
}
