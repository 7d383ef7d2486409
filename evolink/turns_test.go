package evolink_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

// clocked is a transport that answers after a while and notes when each path was asked for.
type clocked struct {
	status int
	body   string
	takes  time.Duration

	mu sync.Mutex
	at []time.Time
}

func (c *clocked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.at = append(c.at, time.Now())
	c.mu.Unlock()
	body := c.body
	if body == "" {
		body = fmt.Sprintf(`{"id":%q,"status":"processing"}`, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	}
	select {
	case <-time.After(c.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (c *clocked) times(since time.Time) []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []time.Duration
	for _, at := range c.at {
		all = append(all, at.Sub(since))
	}
	return all
}

func clock(t *testing.T, service *clocked) *evolink.Client {
	return newClient(t, evolink.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: service}})
}

func TestNoTaskIsReadMoreOftenThanTheInterval(t *testing.T) {
	for name, service := range map[string]*clocked{
		"at once": {status: 200}, "slowly": {status: 200, takes: 3 * time.Second},
		"failing": {status: 503, body: "busy"}, "throttled": {status: 429, body: text(t, "throttled-429-rate-limit.json")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clock(t, service)
				began := time.Now()
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() { _, _ = c.GetTask(t.Context(), "t") })
				}
				all.Wait()
				step := service.takes + evolink.ReadInterval
				require.Equal(t, []time.Duration{0, step, 2 * step, 3 * step}, service.times(began))
			})
		})
	}
}

func TestABatchCountsForEachOfItsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &clocked{status: 200, body: `{"data":[],"id":"a","status":"processing"}`}
		c := clock(t, service)
		began := time.Now()
		_, err := c.GetTask(t.Context(), "a")
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		_, err = c.BatchTasks(t.Context(), []string{"b", "a", "b"}) // waits for a
		require.NoError(t, err)
		_, err = c.GetTask(t.Context(), "b") // waits for the batch
		require.ErrorContains(t, err, "another task")
		_, err = c.BatchTasks(t.Context(), []string{"c"}) // for nothing
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, 8 * time.Second, 16 * time.Second, 16 * time.Second}, service.times(began))
	})
}

func TestOtherCallsDoNotWaitForTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &clocked{status: 200, body: text(t, "task-processing.json")}
		c := clock(t, service)
		began := time.Now()
		for range 3 {
			_, err := create(t.Context(), c)
			require.NoError(t, err)
		}
		_, err := c.GetTask(t.Context(), taskID)
		require.NoError(t, err)
		_, _ = c.ListTasks(t.Context(), evolink.ListTasksRequest{})
		_, _ = c.Credits(t.Context())
		_, _ = c.GetTask(t.Context(), "t-2")
		require.Zero(t, time.Since(began))
	})
}

func TestAContextThatEndsWhileWaitingForATurnIsNotSent(t *testing.T) {
	for name, is := range map[string]error{"deadline": context.DeadlineExceeded, "cancel": context.Canceled} {
		for _, takes := range []time.Duration{0, time.Minute} { // waiting for the interval, or for the read under way
			t.Run(fmt.Sprint(name, takes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					service := &clocked{status: 200, takes: takes}
					c := clock(t, service)
					go func() { _, _ = c.GetTask(t.Context(), "t") }()
					synctest.Wait()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					if name == "cancel" {
						cancel()
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(time.Second, cancel)
					}
					defer cancel()
					began := time.Now()
					_, err := c.GetTask(ctx, "t")
					require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
					require.ErrorIs(t, err, is)
					if name == "deadline" && takes == 0 {
						require.Zero(t, time.Since(began), "a turn that comes too late is not waited for")
					}
					require.LessOrEqual(t, time.Since(began), time.Second)
					require.Len(t, service.times(began), 1)
				})
			})
		}
	}
}

// A read that found no connection did not reach the service: the task may be read again as soon as there is one.
func TestADialFailureUsesUpNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, p := inMemory(t, 2, answer(reply{status: 200, body: text(t, "task-processing.json")}))
		began := time.Now()
		_, err := c.GetTask(t.Context(), taskID)
		require.NoError(t, err)
		require.Less(t, time.Since(began), evolink.ReadInterval)
		require.Equal(t, 3, p.dialed())
		require.Len(t, u.requests(), 1)
	})
}
