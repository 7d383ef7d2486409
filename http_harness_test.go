package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// journal is what a process has written so far.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed, and made anew, when something was written
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.more)
	j.more = make(chan struct{})
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// await returns what a pattern has found in the journal, as soon as it does.
func (j *journal) await(t *testing.T, pattern string) []string {
	t.Helper()
	wanted, late := regexp.MustCompile(pattern), time.After(20*time.Second)
	for {
		j.mu.Lock()
		found, more := wanted.FindStringSubmatch(j.text.String()), j.more
		j.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-more:
		case <-late:
			require.FailNow(t, "it never wrote "+pattern, "%s", j)
		}
	}
}

// site is r2v-mcp http at work.
type site struct {
	*testing.T
	url    string
	cmd    *exec.Cmd
	stderr journal
	exited chan error
	ended  bool
	client *http.Client
}

// serveHTTP starts r2v-mcp http. It is stopped at the end of the test, in peace, unless the test has ended it.
func serveHTTP(t *testing.T, env ...string) *site {
	t.Helper()
	s := &site{T: t, exited: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}}}
	s.stderr.more = make(chan struct{})
	s.cmd = exec.CommandContext(context.Background(), built(t, "r2v-mcp"), "http")
	s.cmd.Env, s.cmd.Stderr = append([]string{"R2V_ADDR=127.0.0.1:0"}, env...), &s.stderr
	require.NoError(t, s.cmd.Start())
	go func() { s.exited <- s.cmd.Wait() }()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if !s.ended {
			s.stop()
			require.Zero(t, s.end(), "%s", &s.stderr)
		}
	})
	s.url = s.stderr.await(t, `"msg":"serving","url":"([^"]+)"`)[1]
	return s
}

func (s *site) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
}

// end waits for the end, and returns the exit code.
func (s *site) end() int {
	s.Helper()
	select {
	case err := <-s.exited:
		s.ended = true
		return exitOf(s.T, err)
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		require.FailNow(s, "it does not end", "%s", &s.stderr)
		return -1
	}
}

// tokensIn makes a file of tokens with one for each name, and one that reads the metrics.
func tokensIn(t *testing.T, home string, names ...string) (env string, tokens map[string]string) {
	t.Helper()
	env, tokens = "R2V_TOKENS_FILE="+filepath.Join(home, "tokens"), map[string]string{}
	for _, name := range names {
		args := []string{"token", name}
		if name == prometheus {
			args = append(args, "--metrics")
		}
		stdout, stderr, err := command(t, []string{env}, "", args...)
		require.NoError(t, err, stderr)
		tokens[name] = strings.TrimSpace(stdout)
	}
	return env, tokens
}

const prometheus = "prometheus"

// send sends a request and reads its answer whole. Headers are pairs of a name and a value.
func (s *site) send(method, path, body string, headers ...string) (status int, answer string) {
	s.Helper()
	status, answer, err := s.try(s.Context(), method, path, body, headers...)
	require.NoError(s, err)
	return status, answer
}

func (s *site) try(ctx context.Context, method, path, body string, headers ...string) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// post makes a call as somebody, and returns the answer as it came. Without a token nobody is named.
func (s *site) post(token, tool string, arguments map[string]any) (status int, answer string) {
	s.Helper()
	var headers []string
	if token != "" {
		headers = bearer(token)
	}
	return s.send(http.MethodPost, "/mcp", callLine(7, tool, arguments), headers...)
}

// asks makes a call as somebody, which must be answered, if only by a refusal.
func (s *site) asks(token, tool string, arguments map[string]any) said {
	s.Helper()
	status, text := s.post(token, tool, arguments)
	require.Equal(s, http.StatusOK, status, text)
	return readSaid(s.T, text)
}

// gets makes a call as somebody, which must not be refused.
func (s *site) gets(token, tool string, arguments map[string]any) said {
	s.Helper()
	a := s.asks(token, tool, arguments)
	require.Empty(s, a.refusal)
	return a
}

// readSaid reads an answer to a call.
func readSaid(t *testing.T, text string) said {
	t.Helper()
	p := &process{tb: t, out: bufio.NewReader(strings.NewReader(text + "\n"))}
	return p.read()
}

// counted is the sum of a counter over all its labels.
func (s *site) counted(metric string, headers ...string) int {
	s.Helper()
	status, text := s.send(http.MethodGet, "/metrics", "", headers...)
	require.Equal(s, http.StatusOK, status, text)
	sum := 0
	for _, found := range regexp.MustCompile(`(?m)^`+metric+`(?:\{[^}]*\})? (\d+)$`).FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(found[1])
		require.NoError(s, err)
		sum += n
	}
	return sum
}

// calls is how many calls have reached a tool.
func (s *site) calls(headers ...string) int {
	s.Helper()
	return s.counted("r2v_calls_total", headers...)
}

// line is a line of the log.
type line map[string]any

// logged returns the lines of the log with a message.
func (s *site) logged(message string) []line {
	s.Helper()
	var found []line
	for text := range strings.Lines(s.stderr.String()) {
		if !strings.HasSuffix(text, "\n") {
			break // it is being written
		}
		var l line
		require.NoError(s, json.Unmarshal([]byte(text), &l), "every line of the log is JSON: %s", text)
		if l["msg"] == message {
			found = append(found, l)
		}
	}
	return found
}

// events is an open /sse stream.
type events struct {
	*site
	resp    *http.Response
	in      *bufio.Reader
	message string // the path that messages go to
	headers []string
}

// listen opens /sse and says hello.
func (s *site) listen(headers ...string) *events {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+"/sse", nil)
	require.NoError(s, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	require.NoError(s, err)
	s.Cleanup(func() { resp.Body.Close() })
	require.Equal(s, http.StatusOK, resp.StatusCode)
	e := &events{site: s, resp: resp, in: bufio.NewReader(resp.Body), headers: headers}
	e.message = e.next()
	e.say(helloLine)
	e.next()
	e.say(initializedLine)
	return e
}

// next reads the next message.
func (e *events) next() string {
	e.Helper()
	for {
		text, err := e.in.ReadString('\n')
		require.NoError(e, err)
		if data, ok := strings.CutPrefix(text, "data:"); ok {
			return strings.TrimSpace(data)
		}
	}
}

// say posts a message.
func (e *events) say(message string, headers ...string) {
	e.Helper()
	status, text := e.send(http.MethodPost, e.message, message, append(headers, e.headers...)...)
	require.Equal(e, http.StatusAccepted, status, text)
}
