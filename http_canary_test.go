package main_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	canaryPrompt = "canaryprompt"
	canaryIdem   = "canary-idempotency-key"
)

// revealed are the forms in which a secret may come out.
func revealed(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))}
	if len(secret) > 16 {
		forms = append(forms, secret[:len(secret)-4], secret[6:]) // cut, as logs do
	}
	return forms
}

// What is secret stands neither in the log, at its most talkative, nor in the metrics, nor in what is answered to a mistake.
func TestSecretsAreKeptOverHTTP(t *testing.T) {
	t.Parallel()
	upstream, provider, home := newService(t, 600), newSigner(t), t.TempDir()
	tokens, of := tokensIn(t, home, "alice", prometheus)
	s := serveHTTP(t, append(upstream.env(home), tokens, "R2V_LOG_LEVEL=debug", "R2V_OIDC_ISSUER="+provider.URL, "R2V_OIDC_AUDIENCE="+audienceOfOurs,
		"AWS_SECRET_ACCESS_KEY=canary-of-the-storage")...)
	alice, forged := of["alice"], provider.badTokens()["HS256 with the public key"]
	wrong := "r2v_canarycanarycanarycanarycanary22"
	var errors []string
	fails := func(method, path, body string, headers ...string) {
		t.Helper()
		status, text := s.send(method, path, body, headers...)
		if !strings.Contains(text, `"isError":true`) {
			require.GreaterOrEqual(t, status, 400, "%s %s: %s", method, path, text)
		}
		errors = append(errors, text)
	}

	// A clip, one whose link is dead, one that failed, and one that is refused upstream.
	request := waving(canaryPrompt)
	request["idempotency_key"] = canaryIdem
	task := s.gets(alice, "generate_r2v", request).answer.TaskID
	s.gets(alice, "get_task", map[string]any{"task_id": task, "wait_seconds": 20})
	known, stderr, err := command(t, upstream.env(home), "", "tasks", "--json") // the operator is shown the service's own link
	require.NoError(t, err, stderr)
	link := regexp.MustCompile(`"video_url": ?"([^"]+\?[^"]+)"`).FindStringSubmatch(known)
	require.NotNil(t, link, known)
	_, query, _ := strings.Cut(strings.ReplaceAll(link[1], `\u0026`, "&"), "?")
	for _, fault := range []string{"[[fault:expired-link]]", "[[fault:fail-internal]]"} {
		id := s.gets(alice, "generate_r2v", waving(canaryPrompt+fault)).answer.TaskID
		s.gets(alice, "get_task", map[string]any{"task_id": id, "wait_seconds": 3})
	}
	for _, fault := range []string{"html-502", "invalid-key"} {
		_, text := s.post(alice, "generate_r2v", waving(canaryPrompt+"[[fault:"+fault+"]]"))
		errors = append(errors, text)
	}
	for name, value := range map[string]any{"duration": 99, "resolution": "9000P", "nonsense": "x"} {
		broken := waving(canaryPrompt)
		broken[name] = value
		fails(http.MethodPost, "/mcp", callLine(7, "generate_r2v", broken), bearer(alice)...)
	}

	// Mistakes of every kind, with a secret in each place where people put them.
	call := callLine(7, "list_tasks", map[string]any{"status": "nonsense"})
	fails(http.MethodPost, "/mcp", call, bearer(alice)...)
	for _, token := range []string{wrong, forged, alice + "x"} {
		fails(http.MethodPost, "/mcp", call, bearer(token)...)
		fails(http.MethodGet, "/sse", "", bearer(token)...)
		fails(http.MethodGet, "/", "", "Cookie", "r2v="+token)
		fails(http.MethodPost, "/sign-in", "token="+token, "Content-Type", "application/x-www-form-urlencoded", "Origin", s.url)
	}
	for _, path := range []string{"/mcp", "/message", "/metrics", "/clips/" + task + ".mp4", "/nowhere/" + alice} {
		fails(http.MethodPost, path+"?access_token="+alice+"&token="+alice+"&sessionId="+alice, call)
		fails(http.MethodPost, path+"?access_token="+alice, call, bearer(wrong)...)
	}
	fails(http.MethodPost, "/mcp", call, "Authorization", "Basic "+alice)
	fails(http.MethodPost, "/mcp", call, "Authorization", alice)
	fails(http.MethodPost, "/mcp", call, append(bearer(alice), "Origin", "http://"+alice+".example")...)
	fails(http.MethodPost, "/mcp", call, append(bearer(alice), "Mcp-Session-Id", alice)...)
	fails(http.MethodPost, "/mcp", call[:len(call)-2]+canaryPrompt, bearer(alice)...)
	fails(http.MethodPost, "/mcp", call, append(bearer(alice), "Content-Type", "text/"+canaryPrompt)...)
	fails(http.MethodGet, "/metrics", "", bearer(alice)...)
	fails(http.MethodGet, "/mcp/"+canaryPrompt, "", bearer(alice)...)
	status, metrics := s.send(http.MethodGet, "/metrics", "", bearer(of[prometheus])...)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, metrics, "r2v_calls_total{")
	require.NotEmpty(t, s.logged("call"))

	s.stop()
	require.Zero(t, s.end())
	secrets := []string{canaryKey, "canary-of-the-storage", alice, of[prometheus], wrong, forged, canaryPrompt, query}
	for _, part := range strings.Split(query, "&") {
		if _, value, _ := strings.Cut(part, "="); len(value) > 12 {
			secrets = append(secrets, value)
		}
	}
	said := map[string]string{"the log": s.stderr.String(), "the metrics": metrics}
	for _, secret := range secrets {
		for _, form := range revealed(secret) {
			for place, text := range said {
				require.NotContains(t, text, form, place)
			}
			for _, text := range errors {
				require.NotContains(t, text, form)
			}
		}
	}
	for _, name := range []string{"alice", task, canaryIdem} {
		require.NotContains(t, metrics, name, "metrics are about nobody")
	}
}
