package main_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/metrics"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/serve"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// caller is a provider that calls back: what it says of its tasks, and how often it was asked.
type caller struct {
	provider.WithoutKey // has neither lists nor files

	mu     sync.Mutex
	loses  bool // answers to purchases are lost
	tasks  map[string]video.Status
	wants  map[string]string // the addresses of callbacks, by task
	asked  int
	latest []time.Time // when tasks were asked for
}

func (c *caller) Create(_ context.Context, p provider.Purchase) (provider.Bought, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := "task-unified-" + strconv.Itoa(len(c.tasks))
	c.tasks[id], c.wants[id] = video.Running, p.CallbackURL
	if c.loses {
		return provider.Bought{}, errors.New("the line was cut")
	}
	return provider.Bought{ID: id}, nil
}

func (c *caller) Look(_ context.Context, id string) (video.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.latest = append(c.latest, time.Now())
	switch c.tasks[id] {
	case "":
		return video.Snapshot{Status: video.Unknown}, nil
	case video.Succeeded:
		return video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4", Bill: &decimal.Zero}, nil
	}
	return video.Snapshot{Status: c.tasks[id]}, nil
}

func (c *caller) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// hinted is a server that takes callbacks in, with a tracker behind it that looks for nothing of itself.
type hinted struct {
	*testing.T
	*caller
	tasks *tracker.Tracker
	url   string
	log   *hintLog
	count http.Handler
}

// hintLog is a log that is read while it is written.
type hintLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *hintLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func takesHints(t *testing.T) *hinted {
	t.Helper()
	h := &hinted{T: t, caller: &caller{tasks: map[string]video.Status{}, wants: map[string]string{}}, log: &hintLog{}}
	logger := slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	counted := metrics.New("test")
	h.count = counted.Handler()
	l := ledger.New(ledger.Options{Path: filepath.Join(t.TempDir(), "ledger.db"), Upstream: "relay", Window: time.Minute})
	h.tasks = &tracker.Tracker{
		Provider: h.caller, Ledger: l, PollInterval: time.Minute, ReadInterval: time.Second, CreateTurn: time.Millisecond, Logger: logger, Hinted: counted.Hint,
	}
	srv := httptest.NewServer(serve.Handler(serve.Options{
		Server: serve.NewServer("test", "", nil), Logger: logger, Callback: h.tasks.Hint, CallbackRefused: func() { counted.Hint("refused") },
		Auth: func(http.Handler) http.Handler { return http.NotFoundHandler() }, // nobody has a token
	}))
	h.url = srv.URL
	h.tasks.HintURL = srv.URL + "/callbacks/"
	t.Cleanup(func() { srv.Close(); h.tasks.Drain(); require.NoError(t, l.Close()) })
	return h
}

func (h *hinted) buys(prompt string) video.Task {
	h.Helper()
	one := decimal.NewFromInt(1)
	task, _, err := h.tasks.Create(h.Context(), video.Order{
		Request: video.Request{Model: "wan2.6-r2v", Prompt: prompt}, Fingerprint: prompt, Estimate: video.Cost{Low: one, High: one, PerSecond: one, Currency: "USD"},
	})
	require.NoError(h, err)
	return task
}

// calls sends a callback as the provider does, and returns the status.
func (h *hinted) calls(to, body string) int {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, to, strings.NewReader(body))
	require.NoError(h, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(h, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(h, err)
	if resp.StatusCode == http.StatusNoContent {
		require.Empty(h, text)
	}
	return resp.StatusCode
}

// counts tells how many callbacks had an outcome.
func (h *hinted) counts(outcome string) int {
	w := httptest.NewRecorder()
	h.count.ServeHTTP(w, httptest.NewRequestWithContext(h.Context(), http.MethodGet, "/metrics", nil))
	_, rest, _ := strings.Cut(w.Body.String(), `r2v_hints_total{outcome="`+outcome+`"} `)
	number, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(number)
	return n
}

func (h *hinted) comesTo(outcome string, n int) {
	h.Helper()
	require.Eventually(h, func() bool { return h.counts(outcome) >= n }, 10*time.Second, 5*time.Millisecond, outcome)
}

func (h *hinted) now(id string) video.Task {
	h.Helper()
	task, err := h.tasks.Ledger.Task(h.Context(), id)
	require.NoError(h, err)
	return task
}

func TestACallbackIsBelievedInNothing(t *testing.T) {
	t.Parallel()
	h := takesHints(t)
	task := h.buys("character1 waves")
	to := h.wants[task.ProviderTaskID]
	require.Equal(t, h.url+"/callbacks/"+task.Hint, to)

	forged := `{"id":"` + task.ProviderTaskID + `","status":"completed","results":["https://evil.example/a.mp4"],"usage":{"credits_used":999}}`
	require.Equal(t, http.StatusNoContent, h.calls(to, forged))
	h.comesTo("looked", 1)
	require.Equal(t, video.Running, h.now(task.ID).Status)
	require.Empty(t, h.now(task.ID).VideoURL)
	require.Equal(t, http.StatusNoContent, h.calls(to, forged))
	require.Equal(t, http.StatusNoContent, h.calls(to, forged))
	h.comesTo("looked", 2)
	require.Equal(t, 2, h.times(), "twice the same is one look more, in its time")
	h.mu.Lock()
	require.GreaterOrEqual(t, h.latest[1].Sub(h.latest[0]), time.Second)
	h.mu.Unlock()

	for _, path := range []string{"aaaaaaaaaaaaaaaaaaaaaaaaaa", task.ID, "x"} {
		ignored := h.counts("ignored")
		require.Equal(t, http.StatusNoContent, h.calls(h.url+"/callbacks/"+path, forged), "as for any other")
		h.comesTo("ignored", ignored+1)
	}
	require.Equal(t, 2, h.times(), "nobody asks for what nobody knows")

	h.mu.Lock()
	h.caller.tasks[task.ProviderTaskID] = video.Succeeded
	h.mu.Unlock()
	require.Equal(t, http.StatusNoContent, h.calls(to, `{"id":"`+task.ProviderTaskID+`","status":"failed"}`))
	h.comesTo("looked", 3)
	require.Equal(t, video.Succeeded, h.now(task.ID).Status, "what the provider says when it is asked")
	require.Equal(t, "https://media.example/a.mp4", h.now(task.ID).VideoURL)
	ignored := h.counts("ignored")
	require.Equal(t, http.StatusNoContent, h.calls(to, forged))
	h.comesTo("ignored", ignored+1)
	require.Equal(t, 3, h.times(), "it has ended")
	h.quiet(task)
}

func TestACallbackTellsTheIDOfAPurchaseWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	h := takesHints(t)
	h.loses = true
	task := h.buys("character1 waves")
	require.True(t, task.InDoubt())
	to := h.wants["task-unified-0"]
	require.Equal(t, http.StatusNoContent, h.calls(to, `{"id":"task-unified-77","status":"completed"}`))
	h.comesTo("ignored", 1)
	now := h.now(task.ID)
	require.True(t, now.InDoubt(), "the provider does not know it")
	require.Equal(t, http.StatusNoContent, h.calls(to, `{"id":"task-unified-0","status":"completed"}`))
	h.comesTo("found", 1)
	now = h.now(task.ID)
	require.Equal(t, "task-unified-0", now.ProviderTaskID)
	require.Equal(t, video.Running, now.Status, "whatever the callback says")
	require.Equal(t, 2, h.times())
	h.quiet(task)
}

func TestAFloodOfCallbacksCostsFewLooks(t *testing.T) {
	t.Parallel()
	h := takesHints(t)
	task := h.buys("character1 waves")
	began, answers := time.Now(), map[int]int{}
	for range 300 {
		answers[h.calls(h.wants[task.ProviderTaskID], `{}`)]++
	}
	took := time.Since(began)
	require.Equal(t, 300, answers[http.StatusNoContent]+answers[http.StatusTooManyRequests], "%v", answers)
	require.GreaterOrEqual(t, answers[http.StatusTooManyRequests], 300-10-int(10*took.Seconds())-1)
	require.LessOrEqual(t, h.times(), 2+int(took/(300*time.Millisecond)))
	require.Equal(t, answers[http.StatusTooManyRequests], h.counts("refused"))
	h.quiet(task)
}

// quiet requires that the hint is nowhere to be seen.
func (h *hinted) quiet(task video.Task) {
	h.Helper()
	w := httptest.NewRecorder()
	h.count.ServeHTTP(w, httptest.NewRequestWithContext(h.Context(), http.MethodGet, "/metrics", nil))
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	require.NotEmpty(h, h.log.text.String())
	for _, text := range []string{h.log.text.String(), w.Body.String()} {
		require.NotContains(h, text, task.Hint)
		require.NotContains(h, text, "/callbacks")
	}
}
