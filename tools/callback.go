package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"r2v-mcp/internal/video"
)

const callbackField = "callback_url"

// callAnswer is what has come of a task's callback.
type callAnswer struct {
	Host      string    `json:"host"`
	State     string    `json:"state" jsonschema:"enum=waiting,enum=retrying,enum=delivered,enum=given_up"`
	Attempts  int       `json:"attempts,omitempty"`
	LastAt    time.Time `json:"last_attempt_at,omitzero"`
	Delivered time.Time `json:"delivered_at,omitzero"`
	NextAt    time.Time `json:"next_attempt_at,omitzero"`
	Error     string    `json:"error,omitempty"`
}

// asCallback shows of the receiver's address nothing but the host: the rest may be secret.
func asCallback(t *video.Task) *callAnswer {
	c := t.Callback
	if c == nil {
		return nil
	}
	out := &callAnswer{
		Host: c.Host(), State: "waiting", Attempts: c.Attempts, LastAt: stamp(c.LastAt), Delivered: stamp(c.DeliveredAt), Error: c.Error,
	}
	switch {
	case !c.DeliveredAt.IsZero():
		out.State = "delivered"
	case c.Over():
		out.State = "given_up"
	case c.Attempts > 0:
		out.State, out.NextAt = "retrying", stamp(c.NextAt)
	}
	return out
}

// CallbackBody is what a callback says of a task: what get_task would, but for the callback itself.
func (s *Set) CallbackBody(ctx context.Context, task video.Task) ([]byte, error) {
	task.Callback = nil
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // as the tools' answers
	if err := enc.Encode(s.taskAnswer(ctx, task, nil)); err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// checkCallback looks at who is to be told of the end, before anything is bought.
func (s *Set) checkCallback(ctx context.Context, in generateArguments, q *quote) {
	q.callback = plainAddress(in.CallbackURL)
	if q.callback == "" {
		return
	}
	if s.Callbacks == nil {
		q.report.Problems = append(q.report.Problems, video.Problem{
			Field: callbackField, Wrong: "the operator has switched callbacks off (R2V_CALLBACKS)", Allowed: "no callback_url: wait with get_task",
		})
		return
	}
	problem, warning := s.Callbacks.Check(ctx, q.callback)
	if problem != nil {
		q.report.Problems = append(q.report.Problems, *problem)
	}
	if warning != "" {
		q.report.Warnings = append(q.report.Warnings, warning)
	}
}

// keptCallback says that an earlier task tells another than a call wants, empty where it does not.
func keptCallback(task *video.Task, wanted string) string {
	switch {
	case wanted == "" || task.Callback != nil && task.Callback.URL == wanted:
		return ""
	case task.Callback == nil:
		return "callback_url: the task was bought without one, and stays so: wait with get_task"
	}
	return "callback_url: the task keeps the one that it was bought with, at " + task.Callback.Host()
}
