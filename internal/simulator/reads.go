package simulator

import (
	"net/http"
	"time"
)

// reads is how often a task was asked for by its id, and how soon again.
type reads struct {
	count    int
	last     time.Time
	shortest time.Duration // between two of them, if there were two
}

func (r *reads) note(now time.Time) {
	if since := max(0, now.Sub(r.last)); r.count == 1 || (r.count > 1 && since < r.shortest) {
		r.shortest = since
	}
	r.count++
	r.last = now
}

// noteRead counts a read when it arrives, whatever becomes of it.
func (s *Server) noteRead(c *call) *refusal {
	s.noteReads(c.now, c.taskID())
	return nil
}

func (s *Server) noteReads(now time.Time, ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if t, ok := s.tasks[id]; ok {
			t.reads.note(now)
		}
	}
}

// observedReads tells of one task how often it was read; of its own id, alone or in a batch, not of lists.
type observedReads struct {
	TaskID   string   `json:"task_id"`
	Reads    int      `json:"reads"`
	Shortest *float64 `json:"shortest_seconds"` // between two reads, null if there were not two
}

func (s *Server) showReads(*http.Request) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]observedReads, 0, len(s.queue))
	for _, t := range s.queue {
		o := observedReads{TaskID: t.id, Reads: t.reads.count}
		if t.reads.count > 1 {
			seconds := t.reads.shortest.Seconds()
			o.Shortest = &seconds
		}
		list = append(list, o)
	}
	return http.StatusOK, list
}
