package evolink_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
	"r2v-mcp/testdata"
)

const (
	key  = "sk-evo-canary-0123456789abcdef"
	base = "/gateway" // not empty, so that an absolute path is noticed
)

// text returns a recorded answer.
func text(t testing.TB, name string) string {
	t.Helper()
	b, err := testdata.FS.ReadFile("evolink/" + name)
	require.NoError(t, err)
	return string(b)
}

// upstream is a server that speaks text and remembers what it was sent.
type upstream struct {
	handler http.HandlerFunc

	mu    sync.Mutex
	heads []string
	body  []string
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head, _ := httputil.DumpRequest(r, false)
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.heads = append(u.heads, strings.ReplaceAll(string(head), "\r\n", "\n"))
	u.body = append(u.body, string(body))
	u.mu.Unlock()
	u.handler(w, r)
}

func (u *upstream) requests() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.heads...)
}

// bodies returns the bodies of the requests, in order.
func (u *upstream) bodies() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.body...)
}

// serve starts an upstream on a real socket and returns a client of it.
func serve(t testing.TB, handler http.HandlerFunc) (*evolink.Client, *upstream) {
	t.Helper()
	u := &upstream{handler: handler}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	return newClient(t, evolink.Config{BaseURL: server.URL + base}), u
}

func newClient(t testing.TB, cfg evolink.Config) *evolink.Client {
	t.Helper()
	cfg.APIKey = key
	if cfg.HTTPClient == nil && cfg.FilesURL == "" {
		cfg.FilesURL = cfg.BaseURL // whatever becomes of the default, no test on sockets asks the real service
	}
	c, err := evolink.New(cfg)
	require.NoError(t, err)
	return c
}

// address returns the base URL that a client asks.
func address(c *evolink.Client) string {
	return strings.TrimSuffix(strings.TrimPrefix(c.String(), "evolink.Client("), ")")
}

// answer returns a handler that gives the answers in turn and then the last one for ever.
func answer(answers ...reply) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		now := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		mu.Unlock()
		for name, value := range now.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(now.status)
		io.WriteString(w, now.body)
	}
}

type reply struct {
	status int
	body   string
	header map[string]string
}

// inMemory starts an upstream on pipes in place of sockets, for use in a synctest bubble, where time costs nothing. The
// first refuse dials fail.
func inMemory(t *testing.T, refuse int, handler http.HandlerFunc) (*evolink.Client, *upstream, *pipes) {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{}), refuse: refuse}
	u := &upstream{handler: handler}
	server := &http.Server{Handler: u}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(p)
	}()
	transport := &http.Transport{DialContext: p.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
	})
	cfg := evolink.Config{BaseURL: "http://127.0.0.1" + base, HTTPClient: &http.Client{Transport: transport}}
	return newClient(t, cfg), u, p
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	dials  int
	refuse int
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	p.mu.Lock()
	p.dials++
	refused := p.dials <= p.refuse
	p.mu.Unlock()
	if refused {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: p.Addr(), Err: io.ErrClosedPipe}
	}
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) dialed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// failure returns the *evolink.Error that every failed call must return.
func failure(t testing.TB, err error) *evolink.Error {
	t.Helper()
	var e *evolink.Error
	require.ErrorAs(t, err, &e)
	return e
}

func video() *evolink.VideoRequest {
	return &evolink.VideoRequest{
		Model:     "wan2.6-reference-video-flash",
		Prompt:    "A person dancing",
		VideoURLs: []string{"https://example.com/a.mp4"},
	}
}

const (
	taskID = "task-unified-1757169743-7cvnl5zw" // of the recorded answers
	idem   = "r2v-0123456789abcdef"
)

// create makes a task with the usual request.
func create(ctx context.Context, c *evolink.Client) (*evolink.Task, error) {
	return c.CreateVideo(ctx, video(), idem)
}

func requireHeads(t *testing.T, u *upstream, c *evolink.Client, want ...string) {
	t.Helper()
	at, err := url.Parse(address(c))
	require.NoError(t, err)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "HOST", at.Host)
	}
	require.Equal(t, want, u.requests())
}
