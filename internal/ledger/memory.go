// Package ledger keeps tasks and the claims to buy them. What is here keeps them in memory, for as long as one process
// lives; whoever uses it sees only claims and tasks, so that a database can take its place.
package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"r2v-mcp/internal/video"
)

// doubt is how long an order of unknown fate keeps an equal one from being bought under another key.
const doubt = 10 * time.Minute

// unanswered is how long a purchase may be under way before an equal one under another key would repeat it rather than be
// meant beside it.
const unanswered = 30 * time.Second

// IDPrefix begins every task id that a ledger gives out, and no provider's.
const IDPrefix = "r2v-"

// ErrNotFound says that the ledger has no such task.
var ErrNotFound = errors.New("there is no such task in the ledger")

// Memory is a ledger that lasts as long as its process. It is safe for concurrent use.
type Memory struct {
	window time.Duration // within it, equal requests without a key count as one

	mu    sync.Mutex
	tasks []*entry // in the order of their claims
}

type entry struct {
	task        video.Task
	fingerprint string
	changed     chan struct{} // closed and replaced at every change
}

// NewMemory makes an empty ledger with the duplicate window.
func NewMemory(window time.Duration) *Memory { return &Memory{window: window} }

// Claim reserves the right to buy an order, once. It returns the new task and true to exactly one caller for each key, who
// must then buy it and record the outcome with Bought or NotBought; every other caller gets the same task and false. Without a key an
// equal request within the duplicate window counts as the same. A claim whose purchase was refused may be claimed again.
//
// It returns ErrNotFound for an order that is only to be replayed and never was, and a *[video.Error] when the key belongs to another request, and when an equal one of unknown fate is younger than
// the window.
func (m *Memory) Claim(_ context.Context, o video.Order) (video.Task, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.earlier(o)
	switch {
	case old == nil && o.Replay:
		return video.Task{}, false, ErrNotFound
	case old == nil:
		if doubtful := m.doubtful(o); doubtful != nil {
			return video.Task{}, false, mayBeBought(doubtful.task)
		}
		return m.add(o), true, nil
	case old.fingerprint != o.Fingerprint:
		return video.Task{}, false, keyReused(old.task)
	case refused(&old.task) && !o.Replay:
		if doubtful := m.doubtful(o); doubtful != nil {
			return video.Task{}, false, mayBeBought(doubtful.task)
		}
		old.task.Status, old.task.Failure, old.task.CreatedAt = video.Pending, nil, time.Now()
		old.task.Estimate = &o.Estimate
		old.wake()
		return old.task, true, nil
	}
	return old.task, false, nil
}

// earlier finds the task that an order would repeat.
func (m *Memory) earlier(o video.Order) *entry {
	for i := len(m.tasks) - 1; i >= 0; i-- {
		e := m.tasks[i]
		if o.IdempotencyKey != "" {
			if e.task.IdempotencyKey == o.IdempotencyKey {
				return e
			}
			continue
		}
		if e.fingerprint == o.Fingerprint && time.Since(e.task.CreatedAt) < m.within(&e.task) {
			return e
		}
	}
	return nil
}

// within is how long an equal order without a key counts as the same. What failed may be bought again at once; what is
// still being made, or may have been bought, not before everybody would know.
func (m *Memory) within(t *video.Task) time.Duration {
	switch {
	case t.Status == video.Failed || t.Status == video.Canceled:
		return 0
	case t.Status == video.Unknown || t.Status.Open():
		return video.Lifetime
	}
	return m.window
}

// refused reports whether the purchase itself was refused, so that nothing was ever made under this claim.
func refused(t *video.Task) bool { return t.Status == video.Failed && t.ProviderTaskID == "" }

// doubtful finds an equal order of which nobody knows yet whether it was bought. Another key must not buy it again before
// somebody had the time to look.
func (m *Memory) doubtful(o video.Order) *entry {
	for _, e := range m.tasks {
		age := time.Since(e.task.CreatedAt)
		inDoubt := e.task.Status == video.Unknown || (underway(&e.task) && age > unanswered)
		if e.fingerprint == o.Fingerprint && inDoubt && age < max(m.window, doubt) {
			return e
		}
	}
	return nil
}

func mayBeBought(t video.Task) error {
	return &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{
		Code:    "MayBeBoughtAlready",
		Message: fmt.Sprintf("task %s is the same request, and nobody knows yet whether it was bought", t.ID),
		Advice:  "This call bought nothing. Tell the user to look for the task in the Model Studio console; buy it again only if it is not there.",
	}}
}

func keyReused(t video.Task) error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code:    "IdempotencyKeyReused",
		Message: fmt.Sprintf("idempotency_key %s belongs to task %s, which was another request", t.IdempotencyKey, t.ID),
		Advice:  fmt.Sprintf("Nothing was bought. Call get_task with task_id %s for the earlier clip; give a new idempotency_key to buy this one.", t.ID),
	}}
}

func (m *Memory) add(o video.Order) video.Task {
	e := &entry{fingerprint: o.Fingerprint, changed: make(chan struct{}), task: video.Task{
		ID: newID(), IdempotencyKey: o.IdempotencyKey, Request: o.Request, Estimate: &o.Estimate,
		Snapshot: video.Snapshot{Status: video.Pending}, CreatedAt: time.Now(),
	}}
	if e.task.IdempotencyKey == "" {
		e.task.IdempotencyKey = "auto-" + strings.TrimPrefix(newID(), IDPrefix)
	}
	m.tasks = append(m.tasks, e)
	return e.task
}

// Adopt records a task that was made elsewhere, and returns it under an id of ours.
func (m *Memory) Adopt(_ context.Context, providerTaskID string, s video.Snapshot) (video.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.find(providerTaskID); e != nil {
		return e.task, nil
	}
	e := &entry{changed: make(chan struct{}), task: video.Task{
		ID: newID(), ProviderTaskID: providerTaskID, Snapshot: s, CreatedAt: time.Now(), LookedAt: time.Now(),
	}}
	if s.SubmittedAt.IsZero() {
		e.task.SubmittedAt = e.task.CreatedAt
	}
	m.tasks = append(m.tasks, e)
	return e.task, nil
}

// Task finds a task by our id or by its provider's. It returns ErrNotFound when there is none.
func (m *Memory) Task(_ context.Context, id string) (video.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.find(id); e != nil {
		return e.task, nil
	}
	return video.Task{}, ErrNotFound
}

// Changed returns a channel that is closed at the task's next change, nil when there is no such task.
func (m *Memory) Changed(id string) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.find(id); e != nil {
		return e.changed
	}
	return nil
}

func (m *Memory) find(id string) *entry {
	for _, e := range m.tasks {
		if id != "" && (e.task.ID == id || e.task.ProviderTaskID == id) {
			return e
		}
	}
	return nil
}

func (e *entry) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// newID makes an id that nobody can guess: 130 random bits.
func newID() string { return IDPrefix + strings.ToLower(rand.Text()) }
