package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	helloLine       = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	initializedLine = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	listLine        = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
)

// lasting is the default transport of many tests at once: of any other an httptest.Server that is closed closes the connections.
type lasting struct{ http.RoundTripper }

// binaries holds what build made; TestMain removes it.
var binaries string

// These tests wait for other processes more than they work: as many at once as there are processors leave these idle.
func TestMain(m *testing.M) {
	http.DefaultTransport = lasting{http.DefaultTransport}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set(strconv.Itoa(max(8, runtime.GOMAXPROCS(0))))
	}
	var err error
	if binaries, err = os.MkdirTemp("", "r2v-mcp-test-"); err != nil {
		panic(err)
	}
	m.Run() // the testing package ends the process with its result
	_ = os.RemoveAll(binaries)
}

// build makes this program and the bare servers as a release is made, and returns the folder with them.
var build = sync.OnceValues(func() (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags", "-s -w",
		"-o", binaries+string(filepath.Separator), ".", "./testdata/bare", "./testdata/echo")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binaries, nil
})

// measured leaves a test of times and memory out where the race detector slows those that measure: what they measure is the program as it is
// released, which has none.
func measured(t *testing.T) {
	t.Helper()
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("it is measured without the race detector")
	}
}

func built(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := build()
	require.NoError(tb, err)
	return filepath.Join(dir, name)
}

// process is a server that is spoken to in lines.
type process struct {
	tb     testing.TB
	cmd    *exec.Cmd
	in     io.WriteCloser
	stdout io.Closer
	out    *bufio.Reader
	stderr bytes.Buffer
}

// start starts a server in an empty home. It does not outlive the test, nor half a minute.
func start(tb testing.TB, path, home string, env ...string) *process {
	tb.Helper()
	return startFor(tb, 30*time.Second, path, home, env...)
}

// startFor is start for a server that lives longer.
func startFor(tb testing.TB, most time.Duration, path, home string, env ...string) *process {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), most)
	p := &process{tb: tb, cmd: exec.CommandContext(ctx, path)}
	p.cmd.Dir = home
	p.cmd.Env = append([]string{"HOME=" + home, "TMPDIR=" + home, "LocalAppData=" + home}, env...)
	p.cmd.Stderr = &p.stderr
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(tb, err)
	p.stdout, p.out = out, bufio.NewReader(out)
	require.NoError(tb, p.cmd.Start())
	tb.Cleanup(func() { cancel(); _ = p.cmd.Wait() }) // it may have been waited for; until then it writes into the test's folders
	return p
}

func (p *process) send(lines ...string) {
	p.tb.Helper()
	_, err := io.WriteString(p.in, strings.Join(lines, "\n")+"\n")
	require.NoError(p.tb, err)
}

func (p *process) line() []byte {
	p.tb.Helper()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		_ = p.cmd.Wait() // until stderr is complete
		require.NoError(p.tb, err, "the server ended; its stderr: %s", &p.stderr)
	}
	return line
}

// stop ends the conversation; the server must end by itself, in peace.
func (p *process) stop() {
	p.tb.Helper()
	require.NoError(p.tb, p.in.Close())
	rest, err := io.ReadAll(p.out)
	require.NoError(p.tb, err)
	require.Empty(p.tb, string(rest), "nothing is said after the last answer")
	require.NoError(p.tb, p.cmd.Wait(), "%s", &p.stderr)
}

// greeted starts this program and makes its acquaintance.
func greeted(tb testing.TB, env ...string) *process {
	tb.Helper()
	return greetedFor(tb, 30*time.Second, env...)
}

// greetedFor is greeted for a server that lives longer.
func greetedFor(tb testing.TB, most time.Duration, env ...string) *process {
	tb.Helper()
	p := startFor(tb, most, built(tb, "r2v-mcp"), tb.TempDir(), env...)
	p.send(helloLine)
	p.line()
	p.send(initializedLine)
	return p
}

// badLines is what must not make the server say anything but JSON-RPC, nor stop it.
func badLines() map[string]string {
	call := func(arguments string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"generate_r2v"` + arguments + `}}`
	}
	megabyte := strings.Repeat("x", 1<<20)
	return map[string]string{
		"nothing":                 "",
		"blanks":                  " \t ",
		"no JSON":                 "hello?",
		"half an object":          `{"jsonrpc":"2.0","id":7,"method":`,
		"number":                  "7",
		"string":                  `"initialize"`,
		"null":                    "null",
		"true":                    "true",
		"empty object":            "{}",
		"empty array":             "[]",
		"array of requests":       `[{"jsonrpc":"2.0","id":7,"method":"ping"},{"jsonrpc":"2.0","id":8,"method":"ping"}]`,
		"deep array":              strings.Repeat("[", 20_000),
		"unknown method":          `{"jsonrpc":"2.0","id":7,"method":"tools/buy"}`,
		"unknown notification":    `{"jsonrpc":"2.0","method":"notifications/nonsense"}`,
		"no method":               `{"jsonrpc":"2.0","id":7}`,
		"method is a number":      `{"jsonrpc":"2.0","id":7,"method":7}`,
		"wrong version":           `{"jsonrpc":"1.0","id":7,"method":"ping"}`,
		"no version":              `{"id":7,"method":"ping"}`,
		"null id":                 `{"jsonrpc":"2.0","id":null,"method":"tools/list"}`,
		"object id":               `{"jsonrpc":"2.0","id":{},"method":"tools/list"}`,
		"fractional id":           `{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}`,
		"huge id":                 `{"jsonrpc":"2.0","id":1e400,"method":"tools/list"}`,
		"params is an array":      `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["generate_r2v"]}`,
		"params is a string":      `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":"generate_r2v"}`,
		"no params":               `{"jsonrpc":"2.0","id":7,"method":"tools/call"}`,
		"unknown tool":            `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"buy_r2v","arguments":{}}}`,
		"name is a number":        `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7,"arguments":{}}}`,
		"no arguments":            call(``),
		"null arguments":          call(`,"arguments":null`),
		"arguments is a string":   call(`,"arguments":"{}"`),
		"arguments is no JSON":    call(`,"arguments":"buy it"`),
		"arguments is an array":   call(`,"arguments":["a cat"]`),
		"arguments is a number":   call(`,"arguments":5`),
		"arguments is true":       call(`,"arguments":true`),
		"a megabyte of prompt":    call(`,"arguments":{"prompt":"` + megabyte + `"}`),
		"a megabyte of nothing":   megabyte,
		"a megabyte of blanks":    strings.Repeat(" ", 1<<20),
		"deep arguments":          call(`,"arguments":{"prompt":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`),
		"invalid UTF-8":           "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\xfe\"}",
		"invalid UTF-8 in prompt": call(",\"arguments\":{\"prompt\":\"\xc3\x28\"}"),
		"lone surrogate":          call(`,"arguments":{"prompt":"\ud800"}`),
		"NUL":                     "\x00",
		"carriage return":         "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\r",
		"an answer":               `{"jsonrpc":"2.0","id":1,"result":{}}`,
		"an error":                `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`,
		"cancelled nothing":       `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}`,
		"odd metadata":            `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":7}}}`,
		"unknown protocol":        `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2999-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}`,
	}
}

// requireMessage fails unless a line is one JSON-RPC message and nothing else.
func requireMessage(t *testing.T, line []byte) (id string) {
	t.Helper()
	var m struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Method  string          `json:"method"`
		Result  json.RawMessage `json:"result"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	require.NoError(t, json.Unmarshal(line, &m), "%.200s", line)
	require.Equal(t, "2.0", m.JSONRPC, "%.200s", line)
	kinds := []bool{m.Method != "", m.Result != nil, m.Error != nil}
	kinds = slices.DeleteFunc(kinds, func(is bool) bool { return !is })
	require.Len(t, kinds, 1, "%.200s", line)
	if m.Error != nil {
		require.Negative(t, m.Error.Code)
		require.NotEmpty(t, m.Error.Message)
	}
	require.Less(t, len(line), 20_000, "garbage is not sent back")
	return string(m.ID)
}

func TestStdoutIsPureJSONRPCWhateverComesIn(t *testing.T) {
	s := newService(t, 600)
	p := greeted(t, s.env(t.TempDir())...)
	lines := badLines()
	for i, name := range slices.Sorted(maps.Keys(lines)) {
		t.Log("sending:", name)
		line, ping := lines[name], strconv.Itoa(1000+i)
		p.send(line, `{"jsonrpc":"2.0","id":`+ping+`,"method":"ping"}`)
		awaited := map[string]bool{ping: true}
		if strings.HasPrefix(line, `{"jsonrpc":"2.0","id":7,"method":`) && json.Valid([]byte(line)) {
			awaited["7"] = true
		}
		for len(awaited) > 0 {
			said := p.line()
			require.NotContains(t, string(said), canaryKey)
			id := requireMessage(t, said)
			delete(awaited, id)
			if id == "null" { // an error about a message that was too broken to have an id
				delete(awaited, "7")
			}
		}
	}
	p.send(estimateLine(5000))
	require.Contains(t, string(p.line()), "billable_seconds", "the server still works")
	p.stop()
	require.NotContains(t, p.stderr.String(), canaryKey)
	require.NotContains(t, p.stderr.String(), "goroutine ", "nothing panics")
	require.Zero(t, s.creates.Load(), "nothing was bought")
}

func TestALineCutShortByTheEndIsNoHarm(t *testing.T) {
	s := newService(t, 600)
	p := greeted(t, s.env(t.TempDir())...)
	_, err := p.in.Write([]byte(`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"generate_r2v"`))
	require.NoError(t, err)
	require.NoError(t, p.in.Close())
	for {
		said, err := p.out.ReadBytes('\n')
		if err != nil {
			break
		}
		requireMessage(t, said)
	}
	require.NoError(t, p.cmd.Wait(), "%s", &p.stderr)
	require.Zero(t, s.creates.Load())
}
