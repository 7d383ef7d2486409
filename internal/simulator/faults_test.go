package simulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func prompted(marker string) object {
	return wan26(set("input.prompt", "character1 dances "+marker))
}

func (c *client) arm(fault, on string) {
	c.t.Helper()
	answer := c.post("/control/faults", object{"fault": fault, "on": on})
	require.Equal(c.t, 200, answer.status, "%s", answer.body)
}

func (c *client) tasks() int {
	c.t.Helper()
	return int(c.read("/control/counters").at("tasks").(float64))
}

func TestEveryRefusalIsAnsweredFromThePromptAndOnEveryCall(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	calls := map[string]func() reply{
		"create": func() reply { return c.create(wan26()) },
		"get":    func() reply { return c.read("/api/v1/tasks/1") },
		"list":   func() reply { return c.read("/api/v1/tasks") },
		"cancel": func() reply { return c.post("/api/v1/tasks/1/cancel", nil) },
		"policy": func() reply { return c.read("/api/v1/uploads?action=getPolicy&model=wan2.7-r2v") },
	}
	tested := 0
	for _, f := range simulator.Faults() {
		var status int
		var code string
		if n, _ := fmt.Sscanf(f.Description, "answers %d %s", &status, &code); n != 2 || !strings.HasSuffix(f.Description, "does nothing") || strings.Contains(f.Description, "HTML") || status == 307 {
			continue
		}
		tested++
		answer := c.create(prompted("[[fault:" + f.Name + "]]"))
		require.Equal(t, status, answer.status, f.Name)
		require.Equal(t, code, strings.Fields(answer.at("code").(string))[0], f.Name)
		require.NotEmpty(t, answer.at("message"), f.Name)
		require.Equal(t, answer.header.Get("X-Request-ID"), answer.at("request_id"))
		for on, call := range calls {
			c.arm(f.Name, on)
			same := call()
			require.Equal(t, status, same.status, "%s on %s", f.Name, on)
			require.Equal(t, code, strings.Fields(same.at("code").(string))[0], f.Name)
		}
	}
	require.Equal(t, 33, tested)
	require.Zero(t, c.tasks())
}

func TestStorageAnswersARefusalInXML(t *testing.T) {
	c := sockets(t, simulator.Options{Speed: fast, Unthrottled: true})
	link := c.finished(wan26()).at("output", "video_url").(string)
	c.arm("access-denied", "result")
	answer := c.read(link)
	require.Equal(t, 403, answer.status)
	require.Contains(t, string(answer.body), "<Error>")
	require.Equal(t, 200, c.read(link).status)

	p := c.policy("wan2.7-r2v")
	c.arm("503", "upload")
	require.Equal(t, 503, c.upload(p, "a.png", []byte("x"), nil).status)
	require.Equal(t, 200, c.upload(p, "a.png", []byte("x"), nil).status)
}

func TestEveryTaskFailureShowsInTheTask(t *testing.T) {
	for name, code := range map[string]string{
		"fail-parameter": "InvalidParameter", "fail-data-inspection": "DataInspectionFailed", "fail-ip-infringement": "IPInfringementSuspect",
		"fail-download": "InvalidParameter.DataInspection", "fail-format": "InvalidFile.Openerror", "fail-rewrite": "RewriteFailed",
		"fail-internal": "InternalError", "fail-algo": "InternalError.Algo", "fail-upload": "InternalError.Upload",
		"fail-timeout": "InternalError.Timeout",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{Unthrottled: true})
				byPrompt := c.task(prompted("[[fault:" + name + "]]"))
				c.arm(name, "create")
				byControl := c.task(wan27())
				time.Sleep(3 * time.Second)
				require.Equal(t, "RUNNING", c.status(byPrompt))
				if name == "fail-timeout" {
					time.Sleep(3*time.Hour - time.Second)
					require.Equal(t, "RUNNING", c.status(byPrompt))
				}
				time.Sleep(10 * time.Minute)
				for _, id := range []string{byPrompt, byControl} {
					answer := c.read("/api/v1/tasks/" + id)
					require.Equal(t, 200, answer.status)
					require.Equal(t, "FAILED", answer.at("output", "task_status"))
					require.Equal(t, code, answer.at("output", "code"))
					require.NotEmpty(t, answer.at("output", "message"))
				}
			})
		})
	}
}

func TestBrokenAnswersToACreate(t *testing.T) {
	for name, at := range map[string]struct {
		tasks int
		check func(answer reply, err error)
	}{
		"drop-before": {0, func(_ reply, err error) { require.Error(t, err) }},
		"drop-after":  {1, func(_ reply, err error) { require.Error(t, err) }},
		"503-after":   {1, func(answer reply, err error) { require.Equal(t, 503, answer.status) }},
		"html-502": {0, func(answer reply, err error) {
			require.Equal(t, 502, answer.status)
			require.Contains(t, answer.header.Get("Content-Type"), "text/html")
			require.Contains(t, string(answer.body), "<h1>502 Bad Gateway</h1>")
		}},
		"504": {0, func(answer reply, err error) { require.Equal(t, 504, answer.status) }},
		"empty-200": {1, func(answer reply, err error) {
			require.NoError(t, err)
			require.Equal(t, 200, answer.status)
			require.Empty(t, answer.body)
		}},
		"garbage-200": {1, func(answer reply, err error) {
			require.NoError(t, err)
			require.Equal(t, 200, answer.status)
			require.False(t, json.Valid(answer.body))
		}},
		"truncated-200": {1, func(answer reply, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, 200, answer.status)
			require.NotEmpty(t, answer.body)
			require.False(t, json.Valid(answer.body))
		}},
		"redirect-307": {0, func(answer reply, err error) { require.Equal(t, 307, answer.status) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := sockets(t, simulator.Options{Unthrottled: true})
			at.check(c.try(http.MethodPost, createPath, encode(t, prompted("[[fault:"+name+"]]")), createHeaders()))
			require.Equal(t, at.tasks, c.tasks())
			c.arm(name, "create")
			at.check(c.try(http.MethodPost, createPath, encode(t, wan26()), createHeaders()))
			require.Equal(t, 2*at.tasks, c.tasks())
			require.Equal(t, 200, c.create(wan26()).status, "the fault is used up")
		})
	}
}

func TestInMemoryAClosedConnectionIsAnAbortedHandler(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	for fault, tasks := range map[string]int{"drop-before": 0, "drop-after": 1, "truncated-200": 1} {
		before := c.tasks()
		_, err := c.try(http.MethodPost, createPath, encode(t, prompted("[[fault:"+fault+"]]")), createHeaders())
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, tasks, c.tasks()-before, fault)
	}
}

func TestACancelWithALostAnswerHasBeenDone(t *testing.T) {
	c := sockets(t, simulator.Options{})
	id := c.task(prompted("[[fault:drop-after@cancel x1]]"))
	_, err := c.try(http.MethodPost, "/api/v1/tasks/"+id+"/cancel", []byte("{}"), nil)
	require.Error(t, err)
	require.Equal(t, "CANCELED", c.status(id))
}

func TestARedirectLeadsToAPathThatCountsItsVisitors(t *testing.T) {
	c := sockets(t, simulator.Options{})
	answer := c.create(prompted("[[fault:redirect-307]]"))
	target := answer.header.Get("Location")
	require.Equal(t, c.base+"/redirected"+createPath, target)
	c.post(target, wan26()).refused(404, "NotFound", "Request path not found.")
	require.EqualValues(t, 1, c.read("/control/counters").at("redirected"))
	require.Zero(t, c.tasks())
}

func TestASlowAnswerComesAfterTheTaskIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true, Speed: 10})
		begin := time.Now()
		require.Equal(t, 200, c.create(prompted("[[fault:slow x1]]")).status)
		require.Equal(t, 3*time.Second, time.Since(begin))

		c.post("/control/faults", object{"fault": "slow", "on": "list", "delay_ms": 700})
		begin = time.Now()
		require.Equal(t, 200, c.read("/api/v1/tasks").status)
		require.Equal(t, 700*time.Millisecond, time.Since(begin))

		c.post("/control/faults", object{"fault": "503", "on": "get", "delay_ms": 200})
		begin = time.Now()
		require.Equal(t, 503, c.read("/api/v1/tasks/1").status)
		require.Equal(t, 200*time.Millisecond, time.Since(begin))
	})
}

func TestAnAskerWhoDoesNotWaitForASlowAnswerLeavesATask(t *testing.T) {
	c := sockets(t, simulator.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+createPath, strings.NewReader(string(encode(t, prompted("[[fault:slow]]")))))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer sk-test")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-DashScope-Async", "enable")
	failed := make(chan error, 1)
	go func() {
		resp, err := c.http.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	require.Eventually(t, func() bool { return c.tasks() == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Equal(t, 1, c.tasks())
}

func TestMarkersActInTheirOrderAndAsOftenAsTheySay(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	order := prompted("[[fault:throttled x2]] and [[fault:503 x1]]")
	for _, status := range []int{429, 429, 503, 200, 200} {
		require.Equal(t, status, c.create(order).status)
	}
	other := prompted("again [[fault:throttled x2]] and [[fault:503 x1]]")
	require.Equal(t, 429, c.create(other).status, "another prompt counts for itself")

	for range 4 {
		require.Equal(t, 400, c.create(prompted("[[fault:arrearage]]")).status, "without a number it is always")
	}
	c.arm("500", "create")
	require.Equal(t, 429, c.create(other).status, "the prompt comes first")
	require.Equal(t, 503, c.create(other).status)
	require.Equal(t, 500, c.create(other).status)
	require.Equal(t, 200, c.create(other).status)
}

func TestAMarkerCanNameALaterCallOfItsTask(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	id, other := c.task(prompted("[[fault:504@get x2]]")), c.task(wan26())
	path := "/api/v1/tasks/" + id
	require.Equal(t, "PENDING", c.status(other))
	require.Equal(t, 504, c.read(path).status)
	require.Equal(t, 504, c.read(path).status)
	require.Equal(t, "PENDING", c.status(id))
}

func TestAMarkerThatNamesNoFaultIsRefused(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	for _, marker := range []string{
		"[[fault:nope]]", "[[fault:503@nope]]", "[[fault:503@list]]", "[[fault:503@upload]]", "[[fault:fail-internal@get]]", "[[fault:short-clip@create]]",
	} {
		c.create(prompted(marker)).refused(400, "InvalidParameter", "simulator: there is no fault "+marker)
	}
	require.Zero(t, c.tasks())
}

func TestATaskCanBeMissingFromLists(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	shown := c.task(wan26())
	hidden := c.task(prompted("[[fault:hide-from-list]]"))
	late := c.task(prompted("[[fault:hide-from-list x2]]"))
	require.Equal(t, []string{shown}, c.read("/api/v1/tasks").ids())
	require.Equal(t, []string{shown}, c.read("/api/v1/tasks").ids())
	require.Equal(t, []string{late, shown}, c.read("/api/v1/tasks").ids())
	require.Equal(t, "PENDING", c.status(hidden))
	c.arm("hide-from-list", "list")
	require.Empty(t, c.read("/api/v1/tasks").ids())
	require.Equal(t, []string{late, shown}, c.read("/api/v1/tasks").ids())
}

func TestATaskCanBeLateInLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, speed := range []time.Duration{1, 60} {
			c := memory(t, simulator.Options{Unthrottled: true, Speed: float64(speed)})
			list := func() []string { return c.read("/api/v1/tasks").ids() }
			shown := c.task(wan26())
			late := c.task(prompted("[[fault:late-in-list]]"))
			twice := c.task(prompted("[[fault:late-in-list x2]]"))
			require.Equal(t, []string{shown}, list())
			require.Equal(t, "PENDING", c.status(late))
			time.Sleep(3*time.Minute/speed - time.Nanosecond)
			require.Equal(t, []string{shown}, list())
			require.Equal(t, []string{twice, shown}, list())
			time.Sleep(time.Nanosecond)
			require.Equal(t, []string{twice, late, shown}, list())
		}
	})
}

func TestEveryTaskCanBeLateInLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true})
		old := c.task(wan26())
		time.Sleep(time.Minute)
		young := c.task(wan26())
		c.post("/control/faults", object{"fault": "late-in-list", "times": -1, "delay_ms": 60_000})
		began := time.Now()
		require.Equal(t, []string{old}, c.read("/api/v1/tasks").ids())
		require.Zero(t, time.Since(began), "the rows are late, not the answer")
		time.Sleep(time.Minute)
		require.Equal(t, []string{young, old}, c.read("/api/v1/tasks").ids())
	})
}

func TestATaskCanBeHiddenAndItsAnswerLost(t *testing.T) {
	c := sockets(t, simulator.Options{})
	_, err := c.try(http.MethodPost, createPath, encode(t, prompted("[[fault:drop-after]] [[fault:hide-from-list x1]]")), createHeaders())
	require.Error(t, err)
	require.Empty(t, c.read("/api/v1/tasks").ids())
	require.Len(t, c.read("/api/v1/tasks").ids(), 1)
}

func TestSpoiltResults(t *testing.T) {
	c := sockets(t, simulator.Options{Speed: fast, Unthrottled: true})
	get := func(fault string) (spoilt, whole reply, err error) {
		link := c.finished(prompted("[[fault:"+fault+" x1]]")).at("output", "video_url").(string)
		spoilt, err = c.try(http.MethodGet, link, nil, nil)
		whole = c.read(link)
		require.Equal(t, 200, whole.status)
		require.Equal(t, 5*time.Second, probed(t, whole.body).length)
		return spoilt, whole, err
	}
	spoilt, _, err := get("expired-link")
	require.NoError(t, err)
	require.Equal(t, 403, spoilt.status)
	require.Contains(t, string(spoilt.body), "Request has expired.")

	spoilt, whole, err := get("short-clip")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, whole.header.Get("Content-Length"), spoilt.header.Get("Content-Length"))
	require.Equal(t, whole.body[:len(whole.body)/2], spoilt.body)

	spoilt, whole, err = get("half-clip")
	require.NoError(t, err)
	require.Equal(t, 200, spoilt.status)
	require.Equal(t, whole.body[:len(whole.body)/2], spoilt.body)

	spoilt, _, err = get("wrong-length")
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, probed(t, spoilt.body).length)
}
