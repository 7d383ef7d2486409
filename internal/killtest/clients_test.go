package killtest

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	goclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	gomcp "github.com/mark3labs/mcp-go/mcp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// door is where a client finds the server, and who it is.
type door struct {
	url   string // without a path
	token string
	http  http.RoundTripper
}

// RoundTrip shows the token.
func (d door) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+d.token)
	return d.http.RoundTrip(r)
}

// agent is an MCP client as an assistant's maker would use it. With a token it asks for progress.
type agent interface {
	call(ctx context.Context, tool string, arguments map[string]any, token string) (structured any, refused bool, err error)
}

// dial connects a client that speaks a version of the protocol, and tells progress.
type dial func(t *testing.T, d door, version string, progress func()) agent

type official struct{ *mcp.ClientSession }

func dialOfficial(t *testing.T, d door, version string, progress func()) agent {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { progress() },
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: d.url + "/mcp", HTTPClient: &http.Client{Transport: d}},
		&mcp.ClientSessionOptions{ProtocolVersion: version})
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	require.Equal(t, version, session.InitializeResult().ProtocolVersion)
	return official{session}
}

func (o official) call(ctx context.Context, tool string, arguments map[string]any, token string) (any, bool, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	if token != "" {
		params.SetProgressToken(token)
	}
	result, err := o.CallTool(ctx, params)
	if err != nil {
		return nil, false, err
	}
	return result.StructuredContent, result.IsError, nil
}

type mcpGo struct{ *goclient.Client }

func dialMCPGo(t *testing.T, d door, version string, progress func()) agent {
	t.Helper()
	way, err := transport.NewStreamableHTTP(d.url+"/mcp", transport.WithHTTPBasicClient(&http.Client{Transport: d}))
	require.NoError(t, err)
	return greet(t, way, version, progress)
}

// dialSSE speaks the legacy transport.
func dialSSE(t *testing.T, d door, version string, progress func()) agent {
	t.Helper()
	way, err := transport.NewSSE(d.url+"/sse", transport.WithHTTPClient(&http.Client{Transport: d}))
	require.NoError(t, err)
	return greet(t, way, version, progress)
}

func greet(t *testing.T, way transport.Interface, version string, progress func()) agent {
	t.Helper()
	client := goclient.NewClient(way, goclient.WithProtocolVersion(version))
	client.OnNotification(func(n gomcp.JSONRPCNotification) {
		if n.Method == "notifications/progress" {
			progress()
		}
	})
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { _ = client.Close() })
	var hello gomcp.InitializeRequest
	hello.Params.ClientInfo = gomcp.Implementation{Name: "test", Version: "1"}
	result, err := client.Initialize(t.Context(), hello)
	require.NoError(t, err)
	require.Equal(t, version, result.ProtocolVersion)
	return mcpGo{client}
}

func (m mcpGo) call(ctx context.Context, tool string, arguments map[string]any, token string) (any, bool, error) {
	var req gomcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, arguments
	if token != "" {
		req.Params.Meta = &gomcp.Meta{ProgressToken: token}
	}
	result, err := m.CallTool(ctx, req)
	if err != nil {
		return nil, false, err
	}
	return result.StructuredContent, result.IsError, nil
}

// made is what these tests read of any tool's answer.
type made struct {
	TaskID   string `json:"task_id"`
	Status   string
	Charged  string
	VideoURL string `json:"video_url"`
	Cost     struct {
		Low, High, Billed json.Number
	}
}

func ask(t *testing.T, a agent, tool string, arguments map[string]any, token string) made {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	structured, refused, err := a.call(ctx, tool, arguments, token)
	require.NoError(t, err)
	require.False(t, refused, "%s is refused: %v", tool, structured)
	text, err := json.Marshal(structured)
	require.NoError(t, err)
	var m made
	require.NoError(t, json.Unmarshal(text, &m))
	return m
}

// makeClip does what an agent does for a clip, and returns the task as it ended.
func (m *market) makeClip(t *testing.T, a agent) made {
	t.Helper()
	j := m.issue("anna")
	price := ask(t, a, "estimate_cost", m.arguments(j), "")
	task := ask(t, a, "generate_r2v", m.arguments(j), "")
	require.NotEmpty(t, task.TaskID)
	for task.Status == "PENDING" || task.Status == "RUNNING" {
		task = ask(t, a, "get_task", map[string]any{"task_id": task.TaskID, "wait_seconds": 20}, "progress-token")
	}
	require.Equal(t, "SUCCEEDED", task.Status)
	require.Equal(t, "yes", task.Charged)
	require.Equal(t, price.Cost.High, task.Cost.Billed)
	return task
}

// Each request goes to the other replica than the one before.
func TestClientsOfBothErasMakeAClipAcrossReplicas(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, simulator.Options{Speed: 300}, "R2V_POLL_INTERVAL=200ms")
	m := newMarket(t.Context(), f)
	for name, tt := range map[string]struct {
		dial
		version string
	}{
		"official SDK, legacy": {dialOfficial, "2025-11-25"}, "official SDK, modern": {dialOfficial, "2026-07-28"},
		"mcp-go, legacy": {dialMCPGo, "2025-11-25"}, "mcp-go, modern": {dialMCPGo, "2026-07-28"},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := f.balancer.passed()
			d := door{f.balancer.URL, f.tokens["anna"], http.DefaultTransport}
			m.makeClip(t, tt.dial(t, d, tt.version, func() {}))
			all, failed := f.balancer.passed()
			require.Empty(t, failed)
			served := map[string]int{}
			for _, p := range all[len(before):] {
				served[p.to.name]++
			}
			require.Len(t, served, 2, "both replicas had a part in it")
		})
	}
	var tasks []upstream
	f.service.control(t, "tasks", &tasks)
	require.Len(t, tasks, 4)
}
