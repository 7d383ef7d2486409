package simulator

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	defaultPageSize = 10
	maxPageSize     = 100
	listTime        = "20060102150405" // YYYYMMDDhhmmss
)

// listQuery is what GET /tasks can be narrowed to. Other parameters, like the SDK's region, are ignored.
type listQuery struct {
	from, to            time.Time
	taskID, model, word string
	page, size          int
}

type listBody struct {
	Total     int       `json:"total"`
	Data      []listRow `json:"data"`
	TotalPage int       `json:"total_page"`
	PageNo    int       `json:"page_no"`
	RequestID string    `json:"request_id"`
	PageSize  int       `json:"page_size"`
}

type listRow struct {
	APIKeyID         string `json:"api_key_id"`
	CallerParentID   string `json:"caller_parent_id"`
	CallerUID        string `json:"caller_uid"`
	EndTime          int64  `json:"end_time,omitempty"`
	GMTCreate        int64  `json:"gmt_create"`
	ModelName        string `json:"model_name"`
	Region           string `json:"region"`
	RequestID        string `json:"request_id"`
	StartTime        int64  `json:"start_time,omitempty"`
	Status           status `json:"status"`
	TaskID           string `json:"task_id"`
	UserAPIUniqueKey string `json:"user_api_unique_key"`
}

// list answers GET /tasks, newest first. Rows have no video_url and no usage.
func (s *Server) list(c *call) answer {
	query, wrong := readListQuery(c.r.URL.Query(), c.now)
	if wrong != nil {
		return c.refuse(refusal{http.StatusBadRequest, wrong.code, wrong.message})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*task
	for _, t := range slices.Backward(s.queue) {
		if query.wants(t, c.now) && t.age(c.now) >= c.hideYoung && !t.hidden(c.now) {
			found = append(found, t)
		}
	}
	body := listBody{Total: len(found), Data: []listRow{}, PageNo: query.page, PageSize: query.size, RequestID: c.id}
	body.TotalPage = (len(found) + query.size - 1) / query.size
	first := min((query.page-1)*query.size, len(found))
	for _, t := range found[first:min(first+query.size, len(found))] {
		body.Data = append(body.Data, t.row(c.now))
	}
	return c.json(http.StatusOK, body)
}

func (q listQuery) wants(t *task, now time.Time) bool {
	state := t.status(now)
	return state != unknown &&
		!t.submitted.Before(q.from) && !t.submitted.After(q.to) &&
		(q.taskID == "" || q.taskID == t.id) &&
		(q.model == "" || q.model == t.order.model.name) &&
		(q.word == "" || q.word == string(state))
}

func (t *task) row(now time.Time) listRow {
	row := listRow{
		APIKeyID: "10001", CallerParentID: "1000000000000001", CallerUID: "1000000000000001",
		GMTCreate: t.submitted.UnixMilli(), ModelName: t.order.model.name, Region: "cn-beijing",
		RequestID: t.requestID, Status: t.status(now), TaskID: t.id,
		UserAPIUniqueKey: "apikey:v1:aigc:video-generation:video-synthesis:" + t.order.model.name,
	}
	switch row.Status {
	case running:
		row.StartTime = t.starts.UnixMilli()
	case succeeded, failed:
		row.StartTime, row.EndTime = t.starts.UnixMilli(), t.ends.UnixMilli()
	case canceled:
		row.EndTime = t.canceled.UnixMilli()
	}
	return row
}

func readListQuery(values url.Values, now time.Time) (listQuery, *problem) {
	q := listQuery{taskID: values.Get("task_id"), model: values.Get("model_name"), word: values.Get("status")}
	known := []status{"", pending, running, succeeded, failed, canceled, unknown}
	if !slices.Contains(known, status(q.word)) {
		return q, invalidQuery("status")
	}
	var ok bool
	if q.page, ok = positive(values.Get("page_no"), 1); !ok {
		return q, invalidQuery("page_no")
	}
	if q.size, ok = positive(values.Get("page_size"), defaultPageSize); !ok || q.size > maxPageSize {
		return q, invalidQuery("page_size")
	}
	return q, q.readSpan(values.Get("start_time"), values.Get("end_time"), now)
}

// readSpan takes times of UTC+8, 24 h apart at the most; one that is left out is 24 h from the other, or now.
func (q *listQuery) readSpan(start, end string, now time.Time) *problem {
	q.to, q.from = now, now.Add(-taskMemory)
	var err error
	if end != "" {
		if q.to, err = time.ParseInLocation(listTime, end, utc8()); err != nil {
			return invalidQuery("end_time")
		}
		q.to = q.to.Add(time.Second - time.Nanosecond) // the whole second that was named
		q.from = q.to.Add(-taskMemory)
	}
	if start != "" {
		if q.from, err = time.ParseInLocation(listTime, start, utc8()); err != nil {
			return invalidQuery("start_time")
		}
		if end == "" {
			q.to = q.from.Add(taskMemory)
		}
	}
	if q.to.Sub(q.from) >= taskMemory+time.Second || q.to.Before(q.from) {
		return invalidQuery("start_time")
	}
	return nil
}

func invalidQuery(name string) *problem {
	return invalid("Required parameter(%s) missing or invalid, please check the request parameters.", name)
}

func positive(text string, fallback int) (int, bool) {
	if text == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= 1_000_000
}
