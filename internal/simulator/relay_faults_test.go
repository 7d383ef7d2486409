package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func dancing(marker string) object { return flash(set("prompt", "A person dancing "+marker)) }

func relaySockets(t *testing.T) *client {
	t.Helper()
	server := httptest.NewServer(simulator.New(simulator.Options{Provider: simulator.EvoLink}))
	t.Cleanup(server.Close)
	c := server.Client()
	c.CheckRedirect = noRedirect
	return &client{t, c, server.URL}
}

func TestEveryRefusalOfTheRelayIsAnsweredFromThePromptAndOnEveryCall(t *testing.T) {
	c := relay(t, simulator.Options{})
	calls := map[string]func() reply{
		"create": func() reply { return c.order(flash()) },
		"get":    func() reply { return c.look("task-unified-1-a") },
		"list":   func() reply { return c.read("/v1/tasks") },
		"batch":  func() reply { return c.post("/v1/tasks/batch", object{"task_ids": array{"a"}}) },
		"credits": func() reply {
			return c.read("/v1/credits")
		},
		"upload": func() reply { return c.post("/api/v1/files/upload/base64", object{"base64_data": onePixel}) },
	}
	types := map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 402: "insufficient_quota", 403: "invalid_request_error", 404: "invalid_request_error",
		409: "invalid_request_error", 413: "request_too_large_error", 429: "rate_limit_error", 500: "api_error", 502: "upstream_error", 503: "service_unavailable_error",
	}
	queries := map[string]string{"insufficient_quota": "quota_exceeded", "model_access_denied": "permission_denied"}
	tested := 0
	for _, f := range simulator.FaultsOf(simulator.EvoLink) {
		var status int
		var code string
		if n, _ := fmt.Sscanf(f.Description, "answers %d %s", &status, &code); n != 2 || !strings.Contains(code, "_") && code != "unauthorized" {
			continue
		}
		tested++
		c.order(dancing("[[fault:"+f.Name+"]]")).denied(status, code, types[status], "")
		for on, call := range calls {
			c.arm(f.Name, on)
			code, kind := code, types[status]
			if on != "create" && queries[code] != "" {
				code = queries[code]
			}
			if on != "create" && status == 429 {
				kind = "evo_api_error"
			}
			call().denied(status, code, kind, "")
		}
	}
	require.Equal(t, 20, tested)
	require.Zero(t, c.tasks())
}

func TestOldEnvelopesHaveANumberAsCode(t *testing.T) {
	c := relay(t, simulator.Options{})
	answer := c.order(dancing("[[fault:integer-code]]"))
	require.Equal(t, 400, answer.status)
	require.JSONEq(t, `{"error":{"code":400,"message":"Invalid duration parameter","type":"invalid_request_error","param":"duration"}}`, string(answer.body))
	require.Zero(t, c.tasks())
}

func TestEveryFailureOfTheRelayShowsInTheTask(t *testing.T) {
	for name, code := range map[string]string{
		"fail-parameter": "invalid_parameters", "fail-data-inspection": "content_policy_violation", "fail-ip-infringement": "content_policy_violation",
		"fail-download": "resource_not_found", "fail-format": "image_processing_error", "fail-dimension": "image_dimension_mismatch",
		"fail-no-content": "generation_failed_no_content", "fail-quota": "quota_exceeded", "fail-exhausted": "resource_exhausted",
		"fail-internal": "service_error", "fail-algo": "service_unavailable", "fail-unknown": "unknown_error", "fail-timeout": "generation_timeout",
		"request-cancelled": "request_cancelled",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := relay(t, simulator.Options{})
				id := c.ordered(dancing("[[fault:" + name + "]]"))
				time.Sleep(4 * time.Second)
				require.Equal(t, "processing", c.look(id).at("status"))
				time.Sleep(4 * time.Hour)
				answer := c.look(id)
				require.Equal(t, "failed", answer.at("status"))
				require.Equal(t, code, answer.at("error", "code"))
				require.NotEmpty(t, answer.at("error", "message"))
				require.Equal(t, "task_error", answer.at("error", "type"))
				require.NotContains(t, answer.json(), "usage")
				require.NotContains(t, answer.json(), "results")
			})
		})
	}
}

func TestTheRelayCanCancelATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		id := c.ordered(dancing("[[fault:cancelled]]"))
		time.Sleep(time.Minute)
		require.Equal(t, "processing", c.look(id).at("status"))
		time.Sleep(time.Minute)
		require.Equal(t, object{
			"created": 946684800., "id": id, "model": "wan2.6-reference-video-flash", "object": "video.generation.task", "progress": 100.,
			"status": "cancelled", "task_info": object{"can_cancel": false}, "type": "video",
		}, c.look(id).json())
		require.Equal(t, "CANCELED", c.observed()[0].(object)["status"])
		require.Nil(t, c.observed()[0].(object)["usage"])
	})
}

func TestBrokenAnswersOfTheRelay(t *testing.T) {
	for name, at := range map[string]struct{ tasks, status int }{
		"drop-before": {0, 0}, "drop-after": {1, 0}, "503-after": {1, 503}, "html-502": {0, 502}, "504": {0, 504}, "empty-200": {1, 200},
		"garbage-200": {1, 200}, "truncated-200": {1, 0}, "redirect-307": {0, 307}, "paid-outcome-unknown": {1, 409},
	} {
		t.Run(name, func(t *testing.T) {
			c := relaySockets(t)
			for i := range 2 { // from the prompt, and from the controls
				order := flash()
				if i == 0 {
					order = dancing("[[fault:" + name + "]]")
				} else {
					c.arm(name, "create")
				}
				answer, err := c.try(http.MethodPost, relayPath, encode(t, order), headers{"Content-Type": "application/json"})
				if at.status == 0 {
					require.Error(t, err)
				} else {
					require.NoError(t, err)
					require.Equal(t, at.status, answer.status)
					require.Equal(t, at.status == 409 || at.status == 503, json.Valid(answer.body), "%s", answer.body)
				}
				require.Equal(t, (i+1)*at.tasks, c.tasks())
			}
			require.Equal(t, 200, c.order(flash()).status, "the fault is used up")
		})
	}
}

func TestOddAnswersOfTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		silent, once, nested := c.ordered(dancing("[[fault:no-usage]]")), c.ordered(dancing("[[fault:no-usage x1]]")), c.ordered(dancing("[[fault:result-data]]"))
		time.Sleep(10 * time.Minute)
		for range 2 {
			require.NotContains(t, c.look(silent).json(), "usage")
		}
		batch := c.post("/v1/tasks/batch", object{"task_ids": array{silent, nested}}).at("data").(array)
		require.NotContains(t, batch[0], "usage")
		require.Contains(t, batch[1], "usage")
		require.NotContains(t, c.read("/v1/tasks").at("data").(array)[2], "credits_used")
		require.NotContains(t, c.look(once).json(), "usage")
		require.Equal(t, 34., c.look(once).at("usage", "credits_used"))
		answer := c.look(nested)
		require.NotContains(t, answer.json(), "results")
		link := answer.at("result_data").(array)[0].(object)["video_url"].(string)
		require.Equal(t, 200, c.read(link).status)
		require.Equal(t, 34., c.observed()[0].(object)["usage"].(object)["credits_used"], "the bill stands all the same")
		c.arm("no-usage", "get")
		require.NotContains(t, c.look(once).json(), "usage")
		require.Contains(t, c.look(once).json(), "usage")
	})
}

func TestTheRelayMayTellABillLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		plain, late := c.ordered(dancing("")), c.ordered(dancing("[[fault:late-bill]]"))
		for c.look(late).at("status") != "completed" {
			time.Sleep(time.Second)
		}
		time.Sleep(58 * time.Second)
		require.NotContains(t, c.look(late).json(), "usage")
		require.NotContains(t, c.read("/v1/tasks").at("data").(array)[0], "credits_used")
		time.Sleep(2 * time.Second)
		require.Equal(t, 34., c.look(late).at("usage", "credits_used"))
		require.Equal(t, 34., c.read("/v1/tasks").at("data").(array)[0].(object)["credits_used"])
		c.post("/control/faults", object{"fault": "late-bill", "times": 2, "delay_ms": 120_000})
		require.NotContains(t, c.look(plain).json(), "usage")
		time.Sleep(time.Minute)
		require.Contains(t, c.look(plain).json(), "usage")
		require.Equal(t, 34., c.look(plain).at("usage", "credits_used"), "the fault is used up")
	})
}

func TestTheRelaysListCanBeMissingOrLackATask(t *testing.T) {
	c := relay(t, simulator.Options{})
	shown := c.ordered(flash())
	hidden := c.ordered(dancing("[[fault:hide-from-list]]"))
	require.Equal(t, []string{shown}, c.read("/v1/tasks").listed())
	require.Equal(t, "pending", c.look(hidden).at("status"))
	c.post("/control/faults", object{"fault": "no-list", "times": -1})
	for range 2 {
		c.read("/v1/tasks").denied(404, "not_found", "invalid_request_error", "")
	}
}

func TestAMarkerThatNamesNoFaultOfTheRelayIsRefused(t *testing.T) {
	c := relay(t, simulator.Options{})
	for _, marker := range []string{
		"[[fault:nope]]", "[[fault:unpurchased]]", "[[fault:503@batch]]", "[[fault:503@credits]]", "[[fault:503@callback]]", "[[fault:503@cancel]]",
		"[[fault:callback-lost@create]]", "[[fault:no-list]]", "[[fault:upload-refused]]",
	} {
		answer := c.order(dancing(marker))
		answer.denied(400, "invalid_request", "invalid_request_error", "")
		require.Equal(t, "simulator: there is no fault "+marker, answer.at("error", "message"))
	}
	require.Zero(t, c.tasks())
}
