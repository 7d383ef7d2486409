package serve_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/server"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/serve"
)

func TestStreamBelongsToWhoOpenedIt(t *testing.T) {
	t.Parallel()
	d, a := newDesk(), &fakeAuth{}
	srv := start(t, serve.Options{Server: d.tools, Auth: a.require})
	client := newClient(t)
	stream := listen(t, client, "http://"+srv.address, "ann")
	require.Empty(t, stream.response.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "no-store", stream.response.Header.Get("Cache-Control"))

	resp, _ := do(t, client, post(t, stream.message, rpc("count"), "Authorization: Bearer bob"))
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "another's session")
	r := post(t, stream.message, rpc("count"), ann)
	r.Header.Set("Content-Type", "text/plain")
	resp, _ = do(t, client, r)
	require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode)
	resp, _ = do(t, client, post(t, stream.message, "["+rpc("count")+"]", ann))
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Zero(t, d.calls.Load())

	resp, _ = do(t, client, post(t, stream.message, rpc("count"), ann))
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	require.Equal(t, "caller ann", textOf(t, stream.next(t)))

	do(t, client, post(t, stream.message, rpc("wait"), ann))
	require.Equal(t, "ann", <-d.waiting)
	stream.response.Body.Close()
	require.Equal(t, "ann", <-d.ended, "a call ends with its stream")
	require.Eventually(t, func() bool {
		resp, _ := do(t, client, post(t, stream.message, rpc("count"), ann))
		return resp.StatusCode == http.StatusNotFound
	}, 5*time.Second, 5*time.Millisecond, "and so does the session")
}

func TestStreamsOfOnePersonAreBounded(t *testing.T) {
	t.Parallel()
	a := &fakeAuth{}
	srv := start(t, serve.Options{Server: newDesk().tools, Auth: a.require})
	client := newClient(t)
	open := make([]events, 32)
	for i := range open {
		open[i] = listen(t, client, "http://"+srv.address, "ann")
	}
	get := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.address+"/sse", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer ann")
		resp, err := client.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, http.StatusTooManyRequests, get())
	listen(t, client, "http://"+srv.address, "bob")
	open[7].response.Body.Close()
	require.Eventually(t, func() bool { return get() == http.StatusOK }, 5*time.Second, 5*time.Millisecond, "a closed one makes room")
}

// pipes is a listener without a network, whose clocks are those of a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) client(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { time.Sleep(d) }

// bubble runs a test with a server in it that is reached as http://srv.
func bubble(t *testing.T, o serve.Options, test func(t *testing.T, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		o.Listener, o.Hosts, o.Logger = p, []string{"srv"}, slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = serve.HTTP(ctx, o)
		}()
		test(t, p)
		cancel()
		<-ended
	})
}

func TestStreamLastsWhileItIsUsed(t *testing.T) {
	d, a := newDesk(), &fakeAuth{}
	bubble(t, serve.Options{Server: d.tools, Auth: a.require}, func(t *testing.T, p *pipes) {
		client := p.client(t)
		stream := listen(t, client, "http://srv", "ann")
		began := time.Now()
		lines := make(chan string, 10_000)
		go func() {
			defer close(lines)
			for stream.Scan() {
				lines <- stream.Text()
			}
		}()
		for comment := false; !comment; { // proxies keep it
			comment = strings.HasPrefix(<-lines, ":")
		}
		require.Equal(t, 15*time.Second, time.Since(began))
		time.Sleep(40 * time.Minute)
		resp, _ := do(t, client, post(t, stream.message, rpc("count"), ann))
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		used := time.Now()
		for range lines {
		}
		require.InDelta(t, time.Hour, time.Since(used), float64(20*time.Second))
	})
}

func TestSlowSendersAndReadersAreCut(t *testing.T) {
	d := newDesk()
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	read := func(t *testing.T, c net.Conn) string {
		text, _ := io.ReadAll(c)
		return string(text)
	}
	bubble(t, serve.Options{Server: d.tools, Page: endless}, func(t *testing.T, p *pipes) {
		began := time.Now()
		c := p.dial()
		io.WriteString(c, "POST /mcp HTTP/1.1\r\nHost: srv\r\nX-A: ")
		read(t, c)
		require.InDelta(t, 10*time.Second, time.Since(began), float64(time.Second), "headers")

		began, c = time.Now(), p.dial()
		io.WriteString(c, "POST /mcp HTTP/1.1\r\nHost: srv\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		drip := c
		go func() {
			for {
				time.Sleep(time.Second) // it is never silent
				if _, err := drip.Write([]byte(" ")); err != nil {
					return
				}
			}
		}()
		require.Contains(t, read(t, c), "408")
		require.InDelta(t, 30*time.Second, time.Since(began), float64(2*time.Second), "a body")

		began, c = time.Now(), p.dial()
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: srv\r\nContent-Length: 1000\r\n\r\n")
		read(t, c)
		require.InDelta(t, 30*time.Second, time.Since(began), float64(2*time.Second), "a body that nobody asked for")

		began, c = time.Now(), p.dial()
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: srv\r\n\r\n")
		require.Contains(t, read(t, c), "200 OK")
		require.Equal(t, 120*time.Second, time.Since(began), "a connection at rest")

		c = p.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: srv\r\n\r\n")
		time.Sleep(11 * time.Second) // and nothing is read
		n, _ := io.Copy(io.Discard, c)
		require.Less(t, n, int64(1<<16), "the answer was given up")

		c = p.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: srv\r\n\r\n")
		for range 60 {
			_, err := io.ReadFull(c, make([]byte, 1<<16))
			require.NoError(t, err, "who reads slowly, but reads, is served")
			time.Sleep(5 * time.Second)
		}
		c.Close()
	})
	require.Zero(t, d.calls.Load())
}

func TestStoppingServerLetsCallsAnswer(t *testing.T) {
	d, a := newDesk(), &fakeAuth{}
	server.WithToolCapabilities(true)(d.tools) // so that listening is worth while
	srv := start(t, serve.Options{Server: d.tools, Auth: a.require})
	client, base := newClient(t), "http://"+srv.address
	modern := []string{"Authorization: Bearer bob", "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: wait"}
	answers := make(chan string, 3)
	var calls sync.WaitGroup
	calls.Go(func() {
		_, body := do(t, client, post(t, base+"/mcp", rpc("wait"), ann))
		answers <- textOf(t, body)
	})
	calls.Go(func() {
		_, body := do(t, client, post(t, base+"/mcp", modernRPC("wait"), modern...))
		answers <- textOf(t, body)
	})
	stream := listen(t, client, base, "ann")
	do(t, client, post(t, stream.message, rpc("wait"), ann))
	calls.Go(func() { answers <- textOf(t, stream.next(t)) })
	idle := listen(t, client, base, "bob")

	listening := post(t, base+"/mcp", `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		"Authorization: Bearer bob", "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: subscriptions/listen")
	resp, err := client.Do(listening)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	begun := make([]byte, 1)
	_, err = io.ReadFull(resp.Body, begun)
	require.NoError(t, err)

	for range 3 {
		<-d.waiting
	}
	require.Less(t, srv.stop(), 1500*time.Millisecond)
	calls.Wait()
	for range 3 {
		require.Equal(t, "state so far, because the server is stopping", <-answers)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err, "it ends in order")
	for idle.Scan() {
	}
	require.NoError(t, idle.Err())
	require.Eventually(t, func() bool { return atWork() == "" }, 5*time.Second, 5*time.Millisecond, "nobody is left behind: %s", lazy(atWork))
}

func TestStoppingServerDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	d := newDesk()
	never := make(chan struct{})
	defer close(never)
	stuck := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { d.waiting <- "page"; <-never })
	srv := start(t, serve.Options{Server: d.tools, Page: stuck})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.address)
	require.NoError(t, err)
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-d.waiting
	require.Less(t, srv.stop(), 3*time.Second)
}

func TestCallLastsUntilItsCallerLeaves(t *testing.T) {
	d := newDesk()
	bubble(t, serve.Options{Server: d.tools}, func(t *testing.T, p *pipes) {
		d.waiting, d.ended = make(chan string, 1), make(chan string, 1)
		ctx, leave := context.WithCancel(t.Context())
		client, left := p.client(t), make(chan error)
		call := post(t, "http://srv/mcp", rpc("wait")).WithContext(ctx)
		go func() {
			resp, err := client.Do(call)
			if err == nil {
				resp.Body.Close()
			}
			left <- err
		}()
		<-d.waiting
		time.Sleep(5 * time.Minute) // far beyond the deadlines of bodies and writes
		require.Empty(t, d.ended)
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		<-d.ended
	})
}
