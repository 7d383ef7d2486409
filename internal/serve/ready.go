package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// readyLimit is how long it may take to find out whether the server is ready.
const readyLimit = 2 * time.Second

// readiness answers whether calls can be served. Anybody may ask, so those who ask at once share one check.
type readiness struct {
	check  func(context.Context) error // nil: always ready
	ending context.Context
	logger *slog.Logger
	mu     sync.Mutex
	asking *finding
}

// finding may be read when done is closed.
type finding struct {
	done chan struct{}
	err  error
}

func (c *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reason := c.reason(r.Context())
	if reason != "" {
		refuse(w, r, http.StatusServiceUnavailable, reason)
		return
	}
	healthy(w, r)
}

// reason says why the server is not ready. The check's own words may hold an address or a password, and stay in the log.
func (c *readiness) reason(ctx context.Context) string {
	if c.ending.Err() != nil {
		return "not ready: the server is stopping"
	}
	if c.check == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	f := c.ask(ctx)
	select {
	case <-f.done:
		if f.err != nil {
			return "not ready: see the server's log"
		}
		return ""
	case <-c.ending.Done():
		return "not ready: the server is stopping"
	case <-ctx.Done():
		return "not ready: the check took more than 2 s"
	}
}

func (c *readiness) ask(ctx context.Context) *finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking != nil {
		return c.asking
	}
	f := &finding{done: make(chan struct{})}
	c.asking = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyLimit) // others may wait for it too
	go func() {
		defer cancel()
		f.err = c.checked(ctx)
		if f.err != nil {
			c.logger.Warn("the server is not ready", "err", f.err)
		}
		c.mu.Lock()
		c.asking = nil
		c.mu.Unlock()
		close(f.done)
	}()
	return f
}

// checked makes an error of a panic: nobody else would catch it here.
func (c *readiness) checked(ctx context.Context) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the check panicked at " + panicked())
		}
	}()
	return c.check(ctx)
}
