package ledger

import (
	"context"
	"errors"
	"fmt"

	"r2v-mcp/internal/video"
)

// explain puts a failure of the database into words that say what to do. What is clear already stays as it is.
func (l *Ledger) explain(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return err
	}
	if _, ok := errors.AsType[*video.Error](err); ok {
		return err
	}
	name, words := "the ledger "+l.Path, sqliteWords
	if l.DatabaseURL != "" {
		name, words = "the ledger's database", postgresWords
	}
	what, advice := words(err)
	if errors.Is(err, errNewer) {
		what, advice = err.Error(), "Update this r2v-mcp; nothing was changed."
	}
	if what == "" {
		what, advice = err.Error(), "Call again; if it stays like this, tell the user."
	}
	failure := &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "LedgerUnavailable", Message: fmt.Sprintf("%s cannot be used: %s", name, what), Advice: advice, Retryable: true,
	}}
	if l.DatabaseURL != "" && down(err) || l.DatabaseURL == "" && (isBusy(err) || errors.Is(err, context.DeadlineExceeded)) {
		return &downError{failure}
	}
	return failure
}

// downError is the failure of a database that may be up later.
type downError struct{ failure *video.Error }

func (d *downError) Error() string   { return d.failure.Error() }
func (d *downError) Unwrap() []error { return []error{d.failure, ErrDown} }

func mayBeBought(t video.Task) error {
	return &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{
		Code:    "MayBeBoughtAlready",
		Message: fmt.Sprintf("task %s is the same request, and nobody knows yet whether it was bought", t.ID),
		Advice: fmt.Sprintf("This call bought nothing. Call get_task with task_id %s: the list of the service is searched for it, and as a rule it is found "+
			"within minutes, or set free after %.0f.", t.ID, Doubt.Minutes()),
	}}
}

func (l *Ledger) keyReused(t video.Task) error {
	if t.Upstream != l.Upstream {
		return &video.Error{Charged: t.Charged(), Failure: video.Failure{
			Code:    "IdempotencyKeyReused",
			Message: fmt.Sprintf("idempotency_key %s belongs to task %s, which was bought from %s and is %s", t.IdempotencyKey, t.ID, t.Upstream, t.Status),
			Advice: fmt.Sprintf("This call bought nothing. If that task is the clip that is wanted, do not buy it again here: only a server with the settings that it was bought with "+
				"follows it, and get_task with task_id %s tells what is known. Another key buys another clip.", t.ID),
		}}
	}
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code:    "IdempotencyKeyReused",
		Message: fmt.Sprintf("idempotency_key %s belongs to task %s, which was another request", t.IdempotencyKey, t.ID),
		Advice:  fmt.Sprintf("Nothing was bought. Call get_task with task_id %s for the earlier clip; give a new idempotency_key to buy this one.", t.ID),
	}}
}
