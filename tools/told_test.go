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

func (l told) Wait(context.Context, string, string, time.Duration) (video.Task, error) {
	return l.task, nil
}

func (l told) Cancel(context.Context, string, string) (video.Task, error) { return l.task, nil }

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

func TestDoubtHasAnEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		age  time.Duration
		want func(created time.Time) string
	}{
		"while it is looked for": {time.Minute, func(created time.Time) string {
			return "tell the user: it is settled by " + created.Add(30*time.Minute).UTC().Format(time.RFC3339) + " at the latest as a rule."
		}},
		"when the search is held up": {31 * time.Minute, func(created time.Time) string {
			return "tell the user: it should be settled since " + created.Add(30*time.Minute).UTC().Format(time.RFC3339) +
				", and is looked for until " + created.Add(24*time.Hour).UTC().Format(time.RFC3339) + "."
		}},
	} {
		t.Run(name, func(t *testing.T) {
			created := time.Now().Add(-tt.age)
			w := tellingOf(t, video.Task{CreatedAt: created, Snapshot: video.Snapshot{Status: video.Unknown}})
			next := w.answer("get_task", arguments{"task_id": "r2v-x"})["next_step"]
			require.Contains(t, next, "If it is still UNKNOWN after two calls, "+tt.want(created))
		})
	}
}

// What was found by model and time may be another's.
func TestFoundTaskIsNotSureBeforeItsClipIsMade(t *testing.T) {
	for status, sure := range map[video.Status]bool{video.Pending: false, video.Running: false, video.Failed: true} {
		w := tellingOf(t, video.Task{ProviderTaskID: "id-1", Found: true, CreatedAt: time.Now(), Snapshot: video.Snapshot{Status: status}})
		task := w.answer("get_task", arguments{"task_id": "r2v-x"})
		if sure {
			require.Equal(t, "no", task["charged"])
			require.NotContains(t, task, "warnings")
			continue
		}
		require.Equal(t, "unknown", task["charged"])
		require.Contains(t, warningsOf(task), "found in the service's list by model and time: its prompt confirms it when the clip is made, if the service tells prompts, and charged is unknown until then")
		require.Equal(t, task["warnings"], listed(w.answer("list_tasks", nil))[0]["warnings"])
	}
}

func TestAClipThatNobodyIsToSaveIsDone(t *testing.T) {
	for name, tt := range map[string]struct {
		saves   bool
		savedTo string
		want    string
	}{
		"a file with a warning": {true, "/videos/a.mp4", "Done: give the user saved_to"},
		"saving is off":         {false, "", "Done: give the user video_url and say when it dies."},
	} {
		t.Run(name, func(t *testing.T) {
			task := video.Task{
				ID: "r2v-x", ProviderTaskID: "id-1", SavedTo: tt.savedTo, SaveError: "the clip is 4 s long", CreatedAt: time.Now(),
				Snapshot: video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", EndedAt: time.Now()},
			}
			w := &world{t: t, saveDir: t.TempDir(), upstream: httptest.NewServer(nil)}
			t.Cleanup(w.upstream.Close)
			set := w.set(options{})
			set.Tasks, set.Saves = told{task: task}, tt.saves
			w.connect(set)
			answer := w.answer("get_task", arguments{"task_id": "r2v-x"})
			require.Contains(t, answer["next_step"], tt.want)
			require.NotContains(t, answer, "poll_after_seconds")
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
