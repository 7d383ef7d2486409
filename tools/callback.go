package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"r2v-mcp/internal/video"
)

const (
	callbackField = "callback_url"
	switchedOff   = "the operator has switched callbacks off (R2V_CALLBACKS)"
)

// callAnswer is what has come of a task's callback.
type callAnswer struct {
	Host      string    `json:"host"`
	State     string    `json:"state" jsonschema:"enum=waiting,enum=retrying,enum=delivered,enum=given_up,enum=off"`
	Attempts  int       `json:"attempts,omitempty"`
	LastAt    time.Time `json:"last_attempt_at,omitzero"`
	Delivered time.Time `json:"delivered_at,omitzero"`
	NextAt    time.Time `json:"next_attempt_at,omitzero"`
	Error     string    `json:"error,omitempty"`
}

// asCallback shows of the receiver's address nothing but the host: the rest may be secret. Of a purchase that was refused within its call
// there is nothing to tell anybody.
func (s *Set) asCallback(t *video.Task) *callAnswer {
	c := t.Callback
	if c == nil || c.Told {
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
	if !c.Over() {
		s.hinder(out, c)
	}
	return out
}

// hinder says why nothing is sent although something is to be told.
func (s *Set) hinder(out *callAnswer, c *video.Callback) {
	if s.Callbacks == nil {
		out.State, out.NextAt, out.Error = "off", time.Time{}, switchedOff
		return
	}
	if why := s.Callbacks.Refusal(c.URL); why != "" {
		out.Error = why
	}
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
			Field: callbackField, Wrong: switchedOff, Allowed: "no callback_url: wait with get_task",
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
