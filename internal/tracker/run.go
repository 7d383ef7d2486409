package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"r2v-mcp/internal/video"
)

// sweep is the duty of looking at all open tasks. It is nobody's for longer than one round, so that none can be lost with
// its holder.
const sweep = "sweep"

// manyListed is how many rows of the list are worth giving their memory back after a sweep.
const manyListed = 300

// complainEvery is how often an outage is worth a line in the log.
const complainEvery = 10 * time.Minute

// startDelay lets a client get its answers before the ledger is opened: many start the program only to list its tools.
const startDelay = time.Second

// Run follows the open tasks of the ledger until ctx ends, those of other processes as well, and goes on where an earlier
// process was ended, and sends the callbacks of their ends. It begins after a second, or with the first purchase.
func (t *Tracker) Run(ctx context.Context) {
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { t.RunCallbacks(ctx) }) // they have a rhythm of their own, in which a service that is slow has no say
	loops.Go(func() { repeat(ctx, t.bills.rings(), t.billRound) })
	repeat(ctx, t.rounds.rings(), t.Round)
}

// RunCallbacks sends the callbacks of tasks that have ended until ctx ends, and nothing else of what [Tracker.Run] does: the service is not
// asked for it.
func (t *Tracker) RunCallbacks(ctx context.Context) {
	if t.Callbacks != nil {
		repeat(ctx, t.calls.rings(), t.callRound)
	}
}

// repeat does a round again and again, after the pause that the last one has returned or when the bell rings, until ctx ends.
func repeat(ctx context.Context, bell <-chan struct{}, round func(context.Context) time.Duration) {
	for pause := startDelay; ; {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-bell:
			timer.Stop()
		case <-timer.C:
		}
		pause = round(ctx)
	}
}

// hurry makes open tasks be looked at by then, here or in another process.
func (t *Tracker) hurry(ctx context.Context, by time.Time) {
	// What is not hurried comes in its own time.
	_ = t.Ledger.Hurry(ctx, sweep, by)
	t.rounds.ring()
}

// Round does what is due now, and returns how long there is nothing more to do.
func (t *Tracker) Round(ctx context.Context) (pause time.Duration) {
	shortest := min(10*time.Millisecond, t.beat())
	idle := max(t.PollInterval/3, shortest)
	defer func() {
		if p := recover(); p != nil {
			pause = idle
			t.troubled(ctx, "", errors.New("following tasks crashed: this is a bug of r2v-mcp"))
			t.crashed(ctx, p)
		}
	}()
	next := time.Now().Add(idle)
	for _, duty := range []func(context.Context) (time.Time, error){t.overdue, t.sweep} {
		at, err := duty(ctx)
		if err != nil && ctx.Err() == nil {
			t.complain(ctx, err)
		}
		if !at.IsZero() {
			next = earlier(next, at)
		}
	}
	return max(shortest, time.Until(next))
}

// crashed logs where a bug has shown itself, now and then. What a panic says may hold anything, so only its kind is told.
func (t *Tracker) crashed(ctx context.Context, p any) {
	if t.quiet() {
		return
	}
	t.Logger.ErrorContext(ctx, "crashed: this is a bug of r2v-mcp", "kind", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// complain logs what keeps tasks from being followed: an outage is told now and then, not at every look.
func (t *Tracker) complain(ctx context.Context, err error) {
	level := slog.LevelWarn
	if t.quiet() {
		level = slog.LevelDebug
	}
	t.Logger.Log(ctx, level, "tasks could not be looked at; it is tried again", "err", err)
}

// quiet reports whether something was complained of a short while ago.
func (t *Tracker) quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.complained) < complainEvery {
		return true
	}
	t.complained = time.Now()
	return false
}

// overdue saves clips and puts purchases in doubt whose process has ended. It returns when the next of them is due.
func (t *Tracker) overdue(ctx context.Context) (time.Time, error) {
	at, err := t.Ledger.NextDue(ctx, t.Saver != nil)
	if err != nil || at.IsZero() || at.After(time.Now()) {
		return at, err
	}
	n, err := t.Ledger.Interrupted(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if n > 0 {
		t.Logger.WarnContext(ctx, "purchases were interrupted; the service is asked what became of them", "count", n)
		t.hurry(ctx, time.Now())
	}
	if err := t.saveDue(ctx); err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(t.beat()), nil
}

// sweep looks at all open tasks if it is time and nobody else does. It returns when the next sweep is due.
func (t *Tracker) sweep(ctx context.Context) (time.Time, error) {
	at, err := t.Ledger.DueAt(ctx, sweep)
	now := time.Now()
	if err != nil || at.After(now) {
		return at, err
	}
	if until := t.asideUntil(); until.After(now) {
		return until, nil
	}
	r := &round{Tracker: t, now: now, listed: map[string]provided{}, skipped: map[string]bool{}}
	if err := r.read(ctx); err != nil || r.empty() {
		return time.Time{}, err
	}
	if early := r.fresh(); early.After(now) {
		return early, nil
	}
	if seized, err := t.Ledger.Seize(ctx, sweep, now.Add(t.Ledger.Lease)); err != nil || !seized {
		return now.Add(t.beat()), err
	}
	r.raise(ctx)
	failure := r.follow(ctx)
	at = r.nextSweep(ctx)
	if len(r.listed) > manyListed {
		r.listed = nil
		debug.FreeOSMemory() // it is seconds until the next sweep, and the machine is not ours alone
	}
	if failure != nil {
		at = time.Now().Add(max(t.PollInterval, leftAlone(failure)))
	} else {
		t.mu.Lock()
		t.refusal = nil
		t.mu.Unlock()
	}
	return at, errors.Join(failure, t.Ledger.Settle(context.WithoutCancel(ctx), sweep, at))
}

// leftAlone is how long a service that failed wants to be left alone, 0 where it does not say.
func leftAlone(err error) time.Duration {
	if known, ok := errors.AsType[*video.Error](err); ok {
		return known.RetryAfter
	}
	return 0
}

// asideUntil is how long this process leaves the sweep to others.
func (t *Tracker) asideUntil() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.aside
}

// troubled records why the newest state of a task could not be had; without an id, of all.
func (t *Tracker) troubled(ctx context.Context, id string, err error) {
	failure := video.Failure{Code: "NotSeen", Message: err.Error(), Retryable: true}
	if known, ok := errors.AsType[*video.Error](err); ok {
		failure = known.Failure
	}
	if ctx.Err() == nil { // the end of the program is no trouble of the task's
		_ = t.Ledger.Troubled(ctx, id, &failure)
	}
}

// standAside leaves the sweep to others for a while when the service refuses this process: another may have a better key.
func (t *Tracker) standAside(err error) {
	known, ok := errors.AsType[*video.Error](err)
	if !ok || known.Retryable {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.aside, t.refusal = time.Now().Add(4*t.PollInterval), err
}

// Refused is what the service refuses this process with, such as that of a wrong key; nil when it does not.
func (t *Tracker) Refused() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refusal
}
