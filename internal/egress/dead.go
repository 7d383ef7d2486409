package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"syscall"
)

// Status is the error of an answer that holds no file.
type Status struct {
	Code int    // of HTTP
	Host string // that gave it, after redirects
}

// Error is one sentence.
func (s *Status) Error() string {
	why := "which is no file"
	switch {
	case s.Code == http.StatusNotFound || s.Code == http.StatusGone:
		why = "nothing is there"
	case s.Code == http.StatusUnauthorized || s.Code == http.StatusForbidden:
		why = "it is not open to everybody, or the link has expired"
	case s.Code == http.StatusTooManyRequests:
		why = "it is asked too often"
	case s.Code/100 == 4:
		why = "it does not take the request"
	case s.Code >= 500:
		why = "it has trouble of its own"
	}
	return fmt.Sprintf("%s answers with HTTP %d: %s", shown(s.Host), s.Code, why)
}

// dead tells whether asking is of no use to anybody, now or later. 405 and 451 depend on who asks, how and from where; 407 is a
// proxy's word, not the address's own.
func (s *Status) dead() bool {
	switch s.Code {
	case http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly,
		http.StatusTooManyRequests, http.StatusUnavailableForLegalReasons:
		return false
	}
	return s.Code/100 == 4
}

// complaint is what is wrong with an answer, as the rest of a sentence that begins with the host.
type complaint string

func (c complaint) Error() string { return string(c) }

// failure tells an error in a sentence with the host, and without the address that net/http puts into its own.
type failure struct {
	host string
	err  error
}

func (f *failure) Error() string { why, _ := explain(f.host, f.err); return why }
func (f *failure) Unwrap() error { return f.err }

// fail makes an error fit to be shown.
func fail(host string, err error) error {
	var known *failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if u, parseErr := url.Parse(e.URL); parseErr == nil && u.Hostname() != "" { // that of the last redirect
			host = u.Hostname()
		}
		err = e.Err
	}
	return &failure{host, err}
}

// Dead tells whether an address cannot be read, now or by anybody else, from the error of [Open], of a [File] or of a client of
// [NewClient]: nothing is there, it is not open to everybody, its name does not exist, nobody listens, or it must not be asked.
// Everything else (time-outs, a server's own trouble, TLS, networks, bodies that are cut off) leaves it open. why is one
// sentence for a person, with the host and never the path; it is there for both, and empty only for nil.
func Dead(err error) (why string, dead bool) {
	if err == nil {
		return "", false
	}
	known, ok := errors.AsType[*failure](fail("the address", err))
	if !ok {
		return "", false
	}
	return explain(known.host, known.err)
}

func explain(host string, err error) (why string, dead bool) {
	if refused, ok := errors.AsType[*Refused](err); ok {
		return refused.Error(), true
	}
	if status, ok := errors.AsType[*Status](err); ok {
		return status.Error(), status.dead()
	}
	why, dead = reason(err)
	return shown(host) + " " + why, dead
}

// reason is the rest of a sentence that begins with the host.
func reason(err error) (why string, dead bool) {
	if said, ok := errors.AsType[complaint](err); ok {
		return said.Error(), said == errLoop
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "proxyconnect" || op.Op == "socks connect") {
		return "could not be reached through the proxy", false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound && !dns.IsTemporary && !dns.IsTimeout {
			return "is a name that does not exist", true
		}
		return "is a name that could not be looked up now", false
	}
	return broken(err)
}

// broken is about connections that were not made, or did not last.
func broken(err error) (why string, dead bool) {
	var timeout net.Error
	switch {
	case refusedConnection(err):
		return "refuses connections", true
	case errors.Is(err, context.Canceled):
		return "was not waited for", false
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return "did not answer in time", false
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return "broke off", false
	case insecure(err):
		return "offers no secure connection that can be trusted", false
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "could not be reached", false
	}
	return "gives no answer that can be read", false
}

func refusedConnection(err error) bool {
	const winsock = syscall.Errno(10061) // which Windows says instead, and package syscall does not know
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && (errno == syscall.ECONNREFUSED || runtime.GOOS == "windows" && errno == winsock)
}

func insecure(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return certificate || alert || record || errors.Is(err, http.ErrSchemeMismatch)
}
