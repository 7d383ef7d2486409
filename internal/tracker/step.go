package tracker

import (
	"context"
	"time"

	"r2v-mcp/internal/video"
)

// step takes a task one step further and tells when the next one is worth taking: an open task is looked at, a finished
// one saved. It goes on when the caller who began it has hung up, since others may wait for it.
func (t *Tracker) step(ctx context.Context, id string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	task, err := t.Ledger.Task(ctx, id)
	if err != nil {
		return t.PollInterval, err
	}
	if task.ProviderTaskID == "" { // its purchase is still under way
		return time.Second, nil
	}
	if rest := t.PollInterval - time.Since(task.LookedAt); task.Status.Open() && rest > 0 {
		return rest, nil
	}
	if task.Status.Open() {
		if task, err = t.look(ctx, task); err != nil {
			return t.PollInterval, err
		}
	}
	if task.Status == video.Succeeded && task.SavedTo == "" && t.Saver != nil {
		err = t.save(ctx, task)
	}
	return t.PollInterval, err
}

// look asks the provider how the task stands. A task that it does not know has been forgotten, which takes 24 hours; before
// that it is asked for in the wrong place.
func (t *Tracker) look(ctx context.Context, task video.Task) (video.Task, error) {
	snapshot, lookErr := t.Provider.Look(ctx, task.ProviderTaskID)
	seen := &snapshot
	if lookErr == nil && snapshot.Status == video.Unknown && time.Since(task.SubmittedAt) < video.Lifetime {
		lookErr = &video.Error{Charged: video.NotCharged, Failure: video.Failure{
			Code: "UnknownToProvider", Message: "the service does not know this task, although it is younger than 24 hours",
			Advice: "Check that key and region are those it was made with, and call get_task again.",
		}}
	}
	if lookErr != nil {
		seen = nil
	}
	now, err := t.Ledger.Looked(ctx, task.ID, seen)
	if err != nil {
		return task, err
	}
	return now, lookErr
}

// save keeps the clip. That it could not be saved is part of the task, not an error: the link is still good.
func (t *Tracker) save(ctx context.Context, task video.Task) error {
	path, failure := t.Saver.Save(ctx, task.ID, task.VideoURL)
	_, err := t.Ledger.Saved(ctx, task.ID, path, failure)
	return err
}
