package egress_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/egress/egresstest"
)

// proxy answers for the whole world, and keeps what it was asked.
type proxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	auth  string
	to    string // where it leads on
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked, p.auth = append(p.asked, r.Method+" "+r.RequestURI), r.Header.Get("Proxy-Authorization")
		p.mu.Unlock()
		switch {
		case r.Method == http.MethodConnect:
			w.WriteHeader(http.StatusForbidden)
		case p.to != "":
			http.Redirect(w, r, p.to, http.StatusFound)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func TestNothingPrivateIsAskedOfAProxy(t *testing.T) {
	in, p := newInside(t), newProxy(t)
	dns := private()
	dns["xn--bcher-kva.example"] = [][]string{{"10.0.0.1"}}
	door := newDoor(t, egress.Settings{Proxy: p.URL}.With(egresstest.Resolver(dns), 0))
	more := []string{"http://intranet/", "http://printer.local/", "http://metadata.google.internal/", "http://a.localhost/", "http://router.home.arpa./", "http://xn--bcher-kva.example/"}
	for _, address := range append(hostile(), more...) {
		if strings.Contains(address, "rebind.example") {
			continue // what the proxy finds is not ours to see
		}
		address = strings.ReplaceAll(address, "PORT", in.port)
		_, err := egress.Open(t.Context(), door, address, egress.Limits{})
		refused := &egress.Refused{}
		require.ErrorAs(t, err, &refused, "%.200q", address)
	}
	for _, p.to = range []string{"http://127.0.0.1:" + in.port, "http://both.example", "https://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:a00:1]/"} {
		_, err := get(t, door, "http://public.example/")
		require.Error(t, err, p.to)
		_, dead := egress.Dead(err)
		require.True(t, dead, p.to)
	}
	for _, asked := range p.requests() {
		require.Equal(t, "GET http://public.example/", asked)
	}
	require.Zero(t, in.visits.Load())
}

func TestProxyIsAskedForWhatIsPublicOrUnknownHere(t *testing.T) {
	p := newProxy(t)
	in := newInside(t)
	u := strings.Replace(p.URL, "http://", "http://user:pass%20word@", 1)
	door := newDoor(t, egress.Settings{Proxy: u, Allow: []string{"media.internal", "10.0.0.0/8", "127.0.0.1:" + in.port, "::1/128"}}.
		With(egresstest.Resolver(map[string][][]string{"public.example": {{"93.184.215.14"}}, "open.example": {{"10.0.0.1"}}}), 0))
	for _, address := range []string{"http://public.example/a?b", "http://unknown.example/", "http://93.184.215.14/", "http://10.2.3.4/", "http://media.internal/", "http://open.example/"} {
		_, err := get(t, door, address)
		require.NoError(t, err, address)
		require.Equal(t, "GET "+address, p.requests()[len(p.requests())-1])
		require.Equal(t, "Basic dXNlcjpwYXNzIHdvcmQ=", p.auth)
	}
	_, err := get(t, door, "https://public.example/")
	require.ErrorContains(t, err, "Forbidden")
	_, dead := egress.Dead(err)
	require.False(t, dead)
	require.Equal(t, "CONNECT public.example:443", p.requests()[len(p.requests())-1])
	before := len(p.requests())
	for _, own := range []string{"http://127.0.0.1:" + in.port, "http://[::1]:" + in.port} { // a proxy's loopback is not ours
		_, err = get(t, door, own)
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, in.visits.Load())
	require.Len(t, p.requests(), before)
}

func TestProxyOfSocks(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	asked := make(chan string, 1)
	go socks(listener, server.Listener.Addr().String(), asked)
	door := newDoor(t, egress.Settings{Proxy: "socks5://user:word@" + listener.Addr().String()}.With(egresstest.Resolver(private()), 0))
	resp, err := get(t, door, "http://public.example/")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "public.example", string(body))
	require.Equal(t, "user:word public.example", <-asked)
	_, err = get(t, door, "http://both.example/")
	refused := &egress.Refused{}
	require.ErrorAs(t, err, &refused)
}

// socks is RFC 1928 with the passwords of RFC 1929, for one connection to a name.
func socks(l net.Listener, target string, asked chan<- string) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	take := func(n byte) string { b := make([]byte, n); _, _ = io.ReadFull(in, b); return string(b) }
	take(take(2)[1])
	_, _ = conn.Write([]byte{5, 2})
	who := take(take(2)[1])
	who += ":" + take(take(1)[0])
	_, _ = conn.Write([]byte{1, 0})
	take(4)
	asked <- who + " " + take(take(1)[0])
	take(2)
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(out, in) }()
	_, _ = io.Copy(conn, out)
}

func TestProxysPasswordIsNotShown(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	for _, scheme := range []string{"http", "https", "socks5"} {
		door := newDoor(t, egress.Settings{Proxy: scheme + "://user:hunter2@" + closed.Addr().String()}.With(egresstest.Resolver(nil), 0))
		for _, address := range []string{"http://public.example/", "https://public.example/"} {
			_, err := get(t, door, address)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
			why, dead := egress.Dead(err)
			require.False(t, dead, "the proxy is away, not the address")
			require.Equal(t, "public.example could not be reached through the proxy", why)
		}
	}
	for _, bad := range []string{
		"ftp://user:hunter2@proxy:1", "user:hunter2@proxy:1", "http://user:hunter2@", "http://user:hunter2@proxy:1/path", "http://user:hunter2@proxy:99999", "http://user:hunter2@proxy:1\n",
		"http://user:hunter2@proxy:1?a", "http://user:hunter2@ proxy", "http://user:%zzhunter2@proxy",
	} {
		_, err := egress.NewClient(egress.Settings{Proxy: bad})
		require.ErrorContains(t, err, "the proxy's")
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err = egress.NewClient(egress.Settings{Proxy: (&url.URL{Scheme: "http", Host: "proxy.internal:3128", Path: "/"}).String()})
	require.NoError(t, err)
}
