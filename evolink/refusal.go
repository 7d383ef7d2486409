package evolink

import (
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Upstream text is kept up to these lengths, in characters.
const (
	maxMessage = 500
	maxCode    = 100
	maxPage    = 4 << 10 // bytes of a page that is no JSON
	maxLink    = 4 << 10 // bytes of a result link
	minSecret  = 8       // a shorter key is none, and would blot out ordinary words
)

var (
	errNotObject = errors.New("the answer is not a JSON object")

	htmlTitle  = lazily(`(?is)<title[^>]*>(.*?)</title>`)
	htmlHidden = lazily(`(?is)<(script|style)\b.*?</(script|style)>|<!--.*?-->`)
	htmlTag    = lazily(`(?s)<[^>]*>`)
)

// untried is the error of a call that was given up before a connection was asked for.
func (c *Client) untried(op string, at service, err error) *Error {
	return &Error{Op: op, Host: at.host, failure: untried, err: c.safe(err)}
}

// unanswered is the error of a request that got no status back.
func (c *Client) unanswered(op string, at service, err error, d *delivery) *Error {
	e := &Error{Op: op, Host: at.host}
	if d.impossible() {
		e.failure, e.err = noConnection, fmt.Errorf("cannot reach %s: %w", at.host, c.safe(err))
	} else {
		e.err = fmt.Errorf("no answer from %s: %w", at.host, c.safe(err))
	}
	return e
}

// refused is the error of an answer that is no success; parseErr says why it is not an object, if it is none.
func (c *Client) refused(op string, a *answer, parseErr error) *Error {
	e := &Error{Op: op, Host: a.from.host, StatusCode: a.status, retryAfter: parseRetryAfter(a.header)}
	said := statementOf(a.object)
	if said.code == "" && said.message == "" && (a.object == nil || !a.successful()) {
		said.message = plainText(a.body)
	}
	e.Code = c.quote(said.code, maxCode)
	e.Message = c.quote(said.message, maxMessage)
	e.Type = c.quote(said.kind, maxCode)
	e.Param = c.quote(said.param, maxCode)
	e.FallbackSuggestion = c.quote(said.fallback, maxMessage)
	e.RequestID = c.quote(a.requestID(), maxCode)
	switch {
	case errors.Is(a.err, errTooLong):
		e.err = errTooLong
	case a.err != nil:
		e.err = &cutError{c.safe(a.err)}
	case a.status >= 300 && a.status <= 399:
		e.err = errors.New("redirects are not followed")
	case a.successful():
		e.err = parseErr
	}
	return e
}

// malformed is the error of a 2xx answer that lacks what it must have.
func (c *Client) malformed(op string, a *answer, problem string) *Error {
	return c.refused(op, a, errors.New(problem))
}

// declined is the error of a 2xx answer that says no in so many words.
func (c *Client) declined(op string, a *answer) *Error {
	e := c.refused(op, a, nil)
	e.failure = declined
	return e
}

// saysNo reports whether a 2xx answer to a create is a refusal after all: the documented error envelope and nothing beside
// it, complete, and of a type that the documents give to verdicts about the request.
//
// A relay stands between us and the model's maker. An error that is not a verdict (api_error, upstream_error and the like)
// may be about an answer that the relay lost, and a body that holds anything else may be a task in a form that we do not
// know. Both leave the fate unknown: a task looked for in vain costs a little time, one taken for refused is paid twice.
func (o object) saysNo() bool {
	for key := range o {
		if key != "error" && key != "request_id" {
			return false
		}
	}
	inner := o.object("error")
	return inner.text("code") != "" && inner.text("message") != "" && inner.text("task_id") == "" && inner.text("id") == "" &&
		slices.Contains([]string{
			"invalid_request_error", "authentication_error", "insufficient_quota", "insufficient_quota_error",
			"permission_error", "not_found_error", "request_too_large_error", "rate_limit_error",
		}, inner.text("type"))
}

// statement is what an error answer says.
type statement struct{ code, message, kind, param, fallback string }

// statementOf reads the envelope {"error":{…}} of the media API, with a text or a number for the code, and the flat
// {"code","msg"} of files.
func statementOf(o object) statement {
	inner := o.object("error")
	s := statement{
		code:     inner.text("code"),
		message:  inner.first("message", "msg"),
		kind:     inner.text("type"),
		param:    inner.text("param"),
		fallback: inner.text("fallback_suggestion"),
	}
	if s.code == "" {
		s.code = o.text("code")
	}
	if s.message == "" {
		s.message = o.first("message", "msg", "error")
	}
	return s
}

// plainText makes the best of an answer that is no envelope: a gateway's HTML page, plain text.
func plainText(body []byte) string {
	// The expressions are not made for size: a page of a megabyte could keep them busy for minutes. What it has to say, it
	// says at its head.
	text := string(body[:min(len(body), maxPage)])
	if title := htmlTitle().FindStringSubmatch(text); title != nil && strings.TrimSpace(title[1]) != "" {
		return html.UnescapeString(title[1])
	}
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = html.UnescapeString(htmlTag().ReplaceAllString(htmlHidden().ReplaceAllString(text, " "), " "))
	}
	return text
}

// quote makes upstream text fit to be shown: one clean line without the key, of at most limit characters. The key goes
// before the cut, lest a part of it stay.
func (c *Client) quote(s string, limit int) string {
	s = cleanLine(s)
	if len(c.key) >= minSecret {
		s = strings.ReplaceAll(s, c.key, "[API key]")
	}
	if r := []rune(s); len(r) > limit {
		s = strings.TrimSpace(string(r[:limit])) + "…"
	}
	return s
}

// id returns an id that can be asked for later, "" for anything else: it is data from outside that will stand in paths.
func (c *Client) id(s string) string {
	if checkTaskID(s) != nil || c.quote(s, maxTaskID) != s {
		return ""
	}
	return s
}

// link returns a link as it was sent, "" when it is none or holds what no link of ours should.
func (c *Client) link(s string) string {
	if len(s) > maxLink || c.quote(s, maxLink) != s {
		return ""
	}
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return ""
	}
	return s
}

// safe returns err itself unless its text, which may quote what a server sent, would have to be cleaned.
func (c *Client) safe(err error) error {
	if text := c.quote(err.Error(), maxMessage); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// cleanLine puts s on one line and removes control, bidirectional and other invisible characters.
func cleanLine(s string) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(visible), " ")
}

// lazily compiles an expression when it is first needed: the program is started all day, and most starts need none.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
