package serve_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/serve"
)

const hint = "abcdefghijklmnopqrstuvwx27"

// heard are the callbacks that were taken in, as hint and id.
type heard struct {
	mu      sync.Mutex
	all     [][2]string
	refused int
	full    bool
}

func (h *heard) take(hint, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, [2]string{hint, id})
	return !h.full
}

func (h *heard) refuse() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused++
}

// told returns what was heard since it was asked last.
func (h *heard) told() [][2]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.all = nil }()
	return h.all
}

// callbackRequest is a callback as the provider sends it: without a token.
func callbackRequest(path, body string, lines ...string) string {
	return wireRequest("POST "+path, body, append([]string{"-Authorization"}, lines...)...)
}

func TestACallbackIsAHintAndAnID(t *testing.T) {
	var h heard
	bubble(t, serve.Options{Server: newDesk().tools, Auth: (&fakeAuth{}).require, Callback: h.take}, func(t *testing.T, p *pipes) {
		client := p.client(t)
		var like http.Header
		for _, row := range []struct{ name, path, body, id string }{
			{"as it is sent", hint, `{"id":"task-unified-1","status":"completed","results":["https://media.example/a.mp4"]}`, "task-unified-1"},
			{"a hint of nobody's", strings.Repeat("z", 26), `{"id":"task-unified-1"}`, "task-unified-1"},
			{"too short", "x", `{"id":"task-unified-1"}`, "task-unified-1"},
			{"very long", strings.Repeat("a", 9000), `{"id":"task-unified-1"}`, "task-unified-1"},
			{"no body", hint, "", ""},
			{"no JSON", hint, "completed", ""},
			{"half of it", hint, `{"id":"task-unified-1"`, ""},
			{"something after it", hint, `{"id":"task-unified-1"}{}`, ""},
			{"another shape", hint, `[{"id":"task-unified-1"}]`, ""},
			{"an id that is a number", hint, `{"id":7}`, ""},
			{"an id that is an object", hint, `{"id":{"$ne":null}}`, ""},
			{"no id", hint, `{"task":"task-unified-1"}`, ""},
			{"null", hint, "null", ""},
			{"a list without end", hint, strings.Repeat("[", 64<<10), ""},
		} {
			time.Sleep(time.Second)
			resp, text := do(t, client, post(t, "http://srv/callbacks/"+row.path, row.body))
			require.Equal(t, http.StatusNoContent, resp.StatusCode, row.name)
			require.Empty(t, text)
			require.Equal(t, [][2]string{{row.path, row.id}}, h.told(), row.name)
			resp.Header.Del("Date")
			if like == nil {
				like = resp.Header
			}
			require.Equal(t, like, resp.Header, "%s: all answers are alike", row.name)
		}
	})
}

func TestACallbackIsNotFollowedBeforeItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worked := make(chan bool)
		take := func(string, string) bool { go func() { time.Sleep(time.Hour); close(worked) }(); return true }
		handler := serve.Handler(serve.Options{Server: newDesk().tools, Callback: take, Hosts: []string{"srv"}, Logger: discard})
		began, w := time.Now(), httptest.NewRecorder()
		handler.ServeHTTP(w, post(t, "http://srv/callbacks/"+hint, "{}"))
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Zero(t, time.Since(began))
		<-worked
	})
}

func TestHostileCallbacksAreNotTakenIn(t *testing.T) {
	t.Parallel()
	var rows []hostile
	add := func(want int, name, raw string) {
		rows = append(rows, hostile{name: name, raw: raw, want: []int{want}})
	}
	const path = "/callbacks/" + hint
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"} {
		add(405, "method "+method, strings.Replace(callbackRequest(path, "{}"), "POST", method, 1))
	}
	for _, other := range []string{
		"/callbacks", "/callbacks/", "/callbacks//" + hint, path + "/", path + "/x", "//callbacks/" + hint, "/Callbacks/" + hint, "/callbacks/%61" + hint[1:], "/callbacks/" + hint + "%00",
		"/callbacks/../mcp", "/callbacks/..", "/callbacks/" + hint + "..", "/callbacks/" + hint + ";x", "/callbacks/*", "/clips/../callbacks/" + hint, "/callbacks/%2e%2e/mcp", "/callbacks\\" + hint,
	} {
		rows = append(rows, hostile{name: "path " + other, raw: callbackRequest(other, "{}"), want: []int{404, 400}})
	}
	for _, host := range []string{"evil.example", "localhost.evil.example", "[::ffff:127.0.0.1]:PORT", "10.0.0.1", "0.0.0.0:PORT", ""} {
		rows = append(rows, hostile{name: "Host " + host, raw: callbackRequest(path, "{}", "Host: "+host), want: []int{403, 400}})
	}
	for _, origin := range []string{"https://evil.example", "null", "", "http://localhost:1", "https://ADDR", "*"} {
		add(403, "Origin "+origin, callbackRequest(path, "{}", "Origin: "+origin))
	}
	add(403, "cross-site without Origin", callbackRequest(path, "{}", "Sec-Fetch-Site: cross-site"))
	add(403, "foreign preflight", strings.Replace(callbackRequest(path, "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"), "POST", "OPTIONS", 1))
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "*/*", "application/json, text/plain"} {
		add(415, "type "+kind, callbackRequest(path, "{}", "Content-Type: "+kind))
	}
	add(415, "no type", callbackRequest(path, "{}", "-Content-Type"))
	add(415, "packed", callbackRequest(path, "{}", "Content-Encoding: gzip"))
	add(413, "large", callbackRequest(path, `{"id":"`+strings.Repeat("a", 64<<10)+`"}`))
	add(413, "large in chunks", callbackRequest(path, chunks(strings.Repeat(" ", 1<<14), 5)+"0\r\n\r\n", "-Content-Length", "Transfer-Encoding: chunked"))
	add(400, "shorter than it says", strings.TrimSuffix(callbackRequest(path, chunks("{}", 1)+"zz", "-Content-Length", "Transfer-Encoding: chunked"), "zz")+"zz\r\n")
	require.Greater(t, len(rows), 45)

	var h heard
	var log syncBuffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	srv := start(t, serve.Options{Server: newDesk().tools, Auth: (&fakeAuth{}).require, Callback: h.take, Logger: logger, Hosts: []string{"allowed.example"}})
	none := start(t, serve.Options{Server: newDesk().tools, Auth: (&fakeAuth{}).require})
	for _, row := range rows {
		status, header, body := exchange(t, srv.address, row.raw)
		require.Contains(t, row.want, status, "%s: %s", row.name, body)
		require.Empty(t, h.told(), row.name)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), row.name)
		require.NotContains(t, body, hint, row.name)
		if status == http.StatusMethodNotAllowed {
			require.Equal(t, "POST", header.Get("Allow"), row.name)
		}
		status, _, _ = exchange(t, none.address, row.raw)
		require.Contains(t, []int{404, 403, 400}, status, "%s: where there are no callbacks, there is no path", row.name)
	}
	for name, raw := range map[string]string{
		"as it is":            callbackRequest(path, `{"id":"a"}`),
		"with a token":        callbackRequest(path, `{"id":"a"}`, "Authorization: Bearer of the relay's own"),
		"at the public name":  callbackRequest(path, `{"id":"a"}`, "Host: allowed.example"),
		"with a query":        callbackRequest(path+"?retry=1", `{"id":"a"}`),
		"in chunks":           callbackRequest(path, chunks(`{"id":"a"}`, 1)+"0\r\n\r\n", "-Content-Length", "Transfer-Encoding: chunked"),
		"as large as may be":  callbackRequest(path, `{"id":"a"}`+strings.Repeat(" ", 64<<10-10)),
		"with another accept": callbackRequest(path, `{"id":"a"}`, "Accept: image/png"),
	} {
		status, _, body := exchange(t, srv.address, raw)
		require.Equal(t, http.StatusNoContent, status, "%s: %s", name, body)
		require.Equal(t, [][2]string{{hint, "a"}}, h.told(), name)
	}
	status, _, _ := exchange(t, none.address, callbackRequest(path, "{}"))
	require.Equal(t, http.StatusNotFound, status)
	srv.stop()
	require.NotContains(t, log.String(), "/callbacks")
	require.NotContains(t, log.String(), hint)
}

func TestCallbacksHaveRatesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		d := newDesk()
		handler := serve.Handler(serve.Options{
			Server: d.tools, Callback: h.take, CallbackRefused: h.refuse, Hosts: []string{"srv"}, Rate: 1, Logger: discard,
		})
		from := func(address, path, body string) int {
			r := post(t, "http://srv"+path, body)
			r.RemoteAddr = address
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code == http.StatusTooManyRequests {
				require.Equal(t, "1", w.Header().Get("Retry-After"))
				require.NotContains(t, w.Body.String(), hint)
			}
			return w.Code
		}
		flood := func(address string, n int) (taken int) {
			for range n {
				if from(address, "/callbacks/"+hint, "{}") == http.StatusNoContent {
					taken++
				}
			}
			return taken
		}
		require.Equal(t, 10, flood("203.0.113.1:1000", 500), "nobody alone takes up all room")
		require.Equal(t, 490, h.refused)
		require.Equal(t, 5, flood("203.0.113.2:1000", 5), "and others have theirs")
		require.Zero(t, flood("[::ffff:203.0.113.1]:9", 5), "however an address is written, and at whatever port")
		require.Equal(t, 5, flood("[2001:db8:1:1::1]:1000", 50), "there are 20 in all")
		require.Equal(t, http.StatusOK, from("203.0.113.1:1000", "/mcp", rpc("count")), "people have rates of their own")
		time.Sleep(10 * time.Second)
		require.Equal(t, 10, flood("[2001:db8:1:1::1]:1000", 50))
		require.Zero(t, flood("[2001:db8:1:1:ffff::1]:1000", 50), "which is the same network")
		require.Equal(t, 10, flood("[2001:db8:1:2::1]:1000", 50))
		time.Sleep(10 * time.Second)
		var taken int
		for i := range 600 { // a minute
			taken += flood("198.51.100."+strconv.Itoa(i%200)+":1", 3)
			time.Sleep(100 * time.Millisecond)
		}
		require.InDelta(t, 20*60, taken, 25)

		h.refused, h.full = 0, true
		time.Sleep(10 * time.Second)
		require.Equal(t, http.StatusTooManyRequests, from("192.0.2.1:1", "/callbacks/"+hint, "{}"), "the tracker has no room")
		require.Equal(t, 1, h.refused)
	})
}
