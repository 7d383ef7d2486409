package dashscope_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestAThrottledCreateIsRepeatedUntilItIsAccepted(t *testing.T) {
	for _, body := range []string{
		text(t, "throttled-429-rate-quota.json"), text(t, "throttled-429-burst-rate.json"),
		`{"code":"Throttling","message":"Requests throttling triggered."}`, `{"error":{"code":"limit_requests"}}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, u, _ := inMemory(t, 0, answer(reply{status: 429, body: body}, reply{status: 200, body: text(t, "create-accepted.json")}))
			task, err := c.CreateVideo(t.Context(), video())
			require.NoError(t, err)
			require.Equal(t, "0385dc79-5ff8-4d82-bcb6-xxxxxx", task.ID)
			require.Len(t, u.requests(), 2)
			require.Equal(t, u.bodies()[0], u.bodies()[1])
		})
	}
}

func TestThrottlesEndTheCreateAfterHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, _ := inMemory(t, 0, answer(reply{status: 429, body: text(t, "throttled-429-rate-quota.json")}))
		began := time.Now()
		_, err := c.CreateVideo(t.Context(), video())
		e := failure(t, err)
		require.Equal(t, dashscope.FateRefused, e.Fate())
		require.True(t, e.Throttled())
		require.Equal(t, "Throttling.RateQuota", e.Code)
		require.LessOrEqual(t, time.Since(began), 30*time.Second)
		require.Greater(t, len(u.requests()), 3)
		require.LessOrEqual(t, len(u.requests()), 8)
	})
}

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	for asked, waited := range map[string]time.Duration{"7": 7 * time.Second, "86400": 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, u, _ := inMemory(t, 0, answer(
				reply{status: 503, header: map[string]string{"Retry-After": asked}},
				reply{status: 200, body: text(t, "task-running.json")}))
			began := time.Now()
			_, err := c.GetTask(t.Context(), "t")
			require.NoError(t, err)
			require.Equal(t, waited, time.Since(began))
			require.Len(t, u.requests(), 2)
		})
	}
}

func TestRetryAfterBeyondTheDeadlineIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(25 * time.Second).UTC().Format(http.TimeFormat)
		c, u, _ := inMemory(t, 0, answer(reply{429, text(t, "throttled-429-rate-quota.json"), map[string]string{"Retry-After": at}}))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.CreateVideo(ctx, video())
		require.Equal(t, dashscope.FateRefused, failure(t, err).Fate())
		require.Zero(t, time.Since(began))
		require.Len(t, u.requests(), 1)
	})
}

func TestDialFailuresAreRepeatedAndThenNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, p := inMemory(t, 1000, answer(reply{status: 200}))
		began := time.Now()
		_, err := c.CreateVideo(t.Context(), video())
		e := failure(t, err)
		require.Equal(t, dashscope.FateNotSent, e.Fate())
		require.Zero(t, e.StatusCode)
		require.ErrorContains(t, err, "create video: cannot reach 127.0.0.1: dial tcp")
		require.LessOrEqual(t, time.Since(began), 30*time.Second)
		require.Greater(t, p.dialed(), 3)
		require.Empty(t, u.requests())
	})
}

func TestACreateGoesOutOnceAfterDialFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, p := inMemory(t, 3, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
		_, err := c.CreateVideo(t.Context(), video())
		require.NoError(t, err)
		require.Equal(t, 4, p.dialed())
		require.Len(t, u.requests(), 1)
	})
}

func TestReadsAreRepeatedAFewTimes(t *testing.T) {
	running := text(t, "task-running.json")
	tests := map[string]struct {
		handler  http.HandlerFunc
		requests int
	}{
		"500":              {answer(reply{status: 500}), 4},
		"502":              {answer(reply{status: 502, body: text(t, "bad-gateway-502.html")}), 4},
		"503":              {answer(reply{status: 503}), 4},
		"504":              {answer(reply{status: 504}), 4},
		"429 with no code": {answer(reply{status: 429}), 4},
		"429 throttled":    {answer(reply{status: 429, body: text(t, "throttled-429-rate-quota.json")}), 4},
		"429 over quota":   {answer(reply{status: 429, body: text(t, "refused-429-allocation-quota.json")}), 1},
		"501":              {answer(reply{status: 501}), 1},
		"400":              {answer(reply{status: 400}), 1},
		"403":              {answer(reply{status: 403, body: text(t, "poll-refused-403-asynchronous.json")}), 1},
		"not json":         {answer(reply{status: 200, body: "hello"}), 1},
		"hang up":          {hangUp, 4},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(running)))
			io.WriteString(w, running[:20])
		}, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, u, _ := inMemory(t, 0, test.handler)
				_, err := c.GetTask(t.Context(), "t")
				require.Equal(t, test.requests > 1, failure(t, err).Transient())
				require.Len(t, u.requests(), test.requests)

				_, err = c.ListTasks(t.Context(), dashscope.ListTasksRequest{})
				failure(t, err)
				require.Len(t, u.requests(), 2*test.requests)

				_, err = c.UploadPolicy(t.Context(), "wan2.7-r2v")
				failure(t, err)
				require.Len(t, u.requests(), 3*test.requests)
			})
		})
	}
}

func TestAReadSucceedsAfterATransientFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, p := inMemory(t, 1, answer(reply{status: 502}, reply{status: 200, body: text(t, "task-running.json")}))
		task, err := c.GetTask(t.Context(), "t")
		require.NoError(t, err)
		require.Equal(t, dashscope.StatusRunning, task.Status)
		require.Len(t, u.requests(), 2)
		require.Equal(t, 2, p.dialed())
	})
}

func TestACancelIsRepeatedOnlyWhenItWasNotCarriedOut(t *testing.T) {
	tests := map[string]struct {
		refuse   int
		answers  []reply
		requests int
	}{
		"dial":      {2, []reply{{status: 200, body: text(t, "cancel-accepted.json")}}, 1},
		"throttled": {0, []reply{{status: 429, body: text(t, "throttled-429-rate-quota.json")}, {status: 200, body: text(t, "cancel-accepted.json")}}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, u, _ := inMemory(t, test.refuse, answer(test.answers...))
				require.NoError(t, c.CancelTask(t.Context(), "t"))
				require.Len(t, u.requests(), test.requests)
			})
		})
	}
	for _, status := range []int{500, 503} {
		c, u := serve(t, answer(reply{status: status}))
		require.Equal(t, status, failure(t, c.CancelTask(t.Context(), "t")).StatusCode)
		require.Len(t, u.requests(), 1)
	}
}
