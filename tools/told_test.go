package tools_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// told is a life of tasks that says one thing: for states that only a day's waiting brings about.
type told struct {
	tools.Tasks
	task video.Task
}

func (l told) Wait(context.Context, string, time.Duration) (video.Task, error) { return l.task, nil }

func (l told) Cancel(context.Context, string) (video.Task, error) { return l.task, nil }

func (l told) List(context.Context, video.Filter) ([]video.Task, string, error) {
	return []video.Task{l.task}, "", nil
}

func tellingOf(t *testing.T, task video.Task) *world {
	t.Helper()
	w := &world{t: t, saveDir: t.TempDir(), upstream: httptest.NewServer(nil)}
	t.Cleanup(w.upstream.Close)
	set := w.set(options{})
	task.ID, task.Request.Model = "r2v-x", "wan2.7-r2v"
	set.Tasks = told{task: task}
	w.connect(set)
	return w
}

func TestDoubtThatGrowsOld(t *testing.T) {
	for name, tt := range map[string]struct {
		age            time.Duration
		raised, search bool
		next           string
		poll           bool
	}{
		"young":                      {time.Minute, false, true, "It is being looked for: call get_task with task_id r2v-x", true},
		"about to be out of reach":   {23 * time.Hour, true, true, "It is being looked for", true},
		"out of reach of the search": {25 * time.Hour, true, false, "looked for in vain for 24 hours. Look at the bill", false},
	} {
		t.Run(name, func(t *testing.T) {
			created := time.Now().Add(-tt.age)
			w := tellingOf(t, video.Task{CreatedAt: created, Snapshot: video.Snapshot{Status: video.Unknown}})
			task := w.answer("get_task", arguments{"task_id": "r2v-x"})
			require.Equal(t, "unknown", task["charged"])
			require.Contains(t, task["next_step"], tt.next)
			require.Equal(t, tt.poll, task["poll_after_seconds"] != nil)
			warnings := warningsOf(task)
			if tt.raised {
				require.Contains(t, warnings, "this clip may be lost")
				require.Contains(t, warnings, "by model and time, "+created.UTC().Format(time.RFC3339))
			} else {
				require.NotContains(t, warnings, "may be lost")
			}
			if tt.search {
				require.Contains(t, warnings, "looked for in the service's list")
			} else {
				require.NotContains(t, warnings, "looked for in the service's list")
			}
			require.Equal(t, task["warnings"], listed(w.answer("list_tasks", nil))[0]["warnings"])
		})
	}
}

func TestListSaysWhereItMayBeOld(t *testing.T) {
	w := tellingOf(t, video.Task{
		ProviderTaskID: "id-1", CreatedAt: time.Now(), Snapshot: video.Snapshot{Status: video.Running}, Trouble: &video.Failure{Code: "InvalidApiKey", Message: "words"},
	})
	require.Equal(t, []any{"this may not be the newest state: InvalidApiKey"}, listed(w.answer("list_tasks", nil))[0]["warnings"])
}

func TestCancellationThatDoesNotShowYet(t *testing.T) {
	w := tellingOf(t, video.Task{ProviderTaskID: "id-1", CreatedAt: time.Now(), Snapshot: video.Snapshot{Status: video.Pending}})
	answer := w.answer("cancel_task", arguments{"task_id": "r2v-x"})
	require.Equal(t, "PENDING", answer["status"])
	require.Contains(t, answer["next_step"], "accepted the cancellation but does not show it yet: call get_task with task_id r2v-x")
}
