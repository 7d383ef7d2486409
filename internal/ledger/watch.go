package ledger

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"
)

// glimpse is how often the ledger is looked at for what other processes have changed, while somebody waits for it.
const glimpse = 250 * time.Millisecond

// watch knows who waits for which task. While anybody does, one goroutine looks at the versions of those tasks.
type watch struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by task
	stop    context.CancelFunc                // of the goroutine, nil when there is none
}

// Watch returns a channel that gets a value when the task has changed, here or in another process, until stop is called.
// What changed before Watch returned may go unnoticed.
func (l *Ledger) Watch(ctx context.Context, id string) (changed <-chan struct{}, stop func()) {
	w := &l.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[string]map[chan struct{}]bool{}
	}
	if w.waiting[id] == nil {
		w.waiting[id] = map[chan struct{}]bool{}
	}
	bell := make(chan struct{}, 1)
	w.waiting[id][bell] = true
	if w.stop == nil {
		var looking context.Context
		looking, w.stop = context.WithCancel(context.WithoutCancel(ctx))
		go l.glimpses(looking)
	}
	return bell, func() { w.leave(id, bell) }
}

func (w *watch) leave(id string, bell chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting[id], bell)
	if len(w.waiting[id]) == 0 {
		delete(w.waiting, id)
	}
	if len(w.waiting) == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// wake rings for everybody who waits for a task; without an id, for all.
func (w *watch) wake(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for task, bells := range w.waiting {
		if id != "" && id != task {
			continue
		}
		for bell := range bells {
			select {
			case bell <- struct{}{}:
			default: // it rings already
			}
		}
	}
}

// gone is the version of a task that is not there any more.
const gone = -1

// absent returns the tasks of which no version was seen.
func absent(ids []any, versions map[string]int64) []string {
	var missing []string
	for _, id := range ids {
		if id, ok := id.(string); ok && versions[id] == 0 {
			missing = append(missing, id)
		}
	}
	return missing
}

func (w *watch) tasks() []any {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]any, 0, len(w.waiting))
	for id := range w.waiting {
		ids = append(ids, id)
	}
	return ids
}

// glimpses looks for changes by others until nobody waits any more.
func (l *Ledger) glimpses(ctx context.Context) {
	tick := time.NewTicker(glimpse)
	defer tick.Stop()
	seen := map[string]int64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := map[string]int64{} // what nobody waits for any more is left out
		const most = 500          // parameters of one statement
		for ids := range slices.Chunk(l.watch.tasks(), most) {
			err := l.each(ctx, func(rows *sql.Rows) error {
				var id string
				var version int64
				err := rows.Scan(&id, &version)
				now[id] = version
				if before, known := seen[id]; !known || before != version {
					l.watch.wake(id)
				}
				return err
			}, "SELECT id, version FROM r2v_task WHERE id IN ("+placeholders(1, len(ids))+")", ids...)
			if err != nil {
				continue // the next look makes up for it
			}
			for _, id := range absent(ids, now) { // adopted tasks that have become others'
				now[id] = gone
				if seen[id] != gone {
					l.watch.wake(id)
				}
			}
		}
		seen = now
	}
}
