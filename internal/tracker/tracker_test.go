package tracker_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// inMemory carries requests to a handler without a socket, so that they take no real time in a synctest bubble.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// follow makes a tracker on a simulator at its own pace: minutes, in fake time.
func follow(t *testing.T) (*tracker.Tracker, *simulator.Server) {
	t.Helper()
	sim := simulator.New(simulator.Options{})
	return &tracker.Tracker{
		Provider: providerOver(t, inMemory{sim}), Ledger: ledger.NewMemory(10 * time.Minute), PollInterval: 15 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}, sim
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
	return video.Order{Request: r.Request, Fingerprint: r.Fingerprint()}
}

// looked counts the reads that reached the service.
func looked(t *testing.T, sim http.Handler) int { t.Helper(); return counted(t, sim, "get") }

func counted(t *testing.T, sim http.Handler, call string) int {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/control/counters", strings.NewReader(""))
	r.RemoteAddr = "" // as in memory
	sim.ServeHTTP(w, r)
	var counters map[string]int
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &counters), w.Body.String())
	return counters[call]
}

func TestWaitHoldsTheCallAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)

		start := time.Now()
		task, err = tr.Wait(t.Context(), task.ID, 50*time.Second)
		require.NoError(t, err)
		require.Equal(t, 50*time.Second, time.Since(start))
		require.Equal(t, video.Running, task.Status)
		require.Equal(t, 4, looked(t, sim), "at 0, 15, 30 and 45 s")

		start = time.Now()
		task, err = tr.Wait(t.Context(), task.ID, 0)
		require.NoError(t, err)
		require.Zero(t, time.Since(start), "what was just looked at is not looked at again")
		require.Equal(t, 4, looked(t, sim))
		require.Equal(t, video.Running, task.Status)
	})
}

func TestWaitReturnsWhenTheTaskEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		task, err = tr.Wait(t.Context(), task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Equal(t, video.WasCharged, task.Charged())
		require.Less(t, time.Since(task.EndedAt), 16*time.Second, "seen within one poll interval")
		require.WithinDuration(t, task.EndedAt.Add(24*time.Hour), task.VideoURLExpiresAt(), time.Second)
	})
}

func TestManyWaitersLookOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				got, err := tr.Wait(t.Context(), task.ID, 40*time.Second)
				require.NoError(t, err)
				require.Equal(t, task.ID, got.ID)
			})
		}
		wait.Wait()
		require.LessOrEqual(t, looked(t, sim), 3)
	})
}

func TestTaskIsForgottenAfter24Hours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		time.Sleep(25 * time.Hour) // in the bubble: fake time
		task, err = tr.Wait(t.Context(), task.ID, time.Minute)
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
		task, err = tr.Wait(t.Context(), task.ID, 30*time.Second)
		require.ErrorContains(t, err, "younger than 24 hours")
		require.Equal(t, video.Pending, task.Status, "the last state that was known stays")
	})
}

func TestOutageIsToldAndPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 [[fault:503@get x8]]"))
		require.NoError(t, err)
		task, err = tr.Wait(t.Context(), task.ID, 20*time.Second)
		require.ErrorContains(t, err, "ModelUnavailable")
		require.Equal(t, video.Pending, task.Status, "the last state that was known stays")
		task, err = tr.Wait(t.Context(), task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
	})
}
