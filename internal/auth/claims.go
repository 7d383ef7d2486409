package auth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const (
	longestJWT    = 16 << 10 // bytes; providers that put groups in have a few thousand
	longestPerson = 256      // bytes of subject@issuer
)

// header is what the first part of a JWT says: RFC 7515 section 4.1.
type header struct {
	Algorithm string          `json:"alg"`
	Critical  json.RawMessage `json:"crit"` // extensions that must be understood; we understand none
}

// claims are those of a JWT that count here: RFC 7519 section 4.1. Times are seconds since 1970.
type claims struct {
	issuer, subject              string
	audience                     audience
	expires, notBefore, issuedAt *float64
}

// UnmarshalJSON implements [json.Unmarshaler]. It takes names as they are written: encoding/json would take a claim Sub, which
// a provider may let its users fill, for sub.
func (c *claims) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for name, into := range map[string]any{
		"iss": &c.issuer, "sub": &c.subject, "aud": &c.audience, "exp": &c.expires, "nbf": &c.notBefore, "iat": &c.issuedAt,
	} {
		if value, given := all[name]; given {
			if err := json.Unmarshal(value, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// audience is one name or several.
type audience []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// readClaims reads what a JWT says, before anybody knows whether it is true. What is no JWT, or signed in a way that is not taken,
// is [ErrUnknown].
func readClaims(token string) (c claims, err error) {
	if len(token) > longestJWT || strings.Count(token, ".") != 2 || strings.ContainsFunc(token, notOfJWT) {
		return c, ErrUnknown
	}
	parts := strings.Split(token, ".")
	var h header
	if !decode(parts[0], &h) || parts[2] == "" {
		return c, ErrUnknown
	}
	if !slices.Contains(algorithms(), h.Algorithm) || h.Critical != nil {
		return c, fmt.Errorf("%w: it is signed in a way that is not taken", ErrUnknown)
	}
	if !decode(parts[1], &c) {
		return c, fmt.Errorf("%w: its claims cannot be read", ErrUnknown)
	}
	return c, nil
}

// notOfJWT finds what no JWT holds. base64 would read over line ends.
func notOfJWT(r rune) bool {
	return r >= unicode.MaxASCII || !isLetterOrDigit(byte(r)) && r != '-' && r != '_' && r != '.'
}

func decode(part string, into any) bool {
	data, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(data, into) == nil
}

// check compares what a token says with what is wanted here. It repeats nothing of the token.
func (o *OIDC) check(c claims) error {
	now := float64(o.now().UnixMilli()) / 1000
	late, early := now+skew.Seconds(), now-skew.Seconds()
	why := ""
	switch {
	case c.issuer != o.issuer:
		why = "another issuer has made it"
	case !slices.Contains(c.audience, o.audience):
		why = "it was made for another audience"
	case c.expires == nil:
		why = "it has no end (exp)"
	case *c.expires <= early:
		why = "it has expired"
	case c.notBefore != nil && *c.notBefore > late, c.issuedAt != nil && *c.issuedAt > late:
		why = "its time has not come"
	case c.subject == "":
		why = "it names nobody (sub)"
	case strings.ContainsFunc(c.subject, unprintable), len(c.subject)+len("@")+len(o.issuer) > longestPerson:
		why = "its subject (sub) is too long, or holds characters that cannot be shown"
	}
	if why != "" {
		return fmt.Errorf("%w: %s", ErrUnknown, why)
	}
	return nil
}

// unprintable finds what would make two subjects look, or be read, as one. They are refused and not mended: what is left of one
// could be the name of another. The replacement character stands for bytes that were no text.
func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
