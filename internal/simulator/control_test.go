package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func TestReceivedCreatesCanBeReadVerbatimWithoutTheKey(t *testing.T) {
	c := sockets(t, simulator.Options{APIKey: "sk-secret"})
	first, second := `{ "model":"wan2.7-r2v",  "input": {"prompt":"é & <b>"} }`, `not JSON`
	c.send(http.MethodPost, createPath, []byte(first), headers{
		"Authorization": "Bearer sk-secret", "Content-Type": "application/json; charset=utf-8", "X-DashScope-Async": "enable",
		"X-DashScope-WorkSpace": "ws-1", "X-DashScope-OssResourceResolve": "enable", "User-Agent": "dashscope/1.26.2",
	})
	c.send(http.MethodPost, createPath, []byte(second), headers{"Authorization": ""})

	answer := c.read("/control/requests")
	require.NotContains(t, string(answer.body), "sk-secret")
	var list []struct {
		Path          string            `json:"path"`
		Authorization bool              `json:"authorization"`
		Headers       map[string]string `json:"headers"`
		Body          string            `json:"body"`
	}
	require.NoError(t, json.Unmarshal(answer.body, &list))
	require.Len(t, list, 2)
	require.Equal(t, createPath, list[0].Path)
	require.Equal(t, first, list[0].Body)
	require.True(t, list[0].Authorization)
	require.Equal(t, map[string]string{
		"Content-Type": "application/json; charset=utf-8", "User-Agent": "dashscope/1.26.2", "X-DashScope-Async": "enable",
		"X-DashScope-WorkSpace": "ws-1", "X-DashScope-OssResourceResolve": "enable",
	}, list[0].Headers)
	require.Equal(t, second, list[1].Body)
	require.False(t, list[1].Authorization)
}

func TestCallsAndTasksAreCounted(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	require.Equal(t, object{"create": 0., "get": 0., "list": 0., "cancel": 0., "policy": 0., "upload": 0., "result": 0., "sample": 0.,
		"redirected": 0., "tasks": 0.}, c.read("/control/counters").json())
	id := c.task(wan26())
	c.create(wan26(set("model", "nope")))
	c.status(id)
	c.read("/api/v1/tasks")
	c.post("/api/v1/tasks/"+id+"/cancel", nil)
	c.uploaded("a.png", []byte("x"))
	c.read("/results/x.mp4")
	c.read("/samples/x.png")
	require.Equal(t, object{"create": 2., "get": 1., "list": 1., "cancel": 1., "policy": 1., "upload": 1., "result": 1., "sample": 1.,
		"redirected": 0., "tasks": 1.}, c.read("/control/counters").json())
}

func TestControlAnswersOnLoopbackOnly(t *testing.T) {
	s := simulator.New(simulator.Options{})
	for from, status := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200, "": 200, "pipe": 200, "@": 200,
		"192.0.2.1:1234": 403, "[2001:db8::1]:1": 403, "10.0.0.1:80": 403,
	} {
		for _, path := range []string{"/control/counters", "/control/requests", "/control/faults", "/control/tasks", "/control/rates"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.RemoteAddr = from
			recorder := httptest.NewRecorder()
			s.ServeHTTP(recorder, r)
			require.Equal(t, status, recorder.Code, "%s %s", from, path)
		}
	}
}

func TestFaultsAreArmedListedAndDisarmed(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	require.Equal(t, array{}, c.read("/control/faults").at("armed"))
	require.Len(t, c.read("/control/faults").at("faults"), len(simulator.Faults()))

	c.post("/control/faults", object{"fault": "503", "on": "get", "times": 2, "delay_ms": 5})
	answer := c.post("/control/faults", object{"fault": "throttled"})
	require.Equal(t, 200, answer.status)
	require.Equal(t, array{
		object{"fault": "503", "on": "get", "left": 2., "delay_ms": 5.},
		object{"fault": "throttled", "on": "create", "left": 1., "delay_ms": 0.},
	}, answer.at("armed"))
	require.Equal(t, 429, c.create(wan26()).status)
	require.Equal(t, 200, c.create(wan26()).status)
	require.Equal(t, 503, c.read("/api/v1/tasks/1").status)
	require.Len(t, c.read("/control/faults").at("armed"), 1)
	require.Equal(t, array{}, c.send(http.MethodDelete, "/control/faults", nil, nil).at("armed"))
	require.Equal(t, 200, c.read("/api/v1/tasks/1").status)

	c.post("/control/faults", object{"fault": "503", "on": "get", "times": -1})
	for range 5 {
		require.Equal(t, 503, c.read("/api/v1/tasks/1").status)
	}
	for _, wrong := range []any{
		object{"fault": "nope"}, object{"fault": "503", "on": "nope"}, object{"fault": "fail-internal", "on": "get"},
		object{"fault": "short-clip", "on": "create"}, object{"fault": "503", "time": 1}, "503",
	} {
		require.Equal(t, 400, c.post("/control/faults", wrong).status)
	}
}

func TestFaultNamesAreUniqueAndDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range simulator.Faults() {
		require.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		require.Regexp(t, `^[a-z0-9-]+$`, f.Name)
		require.NotEmpty(t, f.On)
		require.NotEmpty(t, f.Description)
		require.False(t, strings.ContainsAny(f.Description, "\n|"), "fits a table: %s", f.Description)
	}
	for _, name := range []string{
		"invalid-api-key", "arrearage", "unpurchased", "data-inspection", "ip-infringement", "free-tier-only", "quota",
		"model-not-found-404", "throttled", "burst", "allocation-quota", "bill-overdue", "fail-data-inspection", "fail-download",
		"fail-internal", "fail-timeout", "slow", "drop-before", "drop-after", "500", "503", "503-after", "504", "html-502", "empty-200",
		"truncated-200", "garbage-200", "redirect-307", "expired-link", "short-clip", "wrong-length", "hide-from-list", "late-in-list",
	} {
		require.True(t, seen[name], name)
	}
}
