package simulator_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func TestEveryPathIsAnsweredWithAndWithoutAFinalSlash(t *testing.T) {
	c := sockets(t, simulator.Options{Unthrottled: true})
	for _, slash := range []string{"", "/", "//"} {
		created := c.send(http.MethodPost, createPath+slash, encode(t, wan26()), createHeaders())
		require.Equal(t, http.StatusOK, created.status, "%s", created.body)
		id := created.at("output", "task_id").(string)
		require.Equal(t, "PENDING", c.read("/api/v1/tasks/"+id+slash).at("output", "task_status"))
		require.Equal(t, "PENDING", c.read("/api/v1/tasks/"+id+slash+"?audio=false&size=1280*720").at("output", "task_status"))
		require.NotZero(t, c.read("/api/v1/tasks"+slash+"?page_no=1").at("total"))
		require.NotEmpty(t, c.read("/api/v1/uploads"+slash+"?action=getPolicy&model=wan2.7-r2v").at("data", "policy"))
		canceled := c.post("/api/v1/tasks/"+id+"/cancel"+slash, object{"model": "", "parameters": object{}, "input": ""})
		require.Equal(t, http.StatusOK, canceled.status)
	}
}

func TestContentTypes(t *testing.T) {
	c := memory(t, simulator.Options{})
	require.Equal(t, "application/json", c.create(wan26()).header.Get("Content-Type"))
	require.Equal(t, "application/json", c.create(wan26(set("model", "nope"))).header.Get("Content-Type"))
	require.Equal(t, "application/json;charset=UTF-8", c.read("/api/v1/tasks/1111").header.Get("Content-Type"))
	require.Equal(t, "application/json;charset=UTF-8", c.read("/api/v1/tasks").header.Get("Content-Type"))
}

func TestUnknownPathsAndMethods(t *testing.T) {
	c := memory(t, simulator.Options{})
	for _, path := range []string{"/", "/api/v1", "/api/v1/services/aigc/text2image", "/api/v1/tasks/a/b", "/redirected"} {
		c.read(path).refused(404, "NotFound", "Request path not found.")
	}
	for _, at := range []struct{ method, path, allowed string }{
		{http.MethodGet, createPath, "POST"},
		{http.MethodDelete, "/api/v1/tasks/1", "GET"},
		{http.MethodGet, "/api/v1/tasks/1/cancel", "POST"},
		{http.MethodPost, "/api/v1/uploads", "GET"},
		{http.MethodPut, "/upload", "POST"},
		{http.MethodPost, "/results/1.mp4", "GET, HEAD"},
	} {
		answer := c.send(at.method, at.path, nil, nil)
		answer.refused(405, "InvalidParameter", "Request method '"+at.method+"' is not supported.")
		require.Equal(t, at.allowed, answer.header.Get("Allow"))
	}
}

func TestKeys(t *testing.T) {
	for name, at := range map[string]struct{ accepted, sent, message string }{
		"none":             {"", "", "No API-key provided."},
		"not a bearer":     {"", "Basic abc", "No API-key provided."},
		"no scheme":        {"sk-good", "sk-good", "No API-key provided."},
		"empty bearer":     {"", "Bearer ", "No API-key provided."},
		"another key":      {"sk-good", "Bearer sk-bad", "Invalid API-key provided."},
		"good":             {"sk-good", "Bearer sk-good", ""},
		"any key will do":  {"", "Bearer x", ""},
		"scheme's case is": {"sk-good", "bearer sk-good", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := memory(t, simulator.Options{APIKey: at.accepted})
			h := headers{"Authorization": at.sent}
			for _, answer := range []reply{
				c.create(wan26(), h),
				c.send(http.MethodGet, "/api/v1/tasks/1", nil, h),
				c.send(http.MethodGet, "/api/v1/tasks", nil, h),
				c.send(http.MethodGet, "/api/v1/uploads?action=getPolicy&model=wan2.7-r2v", nil, h),
			} {
				if at.message == "" {
					require.Equal(t, 200, answer.status)
				} else {
					answer.refused(401, "InvalidApiKey", at.message)
				}
			}
			if cancel := c.send(http.MethodPost, "/api/v1/tasks/1/cancel", nil, h); at.message != "" {
				cancel.refused(401, "InvalidApiKey", at.message)
			} else {
				require.Equal(t, 400, cancel.status)
			}
		})
	}
}

func TestTheAsyncHeaderBelongsToCreatesOnly(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	for _, value := range []string{"", "disable"} {
		c.create(wan26(), headers{"X-DashScope-Async": value}).
			refused(403, "AccessDenied", "current user api does not support synchronous calls.")
	}
	for _, path := range []string{"/api/v1/tasks/1", "/api/v1/tasks"} {
		c.send(http.MethodGet, path, nil, headers{"X-DashScope-Async": "enable"}).
			refused(403, "AccessDenied", "current user api does not support asynchronous calls.")
	}
	require.Zero(t, c.read("/api/v1/tasks").at("total"))
}

func TestCallsPerSecondAreLimitedForEachKindOfCall(t *testing.T) {
	const message = "Requests rate limit exceeded, please try again later."
	for name, at := range map[string]struct {
		limit int
		call  func(c *client) reply
	}{
		"create": {5, func(c *client) reply { return c.create(wan26()) }},
		"get":    {20, func(c *client) reply { return c.read("/api/v1/tasks/1") }},
		"list":   {20, func(c *client) reply { return c.read("/api/v1/tasks") }},
		"cancel": {20, func(c *client) reply { return c.post("/api/v1/tasks/1/cancel", nil) }},
		"policy": {100, func(c *client) reply { return c.read("/api/v1/uploads?action=getPolicy&model=wan2.7-r2v") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{})
				for range at.limit {
					require.NotEqual(t, 429, at.call(c).status)
				}
				at.call(c).refused(429, "Throttling.RateQuota", message)
				time.Sleep(time.Second)
				require.NotEqual(t, 429, at.call(c).status)

				free := memory(t, simulator.Options{Unthrottled: true})
				for range at.limit + 1 {
					require.NotEqual(t, 429, at.call(free).status)
				}
			})
		})
	}
}

func TestTheLogHoldsNoPromptNoKeyAndNoSignedLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := memory(t, simulator.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		id := c.task(wan26(set("input.prompt", "a secret idea [[fault:slow x1]]")))
		time.Sleep(time.Hour)
		link := c.read("/api/v1/tasks/"+id).at("output", "video_url").(string)
		c.read(link)
		require.Equal(t, 4, strings.Count(log.String(), "\n"))
		for _, secret := range []string{"secret idea", "sk-test", "Signature", "Expires"} {
			require.NotContains(t, log.String(), secret)
		}
	})
}
