package simulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
)

const createPath = "/api/v1/services/aigc/video-generation/video-synthesis"

type client struct {
	t    *testing.T
	http *http.Client
	base string
}

func memory(t *testing.T, o simulator.Options) *client {
	t.Helper()
	return &client{t, &http.Client{Transport: simulatortest.Transport(simulator.New(o)), CheckRedirect: noRedirect}, "http://simulator.test"}
}

func sockets(t *testing.T, o simulator.Options) *client {
	t.Helper()
	server := httptest.NewServer(simulator.New(o))
	t.Cleanup(server.Close)
	c := server.Client()
	c.CheckRedirect = noRedirect
	return &client{t, c, server.URL}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

type headers map[string]string

func (c *client) try(method, path string, body []byte, h headers) (reply, error) {
	c.t.Helper()
	address := path
	if strings.HasPrefix(path, "/") {
		address = c.base + path
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, address, bytes.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("Authorization", "Bearer sk-test")
	for name, value := range h {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	content, err := io.ReadAll(resp.Body)
	require.NoError(c.t, resp.Body.Close())
	return reply{c.t, resp.StatusCode, resp.Header, content}, err
}

func (c *client) send(method, path string, body []byte, h headers) reply {
	c.t.Helper()
	answer, err := c.try(method, path, body, h)
	require.NoError(c.t, err)
	return answer
}

func (c *client) read(path string) reply {
	c.t.Helper()
	return c.send(http.MethodGet, path, nil, nil)
}

func (c *client) post(path string, body any) reply {
	c.t.Helper()
	return c.send(http.MethodPost, path, encode(c.t, body), nil)
}

func createHeaders() headers {
	return headers{"Content-Type": "application/json", "X-DashScope-Async": "enable"}
}

func (c *client) create(order object, more ...headers) reply {
	c.t.Helper()
	h := createHeaders()
	for _, m := range more {
		maps.Copy(h, m)
	}
	return c.send(http.MethodPost, createPath, encode(c.t, order), h)
}

// task makes a task and returns its id.
func (c *client) task(order object) string {
	c.t.Helper()
	answer := c.create(order)
	require.Equal(c.t, http.StatusOK, answer.status, "%s", answer.body)
	return answer.at("output", "task_id").(string)
}

func (c *client) status(id string) string {
	c.t.Helper()
	return c.read("/api/v1/tasks/"+id).at("output", "task_status").(string)
}

// object is a JSON object.
type object = map[string]any

type array = []any

func (r reply) json() object {
	r.t.Helper()
	var body object
	require.NoError(r.t, json.Unmarshal(r.body, &body), "%s", r.body)
	return body
}

func (r reply) at(path ...string) any {
	r.t.Helper()
	var v any = r.json()
	for _, key := range path {
		fields, ok := v.(object)
		require.True(r.t, ok, "no %v in %s", path, r.body)
		v = fields[key]
	}
	return v
}

func (r reply) refused(status int, code, message string) {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.body)
	body := r.json()
	require.Equal(r.t, code, body["code"])
	require.Equal(r.t, message, body["message"])
	require.NotEmpty(r.t, body["request_id"])
	require.Equal(r.t, body["request_id"], r.header.Get("X-Request-ID"))
	require.Contains(r.t, r.header.Get("Content-Type"), "application/json")
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	content, err := json.Marshal(v)
	require.NoError(t, err)
	return content
}

// wan26 and wan27 are good orders; each of changes sets "input.…" or "parameters.…" (nil takes the field away).
func wan26(changes ...change) object {
	return changed(object{
		"model":      "wan2.6-r2v-flash",
		"input":      object{"prompt": "character1 dances", "reference_urls": array{"https://media.test/dancer.mp4"}},
		"parameters": object{"size": "1280*720", "duration": 5},
	}, changes)
}

func wan27(changes ...change) object {
	return changed(object{
		"model": "wan2.7-r2v",
		"input": object{"prompt": "Video 1 dances", "media": array{
			object{"type": "reference_video", "url": "https://media.test/dancer.mp4"},
		}},
		"parameters": object{"resolution": "720P", "ratio": "16:9", "duration": 5},
	}, changes)
}

type change struct {
	path  string
	value any
}

func set(path string, value any) change { return change{path, value} }

func changed(order object, changes []change) object {
	for _, c := range changes {
		place, name := order, c.path
		if group, field, nested := strings.Cut(c.path, "."); nested {
			place, name = order[group].(object), field
		}
		if c.value == nil {
			delete(place, name)
		} else {
			place[name] = c.value
		}
	}
	return order
}
