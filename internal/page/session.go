package page

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"r2v-mcp/internal/auth"
)

const (
	// longestToken is in bytes: browsers keep cookies of up to 4,096, name and attributes included.
	longestToken = 3500
	// longestForm bounds what is read of a sign-in.
	longestForm = 64 << 10
)

// notice is a page that says one thing, or asks for a token.
type notice struct {
	Heading, Text, Advice string
	Form                  bool   // ask for a token
	Clip                  string // the path of a clip that is played next
	Link                  string // to what is not here, by https
	LinkUntil             time.Time
}

// cookie is the name of the cookie that holds the token. A browser takes a __Host- cookie only by https, and from this very host.
func (p *page) cookie() string {
	if p.Secure {
		return "__Host-r2v"
	}
	return "r2v"
}

func (p *page) setCookie(w http.ResponseWriter, token string) {
	c := &http.Cookie{Name: p.cookie(), Value: token, Path: "/", HttpOnly: true, Secure: p.Secure, SameSite: http.SameSiteStrictMode}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// errNobody says that a request came without a token.
var errNobody = errors.New("nobody has signed in")

// errReader says that a token reads metrics and nothing else.
var errReader = errors.New("the token only reads metrics")

// person tells who asks. The token is checked each time: one that is revoked is good for nothing more.
func (p *page) person(r *http.Request) (auth.Person, error) {
	if p.SignIn == nil {
		return auth.Person{}, nil
	}
	c, err := r.Cookie(p.cookie())
	if err != nil || c.Value == "" {
		return auth.Person{}, errNobody
	}
	return p.check(r, c.Value)
}

// fetcher tells who fetches a clip: a person in a browser, or an agent with its token in the header.
func (p *page) fetcher(r *http.Request) (auth.Person, error) {
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found && p.SignIn != nil {
		return p.check(r, token)
	}
	return p.person(r)
}

func (p *page) check(r *http.Request, token string) (auth.Person, error) {
	if !isToken(token) {
		return auth.Person{}, auth.ErrUnknown
	}
	person, err := p.SignIn(r.Context(), token)
	switch {
	case err != nil:
		return auth.Person{}, err
	case person.Reader:
		return auth.Person{}, errReader
	case person.Name == "": // everybody's tasks of a server without tokens
		return auth.Person{}, auth.ErrUnknown
	}
	return person, nil
}

// isToken reports whether a text has the form of a bearer token, which a cookie holds as it is. Source: b64token, RFC 6750, 2.1.
func isToken(text string) bool {
	text = strings.TrimRight(text, "=")
	return text != "" && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") == ""
}

func (p *page) signIn(w http.ResponseWriter, r *http.Request) {
	if !ownOrigin(r) {
		p.refuseOrigin(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	token := strings.TrimSpace(r.PostFormValue("token"))
	switch {
	case len(token) > longestToken:
		p.say(w, r, http.StatusBadRequest, notice{Form: true, Text: "This token is too long for a browser's cookie.",
			Advice: "Sign in with a token that r2v-mcp token has made, or ask for one with fewer claims."})
		return
	case token == "":
		p.say(w, r, http.StatusBadRequest, notice{Form: true, Text: "There was no token in the form, or more than a token."})
		return
	}
	if _, err := p.check(r, token); err != nil {
		p.refuse(w, r, err)
		return
	}
	p.setCookie(w, token)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *page) signOut(w http.ResponseWriter, r *http.Request) {
	if !ownOrigin(r) {
		p.refuseOrigin(w, r)
		return
	}
	p.setCookie(w, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// ownOrigin reports whether a form of this page sent the request. The scheme is not compared: a proxy may have taken it away.
func ownOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func (p *page) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	p.say(w, r, http.StatusForbidden, notice{Heading: "Refused", Text: "This request did not come from this page.", Advice: "Open the page and use its own form."})
}

// refuse answers whoever could not be let in. What the error says is not shown: it may name what was looked at.
func (p *page) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errNobody):
		p.say(w, r, http.StatusOK, notice{Form: true})
	case errors.Is(err, errReader):
		p.say(w, r, http.StatusForbidden, notice{Form: true, Text: "This token reads metrics and has no tasks.", Advice: "Sign in with a person's token."})
	case errors.Is(err, auth.ErrUnknown):
		w.Header().Set("WWW-Authenticate", "Bearer")
		p.say(w, r, http.StatusUnauthorized, notice{Form: true, Text: "This token is not known here.",
			Advice: "It may have been revoked, have expired, or be another server's. Ask the operator for a new one."})
	default:
		w.Header().Set("Retry-After", "5")
		p.say(w, r, http.StatusServiceUnavailable, notice{Form: true, Text: "Tokens cannot be checked now.", Advice: "This is not about your token: try again in a minute."})
	}
}

// say shows a notice. A heading is made up where it has none.
func (p *page) say(w http.ResponseWriter, r *http.Request, status int, n notice) {
	if n.Heading == "" {
		n.Heading = "Sign in"
	}
	p.render(w, r, status, noticePage(n))
}
