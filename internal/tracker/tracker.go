// Package tracker carries a task through its life: bought once, followed until it ends, its clip saved. Any number of
// processes do so on one ledger, and each can go on where another was ended.
package tracker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// Saver keeps a finished clip: the whole file or none.
type Saver interface {
	Save(ctx context.Context, name, url string) (video.Clip, error)
}

// Tracker follows tasks. Its fields are set before its first use.
type Tracker struct {
	Provider     provider.Provider
	Ledger       *ledger.Ledger
	Saver        Saver         // nil saves nothing
	PollInterval time.Duration // how often an open task is looked at, at the longest
	CreateTurn   time.Duration // how far apart the purchases of all processes are; 0 keeps them below the documented 5 a second
	Patience     time.Duration // how long Create waits for a purchase before it answers; 0 is 40 s
	Absence      time.Duration // how long an order of unknown fate is looked for in vain before it was not bought; 0 is [ledger.Doubt]
	Logger       *slog.Logger  // a line for each purchase and each end, without prompt, link or key
	// Ended is told of each task's end once, by the process that records it: with its bill where the end tells it, before its clip is saved. It is nil where
	// nobody wants to know; a process that is killed at that moment tells nobody. A purchase that was refused is no task's end.
	Ended func(context.Context, video.Task)
	// Billed is told of each bill that came after the end, by the process that records it; nil where nobody wants to know.
	Billed func(video.Task)
	// Callbacks sends messages to who is to be told of a task's end; nil where this process sends none.
	Callbacks Callbacks
	// Body is what a callback says of a task. It is there where Callbacks is.
	Body func(context.Context, video.Task) ([]byte, error)
	// Named is whether callbacks of people with a name are sent too: a server for people can tell them where their clips are.
	Named bool
	// Called is told of each attempt at a callback: "delivered", "failed" or "given_up". It is nil where nobody wants to know.
	Called func(outcome string)
	// HintURL is what the address of the provider's own callbacks begins with, before a task's hint; empty where it is to make none.
	HintURL string
	// ReadInterval is how long a task is left alone between two reads of it, 0 for as long as the pace of the sweep leaves it.
	ReadInterval time.Duration

	// Hinted is told what came of each of the provider's own callbacks: "looked", "found" or "ignored". It is nil where nobody wants to know.
	Hinted func(outcome string)

	rounds bell // rings when a task is to be looked at, or its clip saved
	calls  bell // rings when a callback may be due
	bills  bell // rings when a bill is to be asked for that was not told with the end

	mu      sync.Mutex // for what is below
	ending  bool       // no work begins once its end is waited for
	work    sync.WaitGroup
	traits  map[string]traits    // of tasks that may be purchases of unknown fate
	saving  map[string]bool      // tasks whose clips this process is saving
	warned  map[string]time.Time // tasks that were raised loudly
	aside   time.Time            // until then this process looks at nothing: its key is refused
	refusal error                // what the service refused this process with the last time, nil when it did not

	hints hints // what the provider's own callbacks have led to

	desks map[string]chan struct{} // at which a person's cancellations stand in line

	calling map[string]int  // callbacks under way, by owner
	talk    context.Context // lives as long as they may go on
	hangUp  context.CancelFunc

	lookLost time.Time // when it is looked for ends next that nobody was told of

	billsAside time.Time // until then this process asks for none; for the loop that asks alone
	listsAside time.Time // until then it reads no list for one; for that loop alone

	complained time.Time // when an outage was last told
}

// Drain waits until purchases under way are recorded and downloads saved. Receivers of callbacks have a second to answer, and what they
// have not answered by then is left to the next process. It is for the end of the program.
func (t *Tracker) Drain() {
	t.mu.Lock()
	t.ending = true
	t.talking()
	hangUp := t.hangUp
	if t.hints.stop != nil {
		t.hints.stop()
	}
	t.mu.Unlock()
	defer time.AfterFunc(lastWords, hangUp).Stop()
	t.work.Wait()
}

// begin starts work that Drain waits for, and reports whether there is time for it.
func (t *Tracker) begin(work func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ending {
		return false
	}
	t.work.Go(work)
	return true
}

// List returns a page of tasks, newest first, and the cursor of the next page, empty on the last. It returns a *[video.Error]
// for a cursor that no page has given out.
func (t *Tracker) List(ctx context.Context, f video.Filter) ([]video.Task, string, error) {
	tasks, next, err := t.Ledger.List(ctx, f)
	if errors.Is(err, ledger.ErrCursor) {
		err = &video.Error{Charged: video.NotCharged, Failure: video.Failure{
			Code: "CursorUnknown", Message: "cursor: " + err.Error(), Advice: "Call list_tasks without a cursor for the first page.",
		}}
	}
	return tasks, next, err
}

// Budget tells how the day's budget stands for a person in a currency, nil when there is none.
func (t *Tracker) Budget(ctx context.Context, owner, currency string) (*video.Budget, error) {
	return t.Ledger.Budget(ctx, owner, currency)
}

// keep gives signs of life for a task until stop is called.
func (t *Tracker) keep(ctx context.Context, task video.Task) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(t.Ledger.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// One that fails is made up for by the next one.
				_, _ = t.Ledger.Keep(ctx, task, time.Now().Add(t.Ledger.Lease))
			}
		}
	})
	return func() { cancel(); wait.Wait() }
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
