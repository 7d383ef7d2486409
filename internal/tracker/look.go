package tracker

import (
	"context"
	"errors"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// look asks the provider how a task stands, and records it. It asks nothing when any process has read the task a moment ago: that one
// records it.
func (t *Tracker) look(ctx context.Context, task video.Task) error {
	s, err := t.ask(ctx, task.ProviderTaskID, t.ReadInterval)
	if errors.Is(err, errEarly) {
		return nil
	}
	if err == nil {
		_, err = t.heard(ctx, task, s)
	}
	return err
}

// errEarly says that a task was read a moment ago, by this process or another.
var errEarly = errors.New("the task was read a moment ago")

// see reads a task at the provider. All reads of it by all processes come through here, and are at least so long apart: one that is early
// is not made, and has the error errEarly. 0 reads in any case.
func (t *Tracker) see(ctx context.Context, providerTaskID string, apart time.Duration) (video.Snapshot, error) {
	if apart == 0 {
		return t.Provider.Look(ctx, providerTaskID)
	}
	mine, err := t.Ledger.TakeRead(ctx, providerTaskID, apart)
	if err == nil && !mine {
		err = errEarly
	}
	if err != nil {
		return video.Snapshot{}, err
	}
	s, err := t.Provider.Look(ctx, providerTaskID)
	// One that cannot be written counts from its beginning.
	_ = t.Ledger.HasRead(context.WithoutCancel(ctx), providerTaskID, apart)
	return s, err
}

// seeSoon is see as soon as the task may be read. It leaves room for who follows the task, whom many that ask for it would keep out.
func (t *Tracker) seeSoon(ctx context.Context, providerTaskID string) (s video.Snapshot, err error) {
	for range readTries {
		if s, err = t.see(ctx, providerTaskID, t.ReadInterval); !errors.Is(err, errEarly) {
			return s, err
		}
		wait, err := t.Ledger.ReadIn(ctx, providerTaskID, t.ReadInterval)
		if err != nil {
			return s, err
		}
		if !sleep(ctx, wait+courtesy) {
			break
		}
	}
	return s, &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "Busy", Message: "the task was read a moment ago, and the service wants it left alone for a while", Advice: "Call again in a minute.", Retryable: true,
	}}
}

// heard records what the provider has said of a task. A task that it does not know has been forgotten, which takes 24 hours; before
// that it is asked for in the wrong place, which is no failure of the service.
func (t *Tracker) heard(ctx context.Context, task video.Task, s video.Snapshot) (video.Task, error) {
	if s.Status == video.Unknown && time.Since(since(&task)) < video.Lifetime {
		return t.misplaced(ctx, task)
	}
	if s.Status.Open() && !s.SubmittedAt.IsZero() && time.Since(s.SubmittedAt) > ledger.LinkLife {
		s.Status = video.Unknown // no clip takes a day, by the provider's own time: it says a word that nobody has documented
	}
	if !s.Status.Open() && s.EndedAt.IsZero() {
		s.EndedAt = endOf(&task, time.Now())
	}
	if task.Found {
		var err error
		if task, err = t.confirm(ctx, task, s); err != nil || task.ProviderTaskID == "" {
			return task, err
		}
	}
	if t.ReadInterval == 0 && s.Status == task.Status && s.Status.Open() && !moved(s.Progress, &task) && task.Trouble == nil && time.Since(task.LookedAt).Abs() < t.PollInterval {
		return task, nil // nothing to write
	}
	now, err := t.saw(ctx, task.ID, s, t.saveAt(s))
	if err == nil && !now.Status.Open() {
		t.Logger.InfoContext(ctx, "ended", "task", task.ID, "provider_task_id", task.ProviderTaskID, "status", now.Status)
	}
	return now, err
}

// moved reports whether a provider tells more of a task's progress than is known.
func moved(percent int, task *video.Task) bool { return percent != 0 && percent != task.Progress }

// unsure is by how much the end of a task may be told too late.
const unsure = 10 * time.Minute

// endOf is when a task has ended of which the provider does not say so: now, unless nobody has looked for a while. Its link is then as old as
// it can be, so that nobody counts on one that has died.
func endOf(task *video.Task, now time.Time) time.Time {
	open := task.SubmittedAt
	if task.Trouble == nil && task.LookedAt.After(open) {
		open = task.LookedAt
	}
	if age := now.Sub(open); open.IsZero() || age < unsure {
		return now
	}
	return open
}

// saw records what the provider says of a task, and tells of its end.
func (t *Tracker) saw(ctx context.Context, id string, s video.Snapshot, next time.Time) (video.Task, error) {
	now, ended, err := t.Ledger.Looked(ctx, id, s, next)
	if !now.BillAt.IsZero() {
		t.bills.ring()
	}
	if ended {
		t.announce(context.WithoutCancel(ctx), &now)
		t.rounds.ring() // its clip is there
	}
	if ended && t.Ended != nil {
		t.Ended(context.WithoutCancel(ctx), now)
	}
	return now, err
}

// misplaced records that the provider does not know a task that it should.
func (t *Tracker) misplaced(ctx context.Context, task video.Task) (video.Task, error) {
	now, err := t.saw(ctx, task.ID, video.Snapshot{Status: task.Status}, time.Time{}) // when it was asked
	if err != nil {
		return task, err
	}
	return now, t.Ledger.Troubled(ctx, task.ID, &video.Failure{
		Code: "UnknownToProvider", Message: "the service does not know this task, although it is younger than 24 hours", Retryable: true,
		Advice: "Check that key and region are those it was made with, and call get_task again.",
	})
}

// confirm holds a task that was found in the list against what the provider tells of it. Only a success tells its prompt; one
// that failed cost nothing, whoever's it was, and proves nothing.
func (t *Tracker) confirm(ctx context.Context, task video.Task, s video.Snapshot) (video.Task, error) {
	whole, err := t.Ledger.Task(ctx, task.ID)
	switch {
	case err != nil:
		return task, err
	case s.Status == video.Failed, s.Status == video.Canceled, !traitsIn(s).fits(&whole.Request):
		return t.Ledger.Disowned(ctx, task.ID, task.ProviderTaskID)
	case s.Prompt != "":
		return t.Ledger.Bought(ctx, task.ID, task.ProviderTaskID, false)
	}
	return task, nil
}

// ask is see of a task that the ledger knows, or looks for, when it is its turn.
func (t *Tracker) ask(ctx context.Context, providerTaskID string, apart time.Duration) (video.Snapshot, error) {
	if err := t.turn(ctx, "query"); err != nil {
		return video.Snapshot{}, err
	}
	return t.see(ctx, providerTaskID, apart)
}

// saveAt is when a clip is to be saved: at once, never when there is none. Whether this process saves does not matter: others do.
func (t *Tracker) saveAt(s video.Snapshot) time.Time {
	if s.Status != video.Succeeded {
		return time.Time{}
	}
	return time.Now()
}
