package auth

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// metricsPath is the one address that a [Person] who is a Reader may ask for, and nobody else.
const metricsPath = "/metrics"

// retryAfter is how many seconds a client is asked to wait when its token cannot be checked at present.
const retryAfter = "5"

const (
	needed     = "This server needs a token, in the header Authorization: Bearer TOKEN. Who runs the server makes one with: r2v-mcp token NAME"
	signIn     = "; or sign in with a client that does it by OpenID."
	inHeader   = "Tokens are taken from the header Authorization: Bearer TOKEN alone. One in an address is written to logs: take it for lost, and have another made."
	oneHeader  = "The Authorization header has to be there once, as: Bearer TOKEN, with nothing else in it."
	notGood    = "It was withdrawn, has expired or was made for another server. Ask who runs the server for another, or sign in again."
	readsOnly  = "This token reads " + metricsPath + " and nothing else. For anything else use a person's token, which is made with: r2v-mcp token NAME"
	readsNot   = metricsPath + " is read with a token of its own, which is made with: r2v-mcp token NAME --metrics"
	outOfReach = "Who signs people in cannot be reached at present, so the token could not be checked. It may be good: try again in some seconds."
)

// Require returns a middleware that lets nobody through but people of whom v knows the token, and puts the person into the context:
// see [From]. The token comes in the Authorization header (RFC 6750 section 2.1), which does not go on; whether it is still good
// later is asked with [Holds]. challenge tells the address of the protected resource's metadata for a client that has to sign in
// (RFC 9728 section 5.1), "" or nil for none.
//
// It answers 401 without a token or with one that is not good, 400 to a token in the query or a header that cannot be read, 403 to a Reader
// anywhere but at [metricsPath] and to others there, and 503 when the token could not be checked.
func Require(v Verifier, challenge func(*http.Request) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, token, refused := identify(v, r)
			if refused != nil {
				metadata := ""
				if challenge != nil {
					metadata = challenge(r)
				}
				refused.write(w, metadata)
				return
			}
			onward := r.WithContext(withQuestion(With(r.Context(), p), v, p, token))
			onward.Header = maps.Clone(r.Header)
			delete(onward.Header, "Authorization")
			next.ServeHTTP(w, onward)
		})
	}
}

// refusal is an answer to a request that does not go on.
type refusal struct {
	status int
	code   string // of RFC 6750 section 3.1, empty for none
	text   string
}

// identify finds out who asks, and with which token.
func identify(v Verifier, r *http.Request) (p Person, token string, refused *refusal) {
	if hasTokenInQuery(r) {
		return Person{}, "", &refusal{http.StatusBadRequest, "invalid_request", inHeader}
	}
	token, refused = bearer(r.Header["Authorization"])
	if refused != nil {
		return Person{}, "", refused
	}
	p, err := v.Verify(r.Context(), token)
	switch {
	case errors.Is(err, ErrUnknown):
		return Person{}, "", &refusal{http.StatusUnauthorized, "invalid_token", sentence(err) + " " + notGood}
	case err != nil: // its words are for the log
		return Person{}, "", &refusal{http.StatusServiceUnavailable, "", outOfReach}
	case p.Reader && r.URL.Path != metricsPath:
		return Person{}, "", &refusal{http.StatusForbidden, "insufficient_scope", readsOnly}
	case !p.Reader && r.URL.Path == metricsPath:
		return Person{}, "", &refusal{http.StatusForbidden, "insufficient_scope", readsNot}
	}
	return p, token, nil
}

func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// hasTokenInQuery finds the names by which tokens are given in addresses.
func hasTokenInQuery(r *http.Request) bool {
	if r.URL.RawQuery == "" {
		return false
	}
	for name := range r.URL.Query() {
		if slices.Contains([]string{"access_token", "token", "api_key"}, strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// bearer takes the token out of the Authorization headers.
func bearer(headers []string) (string, *refusal) {
	if len(headers) > 1 {
		return "", &refusal{http.StatusBadRequest, "invalid_request", oneHeader}
	}
	if len(headers) == 0 {
		return "", &refusal{http.StatusUnauthorized, "", needed}
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"), token == "":
		return "", &refusal{http.StatusUnauthorized, "", needed}
	case strings.ContainsFunc(strings.TrimRight(token, "="), notOfToken):
		return "", &refusal{http.StatusBadRequest, "invalid_request", oneHeader}
	}
	return token, nil
}

// notOfToken finds what a bearer token does not hold before the = signs at its end: RFC 6750 section 2.1.
func notOfToken(r rune) bool {
	return r >= unicode.MaxASCII || !isLetterOrDigit(byte(r)) && !strings.ContainsRune("-._~+/", r)
}

// write answers in plain text.
func (f *refusal) write(w http.ResponseWriter, metadata string) {
	text := f.text
	var parameters []string
	if f.code != "" {
		parameters = append(parameters, `error="`+f.code+`"`)
	}
	if metadata != "" && !strings.ContainsFunc(metadata, unquotable) {
		parameters = append(parameters, `resource_metadata="`+metadata+`"`)
		if text == needed {
			text += signIn
		}
	}
	h := w.Header()
	if f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	} else {
		h.Set("WWW-Authenticate", strings.TrimSuffix("Bearer "+strings.Join(parameters, ", "), " "))
	}
	h.Set("Cache-Control", "no-store")
	http.Error(w, text, f.status)
}

// unquotable finds what would end a quoted text of a header. The address may come from a request's Host.
func unquotable(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII || r == '"' || r == '\\' }
