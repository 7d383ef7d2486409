package evolink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// maxAnswer is how much of an answer is read. Real ones are a few kilobytes.
const maxAnswer = 1 << 20

var errTooLong = errors.New("the answer is longer than 1 MiB")

// call is one operation of the API: what all attempts of it have in common.
type call struct {
	op     string // as errors name it
	method string
	path   string // below the base, escaped
	query  url.Values
	header map[string]string
	body   []byte
	tasks  []string // whose turns to be read it needs
}

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // why body is not all of it
}

// answer is a successful reply that is a JSON object.
type answer struct {
	reply
	object object
	from   service
}

// do sends the call, again where the lane allows, and returns the answer of the attempt that succeeded.
func (c *Client) do(ctx context.Context, l *lane, op call) (*answer, *Error) {
	var got *answer
	err := l.retry.run(ctx, func() *Error {
		var err *Error
		got, err = c.attempt(ctx, l, op)
		return err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

func (c *Client) attempt(ctx context.Context, l *lane, op call) (got *answer, failure *Error) {
	if err := c.turns.take(ctx, op.tasks); err != nil {
		return nil, c.untried(op.op, l.at, err)
	}
	defer func() { c.turns.end(op.tasks, failure.reached()) }()
	ctx, cancel := l.limit(ctx)
	defer cancel()
	var d delivery
	req, err := c.request(d.watch(ctx), l.at, op)
	if err != nil {
		return nil, c.untried(op.op, l.at, err)
	}
	r, failure := c.exchange(op.op, l, req, &d)
	if failure != nil {
		return nil, failure
	}
	return c.accept(op.op, l.at, r)
}

func (l *lane) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, l.timeout)
}

func (c *Client) request(ctx context.Context, at service, op call) (*http.Request, error) {
	if ctx.Err() != nil {
		return nil, before(ctx)
	}
	address := at.base + op.path
	if len(op.query) > 0 {
		address += "?" + op.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, op.method, address, nil)
	if err != nil {
		return nil, err
	}
	if op.body != nil {
		// GetBody stays unset, so that nothing below this package can send the body a second time.
		req.Body = io.NopCloser(bytes.NewReader(op.body))
		req.ContentLength = int64(len(op.body))
	}
	if c.addHeader != nil {
		c.addHeader(ctx, req.Header)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", c.userAgent)
	for name, value := range op.header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// exchange makes one HTTP exchange. It fails only where no status came back.
func (c *Client) exchange(op string, l *lane, req *http.Request, d *delivery) (reply, *Error) {
	resp, err := l.transport.RoundTrip(req)
	if err == nil && resp == nil {
		err = errors.New("the transport gave neither an answer nor an error")
	}
	if err != nil {
		return reply{}, c.unanswered(op, l.at, err, d)
	}
	r := reply{status: resp.StatusCode, header: resp.Header}
	if resp.Body != nil {
		defer resp.Body.Close()
		r.body, r.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	}
	if len(r.body) > maxAnswer {
		r.body, r.err = r.body[:maxAnswer], errTooLong
	}
	return r, nil
}

// accept takes a 2xx reply that is a JSON object, whatever its content type, and turns any other into an error. An object
// that is whole counts although the connection broke after it: it may hold the id of a paid task.
func (c *Client) accept(op string, at service, r reply) (*answer, *Error) {
	o, err := parseObject(r.body)
	a := &answer{reply: r, object: o, from: at}
	if !r.successful() || errors.Is(r.err, errTooLong) || err != nil {
		return nil, c.refused(op, a, err)
	}
	return a, nil
}

func (r reply) successful() bool { return r.status >= 200 && r.status <= 299 }

// requestID is the id the service gave the request, which its support asks for. No page names it: this is where EvoLink's
// own client looks.
func (a *answer) requestID() string {
	if id := a.object.text("request_id"); id != "" {
		return id
	}
	if id := a.object.object("error").text("request_id"); id != "" {
		return id
	}
	if id := a.header.Get("X-Request-Id"); id != "" {
		return id
	}
	return a.header.Get("X-Oneapi-Request-Id")
}

// servedAt is the Date of the answer, the zero time when it has none.
func (a *answer) servedAt() time.Time {
	at, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// replayed reports whether the service gave an earlier answer once more, as EvoLink's own client reads it.
func (a *answer) replayed() bool {
	return strings.EqualFold(strings.TrimSpace(a.header.Get("Idempotency-Replayed")), "true")
}

// delivery watches whether a request can have left. net/http asks for a connection, gets it, and only then writes: asked
// and never got means that no byte of the request went out. A transport that reports neither proves nothing.
type delivery struct{ asked, got atomic.Bool }

func (d *delivery) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { d.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { d.got.Store(true) },
	})
}

func (d *delivery) impossible() bool { return d.asked.Load() && !d.got.Load() }
