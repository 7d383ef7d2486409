package tools_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/testdata"
)

// slow leaves a task PENDING for 3 seconds.
const slow = 1

func (w *world) counted(call string) int {
	w.t.Helper()
	var counters map[string]int
	w.control("/control/counters", &counters)
	return counters[call]
}

func TestPendingTaskIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{speed: slow, budgetPerDay: "1"})
	created := w.answer("generate_r2v", wan27(arguments{"idempotency_key": "k"}))
	answer := w.answer("cancel_task", arguments{"task_id": created["task_id"]})
	require.Equal(t, "CANCELED", answer["status"])
	require.Equal(t, "no", answer["charged"])
	require.Equal(t, created["task_id"], answer["task_id"])
	require.Equal(t, created["provider_task_id"], answer["provider_task_id"])
	require.Contains(t, answer["next_step"], "nothing was charged")

	require.Equal(t, answer, w.answer("cancel_task", arguments{"task_id": created["task_id"]}), "what is cancelled is cancelled")
	require.Equal(t, answer, w.answer("cancel_task", arguments{"task_id": created["provider_task_id"]}), "by the provider's id as well")
	require.Equal(t, 1, w.counted("cancel"))

	task := w.answer("get_task", arguments{"task_id": created["task_id"]})
	require.Equal(t, "CANCELED", task["status"])
	require.Equal(t, "no", task["charged"])
	require.NotContains(t, task, "warnings")
	replayed := w.answer("generate_r2v", wan27(arguments{"idempotency_key": "k"}))
	require.Equal(t, "CANCELED", replayed["status"])
	require.Contains(t, replayed["next_step"], "new idempotency_key")
	require.NotContains(t, w.answer("generate_r2v", wan27(arguments{"idempotency_key": "k2"})), "problems", "its budget is free again")
}

func TestRunningTaskIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{speed: 60})
	created := w.answer("generate_r2v", wan27(nil))
	require.Eventually(t, func() bool {
		return w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})["status"] == "RUNNING"
	}, 10*time.Second, 10*time.Millisecond)
	text := w.refusedCancel(created["task_id"])
	require.Contains(t, text, "was not cancelled; its status when last seen: RUNNING. NotPending: ")
	require.Contains(t, text, "charged: no\nnext_step: The task is running or has ended. It cannot be stopped, and is billed if it succeeds")
}

func (w *world) refusedCancel(id any) string {
	w.t.Helper()
	text, isError := w.call("cancel_task", arguments{"task_id": id})
	require.True(w.t, isError, text)
	require.Regexp(w.t, `\ncharged: (no|yes|unknown)\nnext_step: .+`, text)
	require.NotContains(w.t, text, simulatedKey)
	require.NotContains(w.t, text, "Image 1", "no prompt is repeated")
	require.NotContains(w.t, text, "Signature")
	return text
}

func TestWhatHasEndedIsNotCancelled(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault, status, charged, next string
		wait                         int
	}{
		"a success":                 {"", "SUCCEEDED", "yes", "It is made and paid for: call get_task for its clip.", 20},
		"a failure":                 {" [[fault:fail-data-inspection]]", "FAILED", "no", "It has ended and cost nothing.", 20},
		"a purchase in doubt":       {" [[fault:503]]", "UNKNOWN", "unknown", "it is being looked for", 0},
		"a purchase that was found": {" [[fault:drop-after]]", "SUCCEEDED", "yes", "call get_task for its clip", 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 waves" + tt.fault}))
			w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": tt.wait})
			text := w.refusedCancel(created["task_id"])
			require.Contains(t, text, "was not cancelled; its status when last seen: "+tt.status+".")
			require.Contains(t, text, "only a PENDING one can be cancelled\ncharged: "+tt.charged+"\n")
			require.Contains(t, text, tt.next)
			require.Zero(t, w.counted("cancel"))
		})
	}
}

// refusing is a service that refuses the cancellation of its one task, and from then on answers as told.
func refusing(afterwards http.HandlerFunc) http.Handler {
	var asked atomic.Bool
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			asked.Store(true)
			recorded(rw, http.StatusBadRequest, "cancel-refused-400-not-pending.json")
		case r.Method == http.MethodGet && asked.Load():
			afterwards(rw, r)
		default:
			_, _ = io.WriteString(rw, `{"output":{"task_status":"PENDING","task_id":"the-id"},"request_id":"r"}`)
		}
	})
}

func recorded(rw http.ResponseWriter, status int, name string) {
	text, _ := testdata.FS.ReadFile("dashscope/" + name)
	rw.WriteHeader(status)
	_, _ = rw.Write(text)
}

// The ledger does not know yet how far the task is: the service does.
func TestTaskThatEndedMeanwhileIsPaidFor(t *testing.T) {
	w := newWorld(t, options{handler: refusing(telling(ended(0), `{"duration":5,"input_video_duration":0,"output_video_duration":5}`).ServeHTTP)})
	created := w.answer("generate_r2v", wan27(nil))
	text := w.refusedCancel(created["task_id"])
	require.Contains(t, text, "was not cancelled; its status when last seen: SUCCEEDED. NotPending: ")
	require.Contains(t, text, "\ncharged: yes\n")
}

// The service says that the task has begun, and then does not say how it stands.
func TestRefusedCancellationOfATaskThatCannotBeSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{handler: refusing(func(rw http.ResponseWriter, _ *http.Request) {
		recorded(rw, http.StatusUnauthorized, "create-refused-401-bad-key.json")
	})})
	created := w.answer("generate_r2v", wan27(nil))
	text := w.refusedCancel(created["task_id"])
	require.Contains(t, text, "was not cancelled; its status when last seen: PENDING. NotPending: ")
	require.Contains(t, text, "billed if it succeeds: wait for it with get_task")
}

func TestCancellationWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{speed: slow})
	created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:drop-after@cancel]]"}))
	require.Equal(t, "CANCELED", w.answer("cancel_task", arguments{"task_id": created["task_id"]})["status"], "the service is asked what became of it")

	created = w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:invalid-api-key@cancel]]"}))
	text := w.refusedCancel(created["task_id"])
	require.Contains(t, text, "is not known to be cancelled; its status when last seen: PENDING. InvalidApiKey")
	require.Contains(t, text, "charged: no")
}

func TestPurchaseUnderWayIsNotCancelled(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{})
	w := newWorld(t, options{handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(rw, `{"output":{"task_status":"PENDING","task_id":"the-id"},"request_id":"r"}`)
	})})
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = "generate_r2v", wan27(nil)
	bought := make(chan struct{})
	go func() { defer close(bought); _, _ = w.client.CallTool(t.Context(), req) }()
	<-arrived
	task := listed(w.answer("list_tasks", nil))[0]
	require.Equal(t, "unknown", task["charged"])
	text := w.refusedCancel(task["task_id"])
	require.Contains(t, text, "its purchase is still under way\ncharged: unknown\nnext_step: Call cancel_task again in a few seconds.")
	close(release)
	<-bought
}

func TestCancellingWhatIsNotThere(t *testing.T) {
	w := newWorld(t, options{})
	for _, id := range []string{"r2v-nobody", "4909100c-7b5a-9f92-bfe5-000000000000"} {
		text := w.refusal("cancel_task", arguments{"task_id": id})
		require.Contains(t, text, "TaskNotFound")
		require.Contains(t, text, "charged: unknown")
	}
	require.Zero(t, w.counted("cancel"))
	keyless := newWorld(t, options{noKey: true})
	require.Contains(t, keyless.refusal("cancel_task", arguments{"task_id": "4909100c"}), "DASHSCOPE_API_KEY")
}

func TestCancelArgumentsThatMeanNothing(t *testing.T) {
	w := newWorld(t, options{})
	for name, tt := range map[string]struct {
		arguments any
		want      string
	}{
		"nothing":      {nil, "task_id: it is missing"},
		"a number":     {arguments{"task_id": 7}, "task_id: 7 is no string"},
		"a list":       {[]any{"r2v-x"}, "is no object"},
		"a path":       {arguments{"task_id": "../tasks"}, "task_id: it holds other characters"},
		"another name": {arguments{"id": "r2v-x"}, "did you mean task_id?"},
		"more":         {arguments{"task_id": "r2v-x", "force": true}, "force: there is no such argument"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.on(t)
			text := w.refusal("cancel_task", tt.arguments)
			require.Contains(t, text, tt.want)
			require.Contains(t, text, "charged: no\nnext_step: Call cancel_task with the task_id")
		})
	}
	require.Zero(t, w.counted("cancel"))
}
