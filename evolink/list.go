package evolink

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	opList  = "list tasks"
	opBatch = "get tasks"

	maxBatch = 50 // ids in one call
)

// ListTasksRequest says which tasks to list. Zero fields are left out.
type ListTasksRequest struct {
	Status   string // one of the Status constants
	Model    string
	Page     int // from 1; default 1
	PageSize int // default 20; no maximum is known
}

// TaskList is one page of tasks, the newest first.
type TaskList struct {
	Tasks     []TaskSummary
	Total     int // of tasks on all pages
	Page      int
	PageSize  int
	RequestID string
	ServedAt  time.Time // when the service answered, by its own clock, in UTC to the second; zero where it does not say
}

// TaskSummary is a row of the list. It has no links; see [Client.GetTask].
type TaskSummary struct {
	ID          string
	Model       string
	Type        string // such as "video"
	Status      string // as sent
	Progress    int    // percent, 0 to 100
	Created     time.Time
	Duration    json.Number // seconds the task took; "" when absent
	CreditsUsed json.Number // "" when absent
	HasResults  bool
	HasError    bool
}

// ListTasks returns a page of the tasks of the key's account, whichever key or program created them. An answer without a
// list, or with a row that is no task, is an error and never an empty list: conclusions are drawn from a task's absence.
// Every error is an [*Error].
//
// No page describes this call; it is one of EvoLink's own client (tools/list-tasks.ts).
func (c *Client) ListTasks(ctx context.Context, r ListTasksRequest) (*TaskList, error) {
	a, failure := c.do(ctx, &c.lists, call{op: opList, method: http.MethodGet, path: "/v1/tasks", query: r.query()})
	if failure != nil {
		return nil, failure
	}
	return c.listed(a)
}

func (r ListTasksRequest) query() url.Values {
	q := url.Values{}
	set := func(key, value string, present bool) {
		if present {
			q.Set(key, value)
		}
	}
	set("status", r.Status, r.Status != "")
	set("model", r.Model, r.Model != "")
	set("page", strconv.Itoa(r.Page), r.Page != 0)
	set("page_size", strconv.Itoa(r.PageSize), r.PageSize != 0)
	return q
}

func (c *Client) listed(a *answer) (*TaskList, error) {
	rows, ok := a.object.objects("data")
	if !ok {
		return nil, c.malformed(opList, a, "the answer has no list of tasks")
	}
	list := &TaskList{
		Tasks:     make([]TaskSummary, 0, len(rows)),
		Total:     int(a.object.whole("total")),
		Page:      int(a.object.whole("page")),
		PageSize:  int(a.object.whole("page_size")),
		RequestID: c.quote(a.requestID(), maxCode),
		ServedAt:  a.servedAt(),
	}
	for _, row := range rows {
		t := c.summary(row)
		if t.ID == "" {
			return nil, c.malformed(opList, a, "a row of the list has no task id, or one that cannot be asked for")
		}
		list.Tasks = append(list.Tasks, t)
	}
	return list, nil
}

func (c *Client) summary(row object) TaskSummary {
	t := TaskSummary{
		ID:          c.id(row.text("id")),
		Model:       c.quote(row.text("model"), maxCode),
		Type:        c.quote(row.text("type"), maxCode),
		Status:      c.quote(row.text("status"), maxCode),
		Progress:    percent(row),
		Created:     row.when("created_at"),
		Duration:    row.amount("duration"),
		CreditsUsed: row.amount("credits_used"),
		HasResults:  row.isTrue("has_results"),
		HasError:    row.isTrue("has_error"),
	}
	if t.Created.IsZero() {
		t.Created = row.when("created")
	}
	return t
}

// BatchTasks returns those of up to 50 tasks that exist; the answer does not name the others. It waits until each of the
// tasks may be read again, as GetTask does, and is sent again only when it did not leave. An answer without a list, or
// with a row that is no task, is an error. Every error is an [*Error].
//
// No page describes this call; it is one of EvoLink's own client.
func (c *Client) BatchTasks(ctx context.Context, ids []string) ([]*Task, error) {
	ids = unique(ids)
	if len(ids) == 0 || len(ids) > maxBatch {
		return nil, c.untried(opBatch, c.api, fmt.Errorf("%d task ids, and 1 to %d can be asked for", len(ids), maxBatch))
	}
	for _, id := range ids {
		if err := checkTaskID(id); err != nil {
			return nil, c.untried(opBatch, c.api, err)
		}
	}
	body, err := encode(map[string][]string{"task_ids": ids})
	if err != nil {
		return nil, c.untried(opBatch, c.api, err)
	}
	a, failure := c.do(ctx, &c.queries, call{
		op:     opBatch,
		method: http.MethodPost,
		path:   "/v1/tasks/batch",
		header: map[string]string{"Content-Type": "application/json"},
		body:   body,
		tasks:  ids,
	})
	if failure != nil {
		return nil, failure
	}
	tasks, err := c.batch(a)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(tasks, func(t *Task) bool { return !slices.Contains(ids, t.ID) }), nil
}

func (c *Client) batch(a *answer) ([]*Task, error) {
	rows, ok := a.object.objects("data")
	if !ok {
		return nil, c.malformed(opBatch, a, "the answer has no list of tasks")
	}
	tasks := make([]*Task, 0, len(rows))
	for _, row := range rows {
		t := c.task(row)
		if t.ID == "" || t.Status == "" {
			return nil, c.malformed(opBatch, a, "a row of the answer has no task id or no status")
		}
		tasks = append(tasks, c.signed(t, a))
	}
	return tasks, nil
}

// unique returns the ids in their order, each once.
func unique(ids []string) []string {
	once := make([]string, 0, min(len(ids), maxBatch))
	for _, id := range ids {
		if !slices.Contains(once, id) && len(once) <= maxBatch {
			once = append(once, id)
		}
	}
	return once
}
