package tracker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

const (
	// createTimeout bounds a purchase, retries of throttled ones included.
	createTimeout = 2 * time.Minute
	// createTurn keeps purchases of all processes below the documented 5 a second, although each is under way to the service for
	// a time of its own: a connection is made for it, and the ledger asked, after its turn has come. At this pace 5 at most arrive
	// within a second as long as those times differ by less than two thirds of one.
	createTurn = time.Second / 3
	// longestLine is how long a purchase may stand in line for its turn.
	longestLine = time.Minute
	// recordPatience is how long a ledger that fails is asked again to write down what was bought.
	recordPatience = 10 * time.Second
)

// Create buys the clip of an order at most once: see [provider.Provider] and [ledger.Ledger.Claim]. From the moment of the
// claim no hang-up stops it: the provider's id is recorded before anyone is answered, and a purchase that takes long goes
// on after the answer, which is then a PENDING task without a provider's id. A task whose create was never answered comes
// back with status UNKNOWN, and is looked for from then on. An error is a *[video.Error] that says whether anything was bought.
func (t *Tracker) Create(ctx context.Context, o video.Order) (video.Task, bool, error) {
	keyless := t.keyless()
	o.Replay = o.Replay || keyless // it can buy nothing, and needs no claim to say so
	task, claimed, err := t.Ledger.Claim(ctx, o)
	if keyless && errors.Is(err, ledger.ErrNotFound) {
		_, err = t.Provider.Create(ctx, provider.Purchase{Request: o.Request})
	}
	if err != nil {
		return video.Task{}, false, err
	}
	patience, cancel := context.WithTimeout(ctx, cmp.Or(t.Patience, video.LongestCall))
	defer cancel()
	if !claimed {
		task, err = t.outcome(patience, task)
		return task, true, err
	}
	recorded := make(chan error, 1)
	if !t.begin(func() { recorded <- t.buy(context.WithoutCancel(ctx), task, o) }) {
		recorded <- t.notBought(context.WithoutCancel(ctx), task, &video.Error{Charged: video.NotCharged, Failure: video.Failure{
			Code: "Ending", Message: "the server is about to end", Advice: "Call again when it runs again.", Retryable: true,
		}})
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

// keyless reports whether this process can look at what was bought, and no more.
func (t *Tracker) keyless() bool {
	_, keyless := t.Provider.(provider.WithoutKey)
	return keyless
}

// buy sends the create of a claimed task and records what became of it. Its error means that the record could not be made.
func (t *Tracker) buy(ctx context.Context, task video.Task, o video.Order) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	defer t.keep(ctx, task)()
	if failure := t.line(ctx, task); failure != nil {
		return t.notBought(ctx, task, failure)
	}
	bought, failure := t.create(ctx, provider.Purchase{Request: o.Request, Key: purchaseKey(&task), CallbackURL: t.hintAddress(&task)})
	ctx = context.WithoutCancel(ctx)
	if failure != nil {
		return t.notBought(ctx, task, failure)
	}
	id := bought.ID
	t.Logger.InfoContext(ctx, "bought", "task", task.ID, "provider_task_id", id, "model", o.Request.Model, "estimate", task.Estimate)
	err := record(ctx, func() error {
		_, err := t.Ledger.Answered(ctx, task.ID, id, bought.Hold)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) { // the ledger was taken away meanwhile: the next one has the purchase from its beginning
		if again, claimed, e := t.Ledger.Claim(ctx, o); e == nil && claimed {
			_, _ = t.Ledger.Answered(ctx, again.ID, id, bought.Hold)
		}
	}
	if err != nil {
		// Whatever is in the way, a task that is paid for is followed.
		_, _ = t.Ledger.Adopt(ctx, o.Owner, id, video.Snapshot{Status: video.Pending}, time.Time{})
	}
	t.hurry(ctx, time.Now().Add(t.PollInterval))
	return unrecorded(task.ID, id, err)
}

// line waits until it is a purchase's turn among all processes, and makes sure that it is still its own by then.
func (t *Tracker) line(ctx context.Context, task video.Task) *video.Error {
	refused := &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "Busy", Advice: "Nothing was bought. Call again in a minute.", Retryable: true}}
	wait, taken, err := t.Ledger.Turn(ctx, "create", cmp.Or(t.CreateTurn, createTurn), longestLine)
	switch {
	case err != nil:
		t.Logger.WarnContext(ctx, "no turn to buy", "task", task.ID, "err", err)
		refused.Message = "the server's ledger gave no turn"
		return refused
	case !taken:
		refused.Message = fmt.Sprintf("more than %.0f s of purchases are in line, and the service takes 5 a second", longestLine.Seconds())
		return refused
	}
	sleep(ctx, wait)
	mine, err := t.Ledger.Keep(ctx, task, time.Now().Add(t.Ledger.Lease))
	if err != nil || !mine {
		refused.Message = "it took so long that another process may have taken it over"
		return refused
	}
	return nil
}

// notBought records a purchase that came to nothing or is in doubt; a doubt is looked into at once.
func (t *Tracker) notBought(ctx context.Context, task video.Task, reason *video.Error) error {
	ctx = context.WithoutCancel(ctx)
	t.Logger.WarnContext(ctx, "not bought", "task", task.ID, "charged", reason.Charged, "err", reason)
	err := record(ctx, func() error {
		now, err := t.Ledger.NotBought(ctx, task, reason)
		if err == nil && now.Callback != nil {
			t.calls.ring()
		}
		return err
	})
	if reason.Charged == video.ChargedUnknown {
		t.hurry(ctx, time.Now().Add(t.beat()))
	}
	return unrecorded(task.ID, "", err)
}

// record writes to the ledger, again and again while it fails for a moment.
func record(ctx context.Context, write func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := write()
		if known, ok := errors.AsType[*video.Error](err); err != nil && (!ok || !known.Retryable) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(recordPatience))
	return err
}

// create asks the provider, and takes what is not understood for a purchase that may have cost money.
func (t *Tracker) create(ctx context.Context, p provider.Purchase) (bought provider.Bought, failure *video.Error) {
	defer func() {
		if p := recover(); p != nil {
			t.crashed(ctx, p)
			failure = &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Panic", Message: "the purchase crashed half way"}}
		}
	}()
	bought, err := t.Provider.Create(ctx, p)
	if err == nil {
		return bought, nil
	}
	if failure, ok := errors.AsType[*video.Error](err); ok {
		return provider.Bought{}, failure
	}
	return provider.Bought{}, &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Unexpected", Message: err.Error()}}
}

// purchaseKey names one attempt to buy a task: a claim that was refused and is claimed again buys anew.
func purchaseKey(task *video.Task) string {
	return task.ID + "-" + strconv.FormatInt(task.CreatedAt.UnixMicro(), 36)
}

// hintAddress is where the provider may tell of a task's end, empty where it is to tell nobody.
func (t *Tracker) hintAddress(task *video.Task) string {
	if t.HintURL == "" || task.Hint == "" {
		return ""
	}
	return t.HintURL + task.Hint
}

// unrecorded says that the ledger failed after the provider was asked: what is known must reach the caller all the same.
func unrecorded(id, providerTaskID string, failure error) error {
	if failure == nil {
		return nil
	}
	advice := "Do not buy it again. Call get_task with task_id " + id + " when the ledger works again: it is looked for at the service."
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
	underway := func(task *video.Task) bool { return task.Status == video.Pending && task.ProviderTaskID == "" }
	if err := t.until(ctx, &task, func(task *video.Task) bool { return !underway(task) }); err != nil {
		return task, err
	}
	return task, refusal(&task)
}
