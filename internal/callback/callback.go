// Package callback tells others of a task's end: it checks their addresses before anything is bought, and delivers signed messages
// to them. Headers and signatures are those of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
package callback

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/video"
)

// maxAddress is how long a receiver's address may be, in characters; the relay takes no longer ones either.
const maxAddress = 2048

// Options are what the operator decides about callbacks.
type Options struct {
	Egress egress.Settings // which addresses may be reached, and how
	Hosts  []string        // the only ones that are called, as [ParseHosts] reads them; none for all that are public
	// StandardPort calls nobody at another port than 443: a caller who is not trusted could else ask what listens where.
	StandardPort bool
	Secrets      []Secret // with which messages are signed, the newest first; none for no signature
}

// Sender sends callbacks, and checks where they are to go. It may be used by any number of goroutines.
type Sender struct {
	Options

	client *http.Client
	seen   memory
}

// New returns a sender. It returns the errors of [egress.NewClient].
func New(o Options) (*Sender, error) {
	client, err := egress.NewClient(o.Egress)
	if err != nil {
		return nil, err
	}
	return &Sender{Options: o, client: straight(client)}, nil
}

// straight is the client without its readiness to be led elsewhere: a redirect is no delivery.
func straight(client *http.Client) *http.Client {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// ParseHosts reads the hosts that the operator allows, separated by commas: names, or with a dot before them all names below.
// It returns an error that names what is no host.
func ParseHosts(text string) ([]string, error) {
	var hosts []string
	for entry := range strings.SplitSeq(text, ",") {
		host := plain(strings.TrimSpace(entry))
		name := strings.TrimPrefix(host, ".")
		u := &url.URL{Scheme: "https", Host: name}
		if addr, err := netip.ParseAddr(name); err == nil && addr.Is6() {
			u.Host = "[" + name + "]"
		}
		if name == "" || u.Port() != "" || !ascii(name) || strings.ContainsAny(name, "/@?#") || egress.CheckURL(u) != nil ||
			!strings.ContainsAny(name, ".:") && name != "localhost" {
			return nil, fmt.Errorf("%q is no host, such as hooks.example.com, or .example.com for all below it", strings.TrimSpace(entry))
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// plain is the spelling of a host by which it is compared.
func plain(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String()
	}
	return host
}

// allows reports whether the operator lets a host be called.
func (s *Sender) allows(host string) bool {
	host = plain(host)
	for _, allowed := range s.Hosts {
		if host == allowed || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed) {
			return true
		}
	}
	return len(s.Hosts) == 0
}

// Refusal is why nothing is sent to an address as things are: its form, or a host that the operator does not allow; empty where it is sent.
// It asks nobody. Of the address it repeats the host alone.
func (s *Sender) Refusal(address string) string {
	_, wrong := s.form(address)
	return wrong
}

// form reads a receiver's address. What is wrong with it is told without repeating more of it than its host: all else may be secret.
func (s *Sender) form(address string) (u *url.URL, wrong string) {
	if utf8.RuneCountInString(address) > maxAddress {
		return nil, fmt.Sprintf("it has %d characters", utf8.RuneCountInString(address))
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, "it cannot be read as an address"
	case u.Scheme != "https":
		return nil, "it does not begin with https://"
	case u.User != nil:
		return nil, "it holds credentials"
	case strings.Contains(address, "#"):
		return nil, "it holds a fragment"
	}
	if err := egress.CheckURL(u); err != nil {
		return nil, err.Error()
	}
	switch host := u.Hostname(); {
	case !ascii(host):
		return nil, about(host, "is a name that programs read in different ways: write it in its xn-- form")
	case s.StandardPort && u.Port() != "" && u.Port() != "443":
		return nil, about(host, "is to be called at port "+u.Port()+", and only 443 is, unless the operator names the host (R2V_CALLBACKS)")
	case !s.allows(host):
		return nil, about(host, "is not one of the hosts that the operator allows (R2V_CALLBACKS)")
	}
	return u, ""
}

// about is a sentence about a host, fit to be shown.
func about(host, what string) string { return (&egress.Refused{Host: host, Reason: what}).Error() }

// problem says what is wrong with an address, and what would be right.
func (s *Sender) problem(wrong string) *video.Problem {
	allowed := "an https:// address of at most 2,048 characters on a public host, without credentials or fragment, that does not redirect"
	if len(s.Hosts) > 0 {
		const most = 10
		names := s.Hosts[:min(most, len(s.Hosts))]
		allowed += ", on " + strings.Join(names, " or ")
		if len(s.Hosts) > most {
			allowed += " or another host that the operator allows"
		}
	}
	return &video.Problem{Field: "callback_url", Wrong: wrong, Allowed: allowed}
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
