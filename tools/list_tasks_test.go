package tools_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

// claimed writes an order into the ledger as generate_r2v does, and leaves it there.
func (w *world) claimed(prompt string) video.Task {
	w.t.Helper()
	price := decimal.RequireFromString("0.75")
	task, claimed, err := w.book.Claim(w.t.Context(), video.Order{
		Request:     video.Request{Model: "wan2.7-r2v", Prompt: prompt, Resolution: "1080P", Duration: 5, References: []video.Reference{{URL: picture, Kind: video.Image}}},
		Estimate:    video.Cost{Low: price, High: price, PerSecond: decimal.RequireFromString("0.15"), Currency: "USD"},
		Fingerprint: prompt,
	})
	require.NoError(w.t, err)
	require.True(w.t, claimed)
	return task
}

// made carries a claimed order on to a finished clip, as the tracker does.
func (w *world) made(prompt, providerTaskID string, ended time.Time) video.Task {
	w.t.Helper()
	task := w.claimed(prompt)
	_, err := w.book.Bought(w.t.Context(), task.ID, providerTaskID, false)
	require.NoError(w.t, err)
	seconds := decimal.NewFromInt(5)
	task, _, err = w.book.Looked(w.t.Context(), task.ID, video.Snapshot{
		Status: video.Succeeded, SubmittedAt: ended.Add(-time.Minute), ScheduledAt: ended.Add(-time.Minute), EndedAt: ended,
		VideoURL: "https://results.example/" + providerTaskID + ".mp4?Expires=1&Signature=canary", Usage: &video.Usage{Duration: seconds, Output: seconds},
	}, time.Time{})
	require.NoError(w.t, err)
	return task
}

func (w *world) saved(task video.Task, path string, failure error) {
	w.t.Helper()
	_, err := w.book.Saved(w.t.Context(), task.ID, path, failure, time.Time{})
	require.NoError(w.t, err)
}

func listed(answer map[string]any) []map[string]any {
	var out []map[string]any
	for _, t := range answer["tasks"].([]any) {
		out = append(out, t.(map[string]any))
	}
	return out
}

func TestListIsPagedThroughOnce(t *testing.T) {
	w := newWorld(t, options{})
	var want []any // newest first
	for i := range 60 {
		want = append([]any{w.claimed(fmt.Sprint("clip ", i)).ID}, want...)
	}
	for _, limit := range []any{nil, 7, "7", 1, 30, 50, 51, 1e9} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			w := w.on(t)
			most := 10
			switch n := limit.(type) {
			case int:
				most = min(n, 50)
			case string:
				most = 7
			case float64:
				most = 50 // more than a page is a page
			}
			var got []any
			ask := arguments{"limit": limit}
			for {
				answer := w.answer("list_tasks", ask)
				page := listed(answer)
				require.LessOrEqual(t, len(page), most)
				for _, task := range page {
					got = append(got, task["task_id"])
				}
				next, more := answer["next_cursor"]
				if !more {
					require.Contains(t, answer["next_step"], "no older tasks")
					break
				}
				require.Len(t, page, most)
				require.Contains(t, answer["next_step"], "cursor = next_cursor")
				ask["cursor"] = next
			}
			require.Equal(t, want, got)
		})
	}
	page := w.answer("list_tasks", nil)
	w.claimed("one more")
	require.Equal(t, want[10], listed(w.answer("list_tasks", arguments{"cursor": page["next_cursor"]}))[0]["task_id"], "what is new shifts no page")
}

func TestListByStatus(t *testing.T) {
	w := newWorld(t, options{})
	pending, done := w.claimed("pending"), w.made("done", "id-1", time.Now())
	refused := w.claimed("refused")
	_, err := w.book.NotBought(t.Context(), refused, &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "Arrearage", Message: "secret words"}})
	require.NoError(t, err)
	for status, want := range map[string]string{"PENDING": pending.ID, "succeeded": done.ID, "Failed": refused.ID} {
		tasks := listed(w.answer("list_tasks", arguments{"status": status}))
		require.Len(t, tasks, 1)
		require.Equal(t, want, tasks[0]["task_id"])
	}
	require.Len(t, listed(w.answer("list_tasks", arguments{"status": ""})), 3)
	none := w.answer("list_tasks", arguments{"status": "CANCELED"})
	require.Empty(t, none["tasks"])
	require.Equal(t, "No task is CANCELED: call list_tasks without status for all.", none["next_step"])
	text, _ := w.call("list_tasks", arguments{"status": "FAILED"})
	require.Contains(t, text, `"error_code":"Arrearage"`)
	require.NotContains(t, text, "secret words", "get_task tells the rest")
}

func TestEmptyListSaysWhatToDo(t *testing.T) {
	w := newWorld(t, options{})
	answer := w.answer("list_tasks", nil)
	require.Equal(t, []any{}, answer["tasks"])
	require.Contains(t, answer["next_step"], "call estimate_cost, then generate_r2v")
	require.NotContains(t, answer, "next_cursor")
	end := base64.RawURLEncoding.EncodeToString([]byte("1 r2v-" + strings.Repeat("a", 26)))
	require.Contains(t, w.answer("list_tasks", arguments{"cursor": end})["next_step"], "the end of the list")
}

func TestListTellsWhatIsWorthKnowing(t *testing.T) {
	w := newWorld(t, options{})
	created := w.answer("generate_r2v", wan27(nil))
	w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	task := listed(w.answer("list_tasks", nil))[0]
	got := w.answer("get_task", arguments{"task_id": created["task_id"]})
	for _, same := range []string{"task_id", "provider_task_id", "status", "model", "charged", "saved_to", "ended_at"} {
		require.NotEmpty(t, task[same], same)
		require.Equal(t, got[same], task[same])
	}
	require.Equal(t, map[string]any{"estimated_high": json.Number("0.75"), "billed": json.Number("0.75"), "currency": "USD"}, task["cost"])
	require.Equal(t, "Image 1 waves", task["prompt"])
	require.NotContains(t, task, "video_url", "what is saved needs no link")
	at, err := time.Parse(time.RFC3339, task["created_at"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
}

func TestListTellsByHowMuchABillIsOutsideItsEstimate(t *testing.T) {
	usage := `{"duration":4,"input_video_duration":0,"output_video_duration":4,"video_count":1}`
	w := newWorld(t, options{handler: telling(ended(0), usage)})
	created := w.answer("generate_r2v", wan27(nil))
	w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, json.Number("-0.15"), path(listed(w.answer("list_tasks", nil))[0], "cost", "difference"))
}

func TestListGivesTheLinkWhileItIsNeeded(t *testing.T) {
	w := newWorld(t, options{})
	w.saved(w.made("alive", "id-1", time.Now()), "", errors.New("disk full"))
	w.saved(w.made("dead", "id-2", time.Now().Add(-25*time.Hour)), "", errors.New("disk full"))
	w.saved(w.made("kept", "id-3", time.Now()), "/videos/kept.mp4", errors.New("the clip is 4 s long, and 5 s are billed"))
	for _, task := range listed(w.answer("list_tasks", nil)) {
		warning := fmt.Sprint(task["warnings"])
		switch task["prompt"] {
		case "alive":
			require.Contains(t, task["video_url"], "id-1.mp4?Expires=1&Signature=canary")
			require.Contains(t, warning, "not saved yet (disk full): download video_url before it dies")
		case "dead":
			require.NotContains(t, task, "video_url")
			require.Contains(t, warning, "not saved (disk full), and its link has died")
		case "kept":
			require.NotContains(t, task, "video_url")
			require.Equal(t, "/videos/kept.mp4", task["saved_to"])
			require.Contains(t, warning, "the clip is saved, but look at it: the clip is 4 s long")
		}
	}
}

func TestLongPromptsAreCutBetweenCharacters(t *testing.T) {
	w := newWorld(t, options{})
	w.claimed(strings.Repeat("好", 80))
	w.claimed(strings.Repeat("好", 81))
	tasks := listed(w.answer("list_tasks", nil))
	require.Equal(t, strings.Repeat("好", 79)+"…", tasks[0]["prompt"])
	require.Equal(t, strings.Repeat("好", 80), tasks[1]["prompt"], "what fits is whole")
}

// A list is read by a model in full.
func TestPageOfTenIsSmall(t *testing.T) {
	w := newWorld(t, options{})
	for i := range 10 {
		task := w.made(strings.Repeat("Image 1 dances, ", 100)+fmt.Sprint(i), fmt.Sprintf("4909100c-7b5a-9f92-bfe5-%012d", i), time.Now())
		w.saved(task, "/home/somebody/.local/share/r2v-mcp/videos/"+task.ID+".mp4", nil)
	}
	text, isError := w.call("list_tasks", nil)
	require.False(t, isError, text)
	t.Logf("a page of ten finished tasks: %d bytes", len(text))
	require.Less(t, len(text), 5000)
}

func TestListArgumentsThatMeanNothing(t *testing.T) {
	w := newWorld(t, options{})
	w.claimed("a clip")
	for name, tt := range map[string]struct {
		arguments any
		want      string
	}{
		"no page":                {arguments{"limit": 0}, "limit: there is no page of 0 tasks; allowed: 1 to 50"},
		"less than none":         {arguments{"limit": -1}, "limit: there is no page of -1 tasks; allowed: 1 to 50"},
		"half a task":            {arguments{"limit": 1.5}, "limit: 1.5 is no whole number"},
		"a word":                 {arguments{"limit": "all"}, `limit: "all" is no whole number`},
		"beyond all numbers":     {arguments{"limit": "1e999999999"}, "limit: "},
		"a status that is none":  {arguments{"status": "DONE"}, `status: "DONE" is no status; allowed: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED, UNKNOWN, or left out for all`},
		"a long status":          {arguments{"status": strings.Repeat("x", 1<<20)}, "is no status"},
		"two statuses":           {arguments{"status": []any{"PENDING", "RUNNING"}}, "status: ["},
		"a cursor of nobody's":   {arguments{"cursor": "forged"}, "CursorUnknown"},
		"a cursor of SQL":        {arguments{"cursor": "' OR 1=1 --"}, "CursorUnknown"},
		"a cursor made up":       {arguments{"cursor": base64.RawURLEncoding.EncodeToString([]byte("zz nobody"))}, "CursorUnknown"},
		"a cursor before time":   {arguments{"cursor": base64.RawURLEncoding.EncodeToString([]byte("-1 r2v-x"))}, "CursorUnknown"},
		"a cursor without end":   {arguments{"cursor": strings.Repeat("A", 1<<20)}, "CursorUnknown"},
		"a cursor of NUL":        {arguments{"cursor": "a\x00b"}, "CursorUnknown"},
		"a cursor that is a 7":   {arguments{"cursor": 7}, "cursor: 7 is no string"},
		"a name that is near":    {arguments{"state": "PENDING"}, "did you mean status?"},
		"a list":                 {[]any{1}, "arguments: [1] is no object"},
		"several things at once": {arguments{"limit": 0, "status": "x", "cursor": 7}, "cursor: 7 is no string"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.on(t)
			text := w.refusal("list_tasks", tt.arguments)
			require.Contains(t, text, tt.want)
			require.Contains(t, text, "charged: no\n")
			require.Contains(t, text, "list_tasks")
			require.Less(t, len(text), 1000)
		})
	}
}

func TestListFromALedgerThatCannotBeRead(t *testing.T) {
	w := newWorld(t, options{ledgerPath: spoiled(t)})
	text := w.refusal("list_tasks", nil)
	require.Contains(t, text, "No tasks were listed. LedgerUnavailable: ")
	require.Contains(t, text, "charged: no")
}

// spoiled is a ledger that is none.
func spoiled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600))
	return path
}
