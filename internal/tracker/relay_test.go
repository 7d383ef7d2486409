package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// relay makes clips, and keeps when each of its tasks was read. It has no list, unless tasks are to be listed.
type relay struct {
	listing bool
	percent int                     // how far the list says that all of them are
	create  func(task string) error // what becomes of an answer; nil: it arrives
	slow    time.Duration           // how long a read takes
	refuse  error                   // what reads fail with; nil: they do not

	mu    sync.Mutex
	tasks map[string]video.Snapshot
	hints map[string]string // where each create wants its callback
	reads map[string][]time.Time

	bills     map[string]*decimal.Decimal // that the list tells
	billErr   error
	billReads int
}

func newRelay() *relay {
	return &relay{tasks: map[string]video.Snapshot{}, hints: map[string]string{}, reads: map[string][]time.Time{}}
}

func (r *relay) Create(_ context.Context, p provider.Purchase) (provider.Bought, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := fmt.Sprintf("task-unified-%d", len(r.tasks))
	r.tasks[id], r.hints[id] = video.Snapshot{Status: video.Running, SubmittedAt: time.Now()}, p.CallbackURL
	if r.create != nil {
		return provider.Bought{}, r.create(id)
	}
	return provider.Bought{ID: id}, nil
}

func (r *relay) Look(ctx context.Context, id string) (video.Snapshot, error) {
	r.mu.Lock()
	r.reads[id] = append(r.reads[id], time.Now())
	s, ok := r.tasks[id]
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		return video.Snapshot{}, refuse
	}
	select {
	case <-time.After(r.slow):
	case <-ctx.Done():
		return video.Snapshot{}, ctx.Err()
	}
	if !ok {
		return video.Snapshot{Status: video.Unknown}, nil
	}
	return s, nil
}

func (r *relay) List(context.Context, time.Time, time.Time, int) (provider.Page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.listing {
		return provider.Page{}, &video.Error{Failure: video.Failure{Code: provider.NotSupported}}
	}
	page := provider.Page{Last: true, ServedAt: time.Now()}
	for id, s := range r.tasks { // which lags: it does not show an end yet
		page.Tasks = append(page.Tasks, provider.Listed{ID: id, Status: video.Running, Model: "wan2.7-r2v", SubmittedAt: s.SubmittedAt, Progress: r.percent})
	}
	return page, nil
}

func (r *relay) Bill(_ context.Context, id string, _ time.Time) (*decimal.Decimal, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.billReads++
	return r.bills[id], r.billErr
}

func (r *relay) billsAsked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.billReads
}

func (r *relay) Cancel(context.Context, string) error {
	return &video.Error{Failure: video.Failure{Code: provider.NotSupported}}
}

func (r *relay) Upload(context.Context, string, provider.File) (provider.Uploaded, error) {
	return provider.Uploaded{}, errors.New("not here")
}

func (r *relay) Words() provider.Words { return provider.Words{} }

// end ends a task, and a success with its bill.
func (r *relay) end(id string, s video.Status) {
	r.endAlone(id, s)
	if s == video.Succeeded {
		r.bill(id)
	}
}

// endAlone ends a task that tells no bill.
func (r *relay) endAlone(id string, s video.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks[id] = video.Snapshot{Status: s, SubmittedAt: r.tasks[id].SubmittedAt, VideoURL: "https://media.example/a.mp4"}
}

// readOf tells when a task was read, counted from a moment.
func (r *relay) readOf(id string, since time.Time) (all []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.reads[id] {
		all = append(all, at.Sub(since))
	}
	return all
}

// spaced requires that no task was ever read sooner after a read than it may be, and tells how many reads there were.
func (r *relay) spaced(t *testing.T) (reads int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, at := range r.reads {
		reads += len(at)
		for i := range at[1:] {
			require.GreaterOrEqual(t, at[i+1].Sub(at[i]), apart, "%s: %v", id, at)
		}
	}
	return reads
}
