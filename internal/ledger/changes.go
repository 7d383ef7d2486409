package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"r2v-mcp/internal/video"
)

// Bought records the provider's id of a purchase, also of one that was given up for lost. It returns an error when the task
// has another id already.
func (m *Memory) Bought(_ context.Context, id, providerTaskID string) (video.Task, error) {
	task, err := m.change(id, func(t *video.Task) bool { return t.ProviderTaskID == "" }, func(task *video.Task) {
		task.ProviderTaskID, task.SubmittedAt = providerTaskID, time.Now()
		task.Status, task.Failure = video.Pending, nil
		task.Request = withoutData(task.Request)
	})
	if err == nil && task.ProviderTaskID != providerTaskID {
		err = fmt.Errorf("task %s is %s, not %s", id, task.ProviderTaskID, providerTaskID)
	}
	return task, err
}

// withoutData cuts pictures that came within the request: up to a hundred megabytes that nobody needs again.
func withoutData(r video.Request) video.Request {
	r.References = slices.Clone(r.References)
	for i, ref := range r.References {
		if head, _, found := strings.Cut(ref.URL, ","); found && strings.HasPrefix(strings.ToLower(head), "data:") {
			r.References[i].URL = strings.Clone(head) + ","
		}
	}
	return r
}

// NotBought records a purchase that came to nothing, or whose fate is unknown when reason says so.
func (m *Memory) NotBought(_ context.Context, id string, reason *video.Error) (video.Task, error) {
	return m.change(id, underway, func(task *video.Task) {
		task.Failure, task.Status = &reason.Failure, video.Failed
		if reason.Charged == video.ChargedUnknown {
			task.Status = video.Unknown
		}
	})
}

// Looked records what the provider said. What it is silent about stays as it was known.
func (m *Memory) Looked(_ context.Context, id string, s video.Snapshot) (video.Task, error) {
	return m.change(id, open, func(task *video.Task) {
		task.LookedAt = time.Now()
		task.Snapshot = s.Over(task.Snapshot)
	})
}

// Saved records where the clip is, or why it could not be saved.
func (m *Memory) Saved(_ context.Context, id, path string, failure error) (video.Task, error) {
	return m.change(id, unsaved, func(task *video.Task) {
		task.SavedTo, task.SaveError = path, ""
		if failure != nil {
			task.SavedTo, task.SaveError = "", failure.Error()
		}
	})
}

// A task changes only from the state that the change is for: whoever comes too late changes nothing.
func underway(t *video.Task) bool { return t.Status == video.Pending && t.ProviderTaskID == "" }
func open(t *video.Task) bool {
	return (t.Status.Open() || t.Linkless()) && t.ProviderTaskID != ""
}
func unsaved(t *video.Task) bool { return t.Status == video.Succeeded && t.SavedTo == "" }

// change changes a task in one step if it may, wakes everybody who waits for it, and returns what it is now.
func (m *Memory) change(id string, may func(*video.Task) bool, change func(*video.Task)) (video.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(id)
	if e == nil {
		return video.Task{}, ErrNotFound
	}
	if may(&e.task) {
		change(&e.task)
		e.wake()
	}
	return e.task, nil
}
