package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

func TestABadSettingOfHTTPIsRefusedByItsName(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{[]string{"R2V_ADDR=8787"}, `R2V_ADDR: "8787" is not host:port`},
		{[]string{"R2V_ADDR=127.0.0.1:99999"}, "R2V_ADDR: "},
		{[]string{"R2V_PUBLIC_URL=r2v.example.com"}, "R2V_PUBLIC_URL: "},
		{[]string{"R2V_PUBLIC_URL=https://r2v.example.com/team"}, "R2V_PUBLIC_URL: "},
		{[]string{"R2V_PUBLIC_URL=https://user@r2v.example.com"}, "R2V_PUBLIC_URL: "},
		{[]string{"R2V_ALLOWED_HOSTS=r2v.example.com,https://b"}, `R2V_ALLOWED_HOSTS: "https://b" is no host name`},
		{[]string{"R2V_ALLOWED_HOSTS=*"}, "R2V_ALLOWED_HOSTS: "},
		{[]string{"R2V_ALLOWED_ORIGINS=example.com"}, "R2V_ALLOWED_ORIGINS: "},
		{[]string{"R2V_ALLOWED_ORIGINS=null"}, "R2V_ALLOWED_ORIGINS: "},
		{[]string{"R2V_ALLOWED_ORIGINS=https://*.example.com"}, "R2V_ALLOWED_ORIGINS: "},
		{[]string{"R2V_OIDC_ISSUER=https://login.example.com"}, "R2V_OIDC_ISSUER: it and R2V_OIDC_AUDIENCE belong together"},
		{[]string{"R2V_OIDC_AUDIENCE=r2v"}, "R2V_OIDC_ISSUER: it and R2V_OIDC_AUDIENCE belong together"},
		{[]string{"R2V_OIDC_ISSUER=http://login.example.com", "R2V_OIDC_AUDIENCE=r2v"}, "is no https:// address"},
		{[]string{"R2V_TLS_CERT=/tls/cert.pem"}, "R2V_TLS_CERT: it and R2V_TLS_KEY belong together"},
		{[]string{"R2V_TLS_CERT=/tls/cert.pem", "R2V_TLS_KEY=/tls/key.pem", "R2V_PUBLIC_URL=http://r2v.example.com"}, "R2V_PUBLIC_URL: "},
		{[]string{"R2V_RATE_LIMIT=fast"}, `R2V_RATE_LIMIT: "fast" is neither off nor a number`},
		{[]string{"R2V_RATE_LIMIT=0"}, "R2V_RATE_LIMIT: "},
		{[]string{"R2V_RATE_LIMIT=NaN"}, "R2V_RATE_LIMIT: "},
		{[]string{"R2V_BUDGET_PER_PERSON=much"}, "R2V_BUDGET_PER_PERSON: "},
	} {
		_, err := read(t, tt.lines...)
		require.ErrorContains(t, err, tt.want, tt.lines)
	}
}

func TestSettingsOfHTTP(t *testing.T) {
	cfg, err := read(t, "R2V_PUBLIC_URL=https://r2v.example.com/", "R2V_ALLOWED_HOSTS=r2v.internal:8787,r2v", "R2V_RATE_LIMIT=off", "R2V_BUDGET_PER_PERSON=2.5")
	require.NoError(t, err)
	require.Equal(t, "https://r2v.example.com", cfg.PublicURL)
	require.Equal(t, []string{"r2v.internal:8787", "r2v", "127.0.0.1:8787", "r2v.example.com"}, cfg.hosts())
	require.Equal(t, rate.Inf, cfg.rate)
	require.Equal(t, "2.5", cfg.perPerson.String())
}

func TestNobodyServesTheWorldWithoutTokens(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:8787", ":8787", "[::]:8787", "192.168.1.5:8787", "r2v.example.com:8787", "localhost.example.com:80"} {
		cfg, err := read(t, "R2V_ADDR="+addr)
		require.NoError(t, err)
		require.ErrorContains(t, cfg.verifyOpen(), "R2V_TOKENS_FILE", addr)
	}
	for _, line := range []string{"R2V_PUBLIC_URL=https://r2v.example.com", "R2V_ALLOWED_HOSTS=localhost,r2v.example.com", "R2V_ALLOWED_ORIGINS=https://app.example.com"} {
		cfg, err := read(t, line)
		require.NoError(t, err)
		require.ErrorContains(t, cfg.verifyOpen(), "R2V_TOKENS_FILE", "a proxy on this machine leads others here")
	}
	for _, lines := range [][]string{
		{"R2V_ADDR=127.0.0.1:8787", "R2V_PUBLIC_URL=http://localhost:8787", "R2V_ALLOWED_HOSTS=127.0.0.1", "R2V_ALLOWED_ORIGINS=http://localhost:6274"},
		{"R2V_ADDR=127.0.0.1:8787"}, {"R2V_ADDR=[::1]:8787"}, {"R2V_ADDR=localhost:0"}, {"R2V_ADDR=127.8.8.8:1"},
		{"R2V_ADDR=0.0.0.0:8787", "R2V_TOKENS_FILE=/tokens"},
		{"R2V_ADDR=:8787", "R2V_OIDC_ISSUER=https://login.example.com", "R2V_OIDC_AUDIENCE=r2v"},
	} {
		cfg, err := read(t, lines...)
		require.NoError(t, err)
		require.NoError(t, cfg.verifyOpen(), lines)
	}
}
