package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dataDir is where a server with this home keeps what is simulated.
func dataDir(home string) string {
	return filepath.Join(home, ".local", "share", "r2v-mcp", "simulated")
}

// said is what an answer says, or a refusal as text.
type said struct {
	id      int
	refusal string
	answer  struct {
		TaskID         string `json:"task_id"`
		ProviderTaskID string `json:"provider_task_id"`
		Status         string `json:"status"`
		Charged        string `json:"charged"`
		Replayed       bool   `json:"replayed"`
		SavedTo        string `json:"saved_to"`
	}
}

func callLine(id int, tool string, arguments map[string]any) string {
	text, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": map[string]any{"name": tool, "arguments": arguments},
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// read reads the answer to one of the calls, whichever comes first.
func (p *process) read() said {
	p.tb.Helper()
	line := p.line()
	var message struct {
		ID     int `json:"id"`
		Result struct {
			IsError    bool            `json:"isError"`
			Structured json.RawMessage `json:"structuredContent"`
			Content    []struct{ Text string }
		}
	}
	require.NoError(p.tb, json.Unmarshal(line, &message), "%s", line)
	s := said{id: message.ID}
	if message.Result.IsError {
		s.refusal = message.Result.Content[0].Text
		return s
	}
	require.NoError(p.tb, json.Unmarshal(message.Result.Structured, &s.answer), "%s", line)
	return s
}

// ask makes one call, which must not be refused.
func (p *process) ask(tool string, arguments map[string]any) said {
	p.tb.Helper()
	p.send(callLine(77, tool, arguments))
	s := p.read()
	require.Empty(p.tb, s.refusal)
	return s
}

// kill ends a process as a crash does.
func (p *process) kill() {
	p.tb.Helper()
	require.NoError(p.tb, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // it says that it was killed
}

// picture is a black one of 240 pixels a side, inside the request: nobody has to fetch it.
const picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAPAAAADwAQAAAAAWLtQ/AAAAHklEQVR42u3BAQ0AAADCoPdPbQ8HFAAAAAAAAMCnAR0QAAFQm+8DAAAAAElFTkSuQmCC"

// waving is a request that costs 0.40.
func waving(prompt string) map[string]any {
	return map[string]any{"prompt": "Image 1 waves " + prompt, "duration": 4, "resolution": "720P", "references": []any{picture}}
}

// exitOf is the code with which a command has ended.
func exitOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var ended *exec.ExitError
	require.ErrorAs(t, err, &ended)
	return ended.ExitCode()
}

// running is a command that a test ends.
type running struct {
	cmd  *exec.Cmd
	said *lines
}

// lines are what a command writes, and tells when it has written some words.
type lines struct {
	text bytes.Buffer
	want string
	seen chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	had := bytes.Contains(l.text.Bytes(), []byte(l.want))
	l.text.Write(p)
	if !had && bytes.Contains(l.text.Bytes(), []byte(l.want)) {
		close(l.seen)
	}
	return len(p), nil
}

// until starts a command and returns when it has written some words to stdout or stderr.
func until(t *testing.T, env []string, want string, args ...string) *running {
	t.Helper()
	return untilOf(t, built(t, "r2v-mcp"), env, want, args...)
}

// untilOf is until, for any program.
func untilOf(t *testing.T, path string, env []string, want string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	r := &running{cmd: exec.CommandContext(ctx, path, args...), said: &lines{want: want, seen: make(chan struct{})}}
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = env, r.said, r.said // one writer for both: os/exec writes to it from one goroutine
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() { cancel(); _ = r.cmd.Wait() }) // it may have been waited for; until then it writes into the test's folders
	select {
	case <-r.said.seen:
	case <-ctx.Done():
		_ = r.cmd.Wait()
		require.NoError(t, errors.New("it never said "+want), "%s", &r.said.text)
	}
	return r
}

// ended waits for the command's end, and returns its code and all that it said.
func (r *running) ended(t *testing.T) (int, string) {
	t.Helper()
	err := r.cmd.Wait()
	return exitOf(t, err), fmt.Sprint(&r.said.text)
}
