package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

const forUs = "https://r2v.example/mcp"

// issuer is an OpenID provider over real HTTP.
type issuer struct {
	*httptest.Server
	clock                  clock
	journal                journal
	descriptions, keysAsks atomic.Int64

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	broken http.HandlerFunc          // answers instead, when set
	says   func(map[string]any)      // changes the description
	block  chan struct{}             // holds the description until closed, when set
	jwks   func(http.ResponseWriter) // answers for the keys, when set
}

// The keys are made once: RSA keys take a while.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { _, k, err := ed25519.GenerateKey(rand.Reader); return must(k, err) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

func newIssuer(t *testing.T) *issuer { return startIssuer(t, httptest.NewServer) }

func startIssuer(t *testing.T, start func(http.Handler) *httptest.Server) *issuer {
	t.Helper()
	i := &issuer{keys: []jose.JSONWebKey{public("rsa", rsaKey()), public("ec", ecKey()), public("ed", edKey())}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.descriptions.Add(1)
		i.mu.Lock()
		says, block := i.says, i.block
		i.mu.Unlock()
		if block != nil {
			<-block
		}
		d := map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token"}
		if says != nil {
			says(d)
		}
		_ = json.NewEncoder(w).Encode(d)
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.keysAsks.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.jwks != nil {
			i.jwks(w)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
	})
	i.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		broken := i.broken
		i.mu.Unlock()
		if broken != nil {
			broken(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// people are those of this provider, for our audience.
func (i *issuer) people(t *testing.T) *auth.OIDC {
	t.Helper()
	o, err := auth.NewOIDC(i.URL, forUs, i.Client(), logTo(&i.journal))
	require.NoError(t, err)
	o.SetClock(i.clock.now)
	return o
}

// claims are good ones, changed by pairs of a name and a value; nil takes the name away.
func (i *issuer) claims(pairs ...any) map[string]any {
	c := map[string]any{"iss": i.URL, "sub": "alice", "aud": forUs, "exp": in(time.Hour), "nbf": ago(time.Minute), "iat": ago(time.Minute)}
	maps.DeleteFunc(c, func(name string, _ any) bool {
		for n := 0; n < len(pairs); n += 2 {
			if pairs[n] == name && pairs[n+1] == nil {
				return true
			}
		}
		return false
	})
	for n := 0; n < len(pairs); n += 2 {
		if pairs[n+1] != nil {
			c[fmt.Sprint(pairs[n])] = pairs[n+1]
		}
	}
	return c
}

// token is a JWT of these claims signed by the RSA key.
func (i *issuer) token(pairs ...any) string {
	return signed(jose.RS256, rsaKey(), "rsa", i.claims(pairs...))
}

func signed(algorithm jose.SignatureAlgorithm, key any, kid string, claims any) string {
	payload, raw := claims.([]byte)
	if !raw {
		payload = must(json.Marshal(claims))
	}
	return signedWith(algorithm, jose.JSONWebKey{Key: key, KeyID: kid}, payload, &jose.SignerOptions{})
}

func signedWith(algorithm jose.SignatureAlgorithm, key any, payload []byte, options *jose.SignerOptions) string {
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options.WithType("JWT")))
	return must(must(signer.Sign(payload)).CompactSerialize())
}
