// Package tracker carries a task through its life: bought once, looked at until it ends, its clip saved.
package tracker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// Ledger is where the tracker keeps tasks. Every change is made in one step and only from the state that it is for: whoever
// comes too late changes nothing and gets the task as it is. All return [ledger.ErrNotFound] for an id that is not there.
type Ledger interface {
	// Claim gives the right to buy an order to exactly one caller: see [ledger.Memory.Claim].
	Claim(ctx context.Context, o video.Order) (task video.Task, claimed bool, err error)
	// Bought records the provider's id of a purchase, whatever has been thought of it meanwhile. Another id is an error.
	Bought(ctx context.Context, id, providerTaskID string) (video.Task, error)
	// NotBought records a purchase that came to nothing, or whose fate is unknown, while it is under way.
	NotBought(ctx context.Context, id string, reason *video.Error) (video.Task, error)
	// Looked records what the provider said of a task that is open.
	Looked(ctx context.Context, id string, s video.Snapshot) (video.Task, error)
	// Saved records where the clip of a finished task is, or why it could not be saved.
	Saved(ctx context.Context, id, path string, failure error) (video.Task, error)
	// Adopt records a task that was made elsewhere, once.
	Adopt(ctx context.Context, providerTaskID string, s video.Snapshot) (video.Task, error)
	// Task finds a task by our id or by its provider's.
	Task(ctx context.Context, id string) (video.Task, error)
	// Changed returns a channel that is closed at the task's next change, nil when there is no such task.
	Changed(id string) <-chan struct{}
}

// Saver keeps a finished clip. It returns the path of the whole file, or why there is none.
type Saver interface {
	Save(ctx context.Context, name, url string) (path string, err error)
}

const (
	// createTimeout bounds a purchase, retries of throttled ones included.
	createTimeout = 2 * time.Minute
	// createPatience is how long a caller waits for a purchase before it is told to ask later.
	createPatience = 40 * time.Second
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
	Logger       *slog.Logger  // a line for each purchase, without prompt, link or key

	steps singleflight.Group // however many wait for a task, it is looked at once

	mu     sync.Mutex // for ending, so that no work begins once its end is waited for
	ending bool
	work   sync.WaitGroup // purchases and downloads, which outlive the call that began them
}

// Create buys the clip of an order at most once: see [provider.Provider] and [ledger.Memory.Claim]. From the moment of the
// claim no hang-up stops it: the provider's id is recorded before anyone is answered, and a purchase that takes long goes
// on after the answer, which is then a PENDING task without a provider's id. A task whose create was never answered comes
// back with status UNKNOWN. An error is a *[video.Error] that says whether anything was bought.
func (t *Tracker) Create(ctx context.Context, o video.Order) (video.Task, bool, error) {
	task, claimed, err := t.Ledger.Claim(ctx, o)
	if err != nil {
		return video.Task{}, false, err
	}
	patience, cancel := context.WithTimeout(ctx, createPatience)
	defer cancel()
	if !claimed {
		task, err = t.outcome(patience, task)
		return task, true, err
	}
	recorded := make(chan error, 1)
	if !t.begin(func() { recorded <- t.buy(context.WithoutCancel(ctx), task) }) {
		recorded <- t.notBegun(ctx, task)
	}
	select {
	case err = <-recorded:
	case <-patience.Done():
	}
	if err != nil {
		return video.Task{}, false, err
	}
	now, err := t.Ledger.Task(context.WithoutCancel(ctx), task.ID)
	if err != nil {
		return task, false, nil //nolint:nilerr // the claim is known, and get_task will tell the rest
	}
	return now, false, refusal(&now)
}

// Drain waits until purchases under way are recorded and downloads saved. It is for the end of the program.
func (t *Tracker) Drain() {
	t.mu.Lock()
	t.ending = true
	t.mu.Unlock()
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

// notBegun gives up a claim that came when the program was about to end.
func (t *Tracker) notBegun(ctx context.Context, task video.Task) error {
	_, err := t.Ledger.NotBought(context.WithoutCancel(ctx), task.ID, &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "Ending", Message: "the server is about to end", Advice: "Call again when it runs again.", Retryable: true,
	}})
	return err
}

// buy sends the create of a claimed task and records what became of it. Its error means that the record could not be made.
func (t *Tracker) buy(ctx context.Context, task video.Task) error {
	sending, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	id, err := t.create(sending, task.Request)
	if err != nil {
		t.Logger.WarnContext(ctx, "not bought", "task", task.ID, "code", err.Code, "charged", err.Charged)
		_, failure := t.Ledger.NotBought(ctx, task.ID, err)
		return unrecorded(task.ID, "", failure)
	}
	t.Logger.InfoContext(ctx, "bought", "task", task.ID, "provider_task_id", id, "model", task.Request.Model, "estimate", task.Estimate)
	_, failure := t.Ledger.Bought(ctx, task.ID, id)
	return unrecorded(task.ID, id, failure)
}

// create asks the provider, and takes what is not understood for a purchase that may have cost money.
func (t *Tracker) create(ctx context.Context, r video.Request) (id string, failure *video.Error) {
	defer func() {
		if recover() != nil {
			failure = &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Panic", Message: "the purchase crashed half way"}}
		}
	}()
	id, err := t.Provider.Create(ctx, r)
	if err == nil {
		return id, nil
	}
	if failure, ok := errors.AsType[*video.Error](err); ok {
		return "", failure
	}
	return "", &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Unexpected", Message: err.Error()}}
}

// unrecorded says that the ledger failed after the provider was asked: what is known must reach the caller all the same.
func unrecorded(id, providerTaskID string, failure error) error {
	if failure == nil {
		return nil
	}
	advice := "Do not buy it again: look for the task in the Model Studio console."
	if providerTaskID != "" {
		advice = "The clip is bought. Keep provider_task_id " + providerTaskID + " and call get_task with it; do not buy it again."
	}
	return &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{
		Code: "NotRecorded", Message: "task " + id + " could not be written to the ledger: " + failure.Error(), Advice: advice,
	}}
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
		now, err := t.Ledger.Task(context.WithoutCancel(ctx), task.ID)
		if err != nil {
			return task, err
		}
		if task = now; task.Status != video.Pending || task.ProviderTaskID != "" {
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

// find looks a task up in the ledger, and a provider's id at the provider.
func (t *Tracker) find(ctx context.Context, id string) (video.Task, error) {
	task, err := t.Ledger.Task(ctx, id)
	if !errors.Is(err, ledger.ErrNotFound) {
		return task, err
	}
	// Nothing is known of such a task, so nothing can be said of its price either.
	missing := &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{
		Code: "TaskNotFound", Message: "no task has the id " + id,
		Advice: "Looking costs nothing, but a clip may have been bought under this id: do not buy it again before you know. This server remembers a task_id until it stops; " +
			"try the provider_task_id, which lives 24 hours for keys of the same account and region, and look into the save folder.",
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
