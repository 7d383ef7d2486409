package dashscope

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	opGet    = "get task"
	opCancel = "cancel task"

	maxTaskID = 256 // characters; real ids are UUIDs
)

// The states of a task.
const (
	StatusPending   = "PENDING"   // queued; the only state that can be cancelled
	StatusRunning   = "RUNNING"   // being worked on
	StatusSucceeded = "SUCCEEDED" // VideoURL and Usage are there
	StatusFailed    = "FAILED"    // Code and Message say why; not charged
	StatusCanceled  = "CANCELED"  // before it ran
	StatusUnknown   = "UNKNOWN"   // no such task, or one whose 24 hours are over
)

// Task is a task as the service described it. Fields that an answer lacks are zero, and so is a time that cannot be read.
// Times are UTC; the service gives them to the millisecond.
type Task struct {
	ID        string
	Status    string // one of the Status constants, or a word that is not documented yet
	RequestID string // of the request that read the task, not of the task

	SubmitTime    time.Time
	ScheduledTime time.Time
	EndTime       time.Time

	OrigPrompt   string
	ActualPrompt string // after the service's rewriting, where a model reports it
	VideoURL     string // signed; dies 24 hours after the task ended

	Code    string // of a failed task, such as "InvalidParameter"
	Message string // of a failed task; cleaned and shortened like an [Error]'s
	Usage   *Usage // nil until the task succeeded
}

// Usage is what a task is billed by. Durations are seconds, with the digits exactly as sent and "" when absent; the wan2.6
// models write 10.0 where wan2.7 writes 10. Do not take them through a float.
type Usage struct {
	Duration            json.Number // input and output together
	InputVideoDuration  json.Number
	OutputVideoDuration json.Number
	VideoCount          int
	SR                  int    // resolution tier: 720 or 1080
	Size                string // width*height; wan2.6 only
	Ratio               string // wan2.7 only
}

// GetTask returns a task of the key's account. A task that does not exist is not an error but has the status UNKNOWN; one
// that failed is not an error either. Every error is an [*Error].
//
// Source: https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks.
func (c *Client) GetTask(ctx context.Context, id string) (*Task, error) {
	if err := checkTaskID(id); err != nil {
		return nil, c.untried(opGet, err)
	}
	a, failure := c.do(ctx, &c.queries, call{op: opGet, method: http.MethodGet, path: "/tasks/" + url.PathEscape(id)})
	if failure != nil {
		return nil, failure
	}
	return c.got(a)
}

func (c *Client) got(a *answer) (*Task, error) {
	t := c.task(a)
	if t.ID == "" || t.Status == "" {
		return nil, c.malformed(opGet, a, "the answer has no task id or no status")
	}
	return t, nil
}

// CancelTask cancels a task that is still PENDING. In any other state the service refuses with the code
// UnsupportedOperation. It is sent again only when it did not leave or was throttled. Every error is an [*Error].
//
// Source: https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks.
func (c *Client) CancelTask(ctx context.Context, id string) error {
	if err := checkTaskID(id); err != nil {
		return c.untried(opCancel, err)
	}
	a, failure := c.do(ctx, &c.cancels, call{
		op:     opCancel,
		method: http.MethodPost,
		path:   "/tasks/" + url.PathEscape(id) + "/cancel",
	})
	if failure != nil {
		return failure
	}
	if a.object.text("code") != "" {
		return c.malformed(opCancel, a, "an error with a status of success")
	}
	return nil
}

// task reads a task leniently; the caller says what it cannot do without.
func (c *Client) task(a *answer) *Task {
	out := a.object.object("output")
	return &Task{
		ID:            c.id(out.text("task_id")),
		Status:        c.quote(out.text("task_status"), maxCode),
		RequestID:     c.quote(a.requestID(), maxCode),
		SubmitTime:    out.clock("submit_time"),
		ScheduledTime: out.clock("scheduled_time"),
		EndTime:       out.clock("end_time"),
		OrigPrompt:    out.text("orig_prompt"),
		ActualPrompt:  out.text("actual_prompt"),
		VideoURL:      c.link(out.text("video_url")),
		Code:          c.quote(out.text("code"), maxCode),
		Message:       c.quote(out.text("message"), maxMessage),
		Usage:         c.usage(a.object.object("usage")),
	}
}

func (c *Client) usage(o object) *Usage {
	if o == nil {
		return nil
	}
	return &Usage{
		Duration:            o.number("duration"),
		InputVideoDuration:  o.number("input_video_duration"),
		OutputVideoDuration: o.number("output_video_duration"),
		VideoCount:          int(o.integer("video_count")),
		SR:                  int(o.integer("SR")),
		Size:                c.quote(o.text("size"), maxCode),
		Ratio:               c.quote(o.text("ratio"), maxCode),
	}
}

// checkTaskID refuses what cannot be one element of a path: it would ask for something else than a task.
func checkTaskID(id string) error {
	switch {
	case id == "":
		return errors.New("no task id")
	case id == "." || id == ".." || strings.ContainsAny(id, `/\`):
		return errors.New("the task id is a path, not an id")
	case len(id) > maxTaskID || !isToken(id):
		return errors.New("the task id is too long or holds a character that no id has")
	}
	return nil
}
