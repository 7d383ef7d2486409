package tracker_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// follow makes a tracker on a simulator at its own pace: minutes, in fake time. It follows its tasks as the program does.
func follow(t *testing.T) (*tracker.Tracker, *simulator.Server) {
	t.Helper()
	tr, sim, _ := followUntil(t)
	return tr, sim
}

// followUntil is follow until stop is called.
func followUntil(t *testing.T) (tr *tracker.Tracker, sim *simulator.Server, stop func()) {
	t.Helper()
	sim = simulator.New(simulator.Options{})
	tr = onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
	return tr, sim, run(t, tr)
}

// onLedger makes the tracker of one process on a ledger that may have others.
func onLedger(t *testing.T, path string, sim http.Handler) *tracker.Tracker {
	t.Helper()
	l := ledger.New(ledger.Options{Path: path, Upstream: "simulator", Account: "ours", Window: 10 * time.Minute, Zone: time.UTC})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return &tracker.Tracker{
		Provider: providerOver(t, simulatortest.Transport(sim)), Ledger: l, PollInterval: 15 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
}

// run lets a tracker follow tasks until the test ends, or stop is called: then nothing of it goes on.
func run(t *testing.T, tr *tracker.Tracker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { tr.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(func() { stop(); tr.Drain() })
	return stop
}

// pass lets time go by with a round a minute: so often is a purchase of unknown fate looked for once it is ten minutes old. In the
// seconds between, a tracker that runs only asks the ledger whether it is time.
func pass(t *testing.T, tr *tracker.Tracker, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Minute)
		tr.Round(t.Context())
	}
}

func providerOver(t *testing.T, transport http.RoundTripper) provider.Provider {
	t.Helper()
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	client, err := dashscope.New(dashscope.Config{
		BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test-key", HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(t, err)
	return provider.NewDashScope(client, catalogue)
}

func order(t *testing.T, prompt string) video.Order {
	t.Helper()
	c, err := video.BuiltIn()
	require.NoError(t, err)
	r := c.Check(video.Request{Prompt: prompt, References: []video.Reference{{URL: "https://media.example/a.png"}}}, "simulator")
	require.Empty(t, r.Problems)
	one := decimal.NewFromInt(1)
	return video.Order{
		Request: r.Request, Fingerprint: r.Fingerprint(),
		Estimate: video.Cost{Low: one, High: one, PerSecond: decimal.New(1, -1), Currency: "USD"},
	}
}

// looked counts the reads that reached the service.
func looked(t *testing.T, sim http.Handler) int { t.Helper(); return counted(t, sim, "get") }

func counted(t *testing.T, sim http.Handler, call string) int {
	t.Helper()
	var counters map[string]int
	control(t, sim, "/control/counters", &counters)
	return counters[call]
}

// tasksOf are the prompts of all tasks that the service has made.
func tasksOf(t *testing.T, sim http.Handler) map[string]string {
	t.Helper()
	var tasks []struct {
		ID     string `json:"task_id"`
		Prompt string
	}
	control(t, sim, "/control/tasks", &tasks)
	prompts := map[string]string{}
	for _, task := range tasks {
		prompts[task.ID] = task.Prompt
	}
	return prompts
}

func control(t *testing.T, sim http.Handler, path string, into any) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, strings.NewReader(""))
	r.RemoteAddr = "" // as in memory
	sim.ServeHTTP(w, r)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), into), w.Body.String())
}

func TestWaitHoldsTheCallAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)

		start := time.Now()
		task, err = tr.Wait(t.Context(), "", task.ID, 50*time.Second)
		require.NoError(t, err)
		require.Equal(t, 50*time.Second, time.Since(start))
		require.Equal(t, video.Running, task.Status)
		require.LessOrEqual(t, looked(t, sim), 10)
		before := looked(t, sim)

		start = time.Now()
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		require.Equal(t, before, looked(t, sim), "the ledger is asked, not the service")
		require.Equal(t, video.Running, task.Status)
	})
}

func TestWaitReturnsWhenTheTaskEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Equal(t, video.WasCharged, task.Charged())
		require.Less(t, time.Since(task.EndedAt), 5*time.Second)
		require.WithinDuration(t, task.EndedAt.Add(24*time.Hour), task.VideoURLExpiresAt(), time.Second)
	})
}

func TestWaitersCostNoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				got, err := tr.Wait(t.Context(), "", task.ID, 40*time.Second)
				require.NoError(t, err)
				require.Equal(t, task.ID, got.ID)
			})
		}
		wait.Wait()
		require.LessOrEqual(t, looked(t, sim), 6)
	})
}

func TestTaskIsForgottenAfter24Hours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{}))
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		time.Sleep(25 * time.Hour) // nobody looks; in the bubble it is fake time
		run(t, tr)
		task, err = tr.Wait(t.Context(), "", task.ID, time.Minute)
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status)
		require.Equal(t, video.ChargedUnknown, task.Charged())
	})
}

func TestServiceThatForgetsEarlyEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		other, _ := follow(t) // another account: it does not know the task
		tr.Provider = other.Provider
		task, err = tr.Wait(t.Context(), "", task.ID, 30*time.Second)
		require.ErrorContains(t, err, "younger than 24 hours")
		require.Equal(t, video.Pending, task.Status, "the last state that was known stays")
	})
}

func TestOutageIsToldAndPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 [[fault:503@get x8]]"))
		require.NoError(t, err)
		task, err = tr.Wait(t.Context(), "", task.ID, 25*time.Second) // the client tries again for some seconds
		require.ErrorContains(t, err, "ModelUnavailable")
		require.Equal(t, video.Pending, task.Status, "the last state that was known stays")
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
	})
}
