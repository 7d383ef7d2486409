package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/stretchr/testify/require"
)

// tried runs the main job against tools that answer these texts, and returns what was said and what was ordered.
func tried(t *testing.T, live bool, input string, answers map[string]string) (said string, ordered map[string]any, err error) {
	t.Helper()
	srv := server.NewMCPServer("r2v", "0")
	for name, answer := range answers {
		srv.AddTool(mcp.NewTool(name), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if name == "generate_r2v" {
				ordered = r.GetArguments()
			}
			return mcp.NewToolResultText(answer), nil
		})
	}
	var out bytes.Buffer
	tr := &trial{program: &program{stdin: strings.NewReader(input), stdout: &out, stderr: io.Discard}, live: live}
	tr.client, err = client.NewInProcessClient(srv)
	require.NoError(t, err)
	require.NoError(t, tr.client.Start(t.Context()))
	require.NoError(t, tr.greet(t.Context()))
	err = tr.run(t.Context(), map[string]any{"prompt": "Video 1 waves"})
	require.NoError(t, tr.client.Close())
	return out.String(), ordered, err
}

const (
	unpriced = `{"billable_seconds":{"input":{"low":2,"high":5},"output":5,"total":{"low":7,"high":10}},"problems":[]}`
	priced   = `{"billable_seconds":{"total":{"low":9,"high":9}},"problems":[],"cost":{"low":61.2,"high":61.2,"currency":"credits"}}`
	created  = `{"task_id":"r2v_1","charged":"unknown"}`
	billed   = `{"task_id":"r2v_1","status":"SUCCEEDED","saved_to":"/clips/a.mp4","cost":{"billed":61.2,"currency":"credits"}}`
)

func TestTryBuysWithoutAKnownRateWhenTold(t *testing.T) {
	answers := map[string]string{"estimate_cost": unpriced, "generate_r2v": created, "get_task": billed}
	said, ordered, err := tried(t, true, "y\n", answers)
	require.NoError(t, err)
	require.NotContains(t, ordered, "max_cost", "nothing could hold it")
	require.Contains(t, said, "estimate_cost  no known rate for 7 to 10 billable seconds\n")
	require.Contains(t, said, "This buys a clip of 7 to 10 billable seconds for real money; no rate is known, so nobody can say how much. Buy it? [y/N] ")
	require.Contains(t, said, "estimated      no known rate\nbilled         61.2 credits\n")

	said, ordered, err = tried(t, true, "n\n", answers)
	require.EqualError(t, err, "not confirmed; nothing was bought")
	require.Nil(t, ordered)
	require.NotContains(t, said, "generate_r2v")

	answers["estimate_cost"] = strings.Replace(unpriced, `"problems"`, `"cost":null,"problems"`, 1)
	answers["get_task"] = `{"status":"SUCCEEDED","cost":{"billed":null,"currency":"credits"}}`
	said, ordered, err = tried(t, false, "", answers)
	require.NoError(t, err)
	require.NotContains(t, ordered, "max_cost")
	require.Contains(t, said, "billed         unknown credits\n")
}

func TestTryHoldsAPurchaseToAKnownPriceInCredits(t *testing.T) {
	said, ordered, err := tried(t, true, "y\n", map[string]string{"estimate_cost": priced, "generate_r2v": created, "get_task": billed})
	require.NoError(t, err)
	require.Equal(t, 61.2, ordered["max_cost"])
	require.Contains(t, said, "This buys a clip for 61.2 credits of real money. Buy it? [y/N] ")
	require.Contains(t, said, "estimated      61.2 credits\nbilled         61.2 credits\n")
}

// simulatedFor starts what try starts, and returns what its server would be told.
func simulatedFor(t *testing.T, environ ...string) (sim *runningSimulator, env []string, said string) {
	t.Helper()
	var out bytes.Buffer
	tr := &trial{program: &program{environ: environ, stdout: &out}, env: environ}
	sim, err := tr.simulated(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.close()) })
	return sim, tr.env, out.String()
}

func TestTrySimulatesTheProviderOfTheEnvironment(t *testing.T) {
	sim, env, said := simulatedFor(t, "R2V_PROVIDER=evolink", "EVOLINK_API_KEY=sk-real", "EVOLINK_BASE_URL=https://api.evolink.ai", "DASHSCOPE_API_KEY=sk-real", "HOME=/h")
	require.Equal(t, []string{
		"R2V_PROVIDER=evolink", "HOME=/h",
		"R2V_PROVIDER=evolink", "DASHSCOPE_REGION=simulator", "EVOLINK_BASE_URL=" + sim.base, "EVOLINK_API_KEY=sk-simulated",
		"R2V_POLL_INTERVAL=500ms", "R2V_LOG_LEVEL=warn",
	}, env)
	require.NotContains(t, sim.base, "/api/v1")
	require.Contains(t, said, "--live uses your key")
	require.Equal(t, http.StatusNotFound, post(t, sim.base+"/api/v1/services/aigc/video-generation/video-synthesis", nil))

	_, _, said = simulatedFor(t, "R2V_PROVIDER=evolink", "DASHSCOPE_API_KEY=sk-real")
	require.Contains(t, said, "No EVOLINK_API_KEY is set")

	sim, env, said = simulatedFor(t, "EVOLINK_API_KEY=sk-real", "HOME=/h")
	require.Equal(t, []string{
		"HOME=/h", "DASHSCOPE_REGION=simulator", "DASHSCOPE_HTTP_BASE_URL=" + sim.base, "DASHSCOPE_API_KEY=sk-simulated", "R2V_POLL_INTERVAL=500ms", "R2V_LOG_LEVEL=warn",
	}, env)
	require.True(t, strings.HasSuffix(sim.base, "/api/v1"))
	require.Contains(t, said, "No DASHSCOPE_API_KEY is set")
}

func post(t *testing.T, address string, body any) int {
	t.Helper()
	content, err := json.Marshal(body)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(content))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer sk-simulated")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// What try orders where nothing is given is an order that the relay takes.
func TestTheSampleSuitsTheRelay(t *testing.T) {
	sim, _, _ := simulatedFor(t, "R2V_PROVIDER=evolink")
	for model, theirs := range map[string]string{
		"": "wan2.7-reference-video", "wan2.7-r2v": "wan2.7-reference-video", "wan2.6-r2v": "wan2.6-reference-video", "wan2.6-r2v-flash": "wan2.6-reference-video-flash",
	} {
		f := tryFlags{model: model, duration: 5, resolution: "720P"}
		require.NoError(t, f.sample(sim.base))
		require.Equal(t, []string{sim.base + "/samples/dancer-4s.mp4"}, f.references)
		require.Equal(t, http.StatusOK, post(t, sim.base+"/v1/videos/generations", map[string]any{
			"model": theirs, "prompt": f.prompt, "video_urls": f.references, "duration": f.duration, "quality": strings.ToLower(f.resolution),
		}))
	}
}
