package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// lookupTimeout bounds our own look at a name that a proxy will resolve again.
const lookupTimeout = 3 * time.Second

// opened is a host that the operator opens, at one port or, when that is empty, at all.
type opened struct{ host, port string }

// gate decides what is dialled.
type gate struct {
	guard    *ssrf.Guardian
	hosts    []opened
	resolver *net.Resolver
	proxy    *url.URL // nil for none
}

func newGate(s Settings) (*gate, error) {
	g := &gate{resolver: s.Resolver}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	var v4, v6 []netip.Prefix
	for _, entry := range s.Allow {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil && !prefix.Addr().Is4In6() { // which nothing is dialled as
			if prefix.Addr().Is4() {
				v4 = append(v4, prefix.Masked())
			} else {
				v6 = append(v6, prefix.Masked())
			}
			continue
		}
		host, ok := parseOpened(entry)
		if !ok {
			return nil, fmt.Errorf("%q is neither a CIDR prefix such as 10.0.0.0/8 nor a host such as media.internal or 127.0.0.1:8790", entry)
		}
		g.hosts = append(g.hosts, host)
	}
	g.guard = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(platformV4())) // the one range that the guard does not know of
	return g, nil
}

// parseOpened reads host, host:port, an IPv6 address, [address] or [address]:port.
func parseOpened(entry string) (opened, bool) {
	if addr, err := netip.ParseAddr(entry); err == nil && addr.Is6() {
		return opened{host: addr.String()}, addr.Zone() == ""
	}
	u := &url.URL{Scheme: "http", Host: entry}
	if strings.ContainsAny(entry, "/@?#") || !ascii(entry) || CheckURL(u) != nil {
		return opened{}, false
	}
	return opened{plain(u.Hostname()), u.Port()}, true
}

// plain is the one spelling of a host by which it is compared.
func plain(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (g *gate) opens(host, port string) bool {
	host = plain(host)
	for _, o := range g.hosts {
		if o.host == host && (o.port == "" || o.port == port) {
			return true
		}
	}
	return false
}

// dial connects to what is public or opened, and to the proxy.
func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialTimeout, Resolver: g.resolver}
	if g.opens(host, port) || g.proxy != nil && address == hostPort(g.proxy) {
		return d.DialContext(ctx, network, address)
	}
	if addr, err := netip.ParseAddr(host); err == nil { // before the system reads ::ffff:a.b.c.d as something else
		if err := g.check(host, addr); err != nil {
			return nil, err
		}
	}
	d.Control = func(network, address string, _ syscall.RawConn) error {
		if g.guard.Safe(network, address, nil) == nil {
			return nil
		}
		at, _ := netip.ParseAddrPort(address)
		return refuse(host, at.Addr())
	}
	return d.DialContext(ctx, network, address)
}

func (g *gate) check(host string, addr netip.Addr) error {
	if g.guard.SafeAddr(addr) == nil {
		return nil
	}
	return refuse(host, addr)
}

// route sends a request to the proxy. The proxy resolves names for itself, where nobody checks what comes out, so what is known here
// not to be public is refused before. Only this machine's own loopback is no business of a proxy, whose own it would mean.
func (g *gate) route(req *http.Request) (*url.URL, error) {
	host, port, err := net.SplitHostPort(hostPort(req.URL))
	if err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	switch {
	case g.opens(host, port) && (plain(host) == "localhost" || literal && addr.IsLoopback()):
		return nil, nil
	case g.opens(host, port):
		return g.proxy, nil
	case literal:
		if err := g.check(host, addr); err != nil {
			return nil, err
		}
		if addr.IsLoopback() {
			return nil, nil
		}
		return g.proxy, nil
	}
	return g.proxy, g.checkName(req.Context(), host)
}

// CheckPublic refuses an address before it is asked, with a [*Refused]: what [CheckURL] refuses, and what a client of these settings would
// not dial. Of a name with several addresses none may be private. It asks for the name's addresses, for up to 3 s; where that fails, the
// error is one that [Dead] explains, unless there is a proxy, which may know the name. Settings that [NewClient] refuses are refused in its words.
func (s Settings) CheckPublic(ctx context.Context, u *url.URL) error {
	if err := CheckURL(u); err != nil {
		return err
	}
	g, err := newGate(s)
	if err == nil && s.Proxy != "" {
		g.proxy, err = parseProxy(s.Proxy)
	}
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(hostPort(u))
	if err != nil || g.opens(host, port) {
		return err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.check(host, addr)
	}
	return g.checkName(ctx, host)
}

// checkName refuses names that are private by their form, or that lead to private addresses from here.
func (g *gate) checkName(ctx context.Context, host string) error {
	name := plain(host)
	switch {
	case !ascii(name):
		return &Refused{host, "is a name that a proxy may read in another way: write it in its xn-- form"}
	case !strings.Contains(name, "."):
		return &Refused{host, "is a name that only a private network knows"}
	}
	for _, private := range []string{".localhost", ".local", ".internal", ".home.arpa"} { // RFC 6761, 6762, 8375; ICANN 2024
		if strings.HasSuffix(name, private) {
			return &Refused{host, "is a name that only a private network knows"}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil && g.proxy == nil { // a name that only the proxy can resolve is the proxy's to judge
		return fail(host, err)
	}
	for _, addr := range addrs {
		if err := g.check(host, addr.Unmap()); err != nil {
			return err
		}
	}
	return nil
}

// hostPort is what net/http dials for an address.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
