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
	"r2v-mcp/internal/egress/egresstest"
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
	door, err := egress.NewClient(egress.Settings{})
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
		door, err := egress.NewClient(egress.Settings{Allow: []string{allow}})
		require.NoError(t, err)
		_, err = get(t, door, server.URL)
		require.NoError(t, err, allow)
	}
	door, err := egress.NewClient(egress.Settings{Allow: []string{"127.0.0.1:1", "10.0.0.0/8"}})
	require.NoError(t, err)
	_, err = get(t, door, server.URL)
	require.Error(t, err)
	for _, bad := range []string{
		"10.0.0.0/99", "http://media.internal", "*.internal", "a b", "127.1", "::ffff:10.0.0.0/104", "fe80::1%eth0", "bücher.example", "media.internal:0",
		"user@media.internal", "media.internal:port",
	} {
		_, err := egress.NewClient(egress.Settings{Allow: []string{bad}})
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
	door, err := egress.NewClient(egress.Settings{Allow: []string{outside.Listener.Addr().String()}})
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
	door, err := egress.NewClient(egress.Settings{Allow: []string{"127.0.0.1"}})
	require.NoError(t, err)
	_, err = get(t, door, first.URL+"/a.mp4?Signature=secret")
	require.NoError(t, err)
	require.Empty(t, referer.Load())
}

func TestServersAreToldWhoAsks(t *testing.T) {
	var told []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = append(told, r.Header.Get("User-Agent"))
		if r.URL.Path == "/first" {
			http.Redirect(w, r, "/second", http.StatusFound)
		}
	}))
	defer server.Close()
	door := newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}, UserAgent: "r2v-mcp/1.2.3"})
	resp, err := get(t, door, server.URL+"/first")
	require.NoError(t, err)
	require.NotContains(t, resp.Request.Header, "User-Agent", "the caller's request is left as it is")
	f, err := egress.Open(t.Context(), door, server.URL, egress.Limits{})
	require.NoError(t, err)
	defer f.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	for _, own := range []string{"another/1", ""} { // who says nothing on purpose says nothing
		req.Header.Set("User-Agent", own)
		resp, err := door.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
	}
	_, err = get(t, newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}}), server.URL)
	require.NoError(t, err)
	require.Equal(t, []string{"r2v-mcp/1.2.3", "r2v-mcp/1.2.3", "r2v-mcp/1.2.3", "another/1", "", "Go-http-client/1.1"}, told)
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var visits atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	door, err := egress.NewClient(egress.Settings{})
	require.NoError(t, err)
	_, err = get(t, door, "http://10.0.0.1/")
	require.Error(t, err)
	require.Zero(t, visits.Load())
}

func TestCheckURL(t *testing.T) {
	long := "https://media.example/" + strings.Repeat("a", 8192-len("https://media.example/"))
	for address, ok := range map[string]bool{
		"https://media.example/a": true, "http://media.example:8080/a?b": true, "https://media.example./": true, "https://a_b.media.example:65535/%5C%0A": true,
		"https://bücher.example/": true, "https://你好.example/": true, "https://xn--bcher-kva.example/": true, "https://παράδειγμα.example": true, "https://उदाहरण.example": true,
		"https://ガー・デン.example": true, "https://8.8.8.8/": true, "https://[2606:4700::1111]:443/": true, "https://1a.2b.example/": true, "https://media.example:/": true, long: true,
		"file:///etc/passwd": false, "https://u:p@media.example": false, "https://@media.example": false, "https://": false, "javascript:alert(1)": false, "": false, long + "a": false,
		`https://media.example/a\b`: false, `https://media.example/?a\b`: false, `https://media.example/#a\b`: false, "https://media.example/?\u0085": false,
		"https://media.example:0/": false, "https://media.example:65536/": false, "https://134744072/": false, "https://8.8.2056/": false, "https://010.8.8.8/": false,
		"https://0x8.8.8.8/": false, "https://8.8.8.8./": false, "https://media..example/": false, "https://.media.example/": false, "https://media.example../": false,
		"https://８.8.8.8/": false, "https://media。example/": false, "https://ｍedia.example/": false, "https://media!.example/": false, "https://a%25b.example/": false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, ok, egress.CheckURL(u) == nil, "%.100s %v", address, egress.CheckURL(u))
	}
	for _, host := range []string{"[8.8.8.8]", "[media.example]", "2606:4700::abcd", "media.example:http", "media.example\n", `media.example\`, "media.example:+80", "[2606:4700::1111%eth0]", "a b"} {
		require.Error(t, egress.CheckURL(&url.URL{Scheme: "https", Host: host}), host) // made without url.Parse
	}
}

func TestAHostOpensNoOtherSpellingOfItsMachine(t *testing.T) {
	in := newInside(t)
	for _, c := range []struct {
		allow, host string
		opens       bool
	}{
		{"localhost", "LOCALHOST", true}, {"LocalHost.", "localhost", true}, {"localhost", "localhost.", true}, {"localhost", "127.0.0.1", false},
		{"127.0.0.1", "localhost", false}, {"::1", "[::1]", true}, {"[::1]", "[0:0::1]", true}, {"[::1]:PORT", "[::1]", true}, {"[::1]:1", "[::1]", false},
		{"both.example", "both.example", true}, {"both.example", "six.example", false}, {"both.example", "a.both.example", false}, {"both.example:1", "both.example", false},
		{"xn--bcher-kva.example", "bücher.example", true}, {"127.0.0.0/8", "[::ffff:127.0.0.1]", false}, {"::1/128", "six.example", true}, {"10.0.0.0/8", "both.example", false},
	} {
		before := in.visits.Load()
		door := newDoor(t, egress.Settings{Allow: []string{strings.ReplaceAll(c.allow, "PORT", in.port)}}.With(egresstest.Resolver(private()), 0))
		_, err := get(t, door, "http://"+c.host+":"+in.port)
		require.Equal(t, c.opens, err == nil, "%+v %v", c, err)
		require.Equal(t, c.opens, in.visits.Load() > before, "%+v", c)
	}
}
