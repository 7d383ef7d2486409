package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"
)

// leastOfBare is how many calls a second are answered, against a bare server of the same library. Its one tool gives back a
// text as long as our answer's, so that both move the same bytes, and the client has as much to read from both.
const leastOfBare = 0.8

const (
	speedRounds = 5
	speedRound  = 100 * time.Millisecond
)

// rival is one of the servers that are compared, as its clients see it.
type rival struct {
	clients []*client.Client
	answer  int // bytes of an answer's text
	call    mcp.CallToolRequest
	rates   []float64 // calls a second of each round
}

func newRival(t *testing.T, at, version string, call mcp.CallToolParams, atOnce int) *rival {
	t.Helper()
	r := &rival{call: mcp.CallToolRequest{Params: call}}
	for range atOnce {
		over, err := transport.NewStreamableHTTP(at)
		require.NoError(t, err)
		c := client.NewClient(over, client.WithProtocolVersion(version))
		require.NoError(t, c.Start(t.Context()))
		t.Cleanup(func() { _ = c.Close() })
		var hello mcp.InitializeRequest
		hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
		_, err = c.Initialize(t.Context(), hello)
		require.NoError(t, err)
		r.clients = append(r.clients, c)
	}
	result, err := r.ask(t.Context(), r.clients[0])
	require.NoError(t, err)
	r.answer = len(result.Content[0].(mcp.TextContent).Text)
	return r
}

func (r *rival) ask(ctx context.Context, c *client.Client) (*mcp.CallToolResult, error) {
	result, err := c.CallTool(ctx, r.call)
	if err == nil && (result.IsError || result.StructuredContent == nil) {
		err = fmt.Errorf("no answer: %v", result.Content)
	}
	return result, err
}

// round lets all clients call for a while.
func (r *rival) round(t *testing.T) {
	t.Helper()
	var calling sync.WaitGroup
	counts, errs := make([]int, len(r.clients)), make([]error, len(r.clients))
	from := time.Now()
	for i, c := range r.clients {
		calling.Go(func() {
			for time.Since(from) < speedRound && errs[i] == nil {
				_, errs[i] = r.ask(t.Context(), c)
				counts[i]++
			}
		})
	}
	calling.Wait()
	took := time.Since(from)
	require.NoError(t, errors.Join(errs...))
	calls := 0
	for _, n := range counts {
		calls += n
	}
	r.rates = append(r.rates, float64(calls)/took.Seconds())
}

// rate is the median of the rounds since the last time.
func (r *rival) rate() float64 {
	slices.Sort(r.rates)
	half := r.rates[len(r.rates)/2]
	r.rates = nil
	return half
}

// unknownMedia is a request whose references nobody but the service can look at; their lengths are given.
func unknownMedia() map[string]any {
	return map[string]any{"prompt": "Video 1 waves at Image 1", "duration": 5, "references": []any{
		map[string]any{"url": "oss://a/a.mp4", "duration_seconds": 4}, map[string]any{"url": "oss://a/b.png"},
	}}
}

// near fails unless one rival is nearly as fast as the other.
func near(t *testing.T, us, them *rival) {
	t.Helper()
	var ratio float64
	for range 4 * tries { // whatever else the machine does, other tests above all, is told apart from a server that is slow
		for range speedRounds { // in turn, so that whatever slows the machine slows both
			us.round(t)
			them.round(t)
		}
		our, their := us.rate(), them.rate()
		ratio = our / their
		t.Logf("calls a second, median of %d: %.0f, bare %.0f, ratio %.2f", speedRounds, our, their, ratio)
		if ratio >= leastOfBare {
			return
		}
	}
	require.GreaterOrEqual(t, ratio, leastOfBare)
}

func TestCallsOverHTTPAreNearlyAsFastAsABareServers(t *testing.T) {
	measured(t)
	s := newService(t, 60)
	ours := serveHTTP(t, append(s.env(t.TempDir()), "R2V_RATE_LIMIT=off")...)
	echo := untilOf(t, built(t, "echo"), nil, "/mcp")
	t.Cleanup(func() { _ = echo.cmd.Process.Signal(os.Kill); _ = echo.cmd.Wait() })
	bare := strings.TrimSpace(echo.said.text.String())
	id := ours.gets("", "generate_r2v", waving("in a hurry")).answer.TaskID
	ended := ours.gets("", "get_task", map[string]any{"task_id": id, "wait_seconds": 20})
	require.Equal(t, "SUCCEEDED", ended.answer.Status)
	for _, call := range []mcp.CallToolParams{
		{Name: "estimate_cost", Arguments: unknownMedia()},
		{Name: "get_task", Arguments: map[string]any{"task_id": id}},
	} {
		for _, version := range []string{legacyVersion, modernVersion} {
			for _, atOnce := range []int{1, 32} {
				t.Run(fmt.Sprintf("%s, %s, %d at once", call.Name, version, atOnce), func(t *testing.T) {
					us := newRival(t, ours.url+"/mcp", version, call, atOnce)
					same := map[string]any{"text": strings.Repeat("a", us.answer)}
					near(t, us, newRival(t, bare, version, mcp.CallToolParams{Name: "echo", Arguments: same}, atOnce))
				})
			}
		}
	}
}
