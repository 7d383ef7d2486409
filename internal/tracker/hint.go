package tracker

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

const (
	// mostHints is how many of the provider's callbacks one process looks into at a time.
	mostHints = 64
	// hintTimeout bounds what one of them leads to, its place in a line included.
	hintTimeout = time.Minute
	// hintTries is how often one of them waits for the time of a look: whoever has looked meanwhile may have begun before it came.
	hintTries = 2
	// longestTold is how many characters of a provider's id are taken for one.
	longestTold = 128
)

// What comes of a callback of the provider's.
const (
	hintIgnored = "ignored" // there is nothing to look at, or it is being looked at
	hintLooked  = "looked"
	hintFound   = "found" // it has told the id of a purchase of unknown fate
)

// hints are the provider's callbacks that this process looks into.
type hints struct {
	busy    int             // how many
	waiting map[string]bool // tasks that were looked at a moment ago, and are looked at again as soon as they may be
	ctx     context.Context // ends with the program: polling goes on without them
	stop    context.CancelFunc
}

// Hint takes a callback of the provider's: hint is the name of a task that nobody else was told, providerTaskID is what the provider
// calls it, empty where it does not say. Nothing else that a callback says is believed. It returns at once, and reports false where too
// many are under way or the program ends: then nothing comes of it.
//
// A task that is open is looked at soon, but not before ReadInterval has passed since its last look. A purchase of unknown fate has the
// id that is told, if the provider knows it and no other purchase was answered with it.
func (t *Tracker) Hint(hint, providerTaskID string) bool {
	t.mu.Lock()
	full := t.hints.busy == mostHints
	if !full {
		t.hints.busy++
	}
	t.mu.Unlock()
	if full {
		return false
	}
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.hints.busy--
	}
	begun := t.inPassing(func(ctx context.Context) { defer leave(); t.hinted(ctx, hint, told(providerTaskID), 0) })
	if !begun {
		leave()
	}
	return begun
}

// inPassing begins work that the end of the program stops, and reports whether there is time for it.
func (t *Tracker) inPassing(work func(context.Context)) bool {
	t.mu.Lock()
	if t.hints.ctx == nil {
		t.hints.ctx, t.hints.stop = context.WithCancel(context.Background())
	}
	ctx := t.hints.ctx
	t.mu.Unlock()
	return t.begin(func() {
		ctx, cancel := context.WithTimeout(ctx, hintTimeout)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				t.crashed(ctx, p)
			}
		}()
		work(ctx)
	})
}

// hinted does what a callback is about, or puts it off for the tries-th time, and tells what came of it.
func (t *Tracker) hinted(ctx context.Context, hint, providerTaskID string, tries int) {
	outcome, err := t.followHint(ctx, hint, providerTaskID, tries)
	if err != nil && ctx.Err() == nil {
		t.complain(ctx, err)
	}
	if outcome != "" && t.Hinted != nil {
		t.Hinted(outcome)
	}
}

func (t *Tracker) followHint(ctx context.Context, hint, providerTaskID string, tries int) (outcome string, err error) {
	task, err := t.Ledger.ByHint(ctx, hint)
	if errors.Is(err, ledger.ErrNotFound) {
		return hintIgnored, nil
	}
	if err != nil {
		return hintIgnored, err
	}
	open := task.ProviderTaskID != "" && task.Status.Open()
	settles := providerTaskID != "" && providerTaskID != task.ProviderTaskID && (task.InDoubt() || open && task.Found)
	if !open && !settles {
		return hintIgnored, nil
	}
	// A time that is further away was written before the clock was set back.
	if wait := time.Until(task.LookedAt.Add(t.apart())); wait > 0 && wait <= t.apart() {
		if tries == hintTries {
			return hintLooked, nil // by somebody else, and after the callback had come
		}
		return t.putOff(task.ID, wait, func(ctx context.Context) { t.hinted(ctx, hint, providerTaskID, tries+1) }), nil
	}
	if settles {
		return t.settle(ctx, task, providerTaskID)
	}
	return t.lookNow(ctx, task, providerTaskID)
}

// apart is how long a callback leaves a task alone after a look at it.
func (t *Tracker) apart() time.Duration { return cmp.Or(t.ReadInterval, t.beat()) }

// putOff does something about a task later, once. What comes of it is told then; of what comes meanwhile, nothing does.
func (t *Tracker) putOff(id string, wait time.Duration, then func(context.Context)) (outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hints.waiting[id] {
		return hintIgnored
	}
	if t.hints.waiting == nil {
		t.hints.waiting = map[string]bool{}
	}
	t.hints.waiting[id] = true
	time.AfterFunc(wait, func() {
		t.mu.Lock()
		delete(t.hints.waiting, id)
		t.mu.Unlock()
		t.inPassing(then)
	})
	return ""
}

// lookNow looks at an open task, and confirms the id that was found for it where the callback tells the same.
func (t *Tracker) lookNow(ctx context.Context, task video.Task, providerTaskID string) (outcome string, err error) {
	if task.Found && providerTaskID == task.ProviderTaskID {
		if task, err = t.Ledger.Bought(ctx, task.ID, providerTaskID, false); err != nil {
			return hintIgnored, err
		}
	}
	if looked, err := t.look(ctx, task, t.apart()); err != nil || !looked {
		return hintIgnored, err
	}
	t.ring() // its clip may be there
	return hintLooked, nil
}

// settle gives a purchase of unknown fate the id that a callback tells, if the provider knows it: nobody else knows the purchase's hint,
// so that this is as good as the answer that was lost. The hold of that answer stays unknown.
func (t *Tracker) settle(ctx context.Context, task video.Task, providerTaskID string) (outcome string, err error) {
	if free, err := t.Ledger.Takeable(ctx, task.ID, providerTaskID); err != nil || !free {
		return hintIgnored, err
	}
	if err := t.turn(ctx, "stranger"); err != nil {
		return hintIgnored, err
	}
	if mine, err := t.Ledger.TakeLook(ctx, task.ID, t.apart()); err != nil || !mine {
		return hintIgnored, err
	}
	s, err := t.Provider.Look(ctx, providerTaskID)
	old := !s.SubmittedAt.IsZero() && s.SubmittedAt.Before(task.CreatedAt.Add(-straightClock))
	if err != nil || s.Status == video.Unknown || old {
		return hintIgnored, err
	}
	ctx = context.WithoutCancel(ctx)
	err = record(ctx, func() (err error) {
		task, err = t.Ledger.Bought(ctx, task.ID, providerTaskID, false)
		return err
	})
	if err != nil {
		return hintIgnored, err
	}
	t.Logger.InfoContext(ctx, "the service has told the id of a purchase of unknown fate", "task", task.ID, "provider_task_id", providerTaskID)
	_, err = t.heard(ctx, task, s)
	t.hurry(ctx, time.Now().Add(t.beat()))
	return hintFound, err
}

// told is a provider's id as a callback tells it, empty where it cannot be one.
func told(id string) string {
	odd := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
	}
	if len(id) > longestTold || strings.HasPrefix(id, ledger.IDPrefix) || strings.HasPrefix(id, ".") || strings.ContainsFunc(id, odd) {
		return ""
	}
	return id
}
