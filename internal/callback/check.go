package callback

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/video"
)

const (
	// headTimeout bounds the one question to a receiver before a purchase.
	headTimeout = 3 * time.Second
	// rememberGood is how long an address need not be asked again, so that an estimate and the purchase after it ask once; what is
	// refused may be mended meanwhile.
	rememberGood, rememberBad = 5 * time.Minute, 30 * time.Second
	// mostRemembered bounds the memory for addresses.
	mostRemembered = 500
)

// Check tells whether a receiver's address may be called: its form, that its host is allowed and leads to public addresses only, and that
// it does not redirect, for which it is asked once with HEAD. It returns the problem for which nothing may be bought, nil for none, and else a
// warning for people where the receiver does not seem to be there now. What it finds is remembered for a while.
func (s *Sender) Check(ctx context.Context, address string) (problem *video.Problem, warning string) {
	u, wrong := s.form(address)
	if wrong != "" {
		return s.problem(wrong), ""
	}
	found, known := s.seen.get(address)
	if !known {
		found = s.ask(ctx, u)
		if ctx.Err() == nil { // else nothing was found out
			s.seen.put(address, found)
		}
	}
	if found.wrong != "" {
		return s.problem(found.wrong), ""
	}
	return nil, found.warning
}

// finding is what was found at an address.
type finding struct {
	wrong, warning string
	until          time.Time
}

// ask looks where an address leads.
func (s *Sender) ask(ctx context.Context, u *url.URL) finding {
	later := func(why string) finding {
		return finding{warning: "callback_url: " + why + "; the callback is tried for 24 hours all the same"}
	}
	if err := s.Egress.CheckPublic(ctx, u); err != nil {
		if why, dead := egress.Dead(err); !dead {
			return later(why)
		}
		return finding{wrong: explain(u, err)}
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.String(), nil)
	if err != nil {
		return finding{wrong: "it cannot be read as an address"}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if _, refused := errors.AsType[*egress.Refused](err); refused || errors.Is(err, egress.ErrLocation) {
			return finding{wrong: explain(u, err)}
		}
		return later(explain(u, err))
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code/100 == 3:
		return finding{wrong: about(u.Hostname(), redirects)}
	case code == http.StatusMethodNotAllowed, code == http.StatusNotImplemented: // it takes POST alone, as it should
	case code == http.StatusNotFound, code == http.StatusGone, code >= http.StatusInternalServerError:
		return later(about(u.Hostname(), answered(code)))
	}
	return finding{}
}

// memory keeps what was found at addresses.
type memory struct {
	mu   sync.Mutex
	kept map[string]finding
}

func (m *memory) get(address string) (finding, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.kept[address]
	return f, ok && time.Now().Before(f.until)
}

func (m *memory) put(address string, f finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil || len(m.kept) >= mostRemembered {
		m.kept = map[string]finding{} // it is only a memory: what is forgotten is asked again
	}
	f.until = time.Now().Add(rememberGood)
	if f.wrong != "" {
		f.until = time.Now().Add(rememberBad)
	}
	m.kept[address] = f
}
