package tracker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

const (
	// mostHints is how many of the provider's callbacks one process looks into at a time, and how many more it puts off.
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
	full := t.hints.busy >= mostHints
	if !full {
		t.hints.busy++
	}
	t.mu.Unlock()
	return !full && t.inPassing(func(ctx context.Context) { t.hinted(ctx, hint, told(providerTaskID), 0) })
}

// inPassing begins work that is counted as busy already and that the end of the program stops, and reports whether there is time for it.
func (t *Tracker) inPassing(work func(context.Context)) bool {
	t.mu.Lock()
	if t.hints.ctx == nil {
		t.hints.ctx, t.hints.stop = context.WithCancel(context.Background())
	}
	ctx := t.hints.ctx
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.hints.busy--
	}
	begun := t.begin(func() {
		defer leave()
		ctx, cancel := context.WithTimeout(ctx, hintTimeout)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				t.crashed(ctx, p)
			}
		}()
		work(ctx)
	})
	if !begun {
		leave()
	}
	return begun
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
	settles := providerTaskID != "" && providerTaskID != task.ProviderTaskID && (task.InDoubt() || refusal(&task) != nil || open && task.Found)
	if !task.BillAt.IsZero() { // it comes when the bill is confirmed
		defer t.bills.ring()
		return hintLooked, t.Ledger.BillBy(ctx, task.ID, time.Now().Add(t.ReadInterval))
	}
	if !open && !settles {
		return hintIgnored, nil
	}
	reads := []string{task.ProviderTaskID}
	if settles {
		reads = []string{providerTaskID, task.ID} // the latter for all ids that may be told
	}
	wait, err := t.readIn(ctx, reads)
	if err != nil {
		return hintIgnored, err
	}
	if wait > 0 {
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

// readIn is how long it takes until all of the reads may be made.
func (t *Tracker) readIn(ctx context.Context, reads []string) (longest time.Duration, err error) {
	for _, read := range reads {
		wait, err := t.Ledger.ReadIn(ctx, read, t.apart())
		if err != nil {
			return 0, err
		}
		longest = max(longest, wait)
	}
	return longest, nil
}

// putOff does something about a task later, once. What comes of it is told then; of what comes meanwhile, nothing does, nor where too many
// are put off already: polling finds the end of those.
func (t *Tracker) putOff(id string, wait time.Duration, then func(context.Context)) (outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hints.waiting[id] || len(t.hints.waiting) == mostHints {
		return hintIgnored
	}
	if t.hints.waiting == nil {
		t.hints.waiting = map[string]bool{}
	}
	t.hints.waiting[id] = true
	time.AfterFunc(wait, func() {
		t.mu.Lock()
		delete(t.hints.waiting, id)
		t.hints.busy++ // whether there is room or not: those that wait are bounded themselves
		t.mu.Unlock()
		t.inPassing(then)
	})
	return ""
}

// lookNow looks at an open task. The id that was found for it is confirmed where the callback tells the same, and the provider knows it.
func (t *Tracker) lookNow(ctx context.Context, task video.Task, providerTaskID string) (outcome string, err error) {
	s, err := t.ask(ctx, task.ProviderTaskID, t.apart())
	if errors.Is(err, errEarly) {
		return hintIgnored, nil
	}
	if err == nil && task.Found && providerTaskID == task.ProviderTaskID && s.Status != video.Unknown {
		var shared bool
		if shared, err = t.shared(ctx, &task, s); err == nil && !shared {
			task, err = t.Ledger.Bought(ctx, task.ID, providerTaskID, false)
		}
	}
	if err == nil {
		_, err = t.heard(ctx, task, s)
	}
	if err != nil {
		return hintIgnored, err
	}
	t.rounds.ring() // its clip may be there
	return hintLooked, nil
}

// settle gives a purchase of unknown fate, or one that was taken for refused, the id that a callback tells, if the provider knows a task of its
// model and time by it: nobody else knows the purchase's hint, so that this is as good as the answer that was lost. Only where another
// purchase may have made that task as well is it a finding. The hold of the answer stays unknown.
func (t *Tracker) settle(ctx context.Context, task video.Task, providerTaskID string) (outcome string, err error) {
	if free, err := t.Ledger.Takeable(ctx, task.ID, providerTaskID); err != nil || !free {
		return hintIgnored, err
	}
	if err := t.turn(ctx, "stranger"); err != nil {
		return hintIgnored, err
	}
	if mine, err := t.Ledger.TakeRead(ctx, task.ID, t.apart()); err != nil || !mine {
		return hintIgnored, err
	}
	s, err := t.see(ctx, providerTaskID, t.apart())
	if errors.Is(err, errEarly) {
		err = nil
		s.Status = video.Unknown
	}
	if err != nil || s.Status == video.Unknown || !madeBy(&task, s) {
		return hintIgnored, err
	}
	shared, err := t.shared(ctx, &task, s)
	if err != nil {
		return hintIgnored, err
	}
	ctx = context.WithoutCancel(ctx)
	err = record(ctx, func() (err error) {
		task, err = t.Ledger.Bought(ctx, task.ID, providerTaskID, shared)
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

// shared reports whether another purchase of unknown fate may have made a task as well.
func (t *Tracker) shared(ctx context.Context, task *video.Task, s video.Snapshot) (bool, error) {
	doubts, err := t.Ledger.InDoubt(ctx)
	return slices.ContainsFunc(doubts, func(other video.Task) bool { return other.ID != task.ID && unknown(other) && madeBy(&other, s) }), err
}

// madeBy reports whether a purchase may have made a task, by its model and time as far as they are told.
func madeBy(task *video.Task, s video.Snapshot) bool {
	early, late := task.CreatedAt.Add(-straightClock), task.CreatedAt.Add(createTimeout+straightClock)
	timely := s.SubmittedAt.IsZero() || s.SubmittedAt.After(early) && s.SubmittedAt.Before(late)
	return timely && (s.Model == "" || s.Model == task.Request.Model) && traitsIn(s).fits(&task.Request)
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
