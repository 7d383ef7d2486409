package evolink

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// ReadInterval is the least time between two reads of one task by one client. Each read of a task that is not done makes
// the relay ask the model's maker; no page gives a number, and EvoLink's own client reads video tasks this often.
// Source: https://github.com/EvoLinkAI/evolink-mcp.
const ReadInterval = 8 * time.Second

// turns lets each task be read by one call at a time, and again ReadInterval after the end of a read that may have reached
// the service. Counted from its end, two reads are never nearer at the service than they are here, however long a
// connection took. The zero value is ready.
type turns struct {
	mu    sync.Mutex
	tasks map[string]turn // no longer than it matters
}

// turn is why a task cannot be read now.
type turn struct {
	ended chan struct{} // of the read under way, closed at its end; nil where there is none
	free  time.Time     // from when on the task may be read
}

// take waits until none of the tasks is being read or was read a moment ago, and takes the turns of all of them at once.
// It returns an error when ctx ends, or surely would, before that.
func (t *turns) take(ctx context.Context, ids []string) error {
	for {
		if ctx.Err() != nil {
			return before(ctx)
		}
		blocked, busy := t.try(ids)
		if !busy {
			return nil
		}
		if err := blocked.wait(ctx); err != nil {
			return err
		}
	}
}

// try takes the turns of all tasks, or of none and returns one that is not free.
func (t *turns) try(ids []string) (turn, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(t.tasks, func(_ string, was turn) bool { return was.ended == nil && !now.Before(was.free) })
	for _, id := range ids {
		if was, busy := t.tasks[id]; busy {
			return was, true
		}
	}
	if t.tasks == nil {
		t.tasks = make(map[string]turn)
	}
	ended := make(chan struct{})
	for _, id := range ids {
		t.tasks[id] = turn{ended: ended}
	}
	return turn{}, false
}

// end ends the turns that a call took. A read that certainly did not reach the service does not count.
func (t *turns) end(ids []string, reached bool) {
	if len(ids) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.tasks[ids[0]].ended) // the same for all
	for _, id := range ids {
		if reached {
			t.tasks[id] = turn{free: time.Now().Add(ReadInterval)}
		} else {
			delete(t.tasks, id)
		}
	}
}

func (t turn) wait(ctx context.Context) error {
	var free <-chan time.Time
	if t.ended == nil {
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(t.free) {
			return fmt.Errorf("the task was read less than %v ago: %w", ReadInterval, context.DeadlineExceeded)
		}
		timer := time.NewTimer(time.Until(t.free))
		defer timer.Stop()
		free = timer.C
	}
	select {
	case <-t.ended: // never, where it is nil
	case <-free:
	case <-ctx.Done():
		return before(ctx)
	}
	return nil
}
