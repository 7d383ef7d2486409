package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// skew is how far the provider's clock and ours may be apart.
const skew = 60 * time.Second

// algorithms are those whose keys only the provider has. With HS256 whoever has its public key could make tokens.
func algorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}
}

// OIDC are the people of an OpenID provider, whose tokens are JWTs that it has signed for this server.
type OIDC struct {
	issuer, audience string
	now              func() time.Time

	client *http.Client // sends through the gate
	gate   *gate
	turn   chan struct{} // of the one that looks for the provider
	keys   atomic.Pointer[oidc.RemoteKeySet]
	proved atomic.Bool // that the keys can be had where they are
}

// NewOIDC returns the people of the provider at an address, its issuer, as far as their tokens are made for an audience. Nothing is
// asked of the provider before a token needs it. The client decides which addresses can be reached; what the provider
// leads on to is as encrypted as the provider itself. It returns an error when the issuer is no https:// address, or http:// on this
// machine, or when the audience is empty.
func NewOIDC(issuer, audience string, client *http.Client, logger *slog.Logger) (*OIDC, error) {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the issuer is no https:// address without query and user")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return nil, errors.New("the issuer's address does not begin with https://: whoever is on the way could let anybody in")
	case audience == "":
		return nil, errors.New("an audience is needed: a token that was made for somebody else must not open this server")
	}
	o := &OIDC{issuer: issuer, audience: audience, now: time.Now, turn: make(chan struct{}, 1)}
	o.gate = newGate(client, u.Scheme == "https", logger)
	gated := *client
	gated.Transport, gated.Timeout = o.gate, 0
	o.client = &gated
	return o, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Verify returns the person whom a token names, as subject@issuer. The error is [ErrUnknown] for a token that is not good, and
// another when the provider's keys are needed and cannot be had at present. The token must be a signed JWT (RFC 7519) of the
// issuer and for the audience, with a subject, within its time by a minute's tolerance; see OpenID Connect Core 1.0 section 3.1.3.7.
// All but the signature is looked at first, so that nothing is asked of anybody for what can be no token.
func (o *OIDC) Verify(ctx context.Context, token string) (Person, error) {
	c, err := readClaims(token)
	if err != nil {
		return Person{}, err
	}
	if err := o.check(c); err != nil {
		return Person{}, err
	}
	keys, err := o.provider(ctx)
	if err != nil {
		return Person{}, err
	}
	look := &look{keys: keys, gate: o.gate}
	verifier := oidc.NewVerifier(o.issuer, look, &oidc.Config{
		ClientID: o.audience, SupportedSigningAlgs: algorithms(), SkipExpiryCheck: true, // check has done it, with our tolerance
	})
	if _, err := verifier.Verify(ctx, token); err != nil {
		if look.outage != nil {
			if !o.proved.Load() {
				o.keys.CompareAndSwap(keys, nil) // its description may have been wrong
			}
			return Person{}, look.outage
		}
		return Person{}, fmt.Errorf("%w: its signature is not the provider's", ErrUnknown)
	}
	o.proved.Store(true)
	return Person{Name: c.subject + "@" + o.issuer}, nil
}

// provider returns the keys of the provider, which it finds out about when nobody has yet. One caller does so for all; a failure
// is an answer to all who wait, since the gate repeats it.
func (o *OIDC) provider(ctx context.Context) (*oidc.RemoteKeySet, error) {
	if keys := o.keys.Load(); keys != nil {
		return keys, nil
	}
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if keys := o.keys.Load(); keys != nil {
		return keys, nil
	}
	own := oidc.ClientContext(context.Background(), o.client) // who hangs up must not make it fail for the others
	p, err := oidc.NewProvider(own, o.issuer)
	if err != nil {
		return nil, o.gate.report(err)
	}
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err := p.Claims(&found); err != nil || found.Keys == "" {
		return nil, o.gate.report(errors.New("its description names no keys"))
	}
	keys := oidc.NewRemoteKeySet(own, found.Keys)
	o.keys.Store(keys)
	return keys, nil
}

// look is one token's look at the keys. The library's verifier keeps only the words of an error.
type look struct {
	keys   *oidc.RemoteKeySet
	gate   *gate
	outage error // why the keys could not be had
}

// VerifySignature implements [oidc.KeySet].
func (l *look) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := l.keys.VerifySignature(ctx, token)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		l.outage = ctx.Err()
	case strings.HasPrefix(err.Error(), "fetching keys"): // the library's one mark of it where an answer was no keys
		l.outage = l.gate.report(err)
	}
	return payload, err
}
