package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// followed is a task that track waits for.
type followed struct {
	video.Task
	shown     string // what was last said of it
	elsewhere bool   // bought at another service than this process reaches
}

// following is one run of track.
type following struct {
	follower *tracker.Tracker
	view     *view
	patience time.Duration // how long a refused key is waited for to be taken after all
	refused  time.Time     // since when it has been refused
	tasks    []*followed   // oldest first
}

// begin finds what is open, and what was made and is not saved.
func (f *following) begin(ctx context.Context) error {
	if f.follower.Saver != nil {
		if err := f.follower.Ledger.SaveAgain(ctx); err != nil {
			return err
		}
	}
	if err := f.addOpen(ctx); err != nil {
		return err
	}
	const page = 500
	horizon := time.Now().Add(-video.Lifetime - ledger.LinkLife) // links of older tasks are dead
	for filter := (video.Filter{Everyone: true, Limit: page}); ; {
		tasks, next, err := f.follower.Ledger.List(ctx, filter)
		if err != nil {
			return err
		}
		for i := range tasks {
			t := &followed{Task: tasks[i]}
			waited := (t.Status.Open() || t.InDoubt()) && time.Now().Before(t.ExpiresAt())
			switch {
			case f.knows(t.ID):
			case waited: // not among those that this process may follow
				t.elsewhere = true
				f.add(t)
			case f.unfinished(t): // a clip that is to be saved, by those who reach its service
				t.elsewhere = t.Upstream != f.follower.Ledger.Upstream
				f.add(t)
			}
		}
		if next == "" || tasks[len(tasks)-1].CreatedAt.Before(horizon) {
			break
		}
		filter.Cursor = next
	}
	slices.SortFunc(f.tasks, func(a, b *followed) int { return a.CreatedAt.Compare(b.CreatedAt) })
	f.show()
	return nil
}

// addOpen finds the open tasks that this process can follow.
func (f *following) addOpen(ctx context.Context) error {
	open, err := f.follower.Ledger.Open(ctx)
	if err != nil {
		return err
	}
	doubts, err := f.follower.Ledger.InDoubt(ctx)
	if err != nil {
		return err
	}
	for _, t := range slices.Concat(open, doubts) {
		if !f.knows(t.ID) {
			f.add(&followed{Task: t})
		}
	}
	return nil
}

func (f *following) knows(id string) bool {
	return slices.ContainsFunc(f.tasks, func(t *followed) bool { return t.ID == id })
}

func (f *following) add(t *followed) { f.tasks = append(f.tasks, t) }

// open counts the tasks that are waited for.
func (f *following) open() int {
	n := 0
	for _, t := range f.tasks {
		if f.unfinished(t) {
			n++
		}
	}
	return n
}

// unfinished reports whether more is to become of a task by itself.
func (f *following) unfinished(t *followed) bool {
	return !t.elsewhere && (f.follower.Unfinished(&t.Task) || f.untold(t))
}

// untold reports whether who is to be told of a task's end is about to be: after four attempts in vain it is left to a server.
func (f *following) untold(t *followed) bool {
	const quick = 3
	c := t.Callback
	return f.follower.Callbacks != nil && t.Owner == "" && c != nil && !c.NextAt.IsZero() && c.Attempts <= quick
}

// look reads from the ledger how tasks go on, and which are new.
func (f *following) look(ctx context.Context) error {
	for _, t := range f.tasks {
		if !f.unfinished(t) {
			continue
		}
		now, err := f.follower.Ledger.Task(ctx, t.ID)
		if err != nil {
			return err
		}
		t.Task = now
	}
	return f.addOpen(ctx)
}

// shutOut is the service's refusal to tell anything to this process, such as that of a wrong key: nothing comes of waiting.
func (f *following) shutOut() error {
	refusal := f.follower.Refused()
	switch {
	case refusal == nil:
		f.refused = time.Time{}
	case f.refused.IsZero():
		f.refused = time.Now()
	case time.Since(f.refused) >= f.patience:
		return refusal
	}
	return nil
}

// state says in a word or two how a task stands.
func (f *following) state(t *followed) string {
	switch {
	case t.InDoubt() && f.unfinished(t):
		words := "in doubt: the service is searched for it"
		if until := t.CreatedAt.Add(cmp.Or(f.follower.Absence, ledger.Doubt)); time.Now().Before(until) {
			words += ", until " + until.Local().Format("15:04")
		}
		return words
	case t.Status.Open() && t.ProviderTaskID == "":
		return "being bought"
	case t.SavedTo != "" && t.SaveError != "":
		return "saved to " + t.SavedTo + ", but " + t.SaveError
	case t.SavedTo != "":
		return "saved to " + t.SavedTo
	case t.Status == video.Succeeded && t.SaveError != "":
		return "not saved: " + t.SaveError
	case t.Status == video.Failed && t.Failure != nil:
		return "FAILED " + failed(t.Failure)
	case t.Trouble != nil:
		return string(t.Status) + ", not seen: " + failed(t.Trouble)
	}
	return string(t.Status)
}

// usualClip is about how long a clip takes: one to five minutes, say the documents.
const usualClip = 3 * time.Minute

// show says what has changed.
func (f *following) show() {
	ended, total, waiting := 0, 0, ""
	for _, t := range f.tasks {
		if t.elsewhere {
			continue
		}
		if words := f.state(t); words != t.shown {
			f.view.line(t.ID + "  " + words)
			t.shown = words
		}
		total++
		if !f.unfinished(t) {
			ended += 100
			continue
		}
		waiting = fmt.Sprintf("%s %s %.0f s", shortID(t.ID), t.Status, time.Since(t.CreatedAt).Seconds())
		ended += percent(time.Since(t.CreatedAt), usualClip)
	}
	open := f.open()
	if open == 0 {
		return
	}
	if open > 1 {
		waiting = fmt.Sprintf("%d of %d open", open, total)
	}
	f.view.progress(ended/total, waiting)
}
