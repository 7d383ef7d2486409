package evolink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is what every failed call returns. The texts in it that come from the service are data: shortened, without
// control characters, and with the API key blotted out.
type Error struct {
	Op         string // what was tried, such as "create video"
	StatusCode int    // HTTP status; 0 when no answer came
	Code       string // the service's error code, such as "invalid_request"; older answers give a number
	Message    string // the service's message, or an extract of an answer that is not JSON
	Type       string // the service's class of the error, such as "invalid_request_error"
	Param      string // the field of the request that the error is about
	RequestID  string // the service's id of the request
	Host       string // that was asked

	FallbackSuggestion string // what the service proposes instead

	failure    failure
	retryAfter time.Duration
	err        error
}

// failure tells apart the errors that the status does not tell apart.
type failure uint8

const (
	lost         failure = iota // the request may have left, and no usable answer came
	untried                     // refused here: a bad argument, or the context ended first
	noConnection                // a connection was asked for and never obtained
	declined                    // an answer with a status of success that says no
)

// Error says what failed, and what is known about it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.StatusCode != 0 {
		b.WriteString(": " + strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.StatusCode, e.label())))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Param != "" {
		fmt.Fprintf(&b, " (parameter %s)", e.Param)
	}
	if e.err != nil {
		b.WriteString(": " + e.err.Error())
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	if e.Unauthorized() {
		fmt.Fprintf(&b, "; asked %s", e.Host)
	}
	if e.Op == opCreate && e.Fate() == FateUnknown {
		b.WriteString("; whether a task was created is not known")
	}
	return b.String()
}

// label names the status: by the service's code, or by HTTP's words when the answer says nothing.
func (e *Error) label() string {
	if e.Code == "" && e.Message == "" {
		return http.StatusText(e.StatusCode)
	}
	return e.Code
}

// Unwrap returns what went wrong below the API: a network error, the context's error, an unreadable answer. It is nil when
// the service answered with an error of its own.
func (e *Error) Unwrap() error { return e.err }

// Fate says what became of a request that failed.
type Fate uint8

// The fates of a failed request. The zero value is the careful one.
const (
	FateUnknown Fate = iota // it may have been carried out
	FateNotSent             // it never reached the service
	FateRefused             // the service, or a gateway before it, said no
)

// String returns "unknown", "not sent" or "refused".
func (f Fate) String() string {
	switch f {
	case FateNotSent:
		return "not sent"
	case FateRefused:
		return "refused"
	}
	return "unknown"
}

// Fate says what became of the request, which matters for CreateVideo: after FateNotSent and FateRefused there is no task
// and nothing is charged; after FateUnknown there may be one, and only the list of tasks can tell.
//
//   - Not sent: the arguments were bad, the context ended first, or no connection was obtained (the HTTP transport writes
//     a request only to a connection that it has reported), so no byte of it left.
//   - Refused: a 4xx other than 408 and 499, a redirect that says the request belongs elsewhere (301, 307, 308) and that
//     is never followed, or the service's documented envelope of a refusal under a status of success. These are verdicts
//     about the request, given instead of carrying it out. 408 and 499 are about its delivery: they may be said by a
//     gateway while the request goes on behind it.
//   - Unknown: all else. After a time-out, a reset or the end of the context the service may have read the request; a 5xx
//     may be a gateway's word about an answer that it lost; other redirects (303 above all) are commonly said after the
//     work is done; and a 2xx without a task id most likely means that there is a task. So is 409, in whatever form: what
//     is known to be said with it is paid_outcome_unknown, which is what it says, and idempotency_conflict, which says
//     that a create with this key came before. These two words are unknown under any status.
func (e *Error) Fate() Fate {
	switch s := e.StatusCode; {
	case s == 0 && (e.failure == untried || e.failure == noConnection):
		return FateNotSent
	case inDoubt(e.Code), inDoubt(e.Type):
		return FateUnknown
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == 499:
		return FateUnknown
	case s >= 400 && s <= 499, e.failure == declined,
		s == http.StatusMovedPermanently, s == http.StatusTemporaryRedirect, s == http.StatusPermanentRedirect:
		return FateRefused
	}
	return FateUnknown
}

// inDoubt reports whether a word of an error leaves open what became of a create.
func inDoubt(word string) bool {
	return strings.EqualFold(word, "paid_outcome_unknown") || strings.EqualFold(word, "idempotency_conflict")
}

// Unauthorized reports whether the key was refused (HTTP 401, or the same under a status of success).
func (e *Error) Unauthorized() bool {
	return e.meant() == http.StatusUnauthorized || e.failure == declined && e.Type == "authentication_error"
}

// meant is the status that an answer without one of its own should have had: files say it in the body.
func (e *Error) meant() int {
	if n, err := strconv.Atoi(e.Code); e.failure == declined && err == nil && n >= 400 && n <= 599 {
		return n
	}
	return e.StatusCode
}

// Throttled reports whether the request came too fast and may be sent again a little later. A 429 about a spent quota is
// not such a case, though the status is the same. Older answers give the number of the status in place of the code.
// Source: the 429 of https://docs.evolink.ai/en/api-manual/task-management/get-task-detail.
func (e *Error) Throttled() bool {
	return e.StatusCode == http.StatusTooManyRequests &&
		(e.Code == "rate_limit_exceeded" || e.Code == "429" && e.Type == "rate_limit_error")
}

// RetryAfter is how long the service asked to be left alone, 30 s at most; 0 where it did not.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// Transient reports whether asking the same again later may go well: the connection failed, the service throttled, or it
// answered 500, 502, 503 or 504. It says nothing about whether a create may be repeated; that is for [Error.Fate] to say.
func (e *Error) Transient() bool {
	switch e.meant() {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusTooManyRequests:
		return e.Throttled() || e.Code == ""
	case 0:
		return e.failure != untried && e.mayConnect()
	}
	return e.brokenOff()
}

// passing is what a read of many things is repeated after. EvoLink's own client does not repeat after a 500.
func (e *Error) passing() bool {
	return e.Transient() && e.StatusCode != http.StatusInternalServerError
}

// unspent reports whether the request certainly came to nothing and may go well a moment later.
func (e *Error) unspent() bool {
	return e.Throttled() || e.unconnected()
}

// unconnected reports whether the request never left and another dial may go well.
func (e *Error) unconnected() bool {
	return e.StatusCode == 0 && e.failure == noConnection && e.mayConnect()
}

// reached reports whether the request may have reached the service; a nil error is a success, which did.
func (e *Error) reached() bool {
	return e == nil || e.failure != untried && e.failure != noConnection
}

// mayConnect is false for what another dial will not mend.
func (e *Error) mayConnect() bool {
	var certificate *tls.CertificateVerificationError
	return !errors.As(e.err, &certificate) && !errors.Is(e.err, context.Canceled)
}

// brokenOff reports whether a success was under way when the connection failed.
func (e *Error) brokenOff() bool {
	var cut *cutError
	return e.StatusCode >= 200 && e.StatusCode <= 299 && errors.As(e.err, &cut)
}

// cutError is an answer of which only a part arrived.
type cutError struct{ err error }

func (e *cutError) Error() string { return "the answer broke off: " + e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

// also adds why no further attempt was made.
func (e *Error) also(cause error) {
	switch {
	case e.err == nil:
		e.err = fmt.Errorf("not tried again: %w", cause)
	case !errors.Is(e.err, cause):
		e.err = fmt.Errorf("%w; not tried again: %w", e.err, cause)
	}
}
