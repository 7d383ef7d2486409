package simulator_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
)

const (
	relayPath  = "/v1/videos/generations"
	relayTasks = "/v1/tasks/"
)

// relay is a client of a relay in memory.
func relay(t *testing.T, o simulator.Options) *client {
	t.Helper()
	o.Provider = simulator.EvoLink
	sim := simulator.New(o)
	t.Cleanup(sim.Close)
	return &client{t, &http.Client{Transport: simulatortest.Transport(sim), CheckRedirect: noRedirect}, "http://relay.test"}
}

// flash, relay26 and relay27 are good orders; each of changes sets a field, or one of "model_params." (nil takes it away).
func flash(changes ...change) object {
	return changed(object{
		"model": "wan2.6-reference-video-flash", "prompt": "A person dancing", "video_urls": array{"https://media.test/dancer-8s.mp4"},
	}, changes)
}

func relay26(changes ...change) object {
	return flash(append([]change{set("model", "wan2.6-reference-video")}, changes...)...)
}

func relay27(changes ...change) object {
	return changed(object{
		"model": "wan2.7-reference-video", "prompt": "Video 1 dances", "video_urls": array{"https://media.test/dancer-8s.mp4"},
	}, changes)
}

func (c *client) order(order object) reply {
	c.t.Helper()
	return c.send(http.MethodPost, relayPath, encode(c.t, order), headers{"Content-Type": "application/json"})
}

// ordered makes a task and returns its id.
func (c *client) ordered(order object) string {
	c.t.Helper()
	answer := c.order(order)
	require.Equal(c.t, http.StatusOK, answer.status, "%s", answer.body)
	return answer.at("id").(string)
}

func (c *client) look(id string) reply {
	c.t.Helper()
	return c.read(relayTasks + id)
}

// denied checks the relay's envelope. An empty param must not be there.
func (r reply) denied(status int, code, kind, param string) {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.body)
	require.Equal(r.t, []string{"error"}, keys(r.json()))
	body := r.at("error").(object)
	require.Equal(r.t, code, body["code"], "%s", r.body)
	require.Equal(r.t, kind, body["type"], "%s", r.body)
	require.NotEmpty(r.t, body["message"])
	if param == "" {
		require.NotContains(r.t, body, "param")
	} else {
		require.Equal(r.t, param, body["param"], "%s", r.body)
	}
	require.Contains(r.t, r.header.Get("Content-Type"), "application/json")
}

func keys(fields object) []string {
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	return names
}

func times(n int, address string) array {
	list := array{}
	for range n {
		list = append(list, address)
	}
	return list
}

// onePixel is a GIF.
const onePixel = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
