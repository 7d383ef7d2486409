// Package tracker carries a task through its life: bought once, looked at until it ends, its clip saved.
package tracker

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// Ledger is what the tracker needs of the place where tasks are kept. Its methods do what those of [ledger.Memory] do.
type Ledger interface {
	Claim(ctx context.Context, o video.Order) (task video.Task, claimed bool, err error)
	Adopt(ctx context.Context, providerTaskID string, s video.Snapshot) (video.Task, error)
	Task(ctx context.Context, id string) (video.Task, error)
	Bought(ctx context.Context, id, providerTaskID string) (video.Task, error)
	NotBought(ctx context.Context, id string, reason *video.Error) (video.Task, error)
	Looked(ctx context.Context, id string, s *video.Snapshot) (video.Task, error)
	Saved(ctx context.Context, id, path string, failure error) (video.Task, error)
	Changed(id string) <-chan struct{}
}

// Saver keeps a finished clip. It returns the path of the whole file.
type Saver interface {
	Save(ctx context.Context, name, url string) (path string, err error)
}

const (
	// createTimeout bounds a purchase, retries of throttled ones included.
	createTimeout = 2 * time.Minute
	// stepTimeout bounds a look and the download that may follow it.
	stepTimeout = 5 * time.Minute
	// firstLook is what even a call that does not want to wait grants the provider for one answer.
	firstLook = 2 * time.Second
)

// Tracker follows tasks. Its fields are set before its first use.
type Tracker struct {
	Provider     provider.Provider
	Ledger       Ledger
	Saver        Saver         // nil saves nothing
	PollInterval time.Duration // how often an open task is looked at

	steps singleflight.Group // however many wait for a task, it is looked at once
}

// Create buys the clip of an order at most once: see [provider.Provider] and [ledger.Memory.Claim]. From the moment of the
// claim no hang-up stops it: the provider's id is recorded before anyone is answered. A task whose create was never
// answered comes back with status UNKNOWN. An error means that nothing was bought.
func (t *Tracker) Create(ctx context.Context, o video.Order) (video.Task, bool, error) {
	task, claimed, err := t.Ledger.Claim(ctx, o)
	if err != nil {
		return video.Task{}, false, err
	}
	if !claimed {
		task, err = t.outcome(ctx, task)
		return task, true, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	if task, err = t.buy(ctx, task); err != nil {
		return video.Task{}, false, err
	}
	return task, false, refusal(&task)
}

// buy sends the create of a claimed task and records what became of it.
func (t *Tracker) buy(ctx context.Context, task video.Task) (video.Task, error) {
	id, err := t.Provider.Create(ctx, task.Request)
	if err == nil {
		return t.Ledger.Bought(ctx, task.ID, id)
	}
	reason, ok := errors.AsType[*video.Error](err)
	if !ok { // what is not understood may have cost money
		reason = &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Unexpected", Message: err.Error()}}
	}
	return t.Ledger.NotBought(ctx, task.ID, reason)
}

// refusal is the error of a task whose purchase was refused, nil for any other.
func refusal(task *video.Task) error {
	if task.Status == video.Failed && task.ProviderTaskID == "" {
		return &video.Error{Failure: *task.Failure, Charged: video.NotCharged}
	}
	return nil
}

// outcome waits until the purchase that somebody else has under way is decided.
func (t *Tracker) outcome(ctx context.Context, task video.Task) (video.Task, error) {
	for task.Status == video.Pending && task.ProviderTaskID == "" {
		changed := t.Ledger.Changed(task.ID)
		var err error
		if task, err = t.Ledger.Task(ctx, task.ID); err != nil || task.ProviderTaskID != "" || task.Status != video.Pending {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return task, nil
		}
	}
	return task, refusal(&task)
}

// Wait returns the task when it has ended and its clip is saved, or after the limit, or when ctx ends. A task that the
// ledger does not know is looked for at the provider, and kept from then on. An error next to a task with an ID says why
// its newest state could not be had; without an ID there is no such task.
func (t *Tracker) Wait(ctx context.Context, id string, limit time.Duration) (video.Task, error) {
	task, err := t.find(ctx, id)
	if err != nil {
		return video.Task{}, err
	}
	end := time.Now().Add(limit)
	waiting, cancel := context.WithTimeout(ctx, max(limit, firstLook))
	defer cancel()
	for t.unfinished(&task) {
		delay, stepErr := t.shared(waiting, task.ID)
		if !errors.Is(stepErr, errStillLooking) {
			err = stepErr
		}
		task = t.latest(ctx, task)
		if !t.unfinished(&task) || !sleep(waiting, min(delay, time.Until(end))) {
			break
		}
	}
	return task, err
}

// errStillLooking says that a step had not ended when patience had.
var errStillLooking = errors.New("the service has not answered yet")

// shared takes a step together with everybody else who waits for the task. It returns early when ctx ends; the step goes on.
func (t *Tracker) shared(ctx context.Context, id string) (time.Duration, error) {
	select {
	case r := <-t.steps.DoChan(id, func() (any, error) { return t.step(ctx, id) }):
		delay, _ := r.Val.(time.Duration)
		return delay, r.Err
	case <-ctx.Done():
		return 0, errStillLooking
	}
}

// sleep waits and reports whether there is time left for more.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return d > 0 && ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (t *Tracker) latest(ctx context.Context, task video.Task) video.Task {
	if now, err := t.Ledger.Task(context.WithoutCancel(ctx), task.ID); err == nil {
		return now
	}
	return task
}

// unfinished reports whether a step may still change the task.
func (t *Tracker) unfinished(task *video.Task) bool {
	return task.Status.Open() || (task.Status == video.Succeeded && task.SavedTo == "" && t.Saver != nil)
}

// find looks a task up in the ledger, and a provider's id at the provider.
func (t *Tracker) find(ctx context.Context, id string) (video.Task, error) {
	task, err := t.Ledger.Task(ctx, id)
	if !errors.Is(err, ledger.ErrNotFound) {
		return task, err
	}
	missing := &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "TaskNotFound", Message: "no task has the id " + id,
		Advice: "Use the task_id or provider_task_id that generate_r2v returned. This server remembers a task_id until it stops, and the service a provider_task_id for 24 hours, for keys of the same account and region.",
	}}
	if strings.HasPrefix(id, ledger.IDPrefix) {
		return video.Task{}, missing
	}
	snapshot, err := t.Provider.Look(ctx, id)
	if err != nil {
		return video.Task{}, err
	}
	if snapshot.Status == video.Unknown {
		return video.Task{}, missing
	}
	return t.Ledger.Adopt(ctx, id, snapshot)
}
