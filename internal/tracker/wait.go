package tracker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// findTimeout bounds the question for a task that the ledger does not know.
const findTimeout = 20 * time.Second

// Wait returns the owner's task when it has ended and one attempt to save its clip was made, by this process or another, or after
// the limit, or when ctx ends; a bill that the end did not tell is waited for a few seconds more. It asks the ledger, never the
// provider, but for a task that the ledger does not know: that one is looked for at the provider, and followed from then on as the
// owner's. An error next to a task with an ID says why its newest state could not be had; without an ID the task could not be found.
// Another's task cannot, in the words for one that does not exist.
func (t *Tracker) Wait(ctx context.Context, owner, id string, limit time.Duration) (video.Task, error) {
	task, err := t.find(ctx, owner, id)
	if err != nil {
		return video.Task{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = t.until(waiting, task, func(task *video.Task) bool {
		return !t.Unfinished(task) || task.SaveError != "" || (task.Trouble != nil && !task.Trouble.Retryable)
	})
	if err == nil {
		err = t.untilBilled(waiting, task)
	}
	switch {
	case errors.Is(err, errTaken):
		return video.Task{}, t.missing(id)
	case err == nil && task.Trouble != nil:
		err = &video.Error{Failure: *task.Trouble, Charged: video.NotCharged}
	case err == nil && (t.Unfinished(task) || savedLater(task)):
		err = t.elsewhere(task)
	}
	return *task, err
}

// savedLater reports a clip that could not be saved, and is tried again.
func savedLater(task *video.Task) bool {
	return task.SaveError != "" && task.SavedTo == "" && time.Now().Before(task.VideoURLExpiresAt())
}

// elsewhere refuses a task that was bought from another service than this process reaches: that one knows nothing of it.
func (t *Tracker) elsewhere(task *video.Task) error {
	if task.Upstream == t.Ledger.Upstream {
		return nil
	}
	return &video.Error{Charged: task.Charged(), Failure: video.Failure{
		Code:    "BoughtElsewhere",
		Message: fmt.Sprintf("it was bought from %s, and this server reaches %s: only a server with the old settings follows it", task.Upstream, t.Ledger.Upstream),
		Advice:  "Ask the user for a server with the settings that it was bought with: R2V_PROVIDER, and DASHSCOPE_REGION, DASHSCOPE_HTTP_BASE_URL or EVOLINK_BASE_URL so that they lead to " + task.Upstream + ", with its key.",
	}}
}

// errTaken says that an adopted task has turned out to be another person's purchase.
var errTaken = errors.New("the task is another's")

// until waits for a change after which the task is as it should be, or for the end of ctx. It returns errTaken when the id has come
// to lead to another person's task.
func (t *Tracker) until(ctx context.Context, task *video.Task, done func(*video.Task) bool) error {
	if done(task) {
		return nil
	}
	changed, stop := t.Ledger.Watch(ctx, task.ID)
	defer stop()
	for {
		if err := t.read(context.WithoutCancel(ctx), task); err != nil || done(task) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// read brings a task up to date.
func (t *Tracker) read(ctx context.Context, task *video.Task) error {
	now, err := t.Ledger.Task(ctx, task.ID)
	switch {
	case err != nil:
		return err
	case now.Owner != task.Owner:
		return errTaken
	}
	*task = now
	return nil
}

// Unfinished reports whether more is to become of a task by itself, here or in a process that reaches its service. A clip that
// could not be saved is finished for now, although it is tried again.
func (t *Tracker) Unfinished(task *video.Task) bool {
	now := time.Now()
	switch {
	case task.Status.Open() && task.ProviderTaskID != "":
		return true // the service will tell, if only that it has forgotten it
	case task.Status.Open(), task.InDoubt(), task.Linkless():
		return now.Before(task.ExpiresAt())
	case task.Status != video.Succeeded || task.SavedTo != "" || task.SaveError != "" || t.Saver == nil:
		return false
	}
	return now.Before(task.VideoURLExpiresAt())
}

// find looks a person's task up in the ledger, and a provider's id at the provider. The provider is asked for another's id as for
// an unknown one, so that neither the words nor the time of the answer tell them apart.
func (t *Tracker) find(ctx context.Context, owner, id string) (*video.Task, error) {
	task, err := t.Ledger.TaskOf(ctx, owner, id)
	if !errors.Is(err, ledger.ErrNotFound) {
		return &task, err
	}
	if strings.HasPrefix(id, ledger.IDPrefix) {
		return nil, t.missing(id)
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	if err := t.turn(ctx, "stranger"); err != nil {
		return nil, err
	}
	snapshot, err := t.seeSoon(ctx, id)
	if err != nil {
		return nil, err
	}
	if snapshot.Status == video.Unknown {
		return nil, t.missing(id)
	}
	theirs, err := t.mayBeAnothers(ctx, owner, snapshot)
	if err != nil {
		return nil, err
	}
	if theirs {
		return nil, t.missing(id)
	}
	task, err = t.Ledger.Adopt(ctx, owner, id, snapshot, t.saveAt(snapshot))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, t.missing(id)
	}
	t.hurry(ctx, time.Now().Add(t.beat()))
	return &task, err
}

// mayBeAnothers reports whether a task that the ledger does not know may be what another person has bought, under way or in doubt:
// it is shown to nobody until that is settled.
func (t *Tracker) mayBeAnothers(ctx context.Context, owner string, s video.Snapshot) (bool, error) {
	doubts, err := t.Ledger.InDoubt(ctx)
	return slices.ContainsFunc(doubts, func(task video.Task) bool { return task.Owner != owner && madeBy(&task, s) }), err
}

// missing refuses an id that nobody knows. Nothing is known of such a task, so nothing can be said of its price either.
func (t *Tracker) missing(id string) error {
	advice := "Looking costs nothing. If list_tasks shows no such clip, nothing was bought through this server. " +
		"An idempotency_key is no task_id: repeat generate_r2v, unchanged, with it."
	if !strings.HasPrefix(id, ledger.IDPrefix) {
		advice += " A provider_task_id is known for 24 hours, to keys of the same account and region: of an older one the bill in " + t.Provider.Words().Console + " tells."
	}
	return &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "TaskNotFound", Message: "no task has the id " + id, Advice: advice}}
}

// Cancel stops a task of the owner's that the provider has not begun yet. It returns the task as it is afterwards, and a
// *[video.Error] when it could not be stopped; without an ID it could not be found, as another's cannot: see [Tracker.Wait].
func (t *Tracker) Cancel(ctx context.Context, owner, id string) (video.Task, error) {
	leave, err := t.personal(ctx, owner) // before the ledger is read: what an earlier call has cancelled is not asked for again
	if err != nil {
		return video.Task{}, err
	}
	defer leave()
	found, err := t.find(ctx, owner, id)
	if err != nil {
		return video.Task{}, err
	}
	task := *found
	if task.Status.Open() || task.InDoubt() {
		if err := t.elsewhere(&task); err != nil {
			return task, err
		}
	}
	if task.ProviderTaskID == "" || task.Found || !task.Status.Open() {
		return task, t.uncancellable(&task)
	}
	if err := t.turn(ctx, "cancel"); err != nil {
		return task, err
	}
	refused := t.Provider.Cancel(ctx, task.ProviderTaskID)
	if known, ok := errors.AsType[*video.Error](refused); ok && known.Code == provider.NotSupported {
		return task, refused // nothing has changed that would be worth a look
	}
	now, err := t.lookAfter(context.WithoutCancel(ctx), task)
	if err != nil { // what was said of the cancellation is worth more than what could not be seen of it
		now = task
	}
	if now.Status == video.Canceled {
		return now, nil
	}
	t.hurry(context.WithoutCancel(ctx), time.Now().Add(t.beat()))
	if refused == nil {
		refused = &video.Error{Charged: video.NotCharged, Failure: video.Failure{
			Code: "NotSeenCancelled", Message: "the service took the cancellation, and does not show the task as CANCELED yet", Retryable: true,
			Advice: "Call get_task with this task_id in a few seconds.",
		}}
	}
	return now, refused
}

// lookAfter asks how a task stands after its cancellation, whose turn is that of this question as well.
func (t *Tracker) lookAfter(ctx context.Context, task video.Task) (video.Task, error) {
	s, err := t.seeSoon(ctx, task.ProviderTaskID)
	if err != nil {
		return task, err
	}
	return t.heard(ctx, task, s)
}

func (t *Tracker) uncancellable(task *video.Task) error {
	e := &video.Error{Charged: task.Charged(), Failure: video.Failure{Code: "NotPending", Message: "the task is " + string(task.Status) + ", and only a PENDING one can be cancelled"}}
	switch {
	case task.Status == video.Canceled:
		return nil
	case task.Found && task.Status.Open():
		e.Message = "it was found in the service's list by its model and time, and may be another one's until its prompt is told"
		e.Advice = "Call get_task: it is confirmed when the clip is made."
	case task.Status.Open():
		e.Message, e.Advice = "its purchase is still under way", "Call cancel_task again in a few seconds."
	case task.Status == video.Unknown && task.ProviderTaskID != "":
		e.Advice = "The service has forgotten it: ids live 24 hours. Look at the bill in " + t.Provider.Words().Console + "."
	case task.Status == video.Unknown:
		e.Advice = "Nobody knows whether it was bought. Call get_task: it is being looked for."
	case task.Status == video.Succeeded:
		e.Advice = "It is made and paid for: call get_task for its clip."
	default:
		e.Advice = "It has ended and cost nothing."
	}
	return e
}
