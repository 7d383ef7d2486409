// Package egress is the one door to addresses that we do not own: those that a model or an upstream gave us. What is
// private, local or part of a cloud's own inside cannot be reached through it, whatever name or redirect leads there.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

const maxRedirects = 5

// NewClient returns an HTTP client for foreign addresses. Every address is checked when it is dialled, after its name was
// resolved, so neither a name that changes its mind nor a redirect gets around the check. allow opens what the operator
// names: CIDR prefixes, or hosts with or without a port. It returns an error that names an entry it cannot read.
func NewClient(allow []string) (*http.Client, error) {
	d, err := newDialer(allow)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           d.dial,
			Proxy:                 nil, // a proxy would resolve and dial for us, unchecked
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			MaxIdleConnsPerHost:   2,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: checkRedirect,
	}, nil
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("a redirect leads from https to http")
	}
	req.Header.Del("Referer") // a signed link opens what it leads to for whoever reads it
	return CheckURL(req.URL)
}

// CheckURL refuses what is no plain web address: other schemes than http and https, credentials, no host.
func CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	case u.User != nil:
		return errors.New("the address holds credentials")
	case u.Hostname() == "":
		return errors.New("the address has no host")
	}
	return nil
}

type dialer struct {
	guarded net.Dialer
	open    net.Dialer
	hosts   []string // host or host:port, in lower case
}

func newDialer(allow []string) (*dialer, error) {
	d := &dialer{}
	var v4, v6 []netip.Prefix
	for _, entry := range allow {
		entry = strings.ToLower(strings.TrimSpace(entry))
		prefix, err := netip.ParsePrefix(entry)
		switch {
		case entry == "":
		case err == nil && prefix.Addr().Is4():
			v4 = append(v4, prefix.Masked())
		case err == nil:
			v6 = append(v6, prefix.Masked())
		case strings.ContainsAny(entry, "/@ ") || strings.Contains(entry, "*"):
			return nil, fmt.Errorf("%q is neither a CIDR prefix such as 10.0.0.0/8 nor a host such as media.internal or 127.0.0.1:8790", entry)
		default:
			d.hosts = append(d.hosts, entry)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	d.guarded = net.Dialer{Timeout: 10 * time.Second, Control: guard.Safe}
	d.open = net.Dialer{Timeout: 10 * time.Second}
	return d, nil
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if slices.Contains(d.hosts, strings.ToLower(host)) || slices.Contains(d.hosts, strings.ToLower(address)) {
		return d.open.DialContext(ctx, network, address)
	}
	return d.guarded.DialContext(ctx, network, address)
}
