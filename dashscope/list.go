package dashscope

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const opList = "list tasks"

// ListTasksRequest says which tasks to list. Zero fields are left out. The service keeps tasks for 24 hours.
type ListTasksRequest struct {
	Start    time.Time // submitted from; whole seconds. Default of the service: 24 hours ago
	End      time.Time // submitted until; at most 24 hours after Start
	Model    string
	Status   string // one of the Status constants
	TaskID   string
	PageNo   int // from 1; default 1
	PageSize int // default 10; no maximum is documented
}

// TaskList is one page of tasks.
type TaskList struct {
	Tasks      []TaskSummary
	Total      int // of tasks on all pages
	TotalPages int
	PageNo     int
	PageSize   int
	RequestID  string
	ServedAt   time.Time // when the service answered, by its own clock, in UTC to the second; zero where it does not say
}

// TaskSummary is a row of the list. It has neither the video's URL nor its usage; see [Client.GetTask]. Times are UTC, to
// the millisecond, and zero where the answer lacks them.
type TaskSummary struct {
	ID        string
	Status    string
	Model     string
	Region    string
	RequestID string    // of the request that created the task
	Created   time.Time // gmt_create
	Started   time.Time // start_time
	Ended     time.Time // end_time
}

// ListTasks returns a page of the tasks of the key's account, whichever key or program created them. An answer without a
// list, or with a row that is no task, is an error and never an empty list: conclusions are drawn from a task's absence.
// Every error is an [*Error].
//
// Source: https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks.
func (c *Client) ListTasks(ctx context.Context, r ListTasksRequest) (*TaskList, error) {
	a, failure := c.do(ctx, &c.lists, call{op: opList, method: http.MethodGet, path: "/tasks/", query: r.query()})
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
	const layout = "20060102150405"
	set("start_time", r.Start.In(beijing()).Format(layout), !r.Start.IsZero())
	set("end_time", r.End.In(beijing()).Format(layout), !r.End.IsZero())
	set("model_name", r.Model, r.Model != "")
	set("status", r.Status, r.Status != "")
	set("task_id", r.TaskID, r.TaskID != "")
	set("page_no", strconv.Itoa(r.PageNo), r.PageNo != 0)
	set("page_size", strconv.Itoa(r.PageSize), r.PageSize != 0)
	return q
}

func (c *Client) listed(a *answer) (*TaskList, error) {
	rows, ok := a.object.objects("data")
	if !ok {
		return nil, c.malformed(opList, a, "the answer has no list of tasks")
	}
	list := &TaskList{
		Tasks:      make([]TaskSummary, 0, len(rows)),
		Total:      int(a.object.integer("total")),
		TotalPages: int(a.object.integer("total_page")),
		PageNo:     int(a.object.integer("page_no")),
		PageSize:   int(a.object.integer("page_size")),
		RequestID:  c.quote(a.requestID(), maxCode),
		ServedAt:   a.servedAt(),
	}
	for _, row := range rows {
		t := TaskSummary{
			ID:        c.id(row.text("task_id")),
			Status:    c.quote(row.text("status"), maxCode),
			Model:     c.quote(row.text("model_name"), maxCode),
			Region:    c.quote(row.text("region"), maxCode),
			RequestID: c.quote(row.text("request_id"), maxCode),
			Created:   row.epoch("gmt_create"),
			Started:   row.epoch("start_time"),
			Ended:     row.epoch("end_time"),
		}
		if t.ID == "" {
			return nil, c.malformed(opList, a, "a row of the list has no task id, or one that cannot be asked for")
		}
		list.Tasks = append(list.Tasks, t)
	}
	return list, nil
}
