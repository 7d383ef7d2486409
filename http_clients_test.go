package main_test

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	goclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	gomcp "github.com/mark3labs/mcp-go/mcp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// carrying adds a header to each request, as an assistant does that was given a token.
type carrying struct{ token string }

func (c carrying) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+c.token)
	return http.DefaultTransport.RoundTrip(r)
}

// httpKind is a client, its transport, and the protocol era it is to speak.
type httpKind struct {
	name   string
	dial   func(t *testing.T, site, token string, modern bool) agent
	modern bool
}

func httpKinds() []httpKind {
	return []httpKind{
		{"official SDK, streamable HTTP, legacy", officialStreamable, false}, {"official SDK, streamable HTTP, modern", officialStreamable, true},
		{"mcp-go, streamable HTTP, legacy", mcpGoStreamable, false}, {"mcp-go, streamable HTTP, modern", mcpGoStreamable, true},
		{"official SDK, SSE", officialSSE, false}, {"mcp-go, SSE", mcpGoSSE, false},
	}
}

func versionOf(modern bool) string {
	if modern {
		return modernVersion
	}
	return legacyVersion
}

func officialStreamable(t *testing.T, site, token string, modern bool) agent {
	t.Helper()
	return officialOver(t, &mcp.StreamableClientTransport{Endpoint: site + "/mcp", HTTPClient: &http.Client{Transport: carrying{token}}}, modern)
}

func officialSSE(t *testing.T, site, token string, modern bool) agent {
	t.Helper()
	return officialOver(t, &mcp.SSEClientTransport{Endpoint: site + "/sse", HTTPClient: &http.Client{Transport: carrying{token}}}, modern)
}

func officialOver(t *testing.T, over mcp.Transport, modern bool) agent {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), over, &mcp.ClientSessionOptions{ProtocolVersion: versionOf(modern)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return official{session}
}

func mcpGoStreamable(t *testing.T, site, token string, modern bool) agent {
	t.Helper()
	over, err := transport.NewStreamableHTTP(site+"/mcp", transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
	require.NoError(t, err)
	return mcpGoOver(t, over, modern)
}

func mcpGoSSE(t *testing.T, site, token string, modern bool) agent {
	t.Helper()
	over, err := transport.NewSSE(site+"/sse", transport.WithHeaders(map[string]string{"Authorization": "Bearer " + token}))
	require.NoError(t, err)
	return mcpGoOver(t, over, modern)
}

func mcpGoOver(t *testing.T, over transport.Interface, modern bool) agent {
	t.Helper()
	client := goclient.NewClient(over, goclient.WithProtocolVersion(versionOf(modern)))
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	var hello gomcp.InitializeRequest
	hello.Params.ClientInfo = gomcp.Implementation{Name: "test", Version: "1"}
	result, err := client.Initialize(t.Context(), hello)
	require.NoError(t, err)
	return mcpGo{client, result.ProtocolVersion}
}

// proxy is what stands before a server and tells it nothing but the Host that was asked for.
type proxy struct {
	*site
	url string
	to  atomic.Pointer[url.URL]
}

// behindProxy starts r2v-mcp http behind a proxy, whose address it is told.
func behindProxy(t *testing.T, see func(*http.Response) error, env ...string) *proxy {
	t.Helper()
	p := &proxy{}
	front := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(p.to.Load()); r.Out.Host = r.In.Host },
		ModifyResponse: see,
		FlushInterval:  -1,
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.url = "http://" + listener.Addr().String()
	p.site = serveHTTP(t, append([]string{"R2V_PUBLIC_URL=" + p.url}, env...)...)
	to, err := url.Parse(p.site.url)
	require.NoError(t, err)
	p.to.Store(to)
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(func() { _ = front.Close() })
	return p
}

func TestEveryClientMakesAClipOverHTTP(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	tokens, of := tokensIn(t, home, "alice")
	for _, k := range httpKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := &conversation{service: newService(t, 600), t: t, home: t.TempDir()}
			p := behindProxy(t, nil, append(c.env(c.home), tokens)...)
			c.agent = k.dial(t, p.url, of["alice"], k.modern)
			require.Equal(t, versionOf(k.modern), c.agent.version())
			names, err := c.agent.tools(t.Context())
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"estimate_cost", "generate_r2v", "get_task", "list_tasks", "cancel_task"}, names)
			task := c.makeTask()
			require.Empty(t, task.SavedTo, "a path of the server is of no use to its callers")
			require.Equal(t, p.url+"/clips/"+task.TaskID+".mp4", task.VideoURL)
			p.requireClipOf(task.TaskID, of["alice"])
		})
	}
}

// requireClipOf gets a clip as the page does.
func (s *site) requireClipOf(id, token string) {
	s.Helper()
	status, clip := s.send(http.MethodGet, "/clips/"+id+".mp4", "", "Cookie", "r2v="+token)
	require.Equal(s, http.StatusOK, status, clip)
	require.True(s, strings.HasPrefix(clip[4:], "ftyp"), "an MP4 begins with its type")
}
