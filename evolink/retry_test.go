package evolink_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

func TestAThrottledCreateIsRepeatedWithTheSameKeyUntilItIsAccepted(t *testing.T) {
	for _, name := range []string{"throttled-429-rate-limit.json", "throttled-429-rate-limit-query.json", "throttled-429-integer-code.json"} {
		synctest.Test(t, func(t *testing.T) {
			c, u, _ := inMemory(t, 0, answer(reply{status: 429, body: text(t, name)}, reply{status: 200, body: text(t, "create-accepted.json")}))
			task, err := create(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, taskID, task.ID)
			require.Len(t, u.requests(), 2)
			require.Equal(t, u.requests()[0], u.requests()[1])
			require.Contains(t, u.requests()[1], "\nIdempotency-Key: "+idem+"\n")
			require.Equal(t, u.bodies()[0], u.bodies()[1])
		})
	}
}

func TestThrottlesEndTheCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, _ := inMemory(t, 0, answer(reply{status: 429, body: text(t, "throttled-429-rate-limit.json")}))
		began := time.Now()
		_, err := create(t.Context(), c)
		e := failure(t, err)
		require.Equal(t, evolink.FateRefused, e.Fate())
		require.True(t, e.Throttled())
		require.True(t, e.Transient())
		require.Equal(t, "rate_limit_exceeded", e.Code)
		require.LessOrEqual(t, time.Since(began), 40*time.Second)
		require.Greater(t, len(u.requests()), 3)
		require.LessOrEqual(t, len(u.requests()), 8)
	})
}

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	for asked, waited := range map[string]time.Duration{"7": 7 * time.Second, "60": 30 * time.Second, "86400": 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			header := map[string]string{"Retry-After": asked}
			c, u, _ := inMemory(t, 0, answer(
				reply{429, text(t, "throttled-429-rate-limit.json"), header}, reply{status: 200, body: text(t, "create-accepted.json")},
				reply{503, "", header}, reply{status: 200, body: text(t, "list.json")}))
			began := time.Now()
			_, err := create(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, waited, time.Since(began))
			_, err = c.ListTasks(t.Context(), evolink.ListTasksRequest{})
			require.NoError(t, err)
			require.Equal(t, 2*waited, time.Since(began))
			require.Len(t, u.requests(), 4)
		})
	}
}

func TestRetryAfterBeyondTheDeadlineIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(25 * time.Second).UTC().Format(http.TimeFormat)
		c, u, _ := inMemory(t, 0, answer(reply{429, text(t, "throttled-429-rate-limit.json"), map[string]string{"Retry-After": at}}))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		_, err := create(ctx, c)
		require.Equal(t, evolink.FateRefused, failure(t, err).Fate())
		require.Equal(t, 25*time.Second, failure(t, err).RetryAfter(), "who called may do so")
		require.Zero(t, time.Since(began))
		require.Len(t, u.requests(), 1)
	})
}

func TestDialFailuresAreRepeatedAndThenNotSent(t *testing.T) {
	calls := map[string]func(context.Context, *evolink.Client) error{
		"create": func(ctx context.Context, c *evolink.Client) error { _, err := create(ctx, c); return err },
		"get":    func(ctx context.Context, c *evolink.Client) error { _, err := c.GetTask(ctx, "t"); return err },
		"list": func(ctx context.Context, c *evolink.Client) error {
			_, err := c.ListTasks(ctx, evolink.ListTasksRequest{})
			return err
		},
		"url": func(ctx context.Context, c *evolink.Client) error {
			_, err := c.UploadURL(ctx, "https://example.com/a", "")
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, u, p := inMemory(t, 1000, answer(reply{status: 200}))
				began := time.Now()
				err := call(t.Context(), c)
				e := failure(t, err)
				require.Equal(t, evolink.FateNotSent, e.Fate())
				require.True(t, e.Transient())
				require.Zero(t, e.StatusCode)
				require.ErrorContains(t, err, ": cannot reach 127.0.0.1: dial tcp")
				require.LessOrEqual(t, time.Since(began), 30*time.Second)
				require.Equal(t, 4, p.dialed())
				require.Empty(t, u.requests())
			})
		})
	}
}

func TestACreateGoesOutOnceAfterDialFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, p := inMemory(t, 3, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
		_, err := create(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, 4, p.dialed())
		require.Len(t, u.requests(), 1)
	})
}

func TestListsAndCreditsAreRepeatedAndTasksAreNot(t *testing.T) {
	list := text(t, "list.json")
	tests := map[string]struct {
		handler   http.HandlerFunc
		requests  int
		transient bool
	}{
		"500":              {answer(reply{status: 500}), 1, true},
		"502":              {answer(reply{status: 502, body: text(t, "bad-gateway-502.html")}), 4, true},
		"503":              {answer(reply{status: 503, body: text(t, "failed-503-service-unavailable.json")}), 4, true},
		"504":              {answer(reply{status: 504}), 4, true},
		"429 with no code": {answer(reply{status: 429}), 4, true},
		"429 throttled":    {answer(reply{status: 429, body: text(t, "throttled-429-rate-limit-query.json")}), 4, true},
		"429 over quota":   {answer(reply{status: 429, body: text(t, "refused-429-daily-quota.json")}), 1, false},
		"501":              {answer(reply{status: 501}), 1, false},
		"400":              {answer(reply{status: 400, body: text(t, "refused-400-invalid-task-id.json")}), 1, false},
		"401":              {answer(reply{status: 401, body: text(t, "refused-401-unauthorized.json")}), 1, false},
		"not json":         {answer(reply{status: 200, body: "hello"}), 1, false},
		"hang up":          {hangUp, 4, true},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(list)))
			io.WriteString(w, list[:20])
		}, 4, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, u, _ := inMemory(t, 0, test.handler)
				_, err := c.ListTasks(t.Context(), evolink.ListTasksRequest{})
				require.Equal(t, test.transient, failure(t, err).Transient())
				require.Len(t, u.requests(), test.requests)

				_, err = c.Credits(t.Context())
				failure(t, err)
				require.Len(t, u.requests(), 2*test.requests)

				_, err = c.GetTask(t.Context(), "t")
				require.Equal(t, test.transient, failure(t, err).Transient())
				require.Len(t, u.requests(), 2*test.requests+1)

				_, err = c.BatchTasks(t.Context(), []string{"t-1", "t-2"})
				failure(t, err)
				require.Len(t, u.requests(), 2*test.requests+2)
			})
		})
	}
}
