package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxOrder holds six pictures of the documented 20 MB as data URIs, and some prompt.
const maxOrder = 192 << 20

// receive reads the body and keeps it for /control/requests.
func (s *Server) receive(c *call) *refusal {
	body, err := io.ReadAll(io.LimitReader(c.r.Body, s.maxOrder+1))
	if err != nil {
		return &refusal{http.StatusBadRequest, "InvalidParameter", invalidBody}
	}
	if int64(len(body)) > s.maxOrder {
		return &refusal{http.StatusBadRequest, "BadRequest.TooLarge", "Payload Too Large."}
	}
	c.body = body
	s.remember(c)
	return nil
}

const invalidBody = "Required body invalid, please check the request body format."

// parse reads the JSON object. Its numbers stay as written, so that 5 and 5.5 can be told apart exactly.
func (s *Server) parse(c *call) *refusal {
	if !strings.HasPrefix(strings.ToLower(c.r.Header.Get("Content-Type")), "application/json") {
		return &refusal{http.StatusBadRequest, "BadRequest.IllegalInput", "The input parameter requires json format."}
	}
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.UseNumber()
	if err := decoder.Decode(&c.order); err != nil || c.order == nil || decoder.More() {
		return &refusal{http.StatusBadRequest, "InvalidParameter", invalidBody}
	}
	input, _ := c.order["input"].(map[string]any)
	c.prompt, _ = input["prompt"].(string)
	return nil
}

type createBody struct {
	Output    createOutput `json:"output"`
	RequestID string       `json:"request_id"`
}

type createOutput struct {
	TaskStatus status `json:"task_status"`
	TaskID     string `json:"task_id"`
}

// create takes an order. Models it does not know, addresses of uploads it cannot resolve and every mistake in a
// wan2.6 order are refused at once; a wrong wan2.7 order is taken, and its task fails, as measured.
func (s *Server) create(c *call) answer {
	m, wrong := orderedModel(c.order)
	if wrong != nil {
		return c.refuse(refusal{http.StatusBadRequest, wrong.code, wrong.message})
	}
	o, mistake := readOrder(m, c.order)
	if mistake == nil && c.failure == nil {
		if c.downloads = s.fetch(c, o); len(c.downloads) > 0 {
			c.now = time.Now()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if wrong := s.resolveUploads(c, m); wrong != nil {
		return c.refuse(refusal{http.StatusBadRequest, wrong.code, wrong.message})
	}
	if mistake != nil && m.family.refusesAtOnce {
		return c.refuse(refusal{http.StatusBadRequest, mistake.code, mistake.message})
	}
	t := s.admit(c, o, mistake)
	return c.json(http.StatusOK, createBody{createOutput{pending, t.id}, c.id})
}

// admit makes the task; wrong is what the order's check found, if anything.
func (s *Server) admit(c *call, o order, wrong *problem) *task {
	s.forget(c.now)
	t := &task{id: s.tongue.newTaskID(c.now), requestID: c.id, order: o, submitted: c.now, planned: c.plannedFaults()}
	t.runs, t.failure = o.runningTime(), wrong
	switch {
	case wrong != nil:
		t.runs = checkingTime
	case c.failure != nil:
		t.failure = c.failure
		if c.failure.after > 0 {
			t.runs = c.failure.after
		}
	default:
		if wrong := s.measure(t.order, c.downloads); wrong != nil {
			t.failure, t.runs = s.tongue.failure(wrong), checkingTime
		}
	}
	t.order.forgetAddresses()
	s.place(t)
	s.tasks[t.id] = t
	s.queue = append(s.queue, t)
	s.counters[opTasks]++
	return t
}
