package tools_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"
)

// The main job: estimate, create, follow, keep.
func TestMainJob(t *testing.T) {
	w := newWorld(t, options{})
	request := arguments{
		"model": "wan2.6-r2v-flash", "prompt": "character1 dances with character2", "resolution": "720P", "ratio": "9:16", "duration": 3, "audio": false,
		"references": refs(ref(clip8, "", "duration_seconds", 8), picture), "max_cost": 1, "idempotency_key": "order-1",
	}
	estimate := w.answer("estimate_cost", request)
	created := w.answer("generate_r2v", request)
	require.Equal(t, "PENDING", created["status"])
	require.Equal(t, "no", created["charged"])
	require.Equal(t, false, created["replayed"])
	require.Equal(t, "order-1", created["idempotency_key"])
	require.Equal(t, path(estimate, "cost", "high"), path(created, "cost", "high"))
	require.Equal(t, []any{map[string]any{"alias": "character1", "type": "video"}, map[string]any{"alias": "character2", "type": "image"}}, created["references"])
	require.Contains(t, created["next_step"], created["task_id"])
	expires, err := time.Parse(time.RFC3339, created["expires_at"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), expires, time.Minute)

	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, "SUCCEEDED", task["status"])
	require.Equal(t, "yes", task["charged"])
	require.Equal(t, path(estimate, "cost", "high"), path(task, "cost", "billed"))
	require.Equal(t, "720*1280", path(task, "usage", "size"))
	saved := task["saved_to"].(string)
	require.Equal(t, w.saveDir, filepath.Dir(saved))
	data, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.Equal(t, "ftyp", string(data[4:8]))
	files, err := os.ReadDir(w.saveDir)
	require.NoError(t, err)
	require.Len(t, files, 1, "no half files are left")

	text, _ := w.call("get_task", arguments{"task_id": created["task_id"]})
	require.Contains(t, text, task["video_url"], "a link is written in full, its & included")
	require.Contains(t, task["video_url"], "&")

	again := w.answer("get_task", arguments{"task_id": task["provider_task_id"]})
	require.Equal(t, created["task_id"], again["task_id"], "the provider's id finds the same task")
}

func TestSameKeyNeverBuysTwice(t *testing.T) {
	w := newWorld(t, options{})
	request := wan27(arguments{"idempotency_key": "k1"})
	first := w.answer("generate_r2v", request)
	second := w.answer("generate_r2v", request)
	require.Equal(t, first["task_id"], second["task_id"])
	require.Equal(t, true, second["replayed"])
	spelled := w.answer("generate_r2v", wan27(arguments{"idempotency_key": "k1", "resolution": "1080P", "duration": "5", "ratio": "16:9", "watermark": false, "prompt_extend": true, "negative_prompt": " "}))
	require.Equal(t, first["task_id"], spelled["task_id"], "defaults spelled out are the same request")

	poorer := w.answer("generate_r2v", wan27(arguments{"idempotency_key": "k1", "max_cost": 0.01}))
	require.Equal(t, first["task_id"], poorer["task_id"], "a guard is for buying: what is bought is told")
	text, isError := w.call("generate_r2v", wan27(arguments{"idempotency_key": "never-used", "max_cost": 0.01}))
	require.True(t, isError)
	require.Contains(t, text, "charged: no")

	text, isError = w.call("generate_r2v", wan27(arguments{"idempotency_key": "k1", "seed": 7}))
	require.True(t, isError)
	require.Contains(t, text, "IdempotencyKeyReused")
	require.Contains(t, text, first["task_id"])
	require.Contains(t, text, "charged: no")
	require.Equal(t, 1, w.created())
}

func TestSameRequestWithinTheWindowIsNotBoughtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	first := w.answer("generate_r2v", wan27(nil))
	second := w.answer("generate_r2v", wan27(nil))
	require.Equal(t, first["task_id"], second["task_id"])
	require.Equal(t, true, second["replayed"])
	require.Contains(t, second["warnings"].([]any)[0], "new idempotency_key")
	require.NotEqual(t, first["task_id"], w.answer("generate_r2v", wan27(arguments{"seed": 1}))["task_id"], "another seed is another request")
	require.NotEqual(t, first["task_id"], w.answer("generate_r2v", wan27(arguments{"idempotency_key": "another"}))["task_id"], "a key buys another")
	require.Equal(t, 3, w.created())
}

func TestManyCallsWithOneKeyBuyOnce(t *testing.T) {
	w := newWorld(t, options{})
	ids := make([]any, 100)
	var wait sync.WaitGroup
	for i := range ids {
		wait.Go(func() {
			var req mcp.CallToolRequest
			req.Params.Name, req.Params.Arguments = "generate_r2v", wan27(arguments{"idempotency_key": "k"})
			if result, err := w.client.CallTool(t.Context(), req); err == nil && !result.IsError {
				ids[i] = path(result.StructuredContent, "provider_task_id")
			}
		})
	}
	wait.Wait()
	for _, id := range ids {
		require.NotNil(t, id)
		require.Equal(t, ids[0], id)
	}
	require.Equal(t, 1, w.created())
}

func TestFailedTaskTellsWhatToDo(t *testing.T) {
	w := newWorld(t, options{})
	created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:fail-data-inspection]]"}))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, "FAILED", task["status"])
	require.Equal(t, "no", task["charged"])
	require.Equal(t, "DataInspectionFailed", path(task, "error", "code"))
	require.Contains(t, path(task, "error", "advice"), "change the prompt or the references")
	require.Equal(t, false, path(task, "error", "retryable"))
	require.NotContains(t, task, "saved_to")
}

func TestClipThatCannotBeSavedIsStillGiven(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"short-clip", "half-clip", "expired-link"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:" + fault + "]]"}))
			start := time.Now()
			task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
			require.Less(t, time.Since(start), 10*time.Second, "what has ended is told at once")
			require.Equal(t, "SUCCEEDED", task["status"])
			require.NotEmpty(t, task["video_url"])
			require.NotContains(t, task, "saved_to")
			require.Contains(t, task["warnings"].([]any)[0], "not saved yet")
			require.NotContains(t, task["next_step"], "Done")
			require.Contains(t, task["next_step"], fmt.Sprintf("saving is tried again by itself. Call get_task with task_id %s again in 15 s; "+
				"if the clip is needed now, give the user video_url and say that it dies at %s.", created["task_id"], task["video_url_expires_at"]))
			require.Equal(t, json.Number("15"), task["poll_after_seconds"])
			files, err := os.ReadDir(w.saveDir)
			require.NoError(t, err)
			require.Empty(t, files, "no broken file is left")
		})
	}
}

func TestLookingDoesNotLoseATask(t *testing.T) {
	w := newWorld(t, options{})
	created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:invalid-api-key@get]]"}))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, created["task_id"], task["task_id"])
	require.Equal(t, "PENDING", task["status"])
	require.Contains(t, task["warnings"].([]any)[0], "InvalidApiKey")
}

func TestTaskMadeElsewhereIsFound(t *testing.T) {
	w := newWorld(t, options{})
	created := w.answer("generate_r2v", wan27(nil))
	elsewhere := &world{t: t, upstream: w.upstream, saveDir: t.TempDir()}
	elsewhere.connect(elsewhere.set(options{}))
	task := elsewhere.answer("get_task", arguments{"task_id": created["provider_task_id"], "wait_seconds": 20})
	require.Equal(t, "SUCCEEDED", task["status"])
	require.NotEqual(t, created["task_id"], task["task_id"])
	require.NotContains(t, task, "cost", "what it was to cost is not known here")
	require.NotEmpty(t, task["saved_to"])
}

func TestTaskThatIsNotThere(t *testing.T) {
	w := newWorld(t, options{})
	for _, id := range []string{"r2v-nobody", "4909100c-7b5a-9f92-bfe5-000000000000"} {
		text := w.refusal("get_task", arguments{"task_id": id})
		require.Contains(t, text, "TaskNotFound")
		require.Contains(t, text, "charged: unknown", "of what is not known, nobody can say that it cost nothing")
		require.Contains(t, text, id)
		require.Contains(t, text, "If list_tasks shows no such clip, nothing was bought through this server.")
		require.Contains(t, text, "An idempotency_key is no task_id: repeat generate_r2v, unchanged, with it.")
		require.Equal(t, !strings.HasPrefix(id, "r2v-"), strings.Contains(text, "provider_task_id"), "of our own ids the service knows nothing")
	}
}

func TestWrongKeySaysWhichRegionWasAsked(t *testing.T) {
	w := newWorld(t, options{key: "sk-of-another-region"})
	text, isError := w.call("generate_r2v", wan27(nil))
	require.True(t, isError)
	for _, part := range []string{"InvalidApiKey", "region simulator", "another region", "charged: no"} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "sk-of-another-region")
}

func TestServiceThatCannotBeReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unreachable: true})
	start := time.Now()
	text, isError := w.call("generate_r2v", wan27(nil))
	require.True(t, isError)
	require.Contains(t, text, "could not be reached")
	require.Contains(t, text, "charged: no")
	require.Less(t, time.Since(start), 45*time.Second)
	require.NotContains(t, strings.ToLower(text), "unknown")
}
