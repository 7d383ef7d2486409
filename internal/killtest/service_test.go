package killtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// service is what workers reach: the simulator, and the boss who tells them what to buy. A worker's
// request may be the moment at which it dies.
type service struct {
	http.Handler // the simulator
	*boss
	address string // host:port

	mu     sync.Mutex
	doomed *doom // who makes its request next
}

// boss hands out what is to be bought, again and again until it is known to be bought.
type boss struct {
	mu     sync.Mutex
	random *rand.Rand
	prompt func(n int) string
	issued int               // keys so far
	most   int               // keys in all
	held   map[string]string // by worker and key: what it is doing
	again  []returned        // keys to be handed out anew
	bought map[string]bool
	vitals map[string]vital // by worker
	over   bool
}

type returned struct {
	job
	after time.Time
}

// doom is how a worker will end: at a phase of its next request of a kind.
type doom struct {
	call   string // create, get, list or result
	phase  string
	delay  time.Duration // after the answer
	kill   func(name string) bool
	struck chan struct{} // closed when it is done
}

// The phases of a request at which a worker may die.
const (
	unheard    = "unheard"    // it was sent, and the service never saw it
	unanswered = "unanswered" // the service acted, and the answer never arrived
	halved     = "halved"     // half of the answer arrived
	answered   = "answered"   // the answer was sent a moment ago
)

func newService(t *testing.T, o simulator.Options, random *rand.Rand) *service {
	t.Helper()
	s := &service{
		Handler: simulator.New(o),
		boss: &boss{random: random, held: map[string]string{}, bought: map[string]bool{}, vitals: map[string]vital{}, most: 1 << 30,
			prompt: func(n int) string { return fmt.Sprintf("character1 waves %d times", n) }},
	}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.address = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/boss/") {
		s.order(w, r)
		return
	}
	d := s.meet(r)
	if d == nil {
		s.Handler.ServeHTTP(w, r)
		return
	}
	strike := func() { d.kill(r.UserAgent()); close(d.struck) }
	switch d.phase {
	case unheard:
		strike()
		panic(http.ErrAbortHandler)
	case unanswered, halved:
		answer := httptest.NewRecorder()
		s.Handler.ServeHTTP(answer, r)
		if d.phase == halved {
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
			_ = http.NewResponseController(w).Flush()
		}
		strike()
		panic(http.ErrAbortHandler)
	}
	s.Handler.ServeHTTP(w, r)
	_ = http.NewResponseController(w).Flush()
	time.AfterFunc(d.delay, strike)
}

// meet takes the doom, if this is its request.
func (s *service) meet(r *http.Request) *doom {
	call := ""
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/video-synthesis"):
		call = "create"
	case path == "/api/v1/tasks":
		call = "list"
	case strings.HasPrefix(path, "/api/v1/tasks/"):
		call = "get"
	case strings.HasPrefix(path, "/results/"):
		call = "result"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.doomed
	if d == nil || d.call != call {
		return nil
	}
	s.doomed = nil
	return d
}

// condemn dooms whoever makes the request next.
func (s *service) condemn(d *doom) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = d
}

// pardon takes a doom back, and reports whether nobody has met it.
func (s *service) pardon(d *doom) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doomed != d {
		return false
	}
	s.doomed = nil
	return true
}

// control reads an account that the simulator keeps.
func (s *service) control(t *testing.T, path string, into any) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/control/"+path, strings.NewReader(""))
	r.RemoteAddr = "" // as in memory
	s.Handler.ServeHTTP(w, r)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), into), w.Body.String())
}
