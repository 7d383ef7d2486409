package killtest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
)

// most is what a server with a thousand open tasks may take, in bytes.
const most = 28_000_000

// followFor is how long the server follows them before it is measured, when nobody waits for more.
const followFor = 8 * time.Second

// TestMemoryWithThousandOpen measures the program as it is released: a server on stdio that follows a thousand tasks.
func TestMemoryWithThousandOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc")
	}
	if info, _ := debug.ReadBuildInfo(); slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the program is measured as it is released: a service that the race detector slows makes it no other")
	}
	sim := simulator.New(simulator.Options{Concurrent: openTasks, Unthrottled: true})
	server := httptest.NewServer(sim)
	defer server.Close()
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "ledger.db"), strings.TrimPrefix(server.URL, "http://"), sim)

	program := filepath.Join(dir, "r2v-mcp")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "r2v-mcp")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	cmd := exec.Command(program)
	poll, wait := "1s", followFor // the short way: as many rounds in less time
	if *soak > 0 {
		poll, wait = "15s", 45*time.Second
	}
	cmd.Env = []string{
		"DASHSCOPE_API_KEY=sk-test-key", "DASHSCOPE_REGION=simulator", "DASHSCOPE_HTTP_BASE_URL=" + server.URL + "/api/v1",
		"R2V_DATA_DIR=" + dir, "R2V_POLL_INTERVAL=" + poll,
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	require.NoError(t, err)
	pause(t.Context(), wait)
	s := &service{Handler: sim}
	var counters map[string]int
	s.control(t, "counters", &counters)
	rss := resident(t, cmd.Process.Pid)
	for try := 1; try < 4 && rss >= most; try++ { // on a machine that is busy with something else lists pile up
		pause(t.Context(), followFor/2)
		rss = min(rss, resident(t, cmd.Process.Pid))
	}
	peak, err := memory(cmd.Process.Pid, "VmHWM")
	require.NoError(t, err)
	anonymous, err := memory(cmd.Process.Pid, "RssAnon")
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait(), log.String())
	t.Logf("%d bytes resident, %d of them not of files, after %v, %d at the most; %d lists and %d gets were read", rss, anonymous, wait, peak, counters["list"], counters["get"])
	require.Greater(t, counters["list"], 10, log.String())
	require.Less(t, rss, most)
}

// resident is what a process holds in memory, as a rule: the heap breathes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	var sizes []int
	for range 9 {
		size, err := memory(pid, "VmRSS")
		require.NoError(t, err)
		sizes = append(sizes, size)
		pause(t.Context(), 250*time.Millisecond)
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}

// fill buys a thousand clips and records them, as if other processes had.
func fill(t *testing.T, path, upstream string, sim http.Handler) {
	t.Helper()
	l := ledger.New(ledger.Options{Path: path, Upstream: upstream, Account: "ours", Window: 10 * time.Minute})
	models := catalogue(t)
	for n := range openTasks {
		// A client keeps the pace of purchases; a new one has none to keep.
		client, err := dashscope.New(dashscope.Config{
			BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test-key", HTTPClient: &http.Client{Transport: simulatortest.Transport(sim)},
		})
		require.NoError(t, err)
		o, err := orderOf(models, job{Key: fmt.Sprint(n), Prompt: fmt.Sprintf("character1 waves %d times, in the rain, with an umbrella of many colours", n)})
		require.NoError(t, err)
		task, _, err := l.Claim(t.Context(), o)
		require.NoError(t, err)
		bought, err := provider.NewDashScope(client, models).Create(t.Context(), provider.Purchase{Request: o.Request})
		require.NoError(t, err)
		_, err = l.Bought(t.Context(), task.ID, bought.ID, false)
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
}
