package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

const (
	// mostSaves bounds the downloads of one process at a time.
	mostSaves = 4
	// saveTimeout bounds one download: 100 MB over a slow line.
	saveTimeout = 15 * time.Minute
)

// saveDue begins to save the clips that are to be saved now, as far as no other process is at it.
func (t *Tracker) saveDue(ctx context.Context) error {
	t.mu.Lock()
	free := mostSaves - len(t.saving)
	t.mu.Unlock()
	if free <= 0 {
		return nil
	}
	tasks, err := t.Ledger.ToSave(ctx, t.Saver != nil, free)
	if err != nil {
		return err
	}
	for _, task := range tasks {
		taken, err := t.Ledger.Take(ctx, task.ID, time.Now().Add(t.Ledger.Lease))
		if err != nil {
			return err
		}
		if taken {
			t.saveAside(context.WithoutCancel(ctx), task)
		}
	}
	return nil
}

// saveAside saves a clip beside everything else.
func (t *Tracker) saveAside(ctx context.Context, task video.Task) {
	t.mu.Lock()
	if t.saving == nil {
		t.saving = map[string]bool{}
	}
	t.saving[task.ID] = true
	t.mu.Unlock()
	done := func() {
		t.mu.Lock()
		delete(t.saving, task.ID)
		t.mu.Unlock()
	}
	work := func() {
		defer done()
		ctx, cancel := context.WithTimeout(ctx, saveTimeout)
		defer cancel()
		stop := t.keep(ctx, task)
		defer stop()
		if err := t.save(ctx, task); err != nil {
			t.Logger.WarnContext(ctx, "not recorded", "task", task.ID, "err", err)
		}
		t.rounds.ring() // there may be room for the next one
	}
	if !t.begin(work) {
		done()
	}
}

// save keeps the clip. That it could not be saved is part of the task, not an error: it is tried again while the link lives.
func (t *Tracker) save(ctx context.Context, task video.Task) error {
	if task.VideoURL == "" || task.SaveError != "" { // no link yet, or one that may be dead
		task = t.relink(ctx, task)
	}
	if task.VideoURL != "" && t.Saver == nil {
		return nil // whoever saves takes it
	}
	clip, failure := t.keepClip(ctx, task)
	next := time.Time{}
	if failure != nil {
		next = t.again(&task, time.Now())
		t.Logger.WarnContext(ctx, "not saved", "task", task.ID, "err", failure, "again_at", next.UTC().Format(time.RFC3339))
	} else {
		t.Logger.InfoContext(ctx, "saved", "task", task.ID, "file", clip.Path)
		failure = odd(&task, clip)
	}
	return record(ctx, func() error {
		now, err := t.Ledger.Saved(context.WithoutCancel(ctx), task.ID, clip.Path, failure, next)
		if err == nil && now.Callback != nil {
			t.calls.ring()
		}
		return err
	})
}

// relink asks the provider for the link anew, and for what else is missing of a success without one.
func (t *Tracker) relink(ctx context.Context, task video.Task) video.Task {
	if t.turn(ctx, "query") != nil {
		return task
	}
	s, err := t.seeSoon(ctx, task.ProviderTaskID)
	if err != nil || s.VideoURL == "" || s.VideoURL == task.VideoURL {
		return task
	}
	var now video.Task
	if task.Linkless() {
		next := t.saveAt(s)
		if !next.IsZero() {
			next = next.Add(t.Ledger.Lease) // it is this process that saves it
		}
		now, err = t.saw(ctx, task.ID, s, next)
	} else {
		now, err = t.Ledger.Relinked(ctx, task.ID, s.VideoURL)
	}
	if err != nil {
		return task
	}
	return now
}

// keepClip saves the clip; a crash in it costs the file and not the program.
func (t *Tracker) keepClip(ctx context.Context, task video.Task) (clip video.Clip, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.crashed(ctx, p)
			clip, err = video.Clip{}, errors.New("saving crashed: this is a bug of r2v-mcp")
		}
	}()
	if task.VideoURL == "" {
		return video.Clip{}, errors.New("the service has sent no link yet")
	}
	return t.Saver.Save(ctx, task.ID, task.VideoURL)
}

// again is when a save that failed is tried again: ever more rarely, and no more when the link is long dead.
func (t *Tracker) again(task *video.Task, now time.Time) time.Time {
	if now.After(task.EndedAt.Add(ledger.LinkLife)) {
		return time.Time{}
	}
	return now.Add(min(10*time.Minute, max(t.PollInterval, now.Sub(task.EndedAt)/2)))
}

// odd tells when a clip is not as long as what is billed.
func odd(task *video.Task, clip video.Clip) error {
	if clip.Length == 0 || task.Usage == nil || !task.Usage.Output.IsPositive() {
		return nil
	}
	length := decimal.New(clip.Length.Milliseconds(), -3)
	if length.Sub(task.Usage.Output).Abs().LessThanOrEqual(decimal.New(5, -1)) {
		return nil
	}
	return fmt.Errorf("the clip is %s s long, and %s s are billed", length, task.Usage.Output)
}
