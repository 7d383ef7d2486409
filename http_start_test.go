package main_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever reached such a server could spend its owner's money.
func TestNobodyIsServedBeyondThisMachineWithoutTokens(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "0.0.0.0:0") //nolint:gosec // it answers nothing
	require.NoError(t, err)
	defer taken.Close()
	s := newService(t, 600)
	// The address is in use: a server that listened first would say so.
	env := append(s.env(t.TempDir()), "R2V_ADDR="+taken.Addr().String())
	for name, addr := range map[string]string{"every address": "R2V_ADDR=0.0.0.0:" + portOf(t, taken), "every address, unnamed": "R2V_ADDR=:" + portOf(t, taken)} {
		stdout, stderr, err := command(t, append(env, addr), "", "http")
		require.Equal(t, 1, exitOf(t, err), name)
		require.Empty(t, stdout)
		for _, setting := range []string{"R2V_ADDR: ", "Set R2V_TOKENS_FILE", "R2V_OIDC_ISSUER", "R2V_OIDC_AUDIENCE", "127.0.0.1"} {
			require.Contains(t, stderr, setting, name)
		}
		require.NotContains(t, stderr, "serving")
		require.NotContains(t, stderr, "in use")
	}
	// With tokens the same server is served, to those who have one.
	home := t.TempDir()
	tokens, of := tokensIn(t, home, "alice")
	open := serveHTTP(t, append(s.env(home), "R2V_ADDR=0.0.0.0:0", tokens)...)
	_, port, err := net.SplitHostPort(open.url[len("http://"):])
	require.NoError(t, err)
	open.url = "http://127.0.0.1:" + port
	status, _ := open.post("", "list_tasks", nil)
	require.Equal(t, http.StatusUnauthorized, status)
	open.gets(of["alice"], "list_tasks", map[string]any{})
}

func portOf(t *testing.T, l net.Listener) string {
	t.Helper()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
