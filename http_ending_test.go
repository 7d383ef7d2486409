package main_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ended is how something that was under way has ended.
type ended struct {
	at     time.Time
	status int
	text   string
	err    error
}

// A stop closes the HTTP side at once, and not the purchase: it is paid for.
func TestAServerStopsInOrder(t *testing.T) {
	t.Parallel()
	const slow = 3 * time.Second
	arrived := make(chan struct{}, 2)
	upstream := newService(t, 1, func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/video-synthesis") {
			arrived <- struct{}{}
		}
	})
	home := t.TempDir()
	s := serveHTTP(t, upstream.env(home)...)
	open := s.gets("", "generate_r2v", waving("at first")).answer.TaskID
	<-arrived
	fault, err := http.Post(upstream.URL+"/control/faults", "application/json", strings.NewReader(`{"fault":"slow","on":"create","delay_ms":3000}`))
	require.NoError(t, err)
	require.NoError(t, fault.Body.Close())
	require.Equal(t, http.StatusOK, fault.StatusCode)
	stream := s.listen()
	idle := s.counted("go_goroutines")
	under := func(body string) <-chan ended {
		done := make(chan ended, 1)
		go func() {
			var e ended
			e.status, e.text, e.err = s.try(t.Context(), http.MethodPost, "/mcp", body)
			e.at = time.Now()
			done <- e
		}()
		return done
	}
	const callers = 20
	waits := make([]<-chan ended, callers)
	for i := range waits {
		waits[i] = under(callLine(7, "get_task", map[string]any{"task_id": open, "wait_seconds": 50}))
	}
	stream.say(callLine(8, "get_task", map[string]any{"task_id": open, "wait_seconds": 50}))
	bought := under(callLine(9, "generate_r2v", waving("at last")))
	<-arrived
	sent := time.Now()
	require.Eventually(t, func() bool { return s.counted("go_goroutines") >= idle+2*callers }, 5*time.Second, 10*time.Millisecond, "all requests have been read")

	from := time.Now()
	s.stop()
	for _, wait := range waits {
		e := <-wait
		require.NoError(t, e.err, "a call that waits is answered, and not cut")
		require.Equal(t, http.StatusOK, e.status)
		require.Contains(t, []string{"PENDING", "RUNNING"}, readSaid(t, e.text).answer.Status)
		require.Less(t, e.at.Sub(from), 2*time.Second)
	}
	require.Contains(t, []string{"PENDING", "RUNNING"}, readSaid(t, stream.next()).answer.Status, "one on a stream as well")
	_, err = io.Copy(io.Discard, stream.in)
	require.NoError(t, err, "the stream ends as streams end")
	require.Less(t, time.Since(from), 2*time.Second)
	_, err = net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.Error(t, err, "nobody new is let in")
	closed := time.Since(from)
	require.Less(t, closed, 2*time.Second)
	purchase := <-bought
	require.NoError(t, purchase.err)
	require.Equal(t, "unknown", readSaid(t, purchase.text).answer.Charged, "its caller is told as much as is known")
	require.Less(t, purchase.at.Sub(from), 2*time.Second)

	require.Zero(t, s.end(), "%s", &s.stderr)
	require.Greater(t, time.Since(sent), slow-100*time.Millisecond, "it waits for the purchase")
	t.Logf("closed after %v, ended after %v", closed, time.Since(from))
	stdout, stderr, err := command(t, upstream.env(home), "", "tasks", "--json")
	require.NoError(t, err, stderr)
	var known struct {
		Tasks []struct {
			ProviderTaskID string `json:"provider_task_id"`
			Prompt, Status string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &known), stdout)
	require.Len(t, known.Tasks, 2)
	for _, task := range known.Tasks {
		require.NotEmpty(t, task.ProviderTaskID, task.Prompt)
		require.Contains(t, []string{"PENDING", "RUNNING"}, task.Status)
	}
	require.EqualValues(t, 2, upstream.creates.Load())
}
