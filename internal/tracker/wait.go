package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"r2v-mcp/internal/video"
)

// Wait returns the task when it has ended and one attempt to save its clip was made, or after the limit, or when ctx ends.
// A task that the ledger does not know is looked for at the provider, and kept from then on. An error next to a task with
// an ID says why its newest state could not be had; without an ID the task could not be found.
func (t *Tracker) Wait(ctx context.Context, id string, limit time.Duration) (video.Task, error) {
	end := time.Now().Add(limit)
	waiting, cancel := context.WithTimeout(ctx, max(limit, firstLook))
	defer cancel()
	task, err := t.find(waiting, id)
	if err != nil {
		return video.Task{}, err
	}
	for t.unfinished(&task) {
		delay, stepErr := t.shared(waiting, task.ID)
		if !errors.Is(stepErr, errStillLooking) || (err == nil && task.LookedAt.IsZero()) {
			err = stepErr
		}
		task = t.latest(ctx, task)
		done := !t.unfinished(&task) || task.SaveError != "" || hopeless(stepErr)
		if done || !sleep(waiting, min(delay, time.Until(end))) {
			break
		}
	}
	return task, err
}

// hopeless is what waiting does not mend, such as a key that is refused.
func hopeless(err error) bool {
	known, ok := errors.AsType[*video.Error](err)
	return ok && !known.Retryable
}

// unfinished reports whether a step may still change the task.
func (t *Tracker) unfinished(task *video.Task) bool {
	unsaved := task.Status == video.Succeeded && task.SavedTo == "" && t.Saver != nil
	return task.Status.Open() || unsaved || (task.Linkless() && time.Now().Before(task.ExpiresAt()))
}

func (t *Tracker) latest(ctx context.Context, task video.Task) video.Task {
	if now, err := t.Ledger.Task(context.WithoutCancel(ctx), task.ID); err == nil {
		return now
	}
	return task
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

// step takes a task one step further and tells when the next one is worth taking: an open task is looked at, a finished
// one saved. It goes on when the caller who began it has hung up, since others may wait for it.
func (t *Tracker) step(ctx context.Context, id string) (delay time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	defer func() { // it runs on a goroutine of its own, where a panic would end the program
		if p := recover(); p != nil {
			delay, err = t.PollInterval, fmt.Errorf("looking at task %s crashed: this is a bug of r2v-mcp", id)
		}
	}()
	changed := t.Ledger.Changed(id)
	task, err := t.Ledger.Task(ctx, id)
	if err != nil {
		return t.PollInterval, err
	}
	if task.ProviderTaskID == "" && task.Status.Open() { // its purchase is still under way
		select {
		case <-changed:
		case <-ctx.Done():
		}
		return time.Millisecond, nil
	}
	wanted := task.Status.Open() || task.Linkless()
	if rest := t.PollInterval - time.Since(task.LookedAt); wanted && rest > 0 {
		return rest, nil
	}
	if wanted {
		if task, err = t.look(ctx, task); err != nil {
			t.Logger.WarnContext(ctx, "not looked at", "task", id, "err", err)
			return t.PollInterval, err
		}
	}
	if task.Status == video.Succeeded && task.SavedTo == "" && task.VideoURL != "" && t.Saver != nil {
		saved := make(chan error, 1)
		if t.begin(func() { saved <- t.save(ctx, task) }) {
			err = <-saved
		}
	}
	return t.PollInterval, err
}

// look asks the provider how the task stands. A task that it does not know has been forgotten, which takes 24 hours; before
// that it is asked for in the wrong place.
func (t *Tracker) look(ctx context.Context, task video.Task) (video.Task, error) {
	snapshot, err := t.Provider.Look(ctx, task.ProviderTaskID)
	if err == nil && snapshot.Status == video.Unknown && time.Since(task.SubmittedAt) < video.Lifetime {
		err = &video.Error{Charged: video.NotCharged, Failure: video.Failure{
			Code: "UnknownToProvider", Message: "the service does not know this task, although it is younger than 24 hours", Retryable: true,
			Advice: "Check that key and region are those it was made with, and call get_task again.",
		}}
	}
	if err != nil {
		return task, err
	}
	return t.Ledger.Looked(ctx, task.ID, snapshot)
}

// save keeps the clip. That it could not be saved is part of the task, not an error: the link is still good.
func (t *Tracker) save(ctx context.Context, task video.Task) error {
	path, failure := t.keep(ctx, task)
	if failure != nil {
		t.Logger.WarnContext(ctx, "not saved", "task", task.ID, "err", failure)
	} else {
		t.Logger.InfoContext(ctx, "saved", "task", task.ID, "file", path)
	}
	_, err := t.Ledger.Saved(ctx, task.ID, path, failure)
	return err
}

// keep saves the clip; a crash in it costs the file and not the program.
func (t *Tracker) keep(ctx context.Context, task video.Task) (path string, err error) {
	defer func() {
		if recover() != nil {
			path, err = "", errors.New("saving crashed: this is a bug of r2v-mcp")
		}
	}()
	return t.Saver.Save(ctx, task.ID, task.VideoURL)
}
