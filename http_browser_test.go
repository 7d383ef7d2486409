package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	chromium = "/usr/bin/chromium"
	rebound  = "rebound.example" // a name that its owner lets lead to this machine
	stranger = "stranger.example"
)

// browse starts Chromium for a test, which is skipped where there is none, unless CI says that everything is there.
func browse(t *testing.T) context.Context {
	t.Helper()
	if _, err := os.Stat(chromium); errors.Is(err, os.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skip("there is no " + chromium)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP "+rebound+" 127.0.0.1, MAP "+stranger+" 127.0.0.1"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx), "Chromium starts")
	return ctx
}

// seen are the answers that a server has given to a browser.
type seen struct {
	mu      sync.Mutex
	answers []string
}

func (s *seen) note(resp *http.Response) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, fmt.Sprintf("%d to %s %s", resp.StatusCode, resp.Request.Method, resp.Request.URL.Path))
	return nil
}

// taken returns what was noted since it was last called, once there is any.
func (s *seen) taken(t *testing.T, what string) []string {
	t.Helper()
	var all []string
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		all, s.answers = append(all, s.answers...), nil
		return len(all) > 0
	}, 5*time.Second, 2*time.Millisecond, "%s never came to the server", what)
	return all
}

// attempts are what a page may try to have a server at OURS buy a clip by CALL: scripts by their names.
func attempts() map[string]string {
	post := func(path, mode, kind string) string {
		return `fetch("OURS` + path + `", {method: "POST", mode: "` + mode + `", credentials: "include", headers: {"Content-Type": "` + kind +
			`", "Accept": "application/json, text/event-stream"}, body: CALL}).then((r) => r.text()).catch(String)`
	}
	form := func(kind string) string {
		return `new Promise((resolve) => { const frame = document.createElement("iframe"); frame.name = "f" + Math.random(); frame.onload = () => resolve("loaded");
			const form = document.createElement("form"); form.method = "POST"; form.action = "OURS/mcp"; form.target = frame.name; form.enctype = "` + kind + `";
			const field = document.createElement("input"), half = CALL.lastIndexOf("="); field.name = CALL.slice(0, half); field.value = CALL.slice(half + 1);
			form.append(field); document.body.append(frame, form); form.submit(); setTimeout(() => resolve("late"), 300); })`
	}
	tag := func(tag, address string) string {
		return `new Promise((resolve) => { const e = document.createElement("` + tag + `"); e.onload = e.onerror = () => resolve("done"); e.src = "OURS` + address +
			`"; document.body.append(e); setTimeout(() => resolve("late"), 300); })`
	}
	return map[string]string{
		"fetch of JSON":                      post("/mcp", "cors", "application/json"),
		"fetch of JSON without CORS":         post("/mcp", "no-cors", "application/json"),
		"fetch of text":                      post("/mcp", "cors", "text/plain"),
		"fetch of text without CORS":         post("/mcp", "no-cors", "text/plain"),
		"fetch of text to a session":         post("/message?sessionId=guessed", "no-cors", "text/plain"),
		"fetch of a form":                    post("/mcp", "no-cors", "application/x-www-form-urlencoded"),
		"form of text":                       form("text/plain"),
		"form":                               form("application/x-www-form-urlencoded"),
		"form with parts":                    form("multipart/form-data"),
		"picture":                            tag("img", `/mcp?message=" + encodeURIComponent(CALL) + "`),
		"script":                             tag("script", `/sse`),
		"frame":                              tag("iframe", `/mcp`),
		"frame of the page":                  tag("iframe", `/`),
		"beacon":                             `navigator.sendBeacon("OURS/mcp", new Blob([CALL], {type: "text/plain"}))`,
		"beacon of JSON":                     `navigator.sendBeacon("OURS/mcp", new Blob([CALL], {type: "application/json"}))`,
		"socket":                             `new Promise((resolve) => { const s = new WebSocket("OURS/mcp".replace("http", "ws")); s.onopen = () => s.send(CALL); s.onerror = s.onclose = () => resolve("closed"); })`,
		"fetch of an open stream's messages": `fetch("OURS/sse").then((r) => r.text()).catch(String)`,
		"stream, then its messages": `new Promise((resolve) => { const s = new EventSource("OURS/sse"); s.onerror = () => { s.close(); resolve("closed"); };
			s.addEventListener("endpoint", (e) => { s.close(); fetch("OURS" + e.data, {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: CALL}).then(() => resolve("sent")); }); })`,
	}
}

// page is a tab at some address.
type webPage struct {
	*testing.T
	ctx context.Context
}

func openPage(in context.Context, t *testing.T, address string) *webPage {
	t.Helper()
	ctx, stop := chromedp.NewContext(in, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx))
	p := &webPage{t, ctx}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	require.NoError(t, chromedp.Do(within, chromedp.Navigate(address)))
	return p
}

// run runs one of the attempts on a server.
func (p *webPage) run(script, server, call string) any {
	p.Helper()
	within, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	script = fmt.Sprintf("(() => { const CALL = %q; return %s; })()", call, strings.ReplaceAll(script, "OURS", server))
	value, err := chromedp.Run(within, chromedp.Evaluate[any](script, chromedp.EvalAwaitPromise))
	require.NoError(p, err, script)
	return value
}

// callOfPage buys a clip. The = makes it fit a form's field.
func callOfPage(prompt string) string { return callLine(7, "generate_r2v", waving(prompt+" a=b")) }

// A page that somebody has open beside a server on their machine, which asks nobody for a token.
func TestAForeignPageCannotCall(t *testing.T) {
	t.Parallel()
	upstream := newService(t, 600)
	var noted seen
	p := behindProxyUnknown(t, noted.note, upstream.env(t.TempDir())...)
	in := browse(t)
	foreign := newKittens(t)
	for name, page := range map[string]string{
		"another port": "http://127.0.0.1:" + foreign.port, "another name": "http://" + stranger + ":" + foreign.port, "localhost": "http://localhost:" + foreign.port,
	} {
		t.Run(name, func(t *testing.T) {
			b := openPage(in, t, page)
			for attempt, script := range attempts() {
				value := b.run(script, p.url, callOfPage(attempt))
				for _, answer := range noted.taken(t, attempt) {
					require.Regexp(t, `^(40[0-9]|415) `, answer, "%s: %v", attempt, value)
				}
				require.Zero(t, upstream.creates.Load()+int32(p.calls()), attempt)
			}
		})
	}
	t.Run("the server's own page", func(t *testing.T) { // without this, the others prove nothing
		b := openPage(in, t, p.url+"/")
		value := b.run(attempts()["fetch of JSON"], p.url, callOfPage("control"))
		require.Contains(t, value, "task_id")
		require.EqualValues(t, 1, upstream.creates.Load())
		require.Equal(t, 1, p.calls())
	})
}

// behindProxyUnknown starts r2v-mcp http behind what notes its answers, and of which it knows nothing.
func behindProxyUnknown(t *testing.T, see func(*http.Response) error, env ...string) *proxy {
	t.Helper()
	p := behindProxy(t, see, append(env, "R2V_PUBLIC_URL=")...)
	return p
}

// kittens serves a page on this machine, and anything else under the same name as soon as it is told to.
type kittens struct {
	port string
	to   atomic.Pointer[string] // the address that connections are led on to; nil for the page
}

func newKittens(t *testing.T) *kittens {
	t.Helper()
	h := &kittens{}
	pages, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Connection", "close") // so that the next request looks the name up again
		_, _ = io.WriteString(w, "<!doctype html><title>Kittens</title><body>")
	})}
	go func() { _ = server.Serve(pages) }()
	t.Cleanup(func() { _ = server.Close() })
	door, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = door.Close() })
	h.port = portOf(t, door)
	go h.lead(door, pages.Addr().String())
	return h
}

// lead leads connections on, as a name does whose owner changes where it leads.
func (h *kittens) lead(door net.Listener, pages string) {
	for {
		from, err := door.Accept()
		if err != nil {
			return
		}
		address := pages
		if other := h.to.Load(); other != nil {
			address = *other
		}
		to, err := net.Dial("tcp", address)
		if err != nil {
			_ = from.Close()
			continue
		}
		go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
		go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
	}
}

// To a browser, a name that leads to this machine now is the same origin as before.
func TestARebindingPageCannotCall(t *testing.T) {
	t.Parallel()
	upstream := newService(t, 600)
	var noted seen
	p := behindProxyUnknown(t, noted.note, upstream.env(t.TempDir())...)
	in := browse(t)
	ours, err := url.Parse(p.url)
	require.NoError(t, err)
	refused := func(t *testing.T, b *webPage, server string) {
		for attempt, script := range attempts() {
			value := b.run(script, server, callOfPage(attempt))
			for _, answer := range noted.taken(t, attempt) {
				require.Regexp(t, `^403 `, answer, "%s: %v", attempt, value)
			}
			require.Zero(t, upstream.creates.Load()+int32(p.calls()), attempt)
		}
	}
	t.Run("the hostile name with the server's port", func(t *testing.T) {
		h := newKittens(t)
		refused(t, openPage(in, t, "http://"+rebound+":"+h.port), "http://"+rebound+":"+ours.Port())
	})
	t.Run("a page of the server under the hostile name", func(t *testing.T) {
		b := openPage(in, t, "http://"+rebound+":"+ours.Port()+"/")
		require.Contains(t, noted.taken(t, "the page")[0], "403 ")
		for attempt, script := range attempts() { // the policy of the refusal holds them back
			b.run(script, "http://"+rebound+":"+ours.Port(), callOfPage(attempt))
			require.Zero(t, upstream.creates.Load()+int32(p.calls()), attempt)
		}
	})
	t.Run("the name leads to the server's port now", func(t *testing.T) {
		h := newKittens(t)
		b := openPage(in, t, "http://"+rebound+":"+h.port)
		h.to.Store(&ours.Host)
		refused(t, b, "http://"+rebound+":"+h.port)
	})
	t.Run("control", func(t *testing.T) { // the same way in, under a name that is this machine's
		h := newKittens(t)
		b := openPage(in, t, "http://localhost:"+h.port)
		h.to.Store(&ours.Host)
		require.Contains(t, b.run(attempts()["fetch of JSON"], "http://localhost:"+h.port, callOfPage("control")), "task_id")
		require.EqualValues(t, 1, upstream.creates.Load())
		require.Equal(t, 1, p.calls())
	})
}
