package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	gomcp "github.com/mark3labs/mcp-go/mcp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

const canaryKey = "sk-canary-9c41e7"

// service is a simulated DashScope that counts what is bought.
type service struct {
	*httptest.Server
	creates atomic.Int32
}

// newService starts a service. Whoever wants to hear its requests is told of each before it is answered.
func newService(t *testing.T, speed float64, hear ...func(*http.Request)) *service {
	t.Helper()
	s := &service{}
	sim := simulator.New(simulator.Options{Speed: speed, APIKey: canaryKey})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/video-synthesis") {
			s.creates.Add(1)
		}
		for _, heard := range hear {
			heard(r)
		}
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// env is the whole environment of a server that uses the service.
func (s *service) env(home string) []string {
	return []string{
		"HOME=" + home, "DASHSCOPE_REGION=simulator", "DASHSCOPE_HTTP_BASE_URL=" + s.URL + "/api/v1", "DASHSCOPE_API_KEY=" + canaryKey,
		"R2V_POLL_INTERVAL=100ms", "R2V_SAVE_DIR=" + filepath.Join(home, "clips"),
	}
}

func (s *service) request() map[string]any {
	return map[string]any{
		"prompt": "Video 1 waves", "duration": 5,
		"references": []any{map[string]any{"url": s.URL + "/samples/dancer-4s.mp4", "duration_seconds": 4}},
	}
}

// agent is an MCP client as an assistant's maker would use it.
type agent interface {
	version() string // of the protocol that was agreed
	tools(ctx context.Context) ([]string, error)
	// call returns the structured answer. With a token it asks for progress.
	call(ctx context.Context, tool string, arguments map[string]any, token string) (any, error)
}

// progressed is one progress notification.
type progressed struct {
	token    any
	progress float64
	total    float64
}

type connect func(t *testing.T, cmd *exec.Cmd, modern bool, progress func(progressed)) agent

// kind is a client and the protocol era it is to speak.
type kind struct {
	name   string
	dial   connect
	modern bool
}

func kinds() []kind {
	return []kind{
		{"official SDK, legacy", dialOfficial, false}, {"official SDK, modern", dialOfficial, true},
		{"mcp-go, legacy", dialMCPGo, false}, {"mcp-go, modern", dialMCPGo, true},
	}
}

const (
	legacyVersion = "2025-11-25"
	modernVersion = "2026-07-28"
)

type official struct{ session *mcp.ClientSession }

func dialOfficial(t *testing.T, cmd *exec.Cmd, modern bool, progress func(progressed)) agent {
	t.Helper()
	version := legacyVersion
	if modern {
		version = modernVersion
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			progress(progressed{r.Params.ProgressToken, r.Params.Progress, r.Params.Total})
		},
	})
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return official{session}
}

func (o official) version() string { return o.session.InitializeResult().ProtocolVersion }

func (o official) tools(ctx context.Context) ([]string, error) {
	var names []string
	for tool, err := range o.session.Tools(ctx, nil) {
		if err != nil {
			return nil, err
		}
		names = append(names, tool.Name)
	}
	return names, nil
}

func (o official) call(ctx context.Context, tool string, arguments map[string]any, token string) (any, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	if token != "" {
		params.SetProgressToken(token)
	}
	result, err := o.session.CallTool(ctx, params)
	if err != nil {
		return nil, err
	}
	if result.IsError {
		return nil, fmt.Errorf("refused: %s", result.Content[0].(*mcp.TextContent).Text)
	}
	return result.StructuredContent, nil
}

type mcpGo struct {
	client *goclient.Client
	agreed string
}

func dialMCPGo(t *testing.T, cmd *exec.Cmd, modern bool, progress func(progressed)) agent {
	t.Helper()
	exactly := func(context.Context, string, []string, []string) (*exec.Cmd, error) { return cmd, nil }
	version := legacyVersion
	if modern {
		version = modernVersion
	}
	client := goclient.NewClient(transport.NewStdioWithOptions(cmd.Path, nil, nil, transport.WithCommandFunc(exactly)), goclient.WithProtocolVersion(version))
	client.OnNotification(func(n gomcp.JSONRPCNotification) {
		if f := n.Params.AdditionalFields; n.Method == "notifications/progress" {
			at, _ := f["progress"].(float64)
			total, _ := f["total"].(float64)
			assert.Contains(t, []any{"still waiting for news of this task", "bytes of local files sent"}, f["message"])
			progress(progressed{f["progressToken"], at, total})
		}
	})
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	var hello gomcp.InitializeRequest
	hello.Params.ClientInfo = gomcp.Implementation{Name: "test", Version: "1"}
	result, err := client.Initialize(t.Context(), hello)
	require.NoError(t, err)
	return mcpGo{client, result.ProtocolVersion}
}

func (m mcpGo) version() string { return m.agreed }

func (m mcpGo) tools(ctx context.Context) ([]string, error) {
	list, err := m.client.ListTools(ctx, gomcp.ListToolsRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names, nil
}

func (m mcpGo) call(ctx context.Context, tool string, arguments map[string]any, token string) (any, error) {
	var req gomcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, arguments
	if token != "" {
		req.Params.Meta = &gomcp.Meta{ProgressToken: token}
	}
	result, err := m.client.CallTool(ctx, req)
	if err != nil {
		return nil, err
	}
	if result.IsError {
		return nil, fmt.Errorf("refused: %s", result.Content[0].(gomcp.TextContent).Text)
	}
	return result.StructuredContent, nil
}

// conversation is an agent at work, whose every call must succeed.
type conversation struct {
	*service
	t     *testing.T
	agent agent
	home  string
}

func converse(t *testing.T, k kind, speed float64, progress func(progressed)) *conversation {
	t.Helper()
	c := &conversation{service: newService(t, speed), t: t, home: t.TempDir()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // it outlives the closing of the client
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, built(t, "r2v-mcp"), "stdio")
	cmd.Env = c.env(c.home)
	c.agent = k.dial(t, cmd, k.modern, progress)
	want := legacyVersion
	if k.modern {
		want = modernVersion
	}
	require.Equal(t, want, c.agent.version())
	return c
}

// answer holds what these tests read of any tool's answer.
type answer struct {
	TaskID   string `json:"task_id"`
	Status   string
	Charged  string
	SavedTo  string `json:"saved_to"`
	VideoURL string `json:"video_url"`
	Cost     struct {
		Low, High json.Number
		Estimated struct{ Low, High json.Number }
		Billed    json.Number
	}
}

func (c *conversation) try(tool string, arguments map[string]any, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	structured, err := c.agent.call(ctx, tool, arguments, token)
	if err != nil {
		return answer{}, err
	}
	text, err := json.Marshal(structured)
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal(text, &a)
}

func (c *conversation) ask(tool string, arguments map[string]any) answer {
	c.t.Helper()
	a, err := c.try(tool, arguments, "")
	require.NoError(c.t, err)
	return a
}

func TestEveryClientMakesAClipInBothProtocolEras(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := converse(t, k, 600, func(progressed) {})
			names, err := c.agent.tools(t.Context())
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"estimate_cost", "generate_r2v", "get_task", "list_tasks", "cancel_task"}, names)
			c.makeClip()
		})
	}
}

func (c *conversation) makeClip() {
	c.t.Helper()
	task := c.makeTask()
	require.Equal(c.t, filepath.Join(c.home, "clips"), filepath.Dir(task.SavedTo))
	requireClip(c.t, task.SavedTo)
}

// makeTask makes a clip, wherever it is then.
func (c *conversation) makeTask() answer {
	c.t.Helper()
	request := c.request()
	price := c.ask("estimate_cost", request)
	require.Equal(c.t, price.Cost.Low, price.Cost.High, "every length is known")
	require.Zero(c.t, c.creates.Load(), "an estimate buys nothing")

	request["max_cost"] = price.Cost.High
	task := c.ask("generate_r2v", request)
	require.NotEmpty(c.t, task.TaskID)
	for task.Status == "PENDING" || task.Status == "RUNNING" {
		task = c.ask("get_task", map[string]any{"task_id": task.TaskID, "wait_seconds": 20})
	}
	require.Equal(c.t, "SUCCEEDED", task.Status)
	require.Equal(c.t, "yes", task.Charged)
	require.Equal(c.t, price.Cost.High, task.Cost.Billed)
	require.EqualValues(c.t, 1, c.creates.Load())
	return task
}

func TestAWaitingCallSendsProgressToWhoAskedForIt(t *testing.T) {
	t.Parallel()
	all := kinds()
	told := make([]chan progressed, len(all))
	failed := make([]error, 2*len(all))
	var waiting sync.WaitGroup
	for i, k := range all {
		told[i] = make(chan progressed, 100)
		c := converse(t, k, 1, func(p progressed) { told[i] <- p })
		task := c.ask("generate_r2v", c.request())
		for n, token := range []string{"", "my-token"} {
			waiting.Go(func() {
				a, err := c.try("get_task", map[string]any{"task_id": task.TaskID, "wait_seconds": 6}, token)
				if err == nil && a.Status != "RUNNING" {
					err = fmt.Errorf("status is %s", a.Status)
				}
				failed[2*i+n] = err
			})
		}
	}
	waiting.Wait()
	require.NoError(t, errors.Join(failed...))
	for i, k := range all {
		require.Len(t, told[i], 1, "%s: one after five seconds, and none for the call that gave no token", k.name)
		p := <-told[i]
		require.Equal(t, "my-token", p.token, k.name)
		require.Positive(t, p.progress, k.name)
		require.Zero(t, p.total, "%s: the service tells no share of the work", k.name)
	}
}
