package tracker

import (
	"context"
	"math/rand/v2"
	"time"

	"r2v-mcp/internal/video"
)

// Callbacks delivers a message once, and tells what came of it. Attempts at one end have the same id.
type Callbacks interface {
	Send(ctx context.Context, address, id string, body []byte) video.Delivery
}

const (
	// mostCalls bounds the callbacks of one process at a time, and mostOfOne those of one person while others wait.
	mostCalls, mostOfOne = 16, 4
	// manyDue is how many that are due are looked at to find some of each person's.
	manyDue = mostCalls * mostOfOne
	// callLease is how long an attempt is its process's: longer than it can take.
	callLease = 30 * time.Second
	// firstPause is that after the first failure, which doubles for quickTries; slowPause is the first of those after them, which double
	// up to longestPause.
	firstPause, quickTries  = time.Second, 3
	slowPause, longestPause = 30 * time.Second, time.Hour
	// lostEvery is how often it is looked for ends that nobody was told of.
	lostEvery = 10 * time.Minute
	// lastWords is how long attempts under way may go on once the end of the program is waited for.
	lastWords = time.Second
)

// announce lets a task's end be told, at once where it waits for nobody to save the clip.
func (t *Tracker) announce(ctx context.Context, task *video.Task) {
	if task.Callback == nil {
		return
	}
	if t.Saver == nil {
		_ = t.Ledger.CallNow(ctx, task.ID) // else it is told in a minute
	}
	t.calls.ring()
}

// callRound sends the callbacks that are due now, and returns how long there is nothing more to do.
func (t *Tracker) callRound(ctx context.Context) (pause time.Duration) {
	const shortest = 10 * time.Millisecond
	idle := min(max(t.PollInterval/3, firstPause), callLease) // who makes one due here rings
	defer func() {
		if p := recover(); p != nil {
			pause = idle
			t.crashed(ctx, p)
		}
	}()
	at, err := t.callDue(ctx)
	if err != nil && ctx.Err() == nil {
		t.complain(ctx, err)
	}
	if at.IsZero() {
		return idle
	}
	return max(shortest, min(idle, time.Until(at)))
}

// callDue begins the callbacks that are due, as far as there is room, and returns when the next one is.
func (t *Tracker) callDue(ctx context.Context) (time.Time, error) {
	if t.timeForLost() {
		if err := t.Ledger.CallLost(ctx); err != nil {
			return time.Time{}, err
		}
	}
	at, err := t.Ledger.NextCall(ctx, t.Named)
	if err != nil || at.IsZero() || at.After(time.Now()) {
		return at, err
	}
	due, err := t.Ledger.ToCall(ctx, t.Named, manyDue)
	if err != nil {
		return time.Time{}, err
	}
	for _, task := range t.admit(due) {
		if !t.beginCall(ctx, task) {
			t.leave(task.Owner) // it is still due, or another process's
		}
	}
	at, err = t.Ledger.NextCall(ctx, t.Named)
	if now := time.Now(); !at.IsZero() && !at.After(now) {
		at = now.Add(firstPause) // there is no room for it now
	}
	return at, err
}

// beginCall takes an admitted callback and makes an attempt at it beside everything else. It reports false where it is not this process's.
func (t *Tracker) beginCall(ctx context.Context, task video.Task) bool {
	if ctx.Err() != nil {
		return false
	}
	ctx = context.WithoutCancel(ctx) // or nobody would know who has it
	mine, taken, err := t.Ledger.TakeCall(ctx, task, time.Now().Add(callLease))
	if err != nil || !taken {
		return false
	}
	go func() {
		defer t.leave(mine.Owner)
		defer t.calls.ring()
		t.call(ctx, mine, task.Callback)
	}()
	return true
}

// timeForLost reports, now and then, that it is time to look for ends that nobody was told of.
func (t *Tracker) timeForLost() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.Before(t.lookLost) {
		return false
	}
	t.lookLost = now.Add(lostEvery)
	return true
}

// admit chooses those for whom there is room, and takes it: one person's have no more than their share while there are others. From then
// on the end of the program waits for them, until they leave.
func (t *Tracker) admit(due []video.Task) (chosen []video.Task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ending {
		return nil
	}
	if t.calling == nil {
		t.calling = map[string]int{}
	}
	owners, busy := map[string]bool{}, 0
	for owner, n := range t.calling {
		owners[owner] = true
		busy += n
	}
	for i := range due {
		owners[due[i].Owner] = true
	}
	for i := range due {
		owner := due[i].Owner
		if busy == mostCalls || len(owners) > 1 && t.calling[owner] >= mostOfOne {
			continue
		}
		t.calling[owner]++
		busy++
		t.work.Add(1)
		chosen = append(chosen, due[i])
	}
	return chosen
}

// leave makes room.
func (t *Tracker) leave(owner string) {
	defer t.work.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calling[owner]--; t.calling[owner] == 0 {
		delete(t.calling, owner)
	}
}

// talking is the life of attempts, which the end of the program cuts short. Its caller holds the lock.
func (t *Tracker) talking() context.Context {
	if t.talk == nil {
		t.talk, t.hangUp = context.WithCancel(context.Background())
	}
	return t.talk
}

// call makes an attempt at a callback that this process has taken, and that was so before.
func (t *Tracker) call(ctx context.Context, task video.Task, before *video.Callback) {
	t.mu.Lock()
	talking := t.talking()
	t.mu.Unlock()
	d := t.send(talking, task)
	if !d.Delivered && talking.Err() != nil { // not the receiver's failure
		if err := t.Ledger.Uncalled(ctx, task, before); err != nil {
			t.Logger.WarnContext(ctx, "a callback that the end of the program has cut short was not given back: it is sent again in half a minute", "task", task.ID, "err", err)
		}
		return
	}
	next := callAgain(&task, d, time.Now())
	if err := record(ctx, func() error { _, err := t.Ledger.Called(ctx, task, d, next); return err }); err != nil {
		t.Logger.WarnContext(ctx, "a callback's outcome was not recorded: it is sent again", "task", task.ID, "err", err)
	}
	outcome := "failed"
	switch {
	case d.Delivered:
		outcome = "delivered"
	case next.IsZero():
		outcome = "given_up"
	}
	if t.Called != nil {
		t.Called(outcome)
	}
	about := []any{"task", task.ID, "host", task.Callback.Host(), "attempt", task.Callback.Attempts}
	switch {
	case d.Delivered:
		t.Logger.InfoContext(ctx, "callback delivered", about...)
	case next.IsZero():
		t.Logger.WarnContext(ctx, "callback given up", append(about, "err", d.Error)...)
	default:
		t.Logger.WarnContext(ctx, "callback not delivered", append(about, "err", d.Error, "again_at", next.UTC().Format(time.RFC3339))...)
	}
}

// send makes the message and sends it; a crash in it costs the attempt and not the program.
func (t *Tracker) send(ctx context.Context, task video.Task) (d video.Delivery) {
	failed := video.Delivery{Error: "the message could not be made"}
	defer func() {
		if p := recover(); p != nil {
			t.crashed(ctx, p)
			d = failed
		}
	}()
	body, err := t.Body(ctx, task)
	if err != nil {
		t.Logger.WarnContext(ctx, "a callback's message could not be made", "task", task.ID, "err", err)
		return failed
	}
	return t.Callbacks.Send(ctx, task.Callback.URL, task.Callback.ID, body)
}

// callAgain is when a callback is tried again, the zero time when it is over: 1, 2 and 4 s after failures, then ever more rarely, and for
// the last time a day after the task's end, when its clip cannot be had any more. A receiver that asks for up to an hour has it.
func callAgain(task *video.Task, d video.Delivery, now time.Time) time.Time {
	over := callsOver(task)
	if d.Delivered || d.Gone || !now.Before(over) {
		return time.Time{}
	}
	failures := task.Callback.Attempts
	pause := firstPause << max(0, failures-1)
	if failures > quickTries {
		pause = longestPause
		if doubled := failures - quickTries - 1; doubled < 7 { // 30 s doubled seven times is more than an hour
			pause = slowPause << doubled
		}
		pause -= rand.N(pause / 10) //nolint:gosec // not all receivers of an hour ago at once: nobody gains by guessing it
	}
	next := now.Add(pause)
	if d.NotBefore.After(next) {
		next = earlier(d.NotBefore, now.Add(longestPause))
	}
	return earlier(next, over)
}

// callsOver is when a callback is tried for the last time: a day after the task's end. What nobody knows the end of, and a clip without a
// link, is given up after a day, which is the end that is told.
func callsOver(task *video.Task) time.Time {
	end := task.EndedAt
	if end.IsZero() {
		end = task.CreatedAt
	}
	if task.InDoubt() || task.Linkless() {
		end = end.Add(video.Lifetime)
	}
	return end.Add(video.Lifetime)
}
