package egress_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
)

func get(t *testing.T, c *http.Client, address string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

// A server on this machine stands for everything that is not public: no spelling of its address leads to it.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	var visits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer server.Close()
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	door, err := egress.NewClient(nil)
	require.NoError(t, err)
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "2130706433", "0x7f000001", "0177.0.0.1",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]", "224.0.0.1",
	} {
		t.Run(host, func(t *testing.T) {
			_, err := get(t, door, "http://"+host+":"+port+"/")
			require.Error(t, err)
		})
	}
	require.Zero(t, visits.Load())
}

func TestOperatorOpensWhatTheyName(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	address := server.Listener.Addr().String()
	for _, allow := range []string{address, "127.0.0.1", "127.0.0.0/8", " 127.0.0.1 "} {
		door, err := egress.NewClient([]string{allow})
		require.NoError(t, err)
		_, err = get(t, door, server.URL)
		require.NoError(t, err, allow)
	}
	door, err := egress.NewClient([]string{"127.0.0.1:1", "10.0.0.0/8"})
	require.NoError(t, err)
	_, err = get(t, door, server.URL)
	require.Error(t, err)
	for _, bad := range []string{"10.0.0.0/99", "http://media.internal", "*.internal", "a b"} {
		_, err := egress.NewClient([]string{bad})
		require.ErrorContains(t, err, bad)
	}
}

func TestRedirectsAreCheckedLikeTheFirstAddress(t *testing.T) {
	var visits atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer inside.Close()
	var to string
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }))
	defer outside.Close()
	door, err := egress.NewClient([]string{outside.Listener.Addr().String()})
	require.NoError(t, err)
	for _, target := range []string{inside.URL, "ftp://media.example/a", "http://user:password@" + inside.Listener.Addr().String(), outside.URL} {
		to = target
		_, err := get(t, door, outside.URL)
		require.Error(t, err, target)
	}
	require.Zero(t, visits.Load())
}

// A signed link opens what it leads to for whoever reads it: the server that it leads on to is not told of it.
func TestLinkIsNotToldToTheServerThatItLeadsOnTo(t *testing.T) {
	var referer atomic.Value
	second := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { referer.Store(r.Header.Get("Referer")) }))
	defer second.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, second.URL, http.StatusFound) }))
	defer first.Close()
	door, err := egress.NewClient([]string{"127.0.0.1"})
	require.NoError(t, err)
	_, err = get(t, door, first.URL+"/a.mp4?Signature=secret")
	require.NoError(t, err)
	require.Empty(t, referer.Load())
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var visits atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	door, err := egress.NewClient(nil)
	require.NoError(t, err)
	_, err = get(t, door, "http://10.0.0.1/")
	require.Error(t, err)
	require.Zero(t, visits.Load())
}

func TestCheckURL(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://media.example/a": true, "http://media.example:8080/a?b": true,
		"file:///etc/passwd": false, "https://u:p@media.example": false, "https://": false, "javascript:alert(1)": false, "": false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, ok, egress.CheckURL(u) == nil, address)
	}
}
