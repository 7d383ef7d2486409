package tools_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/local"
	"r2v-mcp/internal/preflight"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/serve"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// world is an MCP client, our server, and a service behind it that speaks text over a socket.
type world struct {
	t        *testing.T
	client   *client.Client
	upstream *httptest.Server
	saveDir  string
	book     *ledger.Ledger
	bodies   func() []string // the orders that reached the service of a looking world
}

type options struct {
	region  string
	models  *video.Catalogue                          // instead of the built-in ones
	between func(provider.Provider) provider.Provider // what stands before the service; nil for nothing
	handler http.Handler                              // instead of the simulator
	noKey   bool
	key     string
	budget  string

	budgetPerDay string
	ledgerPath   string       // instead of a new one
	speed        float64      // of the simulator; 0 is as fast as is good for most tests
	looks        *http.Client // through which references are looked at; nil looks at none
	folders      func(context.Context) local.Folders
	unreachable  bool          // nobody listens where the service should be: a port that was closed may be another test's by then
	refuse       string        // a part of paths that the service of a looking world refuses
	poll         time.Duration // how often an open task is looked at; 0 is often enough for tests that wait for one
	absence      time.Duration // how long a purchase of unknown fate is looked for; 0 is the program's own patience
	callbacks    *callback.Sender
}

const simulatedKey = "sk-canary-5f1d0c"

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t, saveDir: t.TempDir()}
	handler := o.handler
	if o.speed == 0 {
		o.speed = 2000
	}
	if handler == nil {
		handler = simulator.New(simulator.Options{Speed: o.speed, APIKey: simulatedKey})
	}
	w.upstream = httptest.NewServer(handler)
	t.Cleanup(w.upstream.Close)
	w.connect(w.set(o))
	return w
}

func (w *world) set(o options) *tools.Set {
	catalogue, err := video.BuiltIn()
	require.NoError(w.t, err)
	if o.models != nil {
		catalogue = o.models
	}
	door, err := egress.NewClient(egress.Settings{Allow: []string{w.upstream.Listener.Addr().String()}})
	require.NoError(w.t, err)
	region, key := o.region, o.key
	if region == "" {
		region = "simulator"
	}
	if key == "" {
		key = simulatedKey
	}
	base := w.upstream.URL
	if o.unreachable {
		base = "http://127.0.0.1:1"
	}
	c, err := dashscope.New(dashscope.Config{BaseURL: base + "/api/v1", APIKey: key, Region: region})
	require.NoError(w.t, err)
	w.book = w.ledger(o)
	tasks := &tracker.Tracker{
		Provider: provider.NewDashScope(c, catalogue), Ledger: w.book, Absence: o.absence,
		Saver: clips.Folder{Dir: w.saveDir, Client: door}, PollInterval: cmp.Or(o.poll, 100*time.Millisecond),
		Logger: slog.New(slog.DiscardHandler),
	}
	if o.noKey {
		tasks.Provider = provider.WithoutKey{Of: provider.DashScopeWords()}
	}
	if o.between != nil {
		tasks.Provider = o.between(tasks.Provider)
	}
	set := &tools.Set{Catalogue: catalogue, Region: region, Tasks: tasks, MaxWait: 50 * time.Second, PollInterval: 15 * time.Second, Saves: true, Console: tasks.Provider.Words().Console,
		NoCancel: strings.HasPrefix(region, "evolink"),
	}
	if o.looks != nil {
		uploads := &upload.Uploads{Provider: tasks.Provider, Ledger: w.book}
		w.t.Cleanup(uploads.Drain)
		set.Media = &preflight.Preflight{Client: o.looks, Folders: o.folders, Uploads: uploads}
	}
	if o.budget != "" {
		d := decimal.RequireFromString(o.budget)
		set.BudgetPerTask = &d
	}
	if o.callbacks != nil {
		set.Callbacks, tasks.Callbacks, tasks.Body = o.callbacks, o.callbacks, set.CallbackBody
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan struct{})
	go func() { tasks.Run(ctx); close(done) }()
	w.t.Cleanup(func() { stop(); <-done; tasks.Drain() })
	return set
}

// ledger is a new one, on the disk.
func (w *world) ledger(o options) *ledger.Ledger {
	settings := ledger.Options{Path: filepath.Join(w.t.TempDir(), "ledger.db"), Upstream: "simulator", Window: 10 * time.Minute, Zone: time.UTC}
	if o.budgetPerDay != "" {
		d := decimal.RequireFromString(o.budgetPerDay)
		settings.BudgetPerDay = &d
	}
	if o.ledgerPath != "" {
		settings.Path = o.ledgerPath
	}
	l := ledger.New(settings)
	w.t.Cleanup(func() { require.NoError(w.t, l.Close()) })
	return l
}

// connect joins a real MCP client and the server by pipes, as stdio does.
func (w *world) connect(set *tools.Set) {
	all, err := set.All()
	require.NoError(w.t, err)
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	ctx, stop := context.WithCancel(w.t.Context())
	served := make(chan error, 1)
	go func() {
		served <- serve.Stdio(ctx, serve.NewServer("test", set.Instructions(), all), fromClient, toClient, log.New(io.Discard, "", 0))
	}()
	w.client = client.NewClient(transport.NewIO(fromServer, toServer, io.NopCloser(strings.NewReader(""))))
	require.NoError(w.t, w.client.Start(ctx))
	w.t.Cleanup(func() {
		toServer.Close()
		stop()
		require.NoError(w.t, <-served)
		toClient.Close()
	})
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	_, err = w.client.Initialize(ctx, hello)
	require.NoError(w.t, err)
}

type arguments map[string]any

// call calls a tool and returns its text and whether it is an error.
func (w *world) call(tool string, arguments any) (text string, isError bool) {
	w.t.Helper()
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, arguments
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	result, err := w.client.CallTool(ctx, req)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, result.Content)
	content, ok := result.Content[0].(mcp.TextContent)
	require.True(w.t, ok, "the first content is text")
	if !result.IsError {
		structured, err := json.Marshal(result.StructuredContent)
		require.NoError(w.t, err)
		require.JSONEq(w.t, string(structured), content.Text, "structured content and text say the same")
	}
	return content.Text, result.IsError
}

// answer calls a tool that must succeed and returns its structured answer.
func (w *world) answer(tool string, arguments any) map[string]any {
	w.t.Helper()
	text, isError := w.call(tool, arguments)
	require.False(w.t, isError, text)
	return decode(w.t, text)
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&out))
	return out
}

// refusal calls a tool that must say no in full, without spending anything or telling upstream.
func (w *world) refusal(tool string, arguments any) string {
	w.t.Helper()
	text, isError := w.call(tool, arguments)
	require.True(w.t, isError, text)
	require.Regexp(w.t, `charged: (no|unknown)\n`, text)
	require.Contains(w.t, text, "next_step: ")
	require.NotContains(w.t, text, simulatedKey)
	require.Zero(w.t, w.created(), "nothing may reach the service")
	return text
}

// created counts the creates that reached the simulator.
func (w *world) created() int { w.t.Helper(); return w.count("create") }

// count counts the calls of a kind that reached the simulator.
func (w *world) count(kind string) int {
	w.t.Helper()
	var counters map[string]int
	w.control("/control/counters", &counters)
	return counters[kind]
}

func (w *world) control(path string, into any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.upstream.URL+path, nil)
	require.NoError(w.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	require.Equal(w.t, http.StatusOK, resp.StatusCode)
	require.NoError(w.t, json.NewDecoder(resp.Body).Decode(into))
}

// path walks into a structured answer: path(a, "cost", "high").
func path(a any, keys ...string) any {
	for _, k := range keys {
		m, ok := a.(map[string]any)
		if !ok {
			return nil
		}
		a = m[k]
	}
	return a
}

// on returns the same world for a subtest.
func (w *world) on(t *testing.T) *world {
	return &world{t: t, client: w.client, upstream: w.upstream, saveDir: w.saveDir, book: w.book}
}
