package killtest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"
)

// balancer sends calls to replicas in turn, and knows which had which. It never sends one again whose bytes have left.
type balancer struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	members []*member
	turn    int
	calls   []*passage
}

// member is a replica as the balancer sees it.
type member struct {
	*replica
	out bool
}

// passage is one call on its way through the balancer.
type passage struct {
	key, tool    string // as the customer says
	to           *replica
	began, ended time.Time
	failed       error // after bytes have left
}

// lookEvery is how often the balancer asks /readyz.
const lookEvery = 200 * time.Millisecond

func newBalancer(t *testing.T) *balancer {
	b := &balancer{t: t}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// add lets a replica take part until it is gone.
func (b *balancer) add(r *replica) {
	m := &member{replica: r}
	b.mu.Lock()
	b.members = append(b.members, m)
	b.mu.Unlock()
	go func() {
		for pause(b.t.Context(), lookEvery) {
			select {
			case <-r.gone:
				b.set(m, true)
				return
			default:
				b.set(m, !r.ready(b.t.Context()))
			}
		}
	}()
}

func (b *balancer) set(m *member, out bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.out = out
}

// pick takes the next replica that is not out, nil when there is none.
func (b *balancer) pick() *member {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.members {
		b.turn++
		if m := b.members[b.turn%len(b.members)]; !m.out {
			return m
		}
	}
	return nil
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the customer is gone
	}
	for {
		m := b.pick()
		if m == nil {
			http.Error(w, "no replica is there", http.StatusServiceUnavailable)
			return
		}
		p := &passage{key: r.Header.Get("X-Key"), tool: r.Header.Get("X-Tool"), to: m.replica, began: time.Now()}
		err := b.pass(w, r, body, m)
		if errors.Is(err, errUnreached) {
			b.set(m, true)
			continue
		}
		p.ended = time.Now()
		if r.Context().Err() == nil {
			p.failed = err
		}
		b.mu.Lock()
		b.calls = append(b.calls, p)
		b.mu.Unlock()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
}

var errUnreached = errors.New("no connection")

// pass sends a call to a replica and its answer back, piece by piece.
func (b *balancer) pass(w http.ResponseWriter, r *http.Request, body []byte, m *member) error {
	reached := false
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }})
	out, err := http.NewRequestWithContext(ctx, r.Method, "http://"+m.address+r.URL.RequestURI(), io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return err
	}
	out.Header, out.ContentLength = r.Header.Clone(), int64(len(body))
	resp, err := freshly.RoundTrip(out)
	switch {
	case err != nil && !reached && r.Context().Err() == nil:
		return errUnreached
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	flushed := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		_, _ = w.Write(buffer[:n])
		_ = flushed.Flush()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// passed returns all calls so far, and those of them that failed.
func (b *balancer) passed() (all, failed []*passage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.calls {
		if all = append(all, p); p.failed != nil {
			failed = append(failed, p)
		}
	}
	return all, failed
}

// inFlight reports whether a call was at its replica when that was ended with -9.
func (p *passage) inFlight() bool {
	select {
	case <-p.to.gone:
	default:
		return false
	}
	return !p.to.began.IsZero() && !p.began.After(p.to.ended) && !p.ended.Before(p.to.began)
}
