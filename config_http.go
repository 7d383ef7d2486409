package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
	"golang.org/x/time/rate"
)

// HTTPConfig is what the environment decides about r2v-mcp http: where it listens, who may ask and how often.
type HTTPConfig struct {
	Addr            string   `env:"R2V_ADDR, default=127.0.0.1:8787" desc:"where r2v-mcp http listens; beyond loopback only with tokens or OpenID"`
	PublicURL       string   `env:"R2V_PUBLIC_URL" desc:"https://host[:port] under which clients reach r2v-mcp http through a proxy" shown:"R2V_ADDR"`
	AllowedHosts    []string `env:"R2V_ALLOWED_HOSTS" desc:"further names in Host headers, separated by commas" shown:"the listening address, R2V_PUBLIC_URL"`
	AllowedOrigins  []string `env:"R2V_ALLOWED_ORIGINS" desc:"web pages that may call, as https://host[:port], separated by commas" shown:"none"`
	TokensFile      string   `env:"R2V_TOKENS_FILE" desc:"people and their hashed tokens, one a line; r2v-mcp token NAME makes one" shown:"none"`
	OIDCIssuer      string   `env:"R2V_OIDC_ISSUER" desc:"the OpenID provider whose tokens are taken too" shown:"none"`
	OIDCAudience    string   `env:"R2V_OIDC_AUDIENCE" desc:"whom its tokens must be made for" shown:"none"`
	TLSCert         string   `env:"R2V_TLS_CERT" desc:"certificate chain in PEM, read again when it changes" shown:"none: plain HTTP"`
	TLSKey          string   `env:"R2V_TLS_KEY" desc:"its private key in PEM" shown:"none"`
	RateLimit       string   `env:"R2V_RATE_LIMIT, default=100" desc:"messages a second of one person, for a moment five times as many; off for no limit"`
	BudgetPerPerson string   `env:"R2V_BUDGET_PER_PERSON" desc:"refuse a clip that may cost a person more than their day has left" shown:"none but R2V_BUDGET_PER_DAY"`

	perPerson *decimal.Decimal // BudgetPerPerson, nil for none
	rate      rate.Limit       // RateLimit
}

// verifyHTTP checks the settings of r2v-mcp http as far as they can be checked without opening anything.
func (c *Config) verifyHTTP(bad func(name, format string, args ...any)) {
	if _, port, err := net.SplitHostPort(c.Addr); err != nil || !isPort(port) {
		bad("R2V_ADDR", "%q is not host:port, such as 127.0.0.1:8787", c.Addr)
	}
	if c.PublicURL = strings.TrimSuffix(c.PublicURL, "/"); c.PublicURL != "" && !isOrigin(c.PublicURL) {
		bad("R2V_PUBLIC_URL", "%q is not http(s)://host[:port] and nothing more", c.PublicURL)
	}
	for _, host := range c.AllowedHosts {
		if !isOrigin("http://" + host) {
			bad("R2V_ALLOWED_HOSTS", "%q is no host name, with or without :port", host)
		}
	}
	for _, origin := range c.AllowedOrigins {
		if !isOrigin(origin) {
			bad("R2V_ALLOWED_ORIGINS", "%q is not http(s)://host[:port] and nothing more", origin)
		}
	}
	c.verifyPeople(bad)
	var err error
	if c.rate, err = readRate(c.RateLimit); err != nil {
		bad("R2V_RATE_LIMIT", "%v", err)
	}
}

// verifyPeople checks who may ask.
func (c *Config) verifyPeople(bad func(name, format string, args ...any)) {
	if (c.OIDCIssuer == "") != (c.OIDCAudience == "") {
		bad("R2V_OIDC_ISSUER", "it and R2V_OIDC_AUDIENCE belong together: a token that was made for somebody else must not open this server")
	}
	if u, err := url.Parse(c.OIDCIssuer); c.OIDCIssuer != "" && (err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname()))) {
		bad("R2V_OIDC_ISSUER", "%q is no https:// address", c.OIDCIssuer)
	}
	if c.TLSCert != "" && strings.HasPrefix(c.PublicURL, "http:") {
		bad("R2V_PUBLIC_URL", "%q is plain http, and R2V_TLS_CERT makes this server speak TLS: begin it with https://", c.PublicURL)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("R2V_TLS_CERT", "it and R2V_TLS_KEY belong together")
	}
}

// guarded reports whether people have to say who they are.
func (c *Config) guarded() bool { return c.TokensFile != "" || c.OIDCIssuer != "" }

// verifyOpen refuses to serve everybody: without tokens whoever reaches the server spends its money, by its own address or by that of
// a proxy before it.
func (c *Config) verifyOpen() error {
	if c.guarded() {
		return nil
	}
	for name, addresses := range map[string][]string{"R2V_ADDR": {"http://" + c.Addr}, "R2V_PUBLIC_URL": {c.PublicURL}, "R2V_ALLOWED_HOSTS": c.AllowedHosts, "R2V_ALLOWED_ORIGINS": c.AllowedOrigins} {
		for _, address := range addresses {
			if !strings.Contains(address, "://") {
				address = "http://" + address
			}
			if u, err := url.Parse(address); err == nil && (isLoopback(u.Hostname()) || address == "http://" && name != "R2V_ADDR") {
				continue
			}
			return fmt.Errorf("%s: %s is for others than this machine, and whoever reaches this server could spend your money. Set R2V_TOKENS_FILE "+
				"(R2V_TOKENS_FILE=/path/to/tokens r2v-mcp token NAME makes the first one), or R2V_OIDC_ISSUER and R2V_OIDC_AUDIENCE; or stay on 127.0.0.1 alone",
				name, strings.TrimPrefix(address, "http://"))
		}
	}
	return nil
}

// hosts are the names under which clients may ask for this server.
func (c *Config) hosts() []string {
	hosts := slices.Clone(c.AllowedHosts)
	if host, port, err := net.SplitHostPort(c.Addr); err == nil && host != "" && host != "0.0.0.0" && host != "::" {
		hosts = append(hosts, net.JoinHostPort(host, port))
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Host != "" {
		hosts = append(hosts, u.Host)
	}
	return hosts
}

func readRate(text string) (rate.Limit, error) {
	if text == "off" {
		return rate.Inf, nil
	}
	perSecond, err := strconv.ParseFloat(text, 64)
	const most = 1e6
	if err != nil || !(perSecond > 0) || perSecond > most {
		return 0, fmt.Errorf("%q is neither off nor a number of messages a second above 0", text)
	}
	return rate.Limit(perSecond), nil
}

// isOrigin reports whether a text is a web origin: scheme, host, perhaps a port, and nothing more.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Port() != "" && !isPort(u.Port()) {
		return false
	}
	return text == u.Scheme+"://"+u.Host && !strings.ContainsAny(u.Host, "*@ ")
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// isLoopback reports whether a host is this machine, reached by nobody else. A name other than localhost may lead anywhere.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
