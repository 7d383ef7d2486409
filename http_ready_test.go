package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Orchestrators and load balancers would send people to a server that can record nothing.
func TestAServerThatCannotWriteItsLedgerDoesNotStart(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	file := filepath.Join(home, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, tt := range map[string]struct {
		env  string
		want []string
	}{
		"a folder that cannot be made":  {"R2V_DATA_DIR=" + file + "/data", []string{"R2V_DATA_DIR: ", file, "may not be written", "Give this user the right to write it"}},
		"an address that is no address": {"R2V_DATABASE_URL=postgres://u:canary@[", []string{"R2V_DATABASE_URL: "}},
	} {
		stdout, stderr, err := command(t, append(s.env(home), "R2V_ADDR=127.0.0.1:0", tt.env), "", "http")
		require.Equal(t, 1, exitOf(t, err), name)
		require.Empty(t, stdout)
		require.NotContains(t, stderr, `"serving"`)
		require.NotContains(t, stderr, "canary")
		for _, want := range tt.want {
			require.Contains(t, stderr, want, name)
		}
	}
}

func TestADatabaseThatIsNotUpYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := serveHTTP(t, append(newService(t, 600).env(home), "R2V_DATABASE_URL=postgres://u:canary@127.0.0.1:1/r2v?sslmode=disable")...)
	status, text := s.send(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, status, text)
	require.Eventually(t, func() bool { return len(s.logged("the server is not ready")) > 0 }, 5*time.Second, 10*time.Millisecond)
	require.Contains(t, s.logged("the server is not ready")[0]["err"], "Start it or check R2V_DATABASE_URL")
	require.NotEmpty(t, s.asks("", "list_tasks", map[string]any{}).refusal)
	require.Eventually(t, func() bool { return len(s.logged("call")) > 0 }, 5*time.Second, 10*time.Millisecond)
	call := s.logged("call")[0]
	require.Equal(t, "failed", call["outcome"])
	require.Equal(t, "LedgerUnavailable", call["code"])
	require.Contains(t, call["err"], "could not be reached")
	require.NotContains(t, s.stderr.String(), "canary")
}

func TestASavedClipWhoseFileIsGoneIsNotLinked(t *testing.T) {
	t.Parallel()
	upstream, home := newService(t, 600), t.TempDir()
	tokens, of := tokensIn(t, home, "alice")
	saved := t.TempDir()
	s := serveHTTP(t, append(upstream.env(home), tokens, "R2V_SAVE_DIR="+saved)...)
	id := s.gets(of["alice"], "generate_r2v", waving("they dance")).answer.TaskID
	_, text := s.post(of["alice"], "get_task", map[string]any{"task_id": id, "wait_seconds": 20})
	require.Contains(t, text, "/clips/"+id+".mp4")
	require.NoError(t, os.Remove(filepath.Join(saved, id+".mp4")))
	_, text = s.post(of["alice"], "get_task", map[string]any{"task_id": id})
	require.NotContains(t, text, "/clips/")
	require.NotContains(t, text, saved)
	require.Contains(t, text, "the saved clip is gone")
	require.Contains(t, text, "Done: give the user video_url and say when it dies.")
}

func TestAWrongBucketIsToldAtTheStart(t *testing.T) {
	t.Parallel()
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`<Error><Code>NoSuchBucket</Code></Error>`))
	}))
	t.Cleanup(storage.Close)
	s := serveHTTP(t, append(newService(t, 600).env(t.TempDir()), "R2V_SAVE_URL=s3://missing/clips?endpoint="+storage.URL,
		"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=canary-of-the-storage")...)
	s.stderr.await(t, `"clips cannot be saved"`)
	require.Eventually(t, func() bool { return len(s.logged("clips cannot be saved")) == 1 }, 5*time.Second, 10*time.Millisecond)
	require.Contains(t, s.logged("clips cannot be saved")[0]["err"], "make it, or correct R2V_SAVE_URL")
	require.Equal(t, 1, strings.Count(s.stderr.String(), "clips cannot be saved"))
	require.NotContains(t, s.stderr.String(), "canary-of")
}
