package simulator

import (
	"net/http"
	"sync"
	"time"
)

// observedTask is a remembered task as a test compares it with what it thinks it bought.
type observedTask struct {
	TaskID    string    `json:"task_id"`
	Prompt    string    `json:"prompt"` // cut to the model's limit
	Model     string    `json:"model"`
	Status    status    `json:"status"` // now, in DashScope's words
	Submitted time.Time `json:"submitted"`
	Ends      time.Time `json:"ends"`  // as planned now, unless it was cancelled
	Usage     any       `json:"usage"` // the bill as GET of the task shows it; null unless it succeeded
}

func (s *Server) showTasks(*http.Request) (int, any) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]observedTask, 0, len(s.queue))
	for _, t := range s.queue {
		o := observedTask{
			TaskID: t.id, Prompt: t.order.prompt, Model: t.order.model.name, Status: t.status(now),
			Submitted: t.submitted.UTC(), Ends: t.ends.UTC(),
		}
		if !t.canceled.IsZero() {
			o.Ends = t.canceled.UTC()
		}
		if o.Status == succeeded {
			o.Usage = t.order.usage()
		}
		list = append(list, o)
	}
	return http.StatusOK, list
}

// rateMeter finds the most calls of a kind within any one second. It has a lock of its own: a call that waits for
// another's work has arrived all the same.
type rateMeter struct {
	mu     sync.Mutex
	latest map[operation][]time.Time // the arrivals of the last second
	most   map[operation]int
}

func newRateMeter(metered []operation) *rateMeter {
	m := rateMeter{latest: make(map[operation][]time.Time), most: make(map[operation]int)}
	for _, op := range metered {
		m.most[op] = 0
	}
	return &m
}

// arrive notes a call, whatever becomes of it, and returns its time.
func (m *rateMeter) arrive(op operation) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	most, metered := m.most[op]
	if !metered {
		return now
	}
	latest := m.latest[op]
	for len(latest) > 0 && now.Sub(latest[0]) >= time.Second {
		latest = latest[1:]
	}
	m.latest[op] = append(latest, now)
	m.most[op] = max(most, len(m.latest[op]))
	return now
}

func (s *Server) showRates(*http.Request) (int, any) {
	s.rates.mu.Lock()
	defer s.rates.mu.Unlock()
	rates := make(map[operation]int)
	for op, most := range s.rates.most {
		rates[op] = most
	}
	return http.StatusOK, rates
}
