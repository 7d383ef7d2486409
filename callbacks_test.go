package main_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress/egresstest"
)

const webhookSecret = "whsec_Y2FuYXJ5LXNlY3JldC1jYW5hcnktc2VjcmV0LTE="

// hook is a receiver with TLS, which may be down: then it hangs up on whoever comes, so that nobody else gets its port.
type hook struct {
	net.Listener
	t      *testing.T
	at     string // host:port
	closed atomic.Bool
	mu     sync.Mutex
	told   []telling
	more   chan struct{}
	answer func(n int) int // the status of the nth message; 0: it is taken and never answered
	ended  chan struct{}
}

type telling struct {
	at     time.Time
	header http.Header
	body   string
	status int
}

func newHook(t *testing.T, answer func(n int) int) *hook {
	t.Helper()
	h := &hook{t: t, more: make(chan struct{}, 1000), answer: answer, ended: make(chan struct{})}
	server := httptest.NewUnstartedServer(h)
	h.Listener, h.at = server.Listener, server.Listener.Addr().String()
	server.Listener = h
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(func() { close(h.ended); server.Close() })
	return h
}

func (h *hook) Accept() (net.Conn, error) {
	for {
		conn, err := h.Listener.Accept()
		if err != nil || !h.closed.Load() {
			return conn, err
		}
		conn.Close()
	}
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if r.Method != http.MethodPost || err != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	h.mu.Lock()
	status := h.answer(len(h.told) + 1)
	h.told = append(h.told, telling{time.Now(), r.Header, string(body), status})
	if status != 0 {
		w.WriteHeader(status)
	}
	h.more <- struct{}{}
	h.mu.Unlock()
	if status == 0 {
		select {
		case <-r.Context().Done():
		case <-h.ended:
		}
	}
}

// wait waits for n more messages, and returns all.
func (h *hook) wait(n int, patience time.Duration) []telling {
	h.t.Helper()
	late := time.After(patience)
	for range n {
		select {
		case <-h.more:
		case <-late:
			require.FailNow(h.t, "nobody was told")
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]telling(nil), h.told...)
}

// env lets a server call the hook.
func (h *hook) env(home string) []string {
	return []string{"SSL_CERT_FILE=" + egresstest.CertificateFile(home), "R2V_EGRESS_ALLOW=" + h.at, "R2V_CALLBACKS=127.0.0.1", "R2V_WEBHOOK_SECRET=" + webhookSecret}
}

// calling is a request for a clip whose end is told.
func calling(h *hook, prompt string) map[string]any {
	request := waving(prompt)
	request["callback_url"] = "https://" + h.at + "/hook?token=canary-of-the-hook"
	return request
}

// verified requires that messages are all one, signed, and returns its id.
func verified(t *testing.T, all []telling) string {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(webhookSecret)
	require.NoError(t, err)
	for _, m := range all {
		require.NoError(t, verifier.VerifyIgnoringTimestamp([]byte(m.body), m.header))
		require.Equal(t, all[0].header.Get("webhook-id"), m.header.Get("webhook-id"))
	}
	return all[0].header.Get("webhook-id")
}

// callbackOf is how a task's callback stands.
func (p *process) callbackOf(id string) (c struct {
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
}) {
	p.tb.Helper()
	p.send(callLine(5, "get_task", map[string]any{"task_id": id, "wait_seconds": 0}))
	var answer struct {
		Result struct {
			Structured struct {
				Callback any `json:"callback"`
			} `json:"structuredContent"`
		} `json:"result"`
	}
	answer.Result.Structured.Callback = &c
	require.NoError(p.tb, json.Unmarshal(p.line(), &answer))
	return c
}

// The receiver fails, the server is killed, and the receiver is down when the next server comes: it has one message in the end. With a
// receiver that is down for a minute the same is tested in internal/tracker, where that takes no time.
func TestAReceiverGetsItOnceThoughTheServerIsKilledBetweenAttempts(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	h := newHook(t, func(n int) int {
		return map[int]int{1: http.StatusInternalServerError, 2: http.StatusBadGateway, 3: http.StatusNoContent}[n]
	})
	env := append(s.env(home), h.env(home)...)
	first := greeted(t, env...)
	made := first.ask("generate_r2v", calling(h, "once")).answer
	failed := h.wait(2, 20*time.Second)
	require.Eventually(t, func() bool { return strings.Contains(first.callbackOf(made.TaskID).Error, "502") }, 1800*time.Millisecond, time.Millisecond,
		"it is killed once it has written down that the second attempt has failed")
	first.kill()
	h.closed.Store(true)
	require.InDelta(t, 1, failed[1].at.Sub(failed[0].at).Seconds(), 0.9)
	second := greeted(t, env...)
	defer second.stop()
	require.Eventually(t, func() bool {
		c := second.callbackOf(made.TaskID)
		return c.Attempts == 3 && c.Error == "127.0.0.1 broke off"
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "retrying", second.callbackOf(made.TaskID).State)
	h.closed.Store(false)
	all := h.wait(1, 20*time.Second)
	require.NotEmpty(t, verified(t, all))
	require.Len(t, all, 3)
	require.Equal(t, http.StatusNoContent, all[2].status)
	require.Eventually(t, func() bool { return second.callbackOf(made.TaskID).State == "delivered" }, 5*time.Second, 20*time.Millisecond)
	require.Equal(t, 4, second.callbackOf(made.TaskID).Attempts)
	for _, said := range []string{`"status":"SUCCEEDED"`, `"billed":0.4`, made.TaskID + ".mp4"} {
		require.Contains(t, all[2].body, said)
	}
}

func TestOverHTTPTheEndsOfAllPeopleAreTold(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	h := newHook(t, func(n int) int {
		return map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusOK}[n == 1]
	})
	tokens, of := tokensIn(t, home, "anna", "bob", prometheus)
	server := serveHTTP(t, append(append(s.env(home), h.env(home)...), tokens, "R2V_LOG_LEVEL=debug")...)
	made := server.gets(of["anna"], "generate_r2v", calling(h, "over HTTP")).answer
	all := h.wait(2, 20*time.Second)
	verified(t, all)
	require.NotContains(t, all[1].body, home, "no place of the server's machine is named")
	require.NotContains(t, all[1].body, "saved_to")
	server.stderr.await(t, `"msg":"callback delivered"`)
	require.Equal(t, 2, server.counted("r2v_callbacks_total", bearer(of[prometheus])...))
	refusal := server.asks(of["bob"], "get_task", map[string]any{"task_id": made.TaskID}).refusal
	require.NotContains(t, refusal, "callback")
	_, answer := server.post(of["anna"], "get_task", map[string]any{"task_id": made.TaskID, "wait_seconds": 0})
	_, metrics := server.send(http.MethodGet, "/metrics", "", bearer(of[prometheus])...)
	_, bad := server.post(of["anna"], "generate_r2v", map[string]any{"prompt": "x", "callback_url": "http://x:canary-of-the-hook@127.0.0.1/?" + webhookSecret})
	for _, secret := range append(revealed(webhookSecret), revealed(strings.TrimPrefix(webhookSecret, "whsec_"))...) {
		for _, text := range []string{server.stderr.String(), answer, metrics, bad, all[0].body, all[1].body} {
			require.NotContains(t, text, secret)
		}
	}
	for _, text := range []string{server.stderr.String(), answer, metrics, bad, all[1].body} {
		require.NotContains(t, text, "canary-of-the-hook")
		require.NotContains(t, text, "canary-secret")
	}
}

func TestTrackTellsTheEndOfWhatItFollows(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 60), t.TempDir()
	h := newHook(t, func(n int) int { return map[bool]int{true: http.StatusBadGateway, false: http.StatusOK}[n == 1] })
	env := append(s.env(home), h.env(home)...)
	p := greeted(t, env...)
	made := p.ask("generate_r2v", calling(h, "and is followed")).answer
	require.NotEmpty(t, made.ProviderTaskID)
	p.kill()
	_, stderr, err := command(t, env, "", "track")
	require.NoError(t, err, stderr)
	verified(t, h.wait(2, time.Second))
}

func TestARealReceiverThatRedirectsIsRefusedBeforeAnythingIsBought(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	leads := httptest.NewTLSServer(http.RedirectHandler("https://169.254.169.254/", http.StatusTemporaryRedirect))
	defer leads.Close()
	p := greeted(t, append(s.env(home), "SSL_CERT_FILE="+egresstest.CertificateFile(home), "R2V_CALLBACKS=127.0.0.1",
		"R2V_EGRESS_ALLOW="+leads.Listener.Addr().String())...)
	defer p.stop()
	for address, why := range map[string]string{
		leads.URL: "127.0.0.1 redirects, which is not followed", "https://127.0.0.1:1/": "only public addresses are reached",
		strings.Replace(s.URL, "http:", "https:", 1): "only public addresses are reached", // what is opened for the simulator's results
	} {
		request := waving("nowhere")
		request["callback_url"] = address
		p.send(callLine(9, "generate_r2v", request))
		a := p.read()
		require.Contains(t, a.refusal, why)
		require.Contains(t, a.refusal, "charged: no")
	}
	require.Zero(t, s.creates.Load())
}

func TestSettingsOfCallbacks(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	ask := func(setting, address string) string {
		p := greeted(t, append(s.env(home), setting)...)
		defer p.stop()
		request := waving("nowhere")
		request["callback_url"] = address
		p.send(callLine(9, "generate_r2v", request))
		return p.read().refusal
	}
	require.Contains(t, ask("R2V_CALLBACKS=off", "https://hooks.example.com/"), "the operator has switched callbacks off (R2V_CALLBACKS)")
	require.Contains(t, ask("R2V_CALLBACKS=On", "https://8.8.8.8:22/"), "and only 443 is, unless the operator names the host (R2V_CALLBACKS)")
	require.Contains(t, ask("R2V_EGRESS_ALLOW=10.0.0.0/8", "https://10.0.0.1/"), "10.0.0.1", "what may be read from may not be written to")
	require.Contains(t, ask("R2V_CALLBACKS=hooks.example.com, .example.org", "https://evil.example/"), "evil.example is not one of the hosts that the operator allows (R2V_CALLBACKS)")
	for setting, why := range map[string]string{
		"R2V_CALLBACKS=https://hooks.example.com":              "R2V_CALLBACKS: it is neither on nor off nor a list of hosts",
		"R2V_CALLBACKS=on,hooks.example.com":                   "R2V_CALLBACKS: it is neither on nor off nor a list of hosts: \"on\" is no host",
		"R2V_CALLBACKS=true":                                   "R2V_CALLBACKS: it is neither on nor off nor a list of hosts",
		"R2V_WEBHOOK_SECRET=whsec_canary":                      "R2V_WEBHOOK_SECRET: it is not one or more secrets",
		"R2V_WEBHOOK_SECRET=" + webhookSecret + "," + "canary": "R2V_WEBHOOK_SECRET: it is not one or more secrets",
	} {
		_, stderr, err := command(t, append(s.env(home), setting), "", "stdio")
		require.Equal(t, 1, exitOf(t, err))
		require.Contains(t, stderr, why)
		require.NotContains(t, stderr, "canary")
		require.NotContains(t, stderr, strings.TrimPrefix(webhookSecret, "whsec_"))
	}
	require.Zero(t, s.creates.Load())
}
