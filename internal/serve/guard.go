package serve

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// guard knows which Host and Origin headers are allowed: a page in a browser reaches a server on its user's machine, or
// inside its user's network, under a name of its own (DNS rebinding) or across origins, and is not to call tools there.
// https://modelcontextprotocol.io/specification/2025-11-25/basic/transports (Security Warning)
type guard struct {
	hosts   map[string]bool // name, or name and port
	origins map[string]bool
	public  *url.URL // nil: none
}

func newGuard(o Options) guard {
	g := guard{hosts: map[string]bool{}, origins: map[string]bool{}}
	for _, entry := range o.Hosts {
		if addr, err := netip.ParseAddr(entry); err == nil {
			g.hosts[addr.String()] = true
		} else if name, port, ok := splitHost(entry); ok {
			g.hosts[joinHost(name, port)] = true
		}
	}
	for _, entry := range o.Origins {
		if u, err := url.Parse(entry); err == nil && u.Scheme != "" && u.Host != "" { // neither "null" nor "*"
			g.origins[strings.ToLower(u.Scheme+"://"+u.Host)] = true
		}
	}
	if u, err := url.Parse(strings.ToLower(o.PublicURL)); err == nil && u.Host != "" {
		g.public = u
		g.hosts[u.Hostname()] = true
	}
	return g
}

// splitHost takes a Host header apart. An address comes back in its usual spelling, without brackets; ok is false for what
// no client writes.
func splitHost(s string) (name, port string, ok bool) {
	s = strings.ToLower(s)
	rest := ""
	if inside, bracketed := strings.CutPrefix(s, "["); bracketed {
		literal, after, closed := strings.Cut(inside, "]")
		addr, err := netip.ParseAddr(literal)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" || (after != "" && after[0] != ':') {
			return "", "", false
		}
		name, rest = addr.String(), after
	} else {
		colon := strings.IndexByte(s+":", ':')
		name, rest = s[:colon], s[colon:]
	}
	if rest != "" {
		port = rest[1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", false
		}
	}
	return name, port, name != "" && !strings.ContainsAny(name, "@/\\%, \t")
}

func joinHost(name, port string) string {
	if port == "" {
		return name
	}
	return net.JoinHostPort(name, port)
}

// admit says why a request is refused, nothing when it is not. origin is the foreign origin that may read the answer.
// What is public may be read by pages of every origin.
func (g guard) admit(r *http.Request, public bool) (origin, reason string) {
	if !g.hostAllowed(r) {
		return "", "this name of the server is not allowed in the Host header: R2V_ALLOWED_HOSTS names those that are"
	}
	if public {
		return "*", ""
	}
	const foreign = "pages of this origin may not ask this server: R2V_ALLOWED_ORIGINS names those that may"
	sent, present := r.Header["Origin"]
	switch {
	case !present:
		if !siteAllowed(r) {
			return "", foreign
		}
		return "", ""
	case len(sent) == 1 && g.origins[sent[0]]:
		return sent[0], ""
	case len(sent) == 1 && g.own(r, sent[0]):
		return "", ""
	}
	return "", foreign
}

func (g guard) hostAllowed(r *http.Request) bool {
	name, port, ok := splitHost(r.Host)
	switch {
	case !ok:
		return false
	case g.hosts[name] || g.hosts[joinHost(name, port)]:
		return true
	case port == "" && (g.hosts[joinHost(name, "80")] || g.hosts[joinHost(name, "443")]):
		return true
	}
	here, ok := localAddr(r)
	if !ok {
		return false
	}
	if here.IsLoopback() && (name == "localhost" || name == "127.0.0.1" || name == "::1") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr == here // rebinding needs a name
}

// localAddr is the address that the connection came in on.
func localAddr(r *http.Request) (netip.Addr, bool) {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return local.AddrPort().Addr().Unmap().WithZone(""), true
}

// own tells whether a page of this server asks. The Host header is an allowed one already.
func (g guard) own(r *http.Request, origin string) bool {
	if g.public != nil {
		public := g.public.Scheme + "://" + g.public.Host
		if origin == public || strings.EqualFold(r.Host, g.public.Host) {
			return origin == public
		}
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return origin == scheme+"://"+strings.ToLower(r.Host)
}

// siteAllowed refuses what a browser sends without an Origin on behalf of other pages: pictures, frames, links. Pages at
// another port of this machine are the same site, and no less foreign. A link to the task page or to a clip may be followed.
// https://www.w3.org/TR/fetch-metadata/
func siteAllowed(r *http.Request) bool {
	switch strings.Join(r.Header["Sec-Fetch-Site"], ",") {
	case "", "none", "same-origin":
		return true
	}
	dest := r.Header.Get("Sec-Fetch-Dest")
	clip := strings.HasPrefix(r.URL.Path, clips) && strings.HasSuffix(r.URL.Path, ".mp4") && dest == "document"
	return r.Method == http.MethodGet && (r.URL.Path == "/" || clip) && r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "" || dest == "document")
}

// preflight tells the browser of an allowed origin what it may send.
func preflight(w http.ResponseWriter, methods []string) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID, traceparent, tracestate, baggage")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
