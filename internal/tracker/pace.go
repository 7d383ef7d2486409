package tracker

import (
	"context"
	"time"

	"r2v-mcp/internal/video"
)

const (
	// Reads of single tasks stand in three lines, so that who asks on and on keeps nobody's tasks from being followed. All three
	// together stay below the documented 20 a second, with room for those that the network bunches up: of each line, one more
	// than its pace can fall within one second.

	// queryTurn is the pace of the sweep, and of what else is known to the ledger.
	queryTurn = time.Second / 13
	// strangerTurn is that of the search for ids that the ledger does not know.
	strangerTurn = time.Second / 2
	// cancelTurn is that of cancellations, and so of the one read that follows each.
	cancelTurn = time.Second / 2
	// listTurn is that of the list, which has a documented 20 a second of its own.
	listTurn = time.Second / 18

	// longestTurn is how long one of them may have to wait; a stranger's, so that time is left for the answer.
	longestTurn, longestSearch = 30 * time.Second, findTimeout / 2
	// readTries is how often it is tried to read a task that others read too, and courtesy how long after each may.
	readTries, courtesy = 3, time.Second
	// quickClip and slowClip are how long clips take, until the ledger knows better.
	// Source: "1 to 5 minutes", Wan - reference-to-video guide.
	quickClip, slowClip = time.Minute, 5 * time.Minute
)

// beat is the quickest pace at which open tasks are looked at: 3 seconds by default, so that an end is seen within 5, and slower where
// the provider wants tasks left alone for longer.
func (t *Tracker) beat() time.Duration { return max(t.PollInterval/5, t.ReadInterval) }

// personal waits until no other cancellation of a person is under way here: a cancellation that comes late costs money, so nobody may fill
// the line that all stand in. leave must be called.
func (t *Tracker) personal(ctx context.Context, owner string) (leave func(), err error) {
	t.mu.Lock()
	if t.desks == nil {
		t.desks = map[string]chan struct{}{}
	}
	desk := t.desks[owner]
	if desk == nil {
		desk = make(chan struct{}, 1)
		t.desks[owner] = desk
	}
	t.mu.Unlock()
	patience := time.NewTimer(longestTurn)
	defer patience.Stop()
	select {
	case desk <- struct{}{}:
		return func() { <-desk }, nil
	case <-patience.C:
	case <-ctx.Done():
	}
	return nil, &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "Busy", Message: "other cancellations of yours are in line already", Advice: "Call cancel_task again when some of them are answered.", Retryable: true,
	}}
}

// turn waits for this account's next turn in a line, among all processes. A place that is too far away is refused at once, and not
// taken.
func (t *Tracker) turn(ctx context.Context, line string) error {
	every, longest := queryTurn, longestTurn
	refused := &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "Busy", Message: "too many questions are in line for the service, which takes 20 a second", Advice: "Call again in a minute.", Retryable: true,
	}}
	switch line {
	case "stranger":
		every, longest = strangerTurn, longestSearch
		refused.Message = "too many are looking for tasks that this server does not know"
		refused.Advice = "Call again in a minute, or with a task_id from list_tasks: those need no search."
	case "cancel":
		every = cancelTurn
		refused.Message = "too many cancellations are in line"
	case "list":
		every = listTurn
	}
	wait, taken, err := t.Ledger.Turn(ctx, line, every, longest)
	switch {
	case err != nil:
		return err
	case !taken, !sleep(ctx, wait):
		return refused
	}
	return nil
}

// pace is how a model's clips usually go.
type pace struct{ quick, slow time.Duration }

// usual returns the pace of each model among the tasks.
func (t *Tracker) usual(ctx context.Context, tasks []video.Task) (map[string]pace, error) {
	paces := map[string]pace{}
	for _, task := range tasks {
		model := task.Request.Model
		if _, known := paces[model]; known {
			continue
		}
		quick, slow, err := t.Ledger.Usual(ctx, model)
		if err != nil {
			return nil, err
		}
		if quick == 0 {
			quick, slow = quickClip, slowClip
		}
		paces[model] = pace{quick, slow}
	}
	return paces, nil
}

// next is when a task is worth looking at again: not before it can be done, at the beat while it may be done any moment,
// and more and more rarely when it is late.
func (t *Tracker) next(task *video.Task, p pace, now time.Time) time.Time {
	age := now.Sub(since(task))
	switch {
	case age < p.quick/2:
		return earlier(since(task).Add(p.quick/2), now.Add(t.PollInterval))
	case age < 2*p.slow:
		return now.Add(t.beat())
	}
	return now.Add(min(t.PollInterval, max(t.beat(), age/100)))
}

// nextDoubt is when a purchase of unknown fate is worth looking for again.
func (t *Tracker) nextDoubt(task *video.Task, now time.Time) time.Time {
	return now.Add(max(t.beat(), min(4*t.PollInterval, now.Sub(task.CreatedAt)/10)))
}

// since is when the service took the task, as far as is known.
func since(task *video.Task) time.Time {
	if task.SubmittedAt.IsZero() {
		return task.CreatedAt
	}
	return task.SubmittedAt
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
