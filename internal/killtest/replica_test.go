package killtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/postgrestest"
	"r2v-mcp/internal/simulator"
)

// build makes the program as a release is made, and returns its path.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "r2v-mcp-replicas-")
	if err != nil {
		return "", err
	}
	binaries = dir
	path := filepath.Join(dir, "r2v-mcp")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "r2v-mcp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// fleet is replicas of r2v-mcp http on one PostgreSQL, and what they share.
type fleet struct {
	t        *testing.T
	service  *service
	balancer *balancer
	program  string
	dir      string
	database string
	tokens   map[string]string // by person
	settings []string
	lives    int
}

// replica is one life of r2v-mcp http.
type replica struct {
	name    string
	address string // host:port
	cmd     *exec.Cmd
	gone    chan struct{} // closed at its end
	err     error         // of its end

	began, ended time.Time // the time in which it was ended with -9: zero if it was not
}

// people are those who buy.
func people() []string { return []string{"anna", "boris", "chen", "dora"} }

// newFleet starts replicas behind a balancer, without a customer.
func newFleet(t *testing.T, n int, o simulator.Options, settings ...string) *fleet {
	t.Helper()
	program, err := build()
	require.NoError(t, err)
	f := &fleet{
		t: t, program: program, dir: t.TempDir(), database: postgrestest.Database(t), settings: settings,
		service: newService(t, o, nil), balancer: newBalancer(t), tokens: map[string]string{},
	}
	for _, name := range people() {
		cmd := exec.CommandContext(t.Context(), program, "token", name)
		cmd.Env = []string{"R2V_TOKENS_FILE=" + f.tokensFile()}
		said, err := cmd.Output()
		require.NoError(t, err)
		f.tokens[name] = strings.TrimSpace(string(said))
	}
	for range n {
		f.start()
	}
	return f
}

func (f *fleet) tokensFile() string { return filepath.Join(f.dir, "tokens") }
func (f *fleet) videos() string     { return filepath.Join(f.dir, "videos") }
func (f *fleet) log() string        { return filepath.Join(f.dir, "log") }

func (f *fleet) env() []string {
	return append([]string{
		"HOME=" + f.dir, "DASHSCOPE_REGION=simulator", "DASHSCOPE_HTTP_BASE_URL=http://" + f.service.address + "/api/v1", "DASHSCOPE_API_KEY=sk-test-key",
		"R2V_DATABASE_URL=" + f.database, "R2V_SAVE_DIR=" + f.videos(), "R2V_TOKENS_FILE=" + f.tokensFile(), "R2V_ADDR=127.0.0.1:0",
		"R2V_RATE_LIMIT=off", "R2V_BUDGET_PER_DAY=100000",
	}, f.settings...)
}

// start begins a life, and returns when it serves.
func (f *fleet) start() *replica {
	f.t.Helper()
	f.lives++
	r := &replica{name: fmt.Sprintf("replica.%03d", f.lives), cmd: exec.Command(f.program, "http"), gone: make(chan struct{})}
	r.cmd.Env = f.env()
	stderr, err := r.cmd.StderrPipe()
	require.NoError(f.t, err)
	log, err := os.OpenFile(f.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(f.t, err)
	require.NoError(f.t, r.cmd.Start())
	said := bufio.NewReader(io.TeeReader(stderr, log))
	r.address, err = listening(said)
	go func() {
		_, _ = io.Copy(io.Discard, said)
		_ = log.Close()
		r.err = r.cmd.Wait()
		r.ended = time.Now()
		close(r.gone)
	}()
	f.t.Cleanup(func() { _ = r.cmd.Process.Kill(); <-r.gone })
	require.NoError(f.t, err)
	f.ready(r)
	f.balancer.add(r)
	return r
}

// listening reads the log until it tells the address.
func listening(log *bufio.Reader) (string, error) {
	for {
		line, err := log.ReadBytes('\n')
		if err != nil {
			return "", fmt.Errorf("it never served: %w, %s", err, line)
		}
		var said struct{ Msg, URL string }
		if json.Unmarshal(bytes.TrimSpace(line), &said) == nil && said.Msg == "serving" {
			return strings.TrimPrefix(said.URL, "http://"), nil
		}
	}
}

func (f *fleet) ready(r *replica) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !r.ready(f.t.Context()); pause(f.t.Context(), 20*time.Millisecond) {
		require.True(f.t, time.Now().Before(deadline), "%s is never ready", r.name)
	}
}

// ready asks /readyz.
func (r *replica) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := freshly.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// freshly makes a connection for each request, as deploy/nginx.conf does: one that waits for the next request may be closed just
// when it comes.
var freshly = &http.Transport{DisableKeepAlives: true}

// kill ends a replica with -9.
func (f *fleet) kill(r *replica) {
	f.t.Helper()
	r.began = time.Now()
	require.NoError(f.t, r.cmd.Process.Kill())
	<-r.gone
	status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(f.t, ok && status.Signaled(), "%s ended by itself: %v", r.name, r.err)
}

// stop asks a replica to end, and returns how long that took.
func (f *fleet) stop(r *replica) time.Duration {
	f.t.Helper()
	began := time.Now()
	require.NoError(f.t, r.cmd.Process.Signal(syscall.SIGTERM))
	<-r.gone
	require.NoError(f.t, r.err)
	return time.Since(began)
}
