package dashscope

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// How long one attempt may take, from asking for a connection to the last byte of the answer.
const (
	createTimeout = 60 * time.Second
	readTimeout   = 30 * time.Second
)

// lane is how one kind of call goes out: how often, how long, and what may be repeated.
type lane struct {
	transport http.RoundTripper
	limiter   *rate.Limiter
	timeout   time.Duration // of one attempt; 0 means none
	retry     retryRule
}

func (c *Client) openLanes(client *http.Client) {
	if client == nil {
		client = &http.Client{}
	}
	// Only the transport is taken from the client. An http.Client would follow redirects and carry the key along; a
	// transport cannot.
	shared := client.Transport
	if shared == nil {
		shared = newTransport()
	}
	within := func(limit time.Duration) time.Duration {
		if client.Timeout > 0 && (limit == 0 || client.Timeout < limit) {
			return client.Timeout
		}
		return limit
	}
	read := within(readTimeout)
	c.creates = lane{freshConnections(shared), newLimiter(createsPerSecond), within(createTimeout), retryUnspent()}
	c.queries = lane{shared, newLimiter(queriesPerSecond), read, retryReads()}
	c.lists = lane{shared, newLimiter(listsPerSecond), read, retryReads()}
	c.cancels = lane{shared, newLimiter(cancelsPerSecond), read, retryUnspent()}
	c.policies = lane{shared, newLimiter(uploadPoliciesPerSecond), read, retryReads()}
	c.files = lane{transport: shared, timeout: within(0)} // a large file on a slow line takes what it takes
}

// newLimiter keeps every window of one second within limit. A bucket of burst b that refills at r a second lets through at
// most b + r·w in any window of w seconds, wherever the window begins; with b = limit that would be twice the limit.
func newLimiter(limit int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(limit-1), 1)
}

// wait blocks until a request may go out. It returns an error when ctx ends, or surely would, before that.
func (l *lane) wait(ctx context.Context) error {
	if l.limiter != nil {
		if err := l.limiter.Wait(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait for the request rate: %w", context.DeadlineExceeded)
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("before anything was sent: %w", context.Cause(ctx))
	}
	return nil
}

func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // like the official SDKs; under HTTP/2 the transport may send a request again by itself
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  createTimeout,
		IdleConnTimeout:        50 * time.Second, // below the minute after which load balancers commonly hang up
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols,
	}
}

// freshConnections returns the transport for creates: each gets a connection of its own.
//
// On a kept connection the server may hang up at the very moment the request is written, and nobody could then say whether
// it was read: a paid task of unknown fate, for the price of one handshake. net/http would not send such a POST again
// (it does so only where nothing at all was written and Request.GetBody is set, which is not set here), so the danger is
// not a second task but an avoidable doubt. A transport of another type is the caller's own and is used as it is.
func freshConnections(shared http.RoundTripper) http.RoundTripper {
	t, ok := shared.(*http.Transport)
	if !ok {
		return shared
	}
	t = t.Clone()
	t.DisableKeepAlives = true
	return t
}
