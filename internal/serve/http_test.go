package serve_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomcp "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/serve"
)

// desk is a server with three tools: "count" counts its calls and names the caller, "wait" answers when its context ends, and
// "panic" does.
type desk struct {
	calls   atomic.Int64
	waiting chan string // a caller's name for each call that waits
	ended   chan string // and for each that has
	tools   *server.MCPServer
}

func newDesk() *desk {
	d := &desk{waiting: make(chan string, 100), ended: make(chan string, 100)}
	tool := func(name string, do func(context.Context) string) server.ServerTool {
		return server.ServerTool{
			Tool: gomcp.NewTool(name),
			Handler: func(ctx context.Context, _ gomcp.CallToolRequest) (*gomcp.CallToolResult, error) {
				d.calls.Add(1)
				return gomcp.NewToolResultText(do(ctx)), nil
			},
		}
	}
	d.tools = serve.NewServer("1", "", []server.ServerTool{
		tool("count", func(ctx context.Context) string { return "caller " + auth.From(ctx).Name }),
		tool("wait", func(ctx context.Context) string {
			d.waiting <- auth.From(ctx).Name
			<-ctx.Done()
			d.ended <- auth.From(ctx).Name
			return "state so far, because " + context.Cause(ctx).Error()
		}),
		tool("panic", func(context.Context) string { panic("secret words") }),
	})
	return d
}

// fakeAuth knows the tokens "ann", "bob" and "reader", unless they are revoked.
type fakeAuth struct{ revoked atomic.Bool }

func (f *fakeAuth) Verify(_ context.Context, token string) (auth.Person, error) {
	if (token != "ann" && token != "bob" && token != "reader") || f.revoked.Load() {
		return auth.Person{}, auth.ErrUnknown
	}
	return auth.Person{Name: token, Reader: token == "reader"}, nil
}

func (f *fakeAuth) require(next http.Handler) http.Handler { return auth.Require(f, nil)(next) }

// running is a server that listens; stop ends its context and waits for it.
type running struct {
	address string
	stop    func() time.Duration
}

func start(t *testing.T, o serve.Options) running {
	t.Helper()
	if o.Listener == nil {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		o.Listener = listener
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	var result error
	go func() {
		defer close(ended)
		result = serve.HTTP(ctx, o)
	}()
	stop := func() time.Duration {
		began := time.Now()
		cancel()
		<-ended
		require.NoError(t, result)
		return time.Since(began)
	}
	t.Cleanup(cancel) // who tests the end stops it and waits
	return running{o.Listener.Addr().String(), stop}
}

// rpc is a call of a tool as a legacy client sends it.
func rpc(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `"}}`
}

func modernRPC(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
}

// post builds a request; headers are "Name: value".
func post(t *testing.T, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func do(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// events is an open legacy stream.
type events struct {
	*bufio.Scanner
	message  string // where messages go
	response *http.Response
}

func listen(t *testing.T, client *http.Client, base, token string) events {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/sse", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	e := events{bufio.NewScanner(resp.Body), "", resp}
	e.message = base + e.next(t)
	require.NotContains(t, e.message[len(base):], "http", "a proxy has another address")
	return e
}

// next is the data of the next event.
func (e events) next(t *testing.T) string {
	t.Helper()
	for e.Scan() {
		if data, ok := strings.CutPrefix(e.Text(), "data: "); ok {
			return data
		}
	}
	require.FailNow(t, "the stream has ended")
	return ""
}

func textOf(t *testing.T, answer string) string {
	t.Helper()
	var message struct {
		Result struct{ Content []struct{ Text string } }
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &message))
	require.NotEmpty(t, message.Result.Content, answer)
	return message.Result.Content[0].Text
}
