package egress_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"code.dny.dev/ssrf"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/egress/egresstest"
)

// hostile are addresses of which none is to be asked. PORT is that of a service on both loopbacks of this machine.
func hostile() []string {
	return []string{
		// loopback, plainly and in odd forms
		"http://127.0.0.1:PORT/", "http://127.1.2.3:PORT/", "http://127.255.255.254:PORT/", "http://[::1]:PORT/", "http://[0:0:0:0:0:0:0:1]:PORT/",
		"http://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/", "http://[::]:PORT/", "http://0.0.0.0:PORT/", "http://0.1.2.3:PORT/",
		"http://2130706433:PORT/", "http://017700000001:PORT/", "http://0x7f000001:PORT/", "http://0X7F.0x0.0x0.0x1:PORT/", "http://0177.0.0.1:PORT/",
		"http://0x7f.1:PORT/", "http://127.1:PORT/", "http://127.0.1:PORT/", "http://0:PORT/", "http://127.0.0.01:PORT/", "http://127.0.0.1.:PORT/",
		"http://127.0.0.0x1:PORT/", "http://4294967296:PORT/", "http://1.2.3.4.5:PORT/", "http://0x:PORT/", "http://127.0.0.1..:PORT/",
		// IPv6 that is or hides IPv4
		"http://[::ffff:127.0.0.1]:PORT/", "http://[::ffff:7f00:1]:PORT/", "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/", "http://[::127.0.0.1]:PORT/",
		"http://[64:ff9b::127.0.0.1]:PORT/", "http://[64:ff9b:1::7f00:1]:PORT/", "http://[2002:7f00:1::]:PORT/", "http://[2001:0:7f00:1::]:PORT/",
		"http://[::ffff:8.8.8.8]:PORT/", "http://[::ffff:0:127.0.0.1]:PORT/",
		"http://[127.0.0.1]:PORT/", "http://[::1%25lo]:PORT/", "http://[fe80::1%25eth0]:PORT/", "http://[::1%25]:PORT/", "http://[v1.fe80]:PORT/", "http://::1:PORT/",
		// private, link-local, carrier, metadata, documentation, multicast, reserved
		"http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://169.254.1.1/", "http://169.254.169.254/latest/meta-data",
		"http://100.64.0.1/", "http://100.100.100.200/latest/meta-data", "http://168.63.129.16/", "http://192.0.0.192/", "http://192.0.2.1/", "http://198.18.0.1/",
		"http://198.51.100.1/", "http://203.0.113.1/", "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/", "http://255.255.255.255/",
		"http://[fe80::1]/", "http://[fec0::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/",
		"http://[100::1]/", "http://[5f00::1]/", "http://[4000::1]/",
		// names for this machine, and those that lead to it
		"http://localhost:PORT/", "http://LocalHost:PORT/", "http://localhost.:PORT/", "http://a.localhost.example:PORT/", "http://both.example:PORT/",
		"http://six.example:PORT/", "http://mapped.example:PORT/", "http://metadata.example/", "http://MIXED.Example.:PORT/", "http://rebind.example:PORT/",
		"https://both.example:PORT/", "http://nat64.example:PORT/", "http://bücher.example:PORT/",
		// look-alikes
		"http://①②⑦.⓪.⓪.①:PORT/", "http://１２７.０.０.１:PORT/", "http://127。0。0。1:PORT/", "http://127．0．0．1:PORT/", "http://127｡0｡0｡1:PORT/", "http://⑯⑨.254.⑯⑨.254/",
		"http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/", "http://ｌｏｃａｌｈｏｓｔ:PORT/", "http://localhoſt:PORT/", "http://local\u00adhost:PORT/", "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏:PORT/", "http://127․0․0․1:PORT/",
		"http://%31%32%37.0.0.1:PORT/", "http://127%2e0.0.1:PORT/", "http://%e2%91%a0.0.0.1:PORT/", "http://a%25b:PORT/",
		// credentials, @, # and backslashes
		"http://user:password@127.0.0.1:PORT/", "http://media.example@127.0.0.1:PORT/", "http://media.example:80@127.0.0.1:PORT/", "http://127.0.0.1:PORT@both.example/",
		"http://media.example#@127.0.0.1:PORT/", "http://127.0.0.1:PORT#@media.example/", "http://127.0.0.1:PORT?@media.example/",
		`http://127.0.0.1:PORT\@media.example/`, `http://media.example\@127.0.0.1:PORT/`, `http:\\127.0.0.1:PORT\`, `http://127.0.0.1:PORT/a\..\b`, `http://127.0.0.1:PORT/?a=\`,
		// schemes, blanks and what is no address
		"file:///etc/passwd", "file://localhost/etc/passwd", "gopher://127.0.0.1:PORT/_GET", "ftp://127.0.0.1:PORT/a", "data:text/plain,a", "javascript:alert(1)",
		"dict://127.0.0.1:PORT/", "ldap://127.0.0.1:PORT/", "unix:///run/a", "ws://127.0.0.1:PORT/", "jar:http://127.0.0.1:PORT!/", "view-source:http://127.0.0.1:PORT/",
		"", " ", "http://", "http:///a", "http:127.0.0.1:PORT", "//127.0.0.1:PORT/", "127.0.0.1:PORT", " http://127.0.0.1:PORT/", "http:// 127.0.0.1:PORT/",
		"http://127.0.0.1 :PORT/", "http://127.0.0.1:PORT/\n", "http://127.0.0.1\t:PORT/", "ht\ntp://127.0.0.1:PORT/", "http://127.0.0.1:PORT/\x00", "http://\r\n127.0.0.1:PORT/",
		"http://127.0.0.1:PORT/?a=\u0085", "http://.localhost:PORT/", "http://localhost..:PORT/", "http://a..localhost:PORT/", "http://.:PORT/", "http://loc*lhost:PORT/",
		// ports
		"http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:-1/", "http://127.0.0.1:99999999999999999999/", "http://127.0.0.1:http/", "http://127.0.0.1:PORT:80/",
		"http://localhost:PORT/" + strings.Repeat("a", 8192), "http://" + strings.Repeat("a", 254) + ":PORT/",
	}
}

func private() map[string][][]string {
	return map[string][][]string{
		"both.example": {{"127.0.0.1", "::1"}}, "six.example": {{"::1"}}, "mapped.example": {{"::ffff:127.0.0.1"}}, "metadata.example": {{"169.254.169.254"}},
		"mixed.example": {{"203.0.113.5", "10.0.0.1", "127.0.0.1", "::1"}}, "nat64.example": {{"64:ff9b::7f00:1"}}, "a.localhost.example": {{"127.0.0.1"}},
		"rebind.example": {{"93.184.215.14"}, {"127.0.0.1"}}, "xn--bcher-kva.example": {{"127.0.0.1"}}, "localhost": {{"127.0.0.1"}},
		"media.example": {{"127.0.0.1"}}, // so that what is read in another way is counted, too
	}
}

func TestHostileAddressesAreNotReached(t *testing.T) {
	in := newInside(t)
	dns := egresstest.Resolver(private())
	// What looks once, before it dials, finds a public address here.
	seen, err := dns.LookupNetIP(t.Context(), "ip4", "rebind.example")
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("93.184.215.14")}, seen)
	door := newDoor(t, egress.Settings{}.With(dns, 0))
	require.Greater(t, len(hostile()), 140)
	for _, address := range hostile() {
		address = strings.ReplaceAll(address, "PORT", in.port)
		_, err := egress.Open(t.Context(), door, address, egress.Limits{})
		refused := &egress.Refused{}
		require.ErrorAs(t, err, &refused, "%.200q", address)
		why, dead := egress.Dead(err)
		require.True(t, dead, address)
		require.NotContains(t, why, "meta-data")
		require.NotContains(t, why, "password@")
		require.Equal(t, why, err.Error())
		if resp, err := get(t, door, address); err == nil { // by those who do not look first, too
			require.Fail(t, "reached", "%q %d", address, resp.StatusCode)
		}
		require.Zero(t, in.visits.Load(), address)
	}
}

// Without this the test above could not fail.
func TestHostileAddressesAreCountedWhereTheyAreOpened(t *testing.T) {
	in := newInside(t)
	door := newDoor(t, egress.Settings{Allow: []string{"127.0.0.0/8", "::1/128"}}.With(egresstest.Resolver(private()), 0))
	for i, address := range []string{"http://127.0.0.1:PORT/", "http://[::1]:PORT/", "http://localhost:PORT/", "http://both.example:PORT/", "http://six.example:PORT/", "http://bücher.example:PORT/"} {
		resp, err := get(t, door, strings.ReplaceAll(address, "PORT", in.port))
		require.NoError(t, err, address)
		require.Equal(t, http.StatusNoContent, resp.StatusCode)
		require.EqualValues(t, i+1, in.visits.Load(), address)
	}
}

func TestNoRedirectLeadsInside(t *testing.T) {
	in := newInside(t)
	var code int
	var to string
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}))
	defer outside.Close()
	address := outside.Listener.Addr().String()
	door := newDoor(t, egress.Settings{Allow: []string{address}}.With(egresstest.Resolver(private()), 0))
	for _, code = range []int{301, 302, 303, 307, 308} {
		for _, to = range []string{
			"http://127.0.0.1:PORT/secret", "//[::1]:PORT/secret", "http://localhost:PORT/secret", "http://both.example:PORT/secret", "http://2130706433:PORT/secret",
			"http://u:secret@127.0.0.1:PORT/", "http://169.254.169.254/secret", "ftp://127.0.0.1:PORT/secret", "file:///secret", `http://127.0.0.1:PORT\@secret`,
		} {
			to = strings.ReplaceAll(to, "PORT", in.port)
			_, err := egress.Open(t.Context(), door, outside.URL, egress.Limits{})
			require.Error(t, err, to)
			require.NotContains(t, err.Error(), "secret")
			_, dead := egress.Dead(err)
			require.Equal(t, to[0] != 'h' || !strings.Contains(to, `\`), dead, "%s %v", to, err)
			require.Zero(t, in.visits.Load(), to)
		}
	}
	for _, code = range []int{301, 302, 303, 307, 308} { // it would have been followed
		opened := newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}})
		to = "http://127.0.0.1:" + in.port
		before := in.visits.Load()
		_, err := get(t, opened, outside.URL)
		require.NoError(t, err)
		require.Equal(t, before+1, in.visits.Load())
	}
}

func TestRefusalsNameHostAndKind(t *testing.T) {
	door := newDoor(t, egress.Settings{}.With(egresstest.Resolver(private()), 0))
	for host, says := range map[string]string{
		"127.0.0.1": "is a loopback address", "[::1]": "is a loopback address", "10.1.2.3": "is a private address", "[fd00::1]": "is a private address",
		"169.254.169.254": "is a cloud's own metadata address", "100.100.100.200": "is a cloud's own metadata address", "168.63.129.16": "is a cloud's own metadata address",
		"[fd00:ec2::254]": "is a cloud's own metadata address", "169.254.0.1": "is a link-local address", "100.64.0.1": "is an address of a carrier's own network",
		"0.0.0.0": "is an address of this machine", "[::]": "is an address of this machine", "224.0.0.1": "is a multicast address", "255.255.255.255": "is a broadcast address",
		"203.0.113.9": "is an address for documentation", "198.19.0.1": "is an address for measuring networks", "250.0.0.1": "is a reserved address",
		"[64:ff9b::a00:1]": "is an IPv4 address that is written or translated as IPv6", "[::ffff:10.0.0.1]": "is an IPv4 address that is written or translated as IPv6",
		"both.example": "leads to a loopback address", "metadata.example": "leads to a cloud's own metadata address", "127.1": "is an address that is not written as four plain numbers",
	} {
		_, err := get(t, door, "http://"+host+"/path?Signature=secret")
		refused := &egress.Refused{}
		require.ErrorAs(t, err, &refused)
		require.Equal(t, strings.Trim(host, "[]"), refused.Host)
		require.Contains(t, refused.Error(), refused.Host+" "+says)
		require.NotContains(t, refused.Error(), "secret")
	}
}

// The guard is a library: each range that it is to keep shut is tried, at both ends.
func TestEveryRangeIsShut(t *testing.T) {
	door := newDoor(t, egress.Settings{})
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32", "100.100.100.200/32",
		"::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20",
		"4000::/3", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		prefix := netip.MustParsePrefix(text)
		for _, addr := range []netip.Addr{prefix.Addr(), last(prefix)} {
			host := addr.String()
			if addr.Is6() {
				host = "[" + host + "]"
			}
			_, err := get(t, door, fmt.Sprintf("http://%s:9/", host))
			refused := &egress.Refused{}
			require.ErrorAs(t, err, &refused, "%s", addr)
		}
	}
	require.NoError(t, ssrf.New(ssrf.WithAnyPort()).SafeAddr(netip.MustParseAddr("168.63.129.16"))) // which we refuse ourselves
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
