package serve_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	gomcp "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/serve"
)

const childVariable = "R2V_TEST_SERVE_CHILD"

// TestMain makes the test's own binary the server that clients start: the library has one stdio session in a process.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := serveFolders(); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// told is the answer of the tool "folders".
type told struct {
	Folders  []string
	Declared bool
	Err      string
	Asking   int // goroutines that are still at it
}

func serveFolders() error {
	var list func(context.Context) ([]string, bool, error)
	tool := server.ServerTool{
		Tool: gomcp.NewTool("folders"),
		Handler: func(ctx context.Context, _ gomcp.CallToolRequest) (*gomcp.CallToolResult, error) {
			folders, declared, err := list(ctx)
			a := told{Folders: folders, Declared: declared}
			if err != nil {
				a.Err = err.Error()
			}
			stacks := make([]byte, 1<<20)
			a.Asking = strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*roots).ask.func")
			return gomcp.NewToolResultStructuredOnly(a), nil
		},
	}
	s := serve.NewServer("1", "", []server.ServerTool{tool})
	list = serve.ClientRoots(s)
	return serve.Stdio(context.Background(), s, os.Stdin, os.Stdout, log.New(os.Stderr, "", 0))
}

func child(t *testing.T) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), exe)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	return cmd
}

// agent is a client that counts how often it is asked for its roots.
type agent struct {
	asked atomic.Int32
	mu    sync.Mutex
	roots []string
	mute  atomic.Bool // it does not answer
	end   <-chan struct{}
	call  func(ctx context.Context) (any, error)
	set   func(roots ...string) // and tell the server
}

func (a *agent) folders(t *testing.T) told {
	t.Helper()
	out, err := a.try(t.Context())
	require.NoError(t, err)
	return out
}

func (a *agent) try(ctx context.Context) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	structured, err := a.call(ctx)
	if err != nil {
		return told{}, err
	}
	text, err := json.Marshal(structured)
	if err != nil {
		return told{}, err
	}
	var out told
	return out, json.Unmarshal(text, &out)
}

func version(modern bool) string {
	if modern {
		return "2026-07-28"
	}
	return "2025-11-25"
}

func dialOfficial(t *testing.T, modern, declares bool) *agent {
	t.Helper()
	end := make(chan struct{})
	a := &agent{end: end}
	options := &mcp.ClientOptions{}
	if !declares {
		options.Capabilities = &mcp.ClientCapabilities{}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options)
	client.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			if method == "roots/list" {
				a.asked.Add(1)
				if a.mute.Load() {
					<-a.end
				}
			}
			return next(ctx, method, r)
		}
	})
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: child(t)}, &mcp.ClientSessionOptions{ProtocolVersion: version(modern)})
	require.NoError(t, err)
	t.Cleanup(func() {
		close(end) // a client waits for its own handlers when it closes
		session.Close()
	})
	require.Equal(t, version(modern), session.InitializeResult().ProtocolVersion)
	a.set = func(roots ...string) {
		for _, uri := range roots {
			client.AddRoots(&mcp.Root{URI: uri}) //nolint:staticcheck // clients still do
		}
	}
	a.call = func(ctx context.Context) (any, error) {
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "folders"})
		if err != nil {
			return nil, err
		}
		return result.StructuredContent, nil
	}
	return a
}

// ListRoots answers as the handler of mcp-go's client.
func (a *agent) ListRoots(_ context.Context, _ gomcp.ListRootsRequest) (*gomcp.ListRootsResult, error) {
	a.asked.Add(1)
	if a.mute.Load() {
		<-a.end
		return nil, context.Canceled
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	result := &gomcp.ListRootsResult{}
	for _, uri := range a.roots {
		result.Roots = append(result.Roots, gomcp.Root{URI: uri})
	}
	return result, nil
}

func dialMCPGo(t *testing.T, modern, declares bool) *agent {
	t.Helper()
	end := make(chan struct{})
	a, cmd := &agent{end: end}, child(t)
	exactly := func(context.Context, string, []string, []string) (*exec.Cmd, error) { return cmd, nil }
	options := []goclient.ClientOption{goclient.WithProtocolVersion(version(modern))}
	if declares {
		options = append(options, goclient.WithRootsHandler(a))
	}
	client := goclient.NewClient(transport.NewStdioWithOptions(cmd.Path, nil, nil, transport.WithCommandFunc(exactly)), options...)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() {
		close(end)
		client.Close()
	})
	var hello gomcp.InitializeRequest
	hello.Params.ClientInfo = gomcp.Implementation{Name: "test", Version: "1"}
	result, err := client.Initialize(t.Context(), hello)
	require.NoError(t, err)
	require.Equal(t, version(modern), result.ProtocolVersion)
	a.set = func(roots ...string) {
		a.mu.Lock()
		a.roots = append(a.roots, roots...)
		a.mu.Unlock()
		require.NoError(t, client.RootListChanges(t.Context()))
	}
	a.call = func(ctx context.Context) (any, error) {
		var request gomcp.CallToolRequest
		request.Params.Name = "folders"
		result, err := client.CallTool(ctx, request)
		if err != nil {
			return nil, err
		}
		return result.StructuredContent, nil
	}
	return a
}

// everyClient runs a test with both clients in both eras.
func everyClient(t *testing.T, declares bool, test func(t *testing.T, a *agent, modern bool)) {
	t.Helper()
	for name, dial := range map[string]func(*testing.T, bool, bool) *agent{"official SDK": dialOfficial, "mcp-go": dialMCPGo} {
		for _, modern := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, %s", name, version(modern)), func(t *testing.T) {
				t.Parallel()
				test(t, dial(t, modern, declares), modern)
			})
		}
	}
}

func TestClientsRootsAreFoldersUntilTheyChange(t *testing.T) {
	everyClient(t, true, func(t *testing.T, a *agent, modern bool) {
		require.Equal(t, told{Declared: true}, a.folders(t), "it has none yet")
		a.set("file:///home/me/pictures", "https://media.example/", "file://server/share", "file://localhost/home/me/a%20b/")
		want := told{Folders: []string{"/home/me/pictures", "/home/me/a b"}, Declared: true}
		require.Eventually(t, func() bool { // the news travels beside the call
			got := a.folders(t)
			return len(got.Folders) == 2
		}, 5*time.Second, 10*time.Millisecond)
		asked := a.asked.Load()
		for range 3 {
			got := a.folders(t)
			require.ElementsMatch(t, want.Folders, got.Folders)
			require.Empty(t, got.Err)
		}
		if !modern {
			require.Equal(t, asked, a.asked.Load(), "known until they change")
		}
	})
}

func TestClientThatDeclaresNoRootsIsNotAsked(t *testing.T) {
	everyClient(t, false, func(t *testing.T, a *agent, _ bool) {
		require.Equal(t, told{}, a.folders(t))
		require.Zero(t, a.asked.Load())
	})
}

func TestCallsAtOnceAskOnce(t *testing.T) {
	everyClient(t, true, func(t *testing.T, a *agent, modern bool) {
		a.set("file:///home/me")
		answers, failed := make([]told, 10), make([]error, 10)
		var calls sync.WaitGroup
		for i := range answers {
			calls.Go(func() { answers[i], failed[i] = a.try(t.Context()) })
		}
		calls.Wait()
		for i, got := range answers {
			require.NoError(t, failed[i])
			require.Equal(t, []string{"/home/me"}, got.Folders)
			require.Empty(t, got.Err)
		}
		if !modern {
			require.LessOrEqual(t, a.asked.Load(), int32(2), "once, and once more when the news of the change came in between")
		}
	})
}

func TestClientThatDoesNotAnswerHoldsUpNobodyForLong(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*testing.T, bool, bool) *agent{"official SDK": dialOfficial, "mcp-go": dialMCPGo} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := dial(t, false, true)
			a.mute.Store(true)
			began := time.Now()
			answers, failed := make([]told, 2), make([]error, 2)
			var calls sync.WaitGroup
			for i := range answers {
				calls.Go(func() { answers[i], failed[i] = a.try(t.Context()) })
			}
			calls.Wait()
			for i, got := range answers {
				require.NoError(t, failed[i])
				require.True(t, got.Declared)
				require.Contains(t, got.Err, "did not tell its roots within 2s")
			}
			require.Less(t, time.Since(began), 3500*time.Millisecond)

			require.EqualValues(t, 1, a.asked.Load(), "those who call at once share the question")

			a.mute.Store(false)
			got := a.folders(t)
			require.Equal(t, told{Declared: true}, got, "it is asked again, without any news, and nobody is left behind")
			require.EqualValues(t, 2, a.asked.Load())
			a.folders(t)
			require.EqualValues(t, 2, a.asked.Load(), "an answer is remembered")
		})
	}
}

// wire speaks to a server in lines.
type wire struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func dialWire(t *testing.T) wire {
	t.Helper()
	cmd := child(t)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		require.NoError(t, cmd.Wait())
	})
	return wire{t, in, bufio.NewScanner(out)}
}

func (w wire) say(line string) {
	w.t.Helper()
	_, err := io.WriteString(w.in, line+"\n")
	require.NoError(w.t, err)
}

func (w wire) hear() string {
	w.t.Helper()
	require.True(w.t, w.out.Scan())
	return w.out.Text()
}

func TestCallMadeAgainWithoutRootsIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	w := dialWire(t)
	call := func(more string) string {
		w.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"folders"` + more +
			`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}}}}}`)
		return w.hear()
	}
	first := call("")
	require.Contains(t, first, `"resultType":"input_required"`)
	require.Contains(t, first, `{"method":"roots/list","params":{}}`)
	require.NotContains(t, first, "calls again", "the tool's own answer is not sent")
	for _, again := range []string{`,"requestState":"roots"`, `,"requestState":"roots","inputResponses":{"other":{}}`, `,"requestState":"roots","inputResponses":{"roots":7}`} {
		require.Contains(t, call(again), "without its roots", again)
	}
	require.Contains(t, call(`,"requestState":"roots","inputResponses":{"roots":{"roots":[{"uri":"file:///home/me"}]}}`), `"Folders":["/home/me"]`)
}

func TestRefusalAndLateAnswerOfAClientAreBorne(t *testing.T) {
	t.Parallel()
	w := dialWire(t)
	w.say(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"t","version":"1"}}}`)
	w.hear()
	w.say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	const call = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"folders"}}`
	w.say(call)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`, w.hear())
	require.Contains(t, w.hear(), "did not tell its roots")
	w.say(`{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///late"}]}}`)
	w.say(call)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":2,"method":"roots/list"}`, w.hear(), "a late answer is nobody's")
	w.say(`{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"no roots here"}}`)
	require.Contains(t, w.hear(), "no roots here")

	w.say(call)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":3,"method":"roots/list"}`, w.hear(), "nor is a refusal for ever")
	w.say(`{"jsonrpc":"2.0","id":3,"result":{"roots":[{"uri":"file:///home/me"}]}}`)
	require.Contains(t, w.hear(), `"Folders":["/home/me"]`)
	w.say(call)
	require.Contains(t, w.hear(), `"Folders":["/home/me"]`, "an answer is remembered")
}
