package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

func TestASignedTokenNamesItsPerson(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	people := i.people(t)
	for name, token := range map[string]string{
		"RS256":               i.token(),
		"RS384":               signed(jose.RS384, rsaKey(), "rsa", i.claims()),
		"RS512":               signed(jose.RS512, rsaKey(), "rsa", i.claims()),
		"PS256":               signed(jose.PS256, rsaKey(), "rsa", i.claims()),
		"PS512":               signed(jose.PS512, rsaKey(), "rsa", i.claims()),
		"ES256":               signed(jose.ES256, ecKey(), "ec", i.claims()),
		"EdDSA":               signed(jose.EdDSA, edKey(), "ed", i.claims()),
		"no kid":              signed(jose.ES256, ecKey(), "", i.claims()),
		"several audiences":   i.token("aud", []string{"somebody", forUs}),
		"no nbf, no iat":      i.token("nbf", nil, "iat", nil),
		"its clock is behind": i.token("exp", ago(50*time.Second)),
		"its clock is ahead":  i.token("iat", in(50*time.Second), "nbf", in(50*time.Second)),
		"fractions":           i.token("exp", in(time.Hour)+0.5),
		"a claim like sub":    i.token("SUB", "mallory", "Sub", "mallory", "zub", 1),
	} {
		p, err := people.Verify(t.Context(), token)
		require.NoError(t, err, name)
		require.Equal(t, auth.Person{Name: "alice@" + i.URL}, p, name)
	}
	require.EqualValues(t, 1, i.descriptions.Load())
	require.EqualValues(t, 1, i.keysAsks.Load())
}

func TestSubjectsOfAnyScriptAreNames(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	people := i.people(t)
	for _, sub := range []string{"Zoë Ångström", "山田", "auth0|5f7c8ec7c33c6c004bbafe82", "a@b", strings.Repeat("x", 255-len(i.URL))} {
		p, err := people.Verify(t.Context(), i.token("sub", sub))
		require.NoError(t, err)
		require.Equal(t, sub+"@"+i.URL, p.Name)
	}
}

func TestAFloodOfUnknownKeysAsksOnceInTenSeconds(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	people := i.people(t)
	unknown := signed(jose.ES256, ecKey(), "unknown", i.claims())
	for range 3 {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := people.Verify(t.Context(), unknown); err == nil {
					t.Error("it was signed by a key that nobody knows")
				}
			})
		}
		all.Wait()
		i.clock.pass(10 * time.Second)
	}
	require.EqualValues(t, 3, i.keysAsks.Load())
	require.EqualValues(t, 1, i.descriptions.Load())
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	people := i.people(t)
	old, fresh := i.token(), signed(jose.RS256, otherRSA(), "next", i.claims())
	require.True(t, knows(t, people, old))
	i.set(func() { i.keys = append(i.keys, public("next", otherRSA())) })
	i.clock.pass(10 * time.Second)
	soon(t, people, fresh, true)
	require.True(t, knows(t, people, old), "both are good while both are published")
	i.set(func() { i.keys = []jose.JSONWebKey{public("next", otherRSA())} })
	i.clock.pass(10 * time.Second)
	gone := signed(jose.RS256, rsaKey(), "gone", i.claims())
	require.Eventually(t, func() bool { // it makes the keys be asked for
		_, err := people.Verify(t.Context(), gone)
		return errors.Is(err, auth.ErrUnknown) && i.keysAsks.Load() == 3
	}, 5*time.Second, time.Millisecond)
	soon(t, people, old, false)
	require.True(t, knows(t, people, fresh))
	require.EqualValues(t, 3, i.keysAsks.Load())
}

// soon waits until a token is good, or is not: the library keeps what it has fetched a moment after it has answered.
func soon(t *testing.T, v auth.Verifier, token string, good bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), token)
		return (err == nil) == good && (err == nil || errors.Is(err, auth.ErrUnknown))
	}, 5*time.Second, time.Millisecond)
}

// notKnown is a provider that cannot be asked: the token may be good.
func notKnown(t *testing.T, people *auth.OIDC, token string) {
	t.Helper()
	_, err := people.Verify(t.Context(), token)
	require.Error(t, err)
	require.NotErrorIs(t, err, auth.ErrUnknown)
	require.LessOrEqual(t, len(err.Error()), 400)
	require.False(t, strings.ContainsAny(err.Error(), "\n\x00"), err)
}

func TestAProviderThatCannotBeAskedIsAnOutage(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	says := func(name string, value any) func(*issuer) {
		return func(i *issuer) { i.says = func(d map[string]any) { d[name] = value } }
	}
	answers := func(text string) func(*issuer) {
		return func(i *issuer) {
			i.broken = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
		}
	}
	keys := func(text string) func(*issuer) {
		return func(i *issuer) { i.jwks = func(w http.ResponseWriter) { _, _ = w.Write([]byte(text)) } }
	}
	for name, broken := range map[string]func(*issuer){
		"503": func(i *issuer) {
			i.broken = func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, strings.Repeat("x\n", 1<<15), http.StatusServiceUnavailable)
			}
		},
		"404":     func(i *issuer) { i.broken = http.NotFound },
		"hung up": func(i *issuer) { i.broken = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } },
		"in a circle": func(i *issuer) {
			i.broken = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
		},
		"no JSON":             answers("<html>" + strings.Repeat("sign in\n", 1000)),
		"too much":            answers(strings.Repeat(" ", 2<<20)),
		"another issuer":      says("issuer", "https://other.example"),
		"no keys":             says("jwks_uri", ""),
		"keys of nowhere":     says("jwks_uri", "nowhere"),
		"keys out of reach":   says("jwks_uri", plain.URL),
		"keys that are none":  keys("<html>" + strings.Repeat("x\n", 1000)),
		"keys that are wrong": keys(`{"keys":[{"kty":"RSA","n":"AQAB","e":7}]}`),
		"keys without end":    keys(`{"keys":[` + strings.Repeat(" ", 2<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.set(func() { broken(i) })
			people := i.people(t)
			for range 20 {
				notKnown(t, people, i.token())
			}
			require.LessOrEqual(t, i.descriptions.Load(), int64(1))
			require.LessOrEqual(t, i.keysAsks.Load(), int64(1))
			require.Equal(t, 1, i.journal.lines(), i.journal.String())
			i.set(func() { i.broken, i.says, i.jwks = nil, nil, nil })
			i.clock.pass(time.Minute)
			require.True(t, knows(t, people, i.token()), "it is asked again")
		})
	}
}

func TestAnUnencryptedWayToTheKeysIsRefused(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, httptest.NewTLSServer)
	people := i.people(t)
	require.True(t, knows(t, people, i.token()))

	plain := newIssuer(t)
	i = startIssuer(t, httptest.NewTLSServer)
	i.set(func() { i.says = func(d map[string]any) { d["jwks_uri"] = plain.URL + "/keys" } })
	notKnown(t, i.people(t), i.token())
	require.Zero(t, plain.keysAsks.Load())

	i = startIssuer(t, httptest.NewTLSServer)
	i.set(func() {
		i.jwks = func(w http.ResponseWriter) { w.Header().Set("Location", plain.URL+"/keys"); w.WriteHeader(302) }
	})
	notKnown(t, i.people(t), i.token())
}

func TestKnownKeysOutliveAnOutage(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	people := i.people(t)
	require.True(t, knows(t, people, i.token()))
	i.CloseClientConnections()
	i.set(func() { i.broken = http.NotFound })
	i.clock.pass(time.Minute)
	require.True(t, knows(t, people, i.token()))
	notKnown(t, people, signed(jose.ES256, ecKey(), "unknown", i.claims()))
	require.True(t, knows(t, people, i.token()))
}

// Tries of a provider that does not answer become rarer, and no two are under way at once.
func TestAnOutageIsTriedAtGrowingPauses(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var mu sync.Mutex
	asked, under := 0, 0
	i.set(func() {
		i.broken = func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked++
			under++
			if under > 1 {
				t.Error("two at once")
			}
			mu.Unlock()
			http.NotFound(w, r)
			mu.Lock()
			under--
			mu.Unlock()
		}
	})
	people, token := i.people(t), i.token()
	for range 300 { // five minutes
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _, _ = people.Verify(t.Context(), token) })
		}
		all.Wait()
		i.clock.pass(time.Second)
	}
	require.Greater(t, asked, 8)
	require.Less(t, asked, 30)
}

func TestWhoHangsUpDoesNotWaitNorFailTheOthers(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	block := make(chan struct{})
	i.set(func() { i.block = block })
	people := i.people(t)
	first := make(chan error, 1)
	hasty, hangUp := context.WithCancel(t.Context())
	go func() { _, err := people.Verify(hasty, i.token()); first <- err }()
	require.Eventually(t, func() bool { return i.descriptions.Load() == 1 }, 5*time.Second, time.Millisecond)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := people.Verify(gone, i.token())
	require.ErrorIs(t, err, context.Canceled, "it does not wait for another's question")
	hangUp()
	others := make(chan error, 10)
	for range cap(others) {
		go func() { _, err := people.Verify(t.Context(), i.token()); others <- err }()
	}
	close(block)
	for range cap(others) {
		require.NoError(t, <-others)
	}
	<-first
	require.EqualValues(t, 1, i.descriptions.Load())
}

func TestSettingsOfAProviderAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "accounts.example", "http://accounts.example", "ftp://accounts.example", "https://", "https://a.example?x=1", "https://u:p@a.example", "https://a.example#x", "\x00"} {
		_, err := auth.NewOIDC(bad, forUs, http.DefaultClient, logTo(&journal{}))
		require.Error(t, err, bad)
	}
	_, err := auth.NewOIDC("https://a.example", "", http.DefaultClient, logTo(&journal{}))
	require.ErrorContains(t, err, "audience")
	for _, good := range []string{"https://a.example", "https://a.example/tenant/", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"} {
		_, err := auth.NewOIDC(good, forUs, http.DefaultClient, logTo(&journal{}))
		require.NoError(t, err, good)
	}
}

type fixed struct {
	auth.Person
	error
}

func (f fixed) Verify(context.Context, string) (auth.Person, error) { return f.Person, f.error }

func TestAnyAsksInTurn(t *testing.T) {
	t.Parallel()
	outage := fmt.Errorf("nobody answers")
	unknown, alice, bob, out := fixed{error: auth.ErrUnknown}, fixed{Person: auth.Person{Name: "alice"}}, fixed{Person: auth.Person{Name: "bob"}}, fixed{error: outage}
	for _, tt := range []struct {
		verifiers []auth.Verifier
		want      string
		err       error
	}{
		{nil, "", auth.ErrUnknown},
		{[]auth.Verifier{unknown, unknown}, "", auth.ErrUnknown},
		{[]auth.Verifier{alice, bob}, "alice", nil},
		{[]auth.Verifier{unknown, bob}, "bob", nil},
		{[]auth.Verifier{out, bob}, "bob", nil},
		{[]auth.Verifier{unknown, out}, "", outage},
		{[]auth.Verifier{out, unknown}, "", outage},
	} {
		p, err := auth.Any(tt.verifiers...).Verify(t.Context(), alices)
		require.ErrorIs(t, err, tt.err)
		require.Equal(t, tt.want, p.Name)
	}
}
