// Package egress is the one door to addresses that we do not own: those that a model or an upstream gave us. What is
// private, local or part of a cloud's own inside cannot be reached through it, whatever name or redirect leads there.
package egress

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	maxRedirects   = 5
	maxHeaderBytes = 64 << 10
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	headerTimeout  = 30 * time.Second
	idleTimeout    = 30 * time.Second // of a body, and of a connection that nobody uses
)

var (
	errRedirects = complaint("leads on more often than five times")
	errLoop      = complaint("leads on in a circle")
	errDowngrade = complaint("leads on from https to http")
)

// ErrLocation says that an answer leads on to what is no address.
var ErrLocation error = complaint("leads on to what is no address")

// Settings are what the operator decides about foreign addresses.
type Settings struct {
	// Allow opens what is not public: CIDR prefixes, or hosts with or without a port. A host opens no other spelling of the
	// same machine.
	Allow []string
	// Proxy is where requests are sent instead, as http://, https:// or socks5://host:port, with credentials or without;
	// empty for none. It may be private itself. What is allowed on this machine's loopback is reached without it.
	Proxy string
	// UserAgent is who asks, on each request that does not say it itself; empty for Go's own, which some servers refuse.
	UserAgent string
	// Resolver is who is asked for the addresses of names, nil for the system's own.
	Resolver *net.Resolver

	idle time.Duration // 0 for idleTimeout
}

// NewClient returns an HTTP client for foreign addresses. Each address, also of a redirect, is checked by [CheckURL], and again
// when it is dialled, after its name was resolved: a name that changes its mind does not get around it. What is not public
// is refused with [*Refused]. It follows five redirects, none of them from https to http, takes headers of up to 64 KB, and ends a body
// that sends nothing for 30 s. It returns an error that names an entry of Allow that it cannot read, or that says that it
// cannot read Proxy, without repeating it. The environment's proxy variables are not looked at.
func NewClient(s Settings) (*http.Client, error) {
	g, err := newGate(s)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:            g.dial,
		DisableCompression:     true, // a clip is as long as its server says
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        idleTimeout,
		ForceAttemptHTTP2:      true,
	}
	if s.Proxy != "" {
		if g.proxy, err = parseProxy(s.Proxy); err != nil {
			return nil, err
		}
		transport.Proxy = g.route
	}
	idle := s.idle
	if idle == 0 {
		idle = idleTimeout
	}
	return &http.Client{Transport: &door{transport, idle, s.UserAgent}, CheckRedirect: checkRedirect}, nil
}

// door is the way out: what passes has been checked, and what comes back does not stall.
type door struct {
	*http.Transport
	idle      time.Duration
	userAgent string
}

// RoundTrip sends a request whose address is fit to be asked.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := CheckURL(req.URL); err != nil {
		return nil, err
	}
	resp, err := d.watched(req)
	if err != nil {
		return nil, err
	}
	if leads := resp.Header.Get("Location"); leads != "" && resp.StatusCode/100 == 3 {
		if _, err := req.URL.Parse(leads); err != nil { // net/http's own words would repeat what may be a signed link
			resp.Body.Close()
			return nil, ErrLocation
		}
	}
	return resp, nil
}

// named is a request that says who asks. The caller's own is left as it is.
func (d *door) named(req *http.Request) *http.Request {
	if _, said := req.Header["User-Agent"]; said || d.userAgent == "" {
		return req
	}
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", d.userAgent)
	return req
}

// checkRedirect looks at the way only: where it leads is checked when it is asked.
func checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // a signed link opens what it leads to for whoever reads it
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http" {
		return errDowngrade
	}
	if len(via) <= maxRedirects {
		return nil
	}
	for _, earlier := range via {
		if earlier.URL.String() == req.URL.String() {
			return errLoop
		}
	}
	return errRedirects
}

// parseProxy reads the operator's proxy. Its errors do not repeat it, since it may hold a password.
func parseProxy(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err == nil && u.Path == "/" {
		u.Path = ""
	}
	switch {
	case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the proxy's address cannot be read; it looks like http://host:port, https://host:port or socks5://host:port")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5":
		return nil, errors.New("the proxy's scheme is not one of http, https, socks5")
	}
	if err := CheckURL(&url.URL{Scheme: "http", Host: u.Host}); err != nil || !ascii(u.Host) {
		return nil, errors.New("the proxy's host or port cannot be read")
	}
	return u, nil
}
