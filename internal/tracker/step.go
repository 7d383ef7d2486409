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

func (t *Tracker) look(ctx context.Context, task video.Task) (video.Task, error) {
	snapshot, err := t.Provider.Look(ctx, task.ProviderTaskID)
	forgotten := err == nil && snapshot.Status == video.Unknown
	if forgotten && time.Since(task.SubmittedAt) < video.Lifetime {
		err = &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{
			Code: "UnknownToProvider", Message: "the service does not know this task, although it is younger than 24 hours",
			Advice: "Check that key and region are those it was made with, and call get_task again.",
		}}
	}
	now, updateErr := t.Ledger.Update(ctx, task.ID, func(task *video.Task) {
		task.LookedAt = time.Now()
		switch {
		case err != nil:
		case forgotten:
			task.Status = video.Unknown
		default:
			submitted := task.SubmittedAt
			task.Snapshot = snapshot
			if snapshot.SubmittedAt.IsZero() {
				task.SubmittedAt = submitted
			}
		}
	})
	if updateErr != nil {
		return task, updateErr
	}
	return now, err
}

// save keeps the clip. That it could not be saved is part of the task, not an error: the link is still good.
func (t *Tracker) save(ctx context.Context, task video.Task) error {
	path, saveErr := t.Saver.Save(ctx, task.ID, task.VideoURL)
	_, err := t.Ledger.Update(ctx, task.ID, func(task *video.Task) {
		task.SavedTo, task.SaveError = path, ""
		if saveErr != nil {
			task.SavedTo, task.SaveError = "", saveErr.Error()
		}
	})
	return err
}
