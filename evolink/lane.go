package evolink

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// How long one attempt may take, from asking for a connection to the last byte of the answer.
const (
	createTimeout = 60 * time.Second
	readTimeout   = 30 * time.Second
	fetchTimeout  = 60 * time.Second // the relay downloads a file before it answers
)

// lane is how one kind of call goes out: where to, how long, and what may be repeated. The service publishes no rates of
// requests to be kept.
type lane struct {
	at        service
	transport http.RoundTripper
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
	c.creates = lane{c.api, freshConnections(shared), within(createTimeout), retryUnspent()}
	c.queries = lane{c.api, shared, within(readTimeout), retryUnconnected()}
	c.lists = lane{c.api, shared, within(readTimeout), retryReads()}
	c.fetches = lane{c.store, shared, within(fetchTimeout), retryUnspent()}
	c.files = lane{at: c.store, transport: shared, timeout: within(0)} // a large file on a slow line takes what it takes
}

// before is the error of a context that ended before its request left.
func before(ctx context.Context) error {
	return fmt.Errorf("before anything was sent: %w", context.Cause(ctx))
}

func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // under HTTP/2 the transport may send a request again by itself
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
// it was read: a paid task of unknown fate, for the price of one handshake. A transport of another type is the caller's
// own and is used as it is.
func freshConnections(shared http.RoundTripper) http.RoundTripper {
	t, ok := shared.(*http.Transport)
	if !ok {
		return shared
	}
	t = t.Clone()
	t.DisableKeepAlives = true
	return t
}
