package simulator

import (
	"net/http"
	"time"
)

const (
	concurrentTasks = 5               // rate limit page: the rest queue as PENDING
	pendingTime     = 3 * time.Second // long enough to cancel in
	taskMemory      = 24 * time.Hour  // task page: afterwards UNKNOWN
	// linkMemory is counted from the end of a task, so a task is remembered for longer than it is shown.
	linkMemory = 24 * time.Hour
	forgetTime = taskMemory + linkMemory + time.Hour
)

func utc8() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

type status string

const (
	pending   status = "PENDING"
	running   status = "RUNNING"
	succeeded status = "SUCCEEDED"
	failed    status = "FAILED"
	canceled  status = "CANCELED"
	unknown   status = "UNKNOWN"
)

// task is one paid order. Its future is fixed when it is placed in the queue and changes only when a task ahead of it
// is cancelled.
type task struct {
	id        string
	requestID string // of the create
	order     order
	failure   *problem // how it will end, unless well
	runs      time.Duration
	submitted time.Time
	starts    time.Time
	ends      time.Time
	canceled  time.Time // zero unless it was
	planned   []*armed  // faults of later calls, from the prompt
	reads     reads
}

func (t *task) age(now time.Time) time.Duration { return now.Sub(t.submitted) }

func (t *task) status(now time.Time) status {
	switch {
	case t.age(now) >= taskMemory:
		return unknown
	case !t.canceled.IsZero():
		return canceled
	case now.Before(t.starts):
		return pending
	case now.Before(t.ends):
		return running
	case t.failure != nil && t.failure.cancels:
		return canceled
	case t.failure != nil:
		return failed
	}
	return succeeded
}

// place puts t at the end of the queue: it starts when a place is free and it has been PENDING for a moment.
func (s *Server) place(t *task) {
	first := 0
	for i := range s.slots {
		if s.slots[i].Before(s.slots[first]) {
			first = i
		}
	}
	t.starts = t.submitted.Add(s.scaled(pendingTime))
	if s.slots[first].After(t.starts) {
		t.starts = s.slots[first]
	}
	t.ends = t.starts.Add(s.scaled(t.runs))
	s.slots[first] = t.ends
}

// replan places every task anew without the cancelled ones. What has started keeps its times, because a cancelled
// task had not, and none behind it could have overtaken it.
func (s *Server) replan() {
	clear(s.slots)
	for _, t := range s.queue {
		if t.canceled.IsZero() {
			s.place(t)
		}
	}
}

// forget drops what nobody can ask about any more.
func (s *Server) forget(now time.Time) {
	for len(s.queue) > 0 && now.Sub(s.queue[0].submitted) > forgetTime && now.Sub(s.queue[0].ends) > linkMemory {
		delete(s.tasks, s.queue[0].id)
		s.queue[0] = nil // the array behind it lives on
		s.queue = s.queue[1:]
	}
	for policy, g := range s.grants {
		if now.After(g.expires) {
			delete(s.grants, policy)
		}
	}
	for key, o := range s.objects {
		if now.After(o.expires) {
			delete(s.objects, key)
		}
	}
}

type taskBody struct {
	RequestID string     `json:"request_id"`
	Output    taskOutput `json:"output"`
	Usage     any        `json:"usage,omitempty"`
}

type taskOutput struct {
	TaskID        string `json:"task_id"`
	TaskStatus    status `json:"task_status"`
	SubmitTime    string `json:"submit_time,omitempty"`
	ScheduledTime string `json:"scheduled_time,omitempty"`
	EndTime       string `json:"end_time,omitempty"`
	OrigPrompt    string `json:"orig_prompt,omitempty"`
	VideoURL      string `json:"video_url,omitempty"`
	Code          string `json:"code,omitempty"`
	Message       string `json:"message,omitempty"`
}

// get answers GET /tasks/{id}. An id nobody knows is no error but an UNKNOWN task, as measured and documented.
func (s *Server) get(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := c.r.PathValue("id")
	body := taskBody{RequestID: c.id, Output: taskOutput{TaskID: id, TaskStatus: unknown}}
	if t, ok := s.tasks[id]; ok {
		body.Output = t.output(c.now)
		if body.Output.TaskStatus == succeeded {
			body.Output.VideoURL = s.resultLink(baseAddress(c.r), t)
			body.Usage = t.order.usage()
		}
	}
	return c.json(http.StatusOK, body)
}

// output shows the fields the documents print for each state; a failed task has no times there.
func (t *task) output(now time.Time) taskOutput {
	out := taskOutput{TaskID: t.id, TaskStatus: t.status(now)}
	switch out.TaskStatus {
	case pending:
		out.SubmitTime = stamp(t.submitted)
	case running:
		out.SubmitTime, out.ScheduledTime = stamp(t.submitted), stamp(t.starts)
	case succeeded:
		out.SubmitTime, out.ScheduledTime, out.EndTime = stamp(t.submitted), stamp(t.starts), stamp(t.ends)
		out.OrigPrompt = t.order.prompt
	case canceled:
		out.SubmitTime, out.EndTime = stamp(t.submitted), stamp(t.canceled)
	case failed:
		out.Code, out.Message = t.failure.code, t.failure.message
	}
	return out
}

func stamp(t time.Time) string { return t.In(utc8()).Format("2006-01-02 15:04:05.000") }

type requestIDBody struct {
	RequestID string `json:"request_id"`
}

// cancel answers POST /tasks/{id}/cancel: PENDING tasks only. What the service says of an id it does not know is not
// documented; it gets the same refusal.
func (s *Server) cancel(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tasks[c.r.PathValue("id")]
	if !ok || t.status(c.now) != pending {
		return c.refuse(refusal{http.StatusBadRequest, "UnsupportedOperation",
			"Failed to cancel the task, please confirm if the task is in PENDING status."})
	}
	t.canceled = c.now
	s.replan()
	return c.json(http.StatusOK, requestIDBody{c.id})
}
