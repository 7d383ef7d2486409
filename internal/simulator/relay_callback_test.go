package simulator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
)

const hook = "https://10.1.2.3/hook?a=b"

// receiver is at every address. It answers with the next of its statuses, or 204; 0 is a lost connection, -1 takes for ever.
type receiver struct {
	mu       sync.Mutex
	statuses []int
	began    time.Time
	received
}

type received struct {
	at       []time.Duration
	bodies   []object
	requests []*http.Request
}

// got is what has come so far.
func (r *receiver) got() received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	content, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var body object
	if err := json.Unmarshal(content, &body); err != nil {
		return nil, err
	}
	r.mu.Lock()
	status := http.StatusNoContent
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	r.at, r.bodies, r.requests = append(r.at, time.Since(r.began)), append(r.bodies, body), append(r.requests, req)
	r.mu.Unlock()
	switch status {
	case 0:
		return nil, errors.New("reset")
	case -1:
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	header := http.Header{"Location": {"https://elsewhere.test/"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(nil)), Request: req}, nil
}

// called is a relay that calls a receiver, from the beginning of its clock on.
func called(t *testing.T, statuses ...int) (*client, *receiver) {
	r := &receiver{statuses: statuses, began: time.Now()}
	return relay(t, simulator.Options{CallbackClient: &http.Client{Transport: r}}), r
}

func (c *client) callbacks() float64 {
	c.t.Helper()
	return c.read("/control/counters").at("callback").(float64)
}

func TestTheEndOfATaskIsCalledBackWithWhatGetSays(t *testing.T) {
	for fault, status := range map[string]string{
		"": "completed", "[[fault:fail-internal]]": "failed", "[[fault:cancelled]]": "cancelled", "[[fault:request-cancelled]]": "failed",
		"[[fault:no-usage]]": "completed", "[[fault:drop-after]]": "completed",
	} {
		synctest.Test(t, func(t *testing.T) {
			c, r := called(t)
			_, err := c.try(http.MethodPost, relayPath, encode(t, flash(set("prompt", "dance "+fault), set("callback_url", hook))), headers{"Content-Type": "application/json"})
			require.Equal(t, fault == "[[fault:drop-after]]", err != nil)
			id := c.observed()[0].(object)["task_id"].(string)
			time.Sleep(93*time.Second - time.Nanosecond)
			synctest.Wait()
			require.Empty(t, r.got().bodies)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Len(t, r.got().bodies, 1)
			require.Equal(t, status, r.got().bodies[0]["status"])
			require.Equal(t, c.look(id).json(), r.got().bodies[0])
			require.Equal(t, "POST", r.got().requests[0].Method)
			require.Equal(t, hook, r.got().requests[0].URL.String())
			require.Equal(t, http.Header{"Content-Type": {"application/json"}}, r.got().requests[0].Header, "no signature, no key")
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Len(t, r.got().bodies, 1)
			require.Equal(t, 1., c.callbacks())
		})
	}
}

func TestACallbackIsTriedFourTimes(t *testing.T) {
	const end = 93 * time.Second
	for name, at := range map[string]struct {
		statuses []int
		after    []time.Duration
	}{
		"taken at last":                {[]int{500, 404, 0, 200}, []time.Duration{0, 1, 3, 7}},
		"taken at once":                {[]int{201}, []time.Duration{0}},
		"never taken":                  {[]int{500, 500, 500, 500, 200}, []time.Duration{0, 1, 3, 7}},
		"a redirect is not followed":   {[]int{307, 302, 301, 204}, []time.Duration{0, 1, 3, 7}},
		"gone is as good as any other": {[]int{410, 204}, []time.Duration{0, 1}},
		"ten seconds are enough":       {[]int{-1, -1, 204}, []time.Duration{0, 11, 23}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, r := called(t, at.statuses...)
				c.ordered(flash(set("callback_url", hook)))
				time.Sleep(time.Hour)
				synctest.Wait()
				var after []time.Duration
				for i, when := range r.got().at {
					after = append(after, (when-end)/time.Second)
					require.Equal(t, hook, r.got().requests[i].URL.String())
					require.Equal(t, r.got().bodies[0], r.got().bodies[i])
				}
				require.Equal(t, at.after, after)
				require.EqualValues(t, len(after), c.callbacks())
			})
		})
	}
}

func TestCallbacksThatMisbehave(t *testing.T) {
	for name, at := range map[string]struct {
		prompt   string
		statuses []string
		at       []time.Duration
	}{
		"twice":                      {"[[fault:callback-twice]]", []string{"completed", "completed"}, []time.Duration{93, 93}},
		"lost":                       {"[[fault:callback-lost]]", nil, nil},
		"early":                      {"[[fault:callback-early]]", []string{"processing", "completed"}, []time.Duration{48, 93}},
		"early, then never":          {"[[fault:callback-early]] [[fault:callback-lost]]", []string{"processing"}, []time.Duration{48}},
		"forged":                     {"[[fault:callback-forged]]", []string{"completed"}, []time.Duration{93}},
		"forged, of another failure": {"[[fault:callback-forged]] [[fault:fail-parameter]]", []string{"completed"}, []time.Duration{5}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, r := called(t)
				id := c.ordered(flash(set("prompt", at.prompt), set("callback_url", hook)))
				time.Sleep(time.Hour)
				synctest.Wait()
				var statuses []string
				var when []time.Duration
				for i, body := range r.got().bodies {
					require.Equal(t, id, body["id"])
					statuses, when = append(statuses, body["status"].(string)), append(when, r.got().at[i]/time.Second)
				}
				require.Equal(t, at.statuses, statuses)
				require.Equal(t, at.at, when)
				truth := "completed"
				if statuses != nil && name[:5] == "forge" {
					truth = "failed"
					require.Equal(t, 403, c.read(r.got().bodies[0]["results"].(array)[0].(string)).status)
					require.NotContains(t, r.got().bodies[0], "error")
				}
				require.Equal(t, truth, c.look(id).at("status"))
			})
		})
	}
}

func TestACallbackFaultCanBeOrderedForTheNextTaskThatHasOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := called(t)
		c.arm("callback-lost", "callback")
		c.ordered(flash())
		c.ordered(flash(set("callback_url", hook)))
		told := c.ordered(flash(set("callback_url", hook)))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, r.got().bodies, 1)
		require.Equal(t, told, r.got().bodies[0]["id"])
	})
}

func TestACloseEndsCallbacksThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{statuses: []int{500, 500, 500, 500}, began: time.Now()}
		sim := simulator.New(simulator.Options{Provider: simulator.EvoLink, CallbackClient: &http.Client{Transport: r}})
		c := &client{t, &http.Client{Transport: simulatortest.Transport(sim)}, "http://relay.test"}
		c.ordered(flash(set("callback_url", hook)))
		c.ordered(relay27(set("callback_url", hook)))
		time.Sleep(95 * time.Second)
		synctest.Wait()
		sim.Close()
		require.Len(t, r.got().bodies, 2)
		id := c.ordered(flash(set("callback_url", hook)))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, r.got().bodies, 2)
		require.Equal(t, "completed", c.look(id).at("status"), "and it goes on answering")
		sim.Close()
	})
}

func TestARealReceiverIsCalledOverTLS(t *testing.T) {
	bodies := make(chan []byte, 1)
	to := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		bodies <- content
	}))
	t.Cleanup(to.Close)
	sim := simulator.New(simulator.Options{Provider: simulator.EvoLink, Speed: fast, CallbackClient: to.Client()})
	t.Cleanup(sim.Close)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	c := &client{t, server.Client(), server.URL}
	id := c.ordered(flash(set("callback_url", to.URL+"/hook")))
	select {
	case body := <-bodies:
		require.JSONEq(t, string(c.look(id).body), string(body))
		require.Equal(t, 200, c.read(c.look(id).at("results").(array)[0].(string)).status)
	case <-time.After(10 * time.Second):
		t.Fatal("nobody called")
	}
}
