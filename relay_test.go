package main_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// relay is a simulated relay on a socket of its own.
type relay struct {
	*httptest.Server
	t      *testing.T
	astray atomic.Int64 // requests that came with another key, or with none where one belongs
}

func newRelay(t *testing.T, o simulator.Options) *relay {
	t.Helper()
	o.Provider, o.APIKey = simulator.EvoLink, canaryKey
	sim, r := simulator.New(o), &relay{t: t}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		keyed := req.Header.Get("Authorization") == "Bearer "+canaryKey
		if wants := strings.HasPrefix(req.URL.Path, "/v1/") || strings.HasPrefix(req.URL.Path, "/api/"); wants != keyed {
			r.astray.Add(1)
		}
		sim.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	t.Cleanup(sim.Close)
	return r
}

func (r *relay) env(home string) []string {
	return []string{
		"HOME=" + home, "R2V_PROVIDER=evolink", "DASHSCOPE_REGION=simulator", "EVOLINK_BASE_URL=" + r.URL, "EVOLINK_API_KEY=" + canaryKey, "R2V_LOG_LEVEL=debug",
	}
}

func (r *relay) request(prompt string) map[string]any {
	return map[string]any{
		"model": "wan2.6-r2v-flash", "prompt": "character1 dances " + prompt, "duration": 5,
		"references": []any{map[string]any{"url": r.URL + "/samples/dancer-4s.mp4", "type": "video"}},
	}
}

func (r *relay) control(path string, into any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL+path, nil)
	require.NoError(r.t, err)
	resp, err := r.Client().Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	require.NoError(r.t, json.NewDecoder(resp.Body).Decode(into))
}

// The real server makes a clip through the relay: measured, billed in credits, saved; and leaves the key nowhere.
func TestAServerMakesAClipThroughTheRelay(t *testing.T) {
	t.Parallel()
	r, home := newRelay(t, simulator.Options{Speed: 600}), t.TempDir()
	p := greeted(t, r.env(home)...)
	task := p.ask("generate_r2v", r.request("in the rain")).answer
	require.Equal(t, []string{"PENDING", "no"}, []string{task.Status, task.Charged})
	task = p.ask("get_task", map[string]any{"task_id": task.TaskID, "wait_seconds": 40}).answer
	require.Equal(t, []string{"SUCCEEDED", "yes"}, []string{task.Status, task.Charged})
	clip, err := os.ReadFile(task.SavedTo)
	require.NoError(t, err)
	require.Equal(t, "ftyp", string(clip[4:8]))
	stdout, stderr, err := command(t, r.env(home), "", "tasks", "--json")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, `"billed": 30.6`, "9 seconds at 3.4 credits")
	require.Contains(t, stdout, `"currency": "credits"`)

	var reads []struct {
		Shortest *float64 `json:"shortest_seconds"`
	}
	r.control("/control/reads", &reads)
	require.Len(t, reads, 1)
	if reads[0].Shortest != nil {
		require.GreaterOrEqual(t, *reads[0].Shortest, 8.0)
	}
	require.Zero(t, r.astray.Load(), "the key goes along with calls of the API, and with nothing else")
	p.stop() // and then nothing is written any more
	require.NotContains(t, p.stderr.String()+stdout, canaryKey)
	require.NoError(t, filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), canaryKey, path)
		return err
	}))
}

// A server that looks at tasks every ten minutes hears of their ends from the relay, and believes nothing but what it then reads.
func TestTheRelaysCallbacksLeadToALook(t *testing.T) {
	t.Parallel()
	var to atomic.Pointer[url.URL] // of the server, which is told the front's address before it has one
	front := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to.Load()); p.Out.Host = p.In.Host },
	})
	t.Cleanup(front.Close)
	r, home := newRelay(t, simulator.Options{Speed: 120, CallbackClient: front.Client()}), t.TempDir()
	tokens, of := tokensIn(t, home, "anna")
	s := serveHTTP(t, append(r.env(home), "R2V_PUBLIC_URL="+front.URL, "R2V_POLL_INTERVAL=10m", tokens)...)
	at, err := url.Parse(s.url)
	require.NoError(t, err)
	to.Store(at)
	for fault, status := range map[string]string{"": "SUCCEEDED", "[[fault:callback-forged]]": "FAILED", "[[fault:callback-twice]]": "SUCCEEDED"} {
		made := s.gets(of["anna"], "generate_r2v", r.request(fault)).answer
		task := s.gets(of["anna"], "get_task", map[string]any{"task_id": made.TaskID, "wait_seconds": 30}).answer
		require.Equal(t, status, task.Status, fault)
	}
	var received []struct{ Body string }
	r.control("/control/requests", &received)
	for _, order := range received {
		var body struct {
			CallbackURL string `json:"callback_url"`
		}
		require.NoError(t, json.Unmarshal([]byte(order.Body), &body))
		hint, ours := strings.CutPrefix(body.CallbackURL, front.URL+"/callbacks/")
		require.True(t, ours, body.CallbackURL)
		require.Len(t, hint, 26)
		require.NotContains(t, s.stderr.String(), hint, "the path is a secret")
	}
}

// An operator's spending has the bill that came ten seconds after the end, once.
func TestABillThatComesAfterTheEndIsCounted(t *testing.T) {
	t.Parallel()
	r, home := newRelay(t, simulator.Options{Speed: 600}), t.TempDir()
	tokens, of := tokensIn(t, home, "anna", prometheus)
	s := serveHTTP(t, append(r.env(home), tokens)...)
	billed := func() string {
		status, text := s.send(http.MethodGet, "/metrics", "", bearer(of[prometheus])...)
		require.Equal(t, http.StatusOK, status)
		_, value, _ := strings.Cut(text, `r2v_billed_total{currency="credits"} `)
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	made := s.gets(of["anna"], "generate_r2v", r.request("[[fault:no-usage x2]]")).answer
	task := s.gets(of["anna"], "get_task", map[string]any{"task_id": made.TaskID, "wait_seconds": 40}).answer
	require.Equal(t, "SUCCEEDED", task.Status)
	require.Empty(t, billed())
	s.stderr.await(t, `"msg":"billed"`)
	require.Eventually(t, func() bool { return billed() != "" }, 5*time.Second, 10*time.Millisecond)
	require.Equal(t, "30.6", billed())
}

// Two providers on one data folder: each server says of the other's tasks where they are followed, and offers no waiting of its own.
func TestATaskOfTheOtherProviderIsToldToBeThere(t *testing.T) {
	t.Parallel()
	r, s, home := newRelay(t, simulator.Options{}), newService(t, 600), t.TempDir()
	request := r.request("at the relay")
	request["idempotency_key"] = "k"
	p := greeted(t, r.env(home)...)
	made := p.ask("generate_r2v", request).answer
	p.stop()
	other := greeted(t, append(s.env(home), "R2V_PROVIDER=dashscope")...)
	other.send(callLine(5, "get_task", map[string]any{"task_id": made.TaskID, "wait_seconds": 0}))
	answer := string(other.line())
	require.Contains(t, answer, `"status":"PENDING"`)
	require.Contains(t, answer, `"next_step":"Ask the user for a server with the settings that it was bought with: R2V_PROVIDER`)
	require.NotContains(t, answer, "poll_after_seconds")
	other.send(callLine(6, "generate_r2v", request))
	refusal := other.read().refusal
	require.Contains(t, refusal, "belongs to task "+made.TaskID+", which was bought from evolink@")
	require.Contains(t, refusal, "do not buy it again here")
	require.Zero(t, s.creates.Load())
}
