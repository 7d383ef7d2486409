package dashscope_test

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

// clocked is a transport that answers at once and notes when it was asked.
type clocked struct {
	status int // 200 when 0
	body   string

	mu sync.Mutex
	at []time.Time
}

func (c *clocked) RoundTrip(*http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	return &http.Response{StatusCode: cmp.Or(c.status, 200), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

// busiest returns the most requests in any second, both ends counted.
func (c *clocked) busiest() int {
	slices.SortFunc(c.at, time.Time.Compare)
	most := 0
	for i, from := range c.at {
		n := 0
		for _, at := range c.at[i:] {
			if at.Sub(from) <= time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestNoSecondHoldsMoreRequestsThanDocumented(t *testing.T) {
	tests := map[string]struct {
		limit int
		body  string
		call  func(context.Context, *dashscope.Client) error
	}{
		"creates": {5, text(t, "create-accepted.json"), func(ctx context.Context, c *dashscope.Client) error {
			_, err := c.CreateVideo(ctx, video())
			return err
		}},
		"queries": {20, text(t, "task-running.json"), func(ctx context.Context, c *dashscope.Client) error {
			_, err := c.GetTask(ctx, "t")
			return err
		}},
		"lists": {20, text(t, "list.json"), func(ctx context.Context, c *dashscope.Client) error {
			_, err := c.ListTasks(ctx, dashscope.ListTasksRequest{})
			return err
		}},
		"cancels": {20, text(t, "cancel-accepted.json"), func(ctx context.Context, c *dashscope.Client) error { return c.CancelTask(ctx, "t") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &clocked{body: test.body}
				c := newClient(t, dashscope.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: service}})
				burst := func(n int) {
					var all sync.WaitGroup
					for range n {
						all.Go(func() {
							if err := test.call(t.Context(), c); err != nil {
								t.Error(err)
							}
						})
					}
					all.Wait()
				}
				began := time.Now()
				burst(3 * test.limit)
				require.Less(t, time.Since(began), 4*time.Second, "slower than the limit asks for")
				<-time.After(10 * time.Second) // a bucket that fills while idle must not spill
				burst(3 * test.limit)
				require.Len(t, service.at, 6*test.limit)
				require.Equal(t, test.limit, service.busiest())
			})
		})
	}
}

func TestOneKindOfCallDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &clocked{body: text(t, "task-running.json")}
		c := newClient(t, dashscope.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: service}})
		began := time.Now()
		_, err := c.CreateVideo(t.Context(), video())
		require.NoError(t, err)
		_, err = c.GetTask(t.Context(), "t")
		require.NoError(t, err)
		require.Zero(t, time.Since(began))
	})
}

func TestAContextThatEndsWhileWaitingForTheRateIsNotSent(t *testing.T) {
	ends := map[string]struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		is      error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		}, context.Canceled},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &clocked{body: text(t, "create-accepted.json")}
				c := newClient(t, dashscope.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: service}})
				_, err := c.CreateVideo(t.Context(), video())
				require.NoError(t, err)
				ctx, cancel := end.context(t.Context())
				defer cancel()
				_, err = c.CreateVideo(ctx, video())
				require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
				require.ErrorIs(t, err, end.is)
				require.Len(t, service.at, 1)
			})
		})
	}
}
