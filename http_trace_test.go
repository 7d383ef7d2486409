package main_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tracedLine is a call in the trace that its _meta names.
func tracedLine(prompt, parent string) string {
	text := callLine(9, "generate_r2v", waving(prompt))
	return strings.Replace(text, `"params":{`, `"params":{"_meta":{"traceparent":"`+parent+`"},`, 1)
}

// What a call causes belongs to its caller's trace, however it has come in.
func TestATraceGoesThrough(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent := map[string]string{} // by prompt: the parent that a create has gone out with
	upstream := newService(t, 600, func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/video-synthesis") {
			mu.Lock()
			defer mu.Unlock()
			sent[r.Header.Get("traceparent")] = r.Header.Get("tracestate")
		}
	})
	home := t.TempDir()
	tokens, of := tokensIn(t, home, "alice")
	s := serveHTTP(t, append(upstream.env(home), tokens)...)
	e := s.listen(bearer(of["alice"])...)
	const span = "-00f067aa0ba902b7-01"
	post := func(message string, headers ...string) func() {
		return func() {
			status, text := s.send(http.MethodPost, "/mcp", message, append(headers, bearer(of["alice"])...)...)
			require.Equal(t, http.StatusOK, status, text)
			require.Empty(t, readSaid(t, text).refusal)
		}
	}
	stream := func(message string, headers ...string) func() {
		return func() {
			e.say(message, headers...)
			require.Empty(t, readSaid(t, e.next()).refusal)
		}
	}
	id := func(digit string) string { return strings.Repeat(digit, 32) }
	header := func(digit string) []string {
		return []string{"traceparent", "00-" + id(digit) + span, "tracestate", "vendor=" + digit}
	}
	ways := map[string]struct {
		call  func()
		id    string
		state string
	}{
		"header to /mcp":              {post(callLine(9, "generate_r2v", waving("one")), header("1")...), id("1"), "vendor=1"},
		"_meta to /mcp":               {post(tracedLine("two", "00-"+id("2")+span)), id("2"), ""},
		"both to /mcp":                {post(tracedLine("three", "00-"+id("3")+span), header("4")...), id("3"), ""},
		"header to /message":          {stream(callLine(9, "generate_r2v", waving("five")), header("5")...), id("5"), "vendor=5"},
		"_meta to /message":           {stream(tracedLine("six", "00-"+id("6")+span)), id("6"), ""},
		"both to /message":            {stream(tracedLine("seven", "00-"+id("7")+span), header("8")...), id("7"), ""},
		"header that is no trace":     {post(callLine(9, "generate_r2v", waving("nine")), "traceparent", "00-"+id("0")+span), "", ""},
		"none, after those before it": {stream(callLine(9, "generate_r2v", waving("ten"))), "", ""},
	}
	for name, way := range ways {
		clearMap(&mu, sent)
		before := len(s.logged("call"))
		way.call()
		require.Eventually(t, func() bool { return len(s.logged("call")) == before+1 }, 5e9, 1e6)
		logged := s.logged("call")[before]
		require.Equal(t, "generate_r2v", logged["tool"], name)
		require.Equal(t, "alice", logged["person"], name)
		parent := ""
		if way.id != "" {
			parent = "00-" + way.id + span
			require.Equal(t, way.id, logged["trace_id"], name)
		} else {
			require.NotContains(t, logged, "trace_id", name)
		}
		mu.Lock()
		require.Equal(t, map[string]string{parent: way.state}, sent, name)
		mu.Unlock()
	}
	require.Equal(t, len(ways), int(upstream.creates.Load()))
}

func clearMap(mu *sync.Mutex, m map[string]string) {
	mu.Lock()
	defer mu.Unlock()
	clear(m)
}
