package tools_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// The agent of somebody elsewhere can mend nothing of the server, and is not to learn where what is.
func TestALedgerThatCannotBeUsedIsTheOperatorsMatter(t *testing.T) {
	path := spoiled(t)
	w := newWorld(t, options{ledgerPath: path, budgetPerDay: "1"})
	here := w.refusal("list_tasks", nil)
	require.Contains(t, here, path)
	require.Contains(t, here, "Restore it from a backup")
	require.Contains(t, w.refusal("generate_r2v", wan27(nil)), path)

	set := w.set(options{ledgerPath: path, budgetPerDay: "1"})
	set.HidePaths = true
	var told []tools.Call
	set.Called = func(_ context.Context, c tools.Call) { told = append(told, c) }
	w.connect(set)
	var texts []string
	for tool, in := range map[string]arguments{
		"list_tasks": nil, "generate_r2v": wan27(nil), "get_task": {"task_id": "r2v-x"}, "cancel_task": {"task_id": "r2v-x"},
	} {
		text := w.refusal(tool, in)
		require.Contains(t, text, "LedgerUnavailable: the server's ledger cannot be used now", tool)
		require.Contains(t, text, "next_step: Tell the operator of this server", tool)
		texts = append(texts, text)
	}
	require.Contains(t, w.refusal("generate_r2v", wan27(nil)), "nothing was bought")
	texts = append(texts, w.refusal("generate_r2v", wan27(arguments{"max_cost": 0.01, "idempotency_key": "k"})))
	texts = append(texts, fmt.Sprint(w.answer("estimate_cost", wan27(nil))))
	for _, text := range texts {
		require.NotContains(t, text, filepath.Dir(path))
		require.NotContains(t, text, "R2V_")
		require.NotContains(t, text, "backup")
	}
	for _, c := range told[:4] {
		require.Equal(t, "LedgerUnavailable", c.Code)
		require.ErrorContains(t, c.Err, path, "the operator is told")
	}
}

func TestALinkInAListSaysWhenItDies(t *testing.T) {
	ended := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	task := video.Task{CreatedAt: ended, Snapshot: video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", EndedAt: ended}}
	row := listed(tellingOf(t, task).answer("list_tasks", nil))[0]
	require.Equal(t, ended.Add(24*time.Hour).Format(time.RFC3339), row["video_url_expires_at"])
	task.SavedTo = "/v/a.mp4"
	row = listed(tellingOf(t, task).answer("list_tasks", nil))[0]
	require.NotContains(t, row, "video_url")
	require.NotContains(t, row, "video_url_expires_at")
}

func TestASavedClipThatIsGoneIsNotOffered(t *testing.T) {
	for name, tt := range map[string]struct {
		age  time.Duration
		hide bool
		url  any
		next string
	}{
		"here":                                 {url: "https://results.example/a.mp4", next: "Done: give the user video_url and say when it dies."},
		"elsewhere":                            {hide: true, url: "https://results.example/a.mp4", next: "Done: give the user video_url and say when it dies."},
		"here, and the link has died":          {age: 48 * time.Hour, next: "is gone"},
		"elsewhere, and the link has died too": {age: 48 * time.Hour, hide: true, next: "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, saveDir: t.TempDir(), upstream: httptest.NewServer(nil)}
			t.Cleanup(w.upstream.Close)
			set := w.set(options{})
			set.HidePaths = tt.hide
			set.Link = func(context.Context, *video.Task) (string, time.Time, error) {
				return "", time.Time{}, fmt.Errorf("open /v/a.mp4: %w", fs.ErrNotExist)
			}
			set.Tasks = told{task: video.Task{
				ID: "r2v-x", SavedTo: "/v/a.mp4", CreatedAt: time.Now().Add(-tt.age - time.Minute),
				Snapshot: video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", EndedAt: time.Now().Add(-tt.age)},
			}}
			w.connect(set)
			task := w.answer("get_task", arguments{"task_id": "r2v-x"})
			for _, answer := range []map[string]any{task, listed(w.answer("list_tasks", nil))[0]} {
				require.Equal(t, tt.url, answer["video_url"])
				require.NotContains(t, answer, "saved_to")
				require.Contains(t, warningsOf(answer), "the saved clip is gone")
				require.Equal(t, !tt.hide, strings.Contains(warningsOf(answer), "/v/a.mp4"))
			}
			require.Contains(t, task["next_step"], tt.next)
		})
	}
}

// Over HTTP the files of whoever asks are on another computer.
func TestFilesOfAnotherComputerAreRefusedAsSuch(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone.png" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprint(rw, "<!DOCTYPE html><html><body>a page</body></html>")
	}))
	t.Cleanup(web.Close)
	door, err := egress.NewClient(egress.Settings{Allow: []string{web.Listener.Addr().String()}})
	require.NoError(t, err)
	w := newWorld(t, options{})
	set := w.set(options{looks: door})
	set.HidePaths, set.NoFiles = true, true
	w.connect(set)
	for _, address := range []string{"/home/anna/dancer.mp4", "dancer.png", "file:///tmp/a.png", `C:\a.png`, "~/a.png", web.URL + "/gone.png", web.URL + "/page.png", ""} {
		for _, model := range []string{"wan2.7-r2v", "wan2.6-r2v"} {
			text := w.refusal("generate_r2v", wan27(arguments{"model": model, "prompt": "they dance", "references": refs(ref(address, "image"))}))
			for _, words := range []string{"this computer", "local file", "the client did not say", "R2V_FILE_ROOTS", "this machine"} {
				require.NotContains(t, text, words, address)
			}
			if address != "" && !strings.HasPrefix(address, web.URL) {
				require.Contains(t, text, "files of your computer are not on this server", address)
				require.Contains(t, text, "a public link")
				require.Equal(t, model == "wan2.7-r2v", strings.Contains(text, "data:image/…;base64"))
			}
		}
	}
}
