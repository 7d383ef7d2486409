package egress_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/egress/egresstest"
)

func TestWhichAnswersAreFinal(t *testing.T) {
	for code, dead := range map[int]bool{
		400: true, 401: true, 402: true, 403: true, 404: true, 406: true, 410: true, 412: true, 418: true, 499: true,
		405: false, 451: false, 407: false, 408: false, 421: false, 425: false, 429: false, 500: false, 502: false, 503: false, 504: false, 520: false, 300: false, 205: false,
	} {
		_, err := site(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })(egress.Limits{})
		status := &egress.Status{}
		require.ErrorAs(t, err, &status)
		require.Equal(t, egress.Status{Code: code, Host: "127.0.0.1"}, *status)
		why, is := egress.Dead(fmt.Errorf("measure: %w", err))
		require.Equal(t, dead, is, code)
		require.True(t, strings.HasPrefix(why, fmt.Sprintf("127.0.0.1 answers with HTTP %d: ", code)), why)
	}
}

func TestAStatusOfALaterPartIsToldAsWell(t *testing.T) {
	first := true
	f, err := site(t, func(w http.ResponseWriter, r *http.Request) {
		if !first {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		first = false
		pattern{mb}.serve(w, r)
	})(egress.Limits{})
	require.NoError(t, err)
	_, err = readAt(f, 900*kb, 1)
	require.EqualError(t, err, "127.0.0.1 answers with HTTP 403: it is not open to everybody, or the link has expired")
	require.Equal(t, err, f.Err())
}

func TestWhichConnectionsAreFinal(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.Config.ErrorLog = nil
	defer secure.Close()
	insecure := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer insecure.Close()
	door := newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}}.With(egresstest.Resolver(private()), 0))
	for _, c := range []struct {
		address, why string
		dead         bool
	}{
		{"http://127.0.0.1:1", "127.0.0.1 refuses connections", true},
		{"http://nowhere.example/", "nowhere.example is a name that does not exist", true},
		{"http://both.example/", "both.example leads to a loopback address: only public addresses are reached", true},
		{"ftp://media.example/", "the address's scheme is neither http nor https", true},
		{secure.URL, "127.0.0.1 offers no secure connection that can be trusted", false},
		{strings.Replace(insecure.URL, "http", "https", 1), "127.0.0.1 offers no secure connection that can be trusted", false},
	} {
		_, err := egress.Open(t.Context(), door, c.address+"/path?Signature=secret", egress.Limits{})
		require.EqualError(t, err, c.why)
		_, plain := get(t, door, c.address+"/path?Signature=secret")
		for _, err := range []error{err, plain} {
			why, dead := egress.Dead(err)
			require.Equal(t, c.why, why)
			require.Equal(t, c.dead, dead, c.why)
		}
	}
	why, dead := egress.Dead(nil)
	require.Empty(t, why)
	require.False(t, dead)
	why, dead = egress.Dead(errors.New("secret"))
	require.Equal(t, "the address gives no answer that can be read", why)
	require.False(t, dead)
}

func TestNamesThatCannotBeLookedUpNowAreNotFinal(t *testing.T) {
	broken := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	_, err := egress.Open(t.Context(), newDoor(t, egress.Settings{}.With(broken, 0)), "http://media.example/secret", egress.Limits{})
	require.EqualError(t, err, "media.example is a name that could not be looked up now")
	_, dead := egress.Dead(err)
	require.False(t, dead)
}

func TestRedirectsAreFollowedFiveTimes(t *testing.T) {
	hops := 0
	open := site(t, func(w http.ResponseWriter, r *http.Request) {
		if hops--; hops < 0 {
			pattern{1000}.serve(w, r)
			return
		}
		http.Redirect(w, r, fmt.Sprintf("/%d?Signature=secret", hops), http.StatusFound)
	})
	hops = 5
	f, err := open(egress.Limits{})
	require.NoError(t, err)
	require.EqualValues(t, 1000, f.Size())
	hops = 6
	_, err = open(egress.Limits{})
	require.EqualError(t, err, "127.0.0.1 leads on more often than five times")
	_, dead := egress.Dead(err)
	require.False(t, dead, "somebody else may follow it further")
	_, err = site(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/a", http.StatusFound) })(egress.Limits{})
	require.EqualError(t, err, "127.0.0.1 leads on in a circle")
	_, dead = egress.Dead(err)
	require.True(t, dead)
}

func TestNoRedirectLeadsFromHTTPSToHTTP(t *testing.T) {
	var visits int
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits++ }))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()
	first := httptest.NewServer(http.RedirectHandler(secure.URL, http.StatusFound)) // http, https, http
	defer first.Close()
	door := newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}})
	egress.Trust(door, secure.Certificate())
	for _, address := range []string{secure.URL, first.URL} {
		_, err := egress.Open(t.Context(), door, address, egress.Limits{})
		require.EqualError(t, err, "127.0.0.1 leads on from https to http")
	}
	require.Zero(t, visits)
}

func TestManyOpenFilesAtOnce(t *testing.T) {
	open := site(t, pattern{mb}.serve)
	f, err := open(egress.Limits{})
	require.NoError(t, err)
	done := make(chan error)
	for i := range 8 {
		go func() { _, err := readAt(f, int64(i)*100*kb, 10); done <- err }()
	}
	for range 8 {
		select {
		case err := <-done:
			if err != nil {
				require.EqualError(t, err, tooCostly)
			}
		case <-time.After(3 * time.Second):
			require.Fail(t, "stuck")
		}
	}
}
