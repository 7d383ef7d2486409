package dashscope

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"regexp"
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

func (c *Client) newError(op string) *Error {
	return &Error{Op: op, Region: c.region, Host: c.host}
}

// untried is the error of a call that was given up before a connection was asked for.
func (c *Client) untried(op string, err error) *Error {
	e := c.newError(op)
	e.failure, e.err = untried, c.safe(err)
	return e
}

// unanswered is the error of a request that got no status back.
func (c *Client) unanswered(op, host string, err error, d *delivery) *Error {
	e := c.newError(op)
	e.Host = host
	if d.impossible() {
		e.failure, e.err = noConnection, fmt.Errorf("cannot reach %s: %w", host, c.safe(err))
	} else {
		e.err = fmt.Errorf("no answer from %s: %w", host, c.safe(err))
	}
	return e
}

// refused is the error of a reply that is no success: o is its body if that is an object, parseErr why it is not one.
func (c *Client) refused(op string, r reply, o object, parseErr error) *Error {
	e := c.newError(op)
	e.StatusCode = r.status
	e.retryAfter = parseRetryAfter(r.header)
	said := statementOf(o)
	if said.code == "" && said.message == "" && (o == nil || !r.successful()) {
		said = plainStatement(r.body)
	}
	if said.requestID == "" {
		said.requestID = r.header.Get("X-Request-Id")
	}
	e.Code = c.quote(said.code, maxCode)
	e.Message = c.quote(said.message, maxMessage)
	e.RequestID = c.quote(said.requestID, maxCode)
	switch {
	case errors.Is(r.err, errTooLong):
		e.err = errTooLong
	case r.err != nil:
		e.err = &cutError{c.safe(r.err)}
	case r.status >= 300 && r.status <= 399:
		e.err = errors.New("redirects are not followed")
	case r.successful():
		e.err = parseErr
	}
	return e
}

// malformed is the error of a 2xx answer that lacks what it must have.
func (c *Client) malformed(op string, a *answer, problem string) *Error {
	return c.refused(op, a.reply, a.object, errors.New(problem))
}

// statement is what an error answer says.
type statement struct{ code, message, requestID string }

// statementOf reads the flat envelope {"code","message"} of the native API and the nested {"error":{…}} of gateways and of
// the OpenAI-compatible paths.
func statementOf(o object) statement {
	s := statement{code: o.text("code"), message: o.first("message", "msg"), requestID: o.text("request_id")}
	inner := o.object("error")
	if s.code == "" {
		s.code = inner.first("code", "type")
	}
	if s.message == "" {
		s.message = inner.first("message", "msg")
	}
	if s.message == "" {
		s.message = o.text("error")
	}
	return s
}

// plainStatement makes the best of an answer that is not a JSON object: OSS's XML, a gateway's HTML page, plain text.
func plainStatement(body []byte) statement {
	var oss struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}
	if xml.Unmarshal(body, &oss) == nil {
		return statement{oss.Code, oss.Message, oss.RequestID}
	}
	// The expressions are not made for size: a page of a megabyte could keep them busy for minutes. What it has to say, it
	// says at its head.
	text := string(body[:min(len(body), maxPage)])
	if title := htmlTitle().FindStringSubmatch(text); title != nil && strings.TrimSpace(title[1]) != "" {
		return statement{message: html.UnescapeString(title[1])}
	}
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = html.UnescapeString(htmlTag().ReplaceAllString(htmlHidden().ReplaceAllString(text, " "), " "))
	}
	return statement{message: text}
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

// link returns a result link as it was sent, "" when it is none or holds what no link of ours should.
func (c *Client) link(s string) string {
	if len(s) > maxLink || c.quote(s, maxLink) != s || !strings.HasPrefix(s, "http") {
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
