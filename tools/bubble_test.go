package tools_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/evolink"
	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/serve"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// bubble is a real MCP client, our server and a simulated service inside one testing/synctest bubble: no sockets, and hours that take no
// time.
type bubble struct {
	seller
	t      *testing.T
	sim    *simulator.Server
	client *client.Client
	words  provider.Words
	tasks  *tracker.Tracker
	rest   func() // nobody follows any task from then on
}

type bubbleOptions struct {
	key          string // instead of the one that the service takes
	region       string // instead of the simulator's own, which has rates
	budgetPerDay string
	callbacks    *listener     // who is told of ends; nil where nobody can be
	poll         time.Duration // instead of 15 s, for tests of days
}

func newBubble(t *testing.T, s seller, o bubbleOptions) *bubble {
	t.Helper()
	w := &bubble{seller: s, t: t, sim: simulator.New(simulator.Options{Provider: s.name, APIKey: simulatedKey})}
	t.Cleanup(w.sim.Close)
	whole, err := video.BuiltIn()
	require.NoError(t, err)
	catalogue := whole.For(s.name)
	dir, wire := t.TempDir(), simulatortest.Transport(w.sim)
	tasks := &tracker.Tracker{
		Ledger: bubbleLedger(t, dir, o), PollInterval: cmp.Or(o.poll, 15*time.Second), Logger: slog.New(slog.DiscardHandler),
		Saver: clips.Folder{Dir: filepath.Join(dir, "videos"), Client: &http.Client{Transport: wire}},
	}
	region := cmp.Or(o.region, w.provide(tasks, cmp.Or(o.key, simulatedKey), catalogue, wire))
	w.words = tasks.Provider.Words()
	w.tasks = tasks
	t.Cleanup(tasks.Drain)
	t.Cleanup(func() { w.rest() })
	set := &tools.Set{
		Catalogue: catalogue, Region: region, Tasks: tasks, MaxWait: 50 * time.Second, PollInterval: 15 * time.Second, Saves: true, Console: w.words.Console,
		NoCancel: s.name == "evolink",
	}
	if o.callbacks != nil {
		set.Callbacks, tasks.Callbacks, tasks.Body = o.callbacks, o.callbacks, set.CallbackBody
	}
	w.follow()
	w.connect(set)
	return w
}

// follow follows tasks as the program does.
func (w *bubble) follow() {
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan struct{})
	go func() { w.tasks.Run(ctx); close(done) }()
	w.rest = func() { stop(); <-done }
}

func bubbleLedger(t *testing.T, dir string, o bubbleOptions) *ledger.Ledger {
	t.Helper()
	settings := ledger.Options{Path: filepath.Join(dir, "ledger.db"), Upstream: "simulator", Account: "ours", Window: 10 * time.Minute, Zone: time.UTC}
	if o.budgetPerDay != "" {
		d := decimal.RequireFromString(o.budgetPerDay)
		settings.BudgetPerDay = &d
	}
	l := ledger.New(settings)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// provide gives a tracker its provider, and returns the region in which that sells.
func (w *bubble) provide(tasks *tracker.Tracker, key string, c *video.Catalogue, wire http.RoundTripper) (region string) {
	w.t.Helper()
	if w.name == "evolink" {
		relay, err := evolink.New(evolink.Config{BaseURL: "http://127.0.0.1", APIKey: key, HTTPClient: &http.Client{Transport: wire}})
		require.NoError(w.t, err)
		tasks.Provider, tasks.ReadInterval = provider.NewEvoLink(relay, c), evolink.ReadInterval
		return "evolink-simulator"
	}
	models, err := dashscope.New(dashscope.Config{BaseURL: "http://127.0.0.1/api/v1", APIKey: key, Region: "simulator", HTTPClient: &http.Client{Transport: wire}})
	require.NoError(w.t, err)
	tasks.Provider = provider.NewDashScope(models, c)
	return "simulator"
}

func (w *bubble) connect(set *tools.Set) {
	all, err := set.All()
	require.NoError(w.t, err)
	// The library's stdio session is one for all servers of a process, made outside any bubble: this transport has none.
	w.client, err = client.NewInProcessClient(serve.NewServer("test", set.Instructions(), all))
	require.NoError(w.t, err)
	require.NoError(w.t, w.client.Start(w.t.Context()))
	w.t.Cleanup(func() { require.NoError(w.t, w.client.Close()) })
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	_, err = w.client.Initialize(w.t.Context(), hello)
	require.NoError(w.t, err)
}

// answer calls a tool that must succeed.
func (w *bubble) answer(tool string, arguments arguments) map[string]any {
	w.t.Helper()
	text, isError := w.call(tool, arguments)
	require.False(w.t, isError, text)
	return decode(w.t, text)
}

// refused calls a tool that must say no.
func (w *bubble) refused(tool string, arguments arguments) string {
	w.t.Helper()
	text, isError := w.call(tool, arguments)
	require.True(w.t, isError, text)
	require.Contains(w.t, text, "next_step: ")
	return text
}

func (w *bubble) call(tool string, arguments arguments) (text string, isError bool) {
	w.t.Helper()
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, arguments
	result, err := w.client.CallTool(w.t.Context(), req)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, result.Content)
	content, ok := result.Content[0].(mcp.TextContent)
	require.True(w.t, ok)
	if !result.IsError {
		structured, err := json.Marshal(result.StructuredContent)
		require.NoError(w.t, err)
		require.JSONEq(w.t, string(structured), content.Text)
	}
	return content.Text, result.IsError
}

// ended waits for a task as an agent does, call by call, for an hour at most, until nothing more is to come.
func (w *bubble) ended(id any) map[string]any {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < time.Hour; {
		task := w.answer("get_task", arguments{"task_id": id, "wait_seconds": 50})
		if task["poll_after_seconds"] == nil {
			return task
		}
	}
	require.FailNow(w.t, "the task did not end within an hour")
	return nil
}
