package tracker

import (
	"context"
	"errors"
	"slices"
	"time"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

const (
	// fewOpen is how many open tasks are read one by one: their ends come with it.
	fewOpen = 3
	// mostFailures is after how many tasks in a row that could not be read the service is left alone for a while.
	mostFailures = 3
	// mostPages bounds what is read of a list that does not end.
	mostPages = 500
	// margin is how far around its tasks a list is read: the service's clock and ours may be apart.
	margin = 10 * time.Minute
	// wideMargin is that of a list that is to prove something: a clock may have been wrong, or a machine asleep.
	wideMargin = time.Hour
)

// provided is a row of the provider's list.
type provided = provider.Listed

// round is one look at everything that is open.
type round struct {
	*Tracker
	now      time.Time
	open     []video.Task // with a provider's id
	doubts   []video.Task // without one: under way, or of unknown fate
	listed   map[string]provided
	whole    bool          // every task of the time was listed
	doubtful bool          // nobody vouches for the list
	skew     time.Duration // the service's clock less ours
	timed    bool          // the service told its time
	kept     time.Time     // when the duty was last kept

	skipped map[string]bool // tasks that were looked at too short a while ago, by id
}

func (r *round) read(ctx context.Context) (err error) {
	if r.open, err = r.Ledger.Open(ctx); err != nil {
		return err
	}
	r.doubts, err = r.Ledger.InDoubt(ctx)
	return err
}

func unknown(task video.Task) bool { return task.Status == video.Unknown }

// empty reports whether there is nothing to look at. A purchase that is under way is its own process's.
func (r *round) empty() bool { return len(r.open) == 0 && !slices.ContainsFunc(r.doubts, unknown) }

// fresh returns when the first look is worth it, while all that is open was bought a moment ago; else the zero time.
func (r *round) fresh() time.Time {
	if slices.ContainsFunc(r.doubts, unknown) {
		return time.Time{}
	}
	first := r.now.Add(r.PollInterval)
	for _, task := range r.open {
		if !task.LookedAt.IsZero() {
			return time.Time{}
		}
		first = earlier(first, since(&task).Add(min(r.PollInterval, quickClip/2)))
	}
	return first
}

// follow looks at all open tasks through the provider's list, or one by one when they are few.
func (r *round) follow(ctx context.Context) error {
	r.kept = r.now
	if err := r.list(ctx); err != nil {
		r.troubled(ctx, "", err)
		r.standAside(err)
		return err
	}
	unread, err := r.note(ctx)
	if err != nil {
		return err
	}
	return errors.Join(r.readEach(ctx, unread), r.reconcile(ctx))
}

// readEach reads tasks one by one. What could not be read the last time comes last, and a service that fails is left alone for
// a while: the next round begins with those that this one has not come to.
func (r *round) readEach(ctx context.Context, tasks []video.Task) error {
	slices.SortStableFunc(tasks, func(a, b video.Task) int { return a.LookedAt.Compare(b.LookedAt) })
	var failure error
	failed, seen := 0, 0 // failed in a row: what fails for one task may work for the next
	for _, task := range tasks {
		if time.Since(task.LookedAt).Abs() < r.ReadInterval { // somebody was in a hurry; what is further ahead is of before the clock was set back
			r.skipped[task.ID] = true
			continue
		}
		err := r.keepDuty(ctx)
		if err != nil {
			return err
		}
		if err = r.look(ctx, task); err == nil {
			seen++
			failed = 0
			continue
		}
		failed++
		failure = err
		r.troubled(ctx, task.ID, err)
		if failed == mostFailures || leftAlone(err) > 0 {
			break
		}
	}
	if failed > 0 && (seen == 0 || failed == mostFailures) {
		r.standAside(failure)
	}
	return failure
}

// list reads the pages on which open tasks may be. Rows that are not of this ledger are kept for what is in doubt.
func (r *round) list(ctx context.Context) error {
	searching := slices.ContainsFunc(r.doubts, unknown)
	if len(r.open) <= fewOpen && !searching {
		return nil
	}
	from, to := r.span()
	missing := map[string]bool{}
	for _, task := range r.open {
		missing[task.ProviderTaskID] = true
	}
	for page := 1; page <= mostPages; page++ {
		p, err := r.page(ctx, from, to, page)
		if known, ok := errors.AsType[*video.Error](err); ok && known.Code == provider.NotSupported {
			return nil // then each is read by itself
		}
		if err != nil {
			return err
		}
		r.doubtful = r.doubtful || p.Doubtful
		seen := len(r.listed)
		for _, row := range p.Tasks {
			r.listed[row.ID] = row
			delete(missing, row.ID)
		}
		if repeated := r.doubtful && len(p.Tasks) > 0 && seen == len(r.listed); p.Last || repeated {
			r.whole = p.Last && !p.Broken
			return nil
		}
		if !searching && (len(missing) <= fewOpen || p.Total-len(r.listed) > len(missing)*len(p.Tasks)) {
			return nil // the rest is read one by one with fewer calls
		}
	}
	return nil
}

func (r *round) page(ctx context.Context, from, to time.Time, page int) (provider.Page, error) {
	if err := r.keepDuty(ctx); err != nil {
		return provider.Page{}, err
	}
	if err := r.turn(ctx, "list"); err != nil {
		return provider.Page{}, err
	}
	p, err := r.Provider.List(ctx, from, to, page)
	if err == nil && !p.ServedAt.IsZero() {
		r.skew, r.timed = time.Until(p.ServedAt), true
	}
	return p, err
}

// span is the time in which all tasks of this round were submitted, as far as the service can list it.
func (r *round) span() (from, to time.Time) {
	from, to = r.now, r.now.Add(-video.Lifetime)
	for _, task := range slices.Concat(r.open, r.doubts) {
		from = earlier(from, earlier(since(&task), task.CreatedAt))
		if at := since(&task); at.After(to) {
			to = at
		}
	}
	around := margin
	if slices.ContainsFunc(r.doubts, unknown) {
		around = wideMargin
	}
	from, to = from.Add(-around), to.Add(around)
	if oldest := to.Add(-video.Lifetime); from.Before(oldest) {
		from = oldest
	}
	return from, to
}

// keepDuty keeps others from taking the sweep over while it goes on.
func (r *round) keepDuty(ctx context.Context) error {
	if time.Since(r.kept) < r.Ledger.Lease/3 {
		return nil
	}
	r.kept = time.Now()
	return r.Ledger.Settle(ctx, sweep, r.kept.Add(r.Ledger.Lease))
}

// note takes note of what the list says of each task, and returns those that are to be read themselves: those that have ended,
// all when few are open, and now and then those that the list has not got.
func (r *round) note(ctx context.Context) (unread []video.Task, err error) {
	for _, task := range r.open {
		row, listed := r.listed[task.ProviderTaskID]
		switch {
		case listed && row.Status == task.Status && task.Trouble == nil && !moved(row.Progress, &task):
		case listed && row.Status.Open():
			if _, err := r.saw(ctx, task.ID, video.Snapshot{Status: row.Status, ScheduledAt: row.StartedAt, Progress: row.Progress}, time.Time{}); err != nil {
				return nil, err
			}
		case listed, len(r.open) <= fewOpen && task.Trouble == nil, time.Since(task.LookedAt).Abs() >= r.PollInterval:
			unread = append(unread, task)
		}
	}
	return unread, nil
}

// nextSweep is the earliest time at which something is worth looking at again.
func (r *round) nextSweep(ctx context.Context) time.Time {
	now := time.Now()
	next := now.Add(r.PollInterval)
	paces, err := r.usual(ctx, r.open)
	if err != nil {
		return next
	}
	skipped := next
	for _, task := range r.open {
		pace := paces[task.Request.Model]
		if r.skipped[task.ID] { // it goes by its own last look
			last := earlier(task.LookedAt, now)
			at, soonest := r.next(&task, pace, last), last.Add(r.ReadInterval)
			if at.Before(soonest) {
				at = soonest
			}
			skipped = earlier(skipped, at)
			continue
		}
		next = earlier(next, r.next(&task, pace, now))
	}
	for _, task := range r.doubts {
		next = earlier(next, r.nextDoubt(&task, now))
	}
	if soonest := now.Add(r.beat()); next.Before(soonest) {
		next = soonest // of many tasks one is always about to be worth it
	}
	return earlier(next, skipped)
}

// raise says loudly, once an hour, which tasks are about to be forgotten without a known end.
func (r *round) raise(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	warned := map[string]time.Time{} // what has ended is left out
	defer func() { r.warned = warned }()
	for _, task := range slices.Concat(r.open, r.doubts) {
		if at, ok := r.warned[task.ID]; ok {
			warned[task.ID] = at
		}
		if r.now.Before(task.ExpiresAt().Add(-video.Alarm)) || r.now.Sub(warned[task.ID]) < time.Hour {
			continue
		}
		warned[task.ID] = r.now
		r.Logger.ErrorContext(ctx, "a task is about to be forgotten by the service, and its end is not known: look for it in "+r.Provider.Words().Console,
			"task", task.ID, "provider_task_id", task.ProviderTaskID, "status", task.Status, "forgotten_at", task.ExpiresAt().UTC().Format(time.RFC3339))
	}
}
