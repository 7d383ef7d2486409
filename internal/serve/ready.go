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

const (
	readyFor = time.Second      // a finding holds
	sayAgain = 30 * time.Second // between two lines of the log about the same trouble
)

// readiness answers whether calls can be served. Anybody may ask, so those who ask within a second share one check, and the log
// tells a change at once and the rest seldom.
type readiness struct {
	check  func(context.Context) error // nil: always ready
	ending context.Context
	logger *slog.Logger
	mu     sync.Mutex
	latest *finding
	said   string    // the trouble that was logged last, empty when there is none
	at     time.Time // when
}

// finding may be read when done is closed.
type finding struct {
	done  chan struct{}
	err   error
	until time.Time // zero while it is looked for
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
	if f := c.latest; f != nil && (f.until.IsZero() || time.Now().Before(f.until)) {
		return f
	}
	f := &finding{done: make(chan struct{})}
	c.latest = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyLimit) // others may wait for it too
	go func() {
		defer cancel()
		err := c.checked(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		f.err, f.until = err, time.Now().Add(readyFor)
		c.report(err) // before anybody is told to look at it
		close(f.done)
	}()
	return f
}

// report logs how the server is.
func (c *readiness) report(err error) {
	now := time.Now()
	switch {
	case err == nil && c.said != "":
		c.logger.Info("the server is ready again")
		c.said = ""
	case err != nil && (err.Error() != c.said || now.Sub(c.at) >= sayAgain):
		c.logger.Warn("the server is not ready", "err", err)
		c.said, c.at = err.Error(), now
	}
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
