package evolink

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	opGet = "get task"

	maxTaskID  = 256 // characters; real ids are "task-unified-", a time and eight letters
	maxResults = 16  // links of one task that are kept; a video task has one
)

// The states of a task.
const (
	StatusPending    = "pending"
	StatusProcessing = "processing"
	StatusCompleted  = "completed" // Results are there
	StatusFailed     = "failed"    // Error says why; not charged
	StatusCancelled  = "cancelled" // in EvoLink's own client only; a cancelled task may also be failed with request_cancelled
)

// Task is a task as the service described it. Fields that an answer lacks are zero, and so is what cannot be read. Credits
// and seconds have the digits exactly as sent, and are "" when absent; do not take them through a float.
type Task struct {
	ID        string
	Model     string
	Status    string // as sent: one of the Status constants, or a word that is not documented yet
	RequestID string // of the request that read the task, not of the task
	Replayed  bool   // the answer to a create is that of an earlier one with the same key

	Progress      int           // percent, 0 to 100
	Created       time.Time     // UTC, to the second
	EstimatedTime time.Duration // until the task is done, from its creation
	CanCancel     bool          // reported, although no call that cancels is documented

	Results         []string    // links to what was made; dead 24 hours after the task ended
	VideoDuration   json.Number // seconds
	CreditsReserved json.Number // held when the task was created; fractional
	CreditsUsed     json.Number // charged in the end; not in the documents, but read by EvoLink's own client
	Error           *TaskError  // nil unless the task failed
}

// TaskError is why a task failed; cleaned and shortened like an [Error].
type TaskError struct {
	Code       string // such as "content_policy_violation"
	Message    string
	Type       string // "task_error" as documented
	Suggestion string // not in the documents, but read by EvoLink's own client
}

// GetTask returns a task of the key's account. A task that failed is not an error. One that does not exist, or no longer
// does, is an error with the code task_not_found.
//
// No task is read more often than every ReadInterval: a call that comes earlier waits, and so does one that is made while
// the task is being read. For the same reason a read is sent again only when it did not leave. Every error is an [*Error].
//
// Source: https://docs.evolink.ai/en/api-manual/task-management/get-task-detail.
func (c *Client) GetTask(ctx context.Context, id string) (*Task, error) {
	if err := checkTaskID(id); err != nil {
		return nil, c.untried(opGet, c.api, err)
	}
	a, failure := c.do(ctx, &c.queries, call{
		op:     opGet,
		method: http.MethodGet,
		path:   "/v1/tasks/" + url.PathEscape(id),
		tasks:  []string{id},
	})
	if failure != nil {
		return nil, failure
	}
	return c.got(a, id)
}

func (c *Client) got(a *answer, id string) (*Task, error) {
	t := c.task(a.object)
	switch {
	case t.ID == "" || t.Status == "":
		return nil, c.malformed(opGet, a, "the answer has no task id or no status")
	case t.ID != id:
		return nil, c.malformed(opGet, a, "the answer is about another task")
	}
	return c.signed(t, a), nil
}

// signed adds to a task what the answer says beside it.
func (c *Client) signed(t *Task, a *answer) *Task {
	t.RequestID = c.quote(a.requestID(), maxCode)
	t.Replayed = a.replayed()
	return t
}

// task reads a task leniently; the caller says what it cannot do without.
func (c *Client) task(o object) *Task {
	info, usage := o.object("task_info"), o.object("usage")
	t := &Task{
		ID:              c.id(o.text("id")),
		Model:           c.quote(o.text("model"), maxCode),
		Status:          c.quote(o.text("status"), maxCode),
		Progress:        percent(o),
		Created:         o.when("created"),
		EstimatedTime:   time.Duration(max(0, min(info.whole("estimated_time"), 24*60*60))) * time.Second,
		CanCancel:       info.isTrue("can_cancel"),
		Results:         c.results(o),
		VideoDuration:   o.amount("video_duration"),
		CreditsReserved: usage.amount("credits_reserved"),
		CreditsUsed:     usage.amount("credits_used"),
		Error:           c.taskError(o),
	}
	if t.VideoDuration == "" {
		t.VideoDuration = info.amount("video_duration")
	}
	return t
}

func percent(o object) int { return int(max(0, min(o.whole("progress"), 100))) }

// results merges the documented list of links with result_data, which EvoLink's own client reads too: either may be empty
// while the other holds the link.
func (c *Client) results(o object) []string {
	var links []string
	add := func(s string) {
		if link := c.link(s); link != "" && len(links) < maxResults && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	for _, raw := range o.each("results") {
		add(textOf(raw))
	}
	for _, raw := range o.each("result_data") {
		if data, err := parseObject(raw); err == nil {
			add(data.text("video_url"))
		}
	}
	return links
}

func (c *Client) taskError(o object) *TaskError {
	inner := o.object("error")
	if inner == nil {
		if message := c.quote(o.text("error"), maxMessage); message != "" {
			return &TaskError{Message: message}
		}
		return nil
	}
	e := TaskError{
		Code:       c.quote(inner.text("code"), maxCode),
		Message:    c.quote(inner.text("message"), maxMessage),
		Type:       c.quote(inner.text("type"), maxCode),
		Suggestion: c.quote(inner.text("suggestion"), maxMessage),
	}
	if e == (TaskError{}) {
		return nil
	}
	return &e
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
