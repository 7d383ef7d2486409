package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// signer is an OpenID provider with one key.
type signer struct {
	*httptest.Server
	*testing.T
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	s := &signer{T: t, key: key}
	answer := func(body func() any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body())
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/.well-known/openid-configuration", answer(func() any { return map[string]any{"issuer": s.URL, "jwks_uri": s.URL + "/jwks"} }))
	mux.Handle("/jwks", answer(func() any {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "one", Use: "sig", Algorithm: "ES256"}}}
	}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

const audienceOfOurs = "https://r2v.example/mcp"

// claims are good ones of somebody, but for what is given.
func (s *signer) claims(subject string, but map[string]any) []byte {
	s.Helper()
	all := map[string]any{"iss": s.URL, "sub": subject, "aud": audienceOfOurs, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range but {
		all[name] = value
	}
	text, err := json.Marshal(all)
	require.NoError(s, err)
	return text
}

func (s *signer) sign(algorithm jose.SignatureAlgorithm, key any, claims []byte) string {
	s.Helper()
	with, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "one"))
	require.NoError(s, err)
	signed, err := with.Sign(claims)
	require.NoError(s, err)
	text, err := signed.CompactSerialize()
	require.NoError(s, err)
	return text
}

// badTokens are those that nobody may be let in with.
func (s *signer) badTokens() map[string]string {
	s.Helper()
	part := base64.RawURLEncoding.EncodeToString
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	require.NoError(s, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s, err)
	good := s.sign(jose.ES256, s.key, s.claims("mallory", nil))
	head, rest, _ := strings.Cut(good, ".")
	_, signature, _ := strings.Cut(rest, ".")
	return map[string]string{
		"for another audience":             s.sign(jose.ES256, s.key, s.claims("mallory", map[string]any{"aud": "https://other.example"})),
		"for nobody in particular":         s.sign(jose.ES256, s.key, s.claims("mallory", map[string]any{"aud": ""})),
		"of another issuer":                s.sign(jose.ES256, s.key, s.claims("mallory", map[string]any{"iss": "https://login.example"})),
		"expired":                          s.sign(jose.ES256, s.key, s.claims("mallory", map[string]any{"exp": time.Now().Add(-5 * time.Minute).Unix()})),
		"not yet good":                     s.sign(jose.ES256, s.key, s.claims("mallory", map[string]any{"nbf": time.Now().Add(5 * time.Minute).Unix()})),
		"of nobody":                        s.sign(jose.ES256, s.key, s.claims("", nil)),
		"signed by another key":            s.sign(jose.ES256, another, s.claims("mallory", nil)),
		"HS256 with the public key":        s.sign(jose.HS256, public, s.claims("mallory", nil)),
		"HS256 with the public key in DER": s.sign(jose.HS256, der, s.claims("mallory", nil)),
		"alg none":                         part([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + part(s.claims("mallory", nil)) + ".",
		"alg None, signed":                 part([]byte(`{"alg":"None","typ":"JWT"}`)) + "." + part(s.claims("mallory", nil)) + "." + signature,
		"unsigned":                         good[:strings.LastIndex(good, ".")+1],
		"without its third part":           good[:strings.LastIndex(good, ".")],
		"with other claims":                head + "." + part(s.claims("alice", nil)) + "." + signature,
		"no JWT":                           "mallory",
	}
}

// overhearing keeps all that a service is sent.
type overhearing struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *overhearing) hear(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = r.Header.Write(&o.text)
	o.text.WriteString(r.Method + " " + r.URL.String() + "\n" + string(body) + "\n")
}

func (o *overhearing) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestPeopleOfAnOpenIDProviderBesideThoseWithTokens(t *testing.T) {
	t.Parallel()
	var heard overhearing
	upstream, provider, home := newService(t, 600, heard.hear), newSigner(t), t.TempDir()
	tokens, of := tokensIn(t, home, "alice", prometheus)
	s := serveHTTP(t, append(upstream.env(home), tokens, "R2V_OIDC_ISSUER="+provider.URL, "R2V_OIDC_AUDIENCE="+audienceOfOurs)...)
	reader := bearer(of[prometheus])

	for name, token := range provider.badTokens() {
		for _, path := range []string{"/mcp", "/message?sessionId=A", "/metrics", "/sse", "/clips/" + neverOurs + ".mp4"} {
			method := http.MethodGet
			if strings.HasPrefix(path, "/m") && path != "/metrics" {
				method = http.MethodPost
			}
			status, text := s.send(method, path, callLine(7, "generate_r2v", waving("away")), bearer(token)...)
			require.Equal(t, http.StatusUnauthorized, status, "%s: %s %s", name, path, text)
			require.NotContains(t, text, token)
		}
		status, _ := s.send(http.MethodGet, "/", "", "Cookie", "r2v="+token)
		require.Equal(t, http.StatusUnauthorized, status, name)
	}
	require.Zero(t, s.calls(reader...), "no tool was reached")
	require.Zero(t, upstream.creates.Load())

	// Who is let in by the provider is another person than who has a token of the same name.
	theirs := provider.sign(jose.ES256, provider.key, provider.claims("alice", nil))
	made := map[string]string{}
	for _, token := range []string{of["alice"], theirs} {
		made[token] = s.gets(token, "generate_r2v", waving("to both")).answer.TaskID
		seen := s.gets(token, "get_task", map[string]any{"task_id": made[token], "wait_seconds": 20}).answer
		require.Equal(t, "SUCCEEDED", seen.Status)
		s.requireClipOf(seen.TaskID, token)
	}
	require.EqualValues(t, 2, upstream.creates.Load())
	s.sayTheSame(theirs, made[of["alice"]], neverOurs, "get_task", nil)
	s.sayTheSame(of["alice"], made[theirs], neverOurs, "get_task", nil)
	require.Positive(t, s.calls(reader...), "the counter counts")

	require.Contains(t, heard.String(), "Bearer "+canaryKey, "what is sent upstream is heard")
	for _, token := range []string{theirs, of["alice"], of[prometheus], provider.URL, "@" + provider.URL} {
		require.NotContains(t, heard.String(), token)
	}
}
