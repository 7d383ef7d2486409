package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	relayPageSize = 20
	maxBatch      = 50
)

type relayListBody struct {
	Data     []relayRow `json:"data"`
	Total    int        `json:"total"`
	Page     int        `json:"page"`
	PageSize int        `json:"page_size"`
}

// relayRow is a task in a list, which tells no link.
type relayRow struct {
	ID          string      `json:"id"`
	Model       string      `json:"model"`
	Type        string      `json:"type"`
	Status      string      `json:"status"`
	Progress    int         `json:"progress"`
	CreatedAt   int64       `json:"created_at"`
	Duration    int64       `json:"duration"` // seconds that it took
	HasResults  bool        `json:"has_results"`
	ResultCount int         `json:"result_count"`
	HasError    bool        `json:"has_error"`
	CreditsUsed json.Number `json:"credits_used,omitempty"`
}

type relayQuery struct {
	status, kind, model string
	page, size          int
}

// listRelayed answers GET /v1/tasks, newest first. It is in no document: EvoLink's own client uses it.
func (s *Server) listRelayed(c *call) answer {
	query, wrong := readRelayQuery(c.r.URL.Query())
	if wrong != nil {
		return c.refuseField(wrong)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*task
	for _, t := range slices.Backward(s.queue) {
		if query.wants(t, c.now) && t.age(c.now) >= c.hideYoung && !t.hidden(c.now) {
			found = append(found, t)
		}
	}
	body := relayListBody{Data: []relayRow{}, Total: len(found), Page: query.page, PageSize: query.size}
	first := min((query.page-1)*query.size, len(found))
	for _, t := range found[first:min(first+query.size, len(found))] {
		body.Data = append(body.Data, t.relayRow(c.now))
	}
	return c.json(http.StatusOK, body)
}

func (q relayQuery) wants(t *task, now time.Time) bool {
	state := t.status(now)
	return state != unknown &&
		(q.status == "" || q.status == relayStatus(state)) &&
		(q.kind == "" || q.kind == relayType) &&
		(q.model == "" || q.model == t.order.model.name)
}

func (t *task) relayRow(now time.Time) relayRow {
	state := t.status(now)
	row := relayRow{
		ID: t.id, Model: t.order.model.name, Type: relayType, Status: relayStatus(state), Progress: t.progress(now),
		CreatedAt: t.submitted.Unix(), HasError: state == failed, CreditsUsed: "0",
	}
	if !now.Before(t.ends) {
		row.Duration = ceilSeconds(t.ends.Sub(t.submitted))
	}
	if state == succeeded {
		row.HasResults, row.ResultCount, row.CreditsUsed = true, 1, t.order.used().number()
	}
	if t.unbilled(now) {
		row.CreditsUsed = ""
	}
	return row
}

func readRelayQuery(values url.Values) (relayQuery, *fieldProblem) {
	q := relayQuery{status: values.Get("status"), kind: values.Get("type"), model: values.Get("model")}
	if !slices.Contains([]string{"", "pending", "processing", "completed", "failed", "cancelled"}, q.status) {
		return q, &fieldProblem{"status", "Invalid status parameter"}
	}
	var ok bool
	if q.page, ok = positive(values.Get("page"), 1); !ok {
		return q, &fieldProblem{"page", "Invalid page parameter"}
	}
	if q.size, ok = positive(values.Get("page_size"), relayPageSize); !ok || q.size > maxPageSize {
		return q, &fieldProblem{"page_size", "Invalid page_size parameter"}
	}
	return q, nil
}

type batchBody struct {
	Data []relayTaskBody `json:"data"`
}

// readBatch reads the ids before anything else is looked at: each of them is a read, whatever becomes of the call.
func (s *Server) readBatch(c *call) *refusal {
	var asked struct {
		IDs []string `json:"task_ids"`
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, maxControlBody))
	if err != nil || json.Unmarshal(body, &asked) != nil {
		return &refusal{http.StatusBadRequest, "invalid_request", "Invalid request body: a JSON object is expected"}
	}
	c.ids = asked.IDs
	s.noteReads(c.now, asked.IDs...)
	return nil
}

// batchRelayed answers POST /v1/tasks/batch, in the order of the ids and without those that nobody knows.
func (s *Server) batchRelayed(c *call) answer {
	if n := len(c.ids); n < 1 || n > maxBatch {
		return c.refuseField(&fieldProblem{"task_ids", "task_ids must have 1 to 50 items"})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	body := batchBody{[]relayTaskBody{}}
	for _, id := range c.ids {
		if t, ok := s.tasks[id]; ok && t.status(c.now) != unknown {
			body.Data = append(body.Data, s.relayed(t, c.now, baseAddress(c.r)))
		}
	}
	return c.json(http.StatusOK, body)
}

// startingCredits is what the simulated account has: enough for any test.
const startingCredits credits = 1_000_000_00000

type creditsBody struct {
	Data    creditsData `json:"data"`
	Message string      `json:"message"`
	Success bool        `json:"success"`
}

type creditsData struct {
	Token tokenCredits `json:"token"`
	User  userCredits  `json:"user"`
}

type tokenCredits struct {
	Remaining json.Number `json:"remaining_credits"`
	Unlimited bool        `json:"unlimited_credits"`
	Used      json.Number `json:"used_credits"`
}

type userCredits struct {
	Remaining json.Number `json:"remaining_credits"`
	Used      json.Number `json:"used_credits"`
}

// credits answers GET /v1/credits: what the remembered tasks have used, and what the open ones hold.
func (s *Server) credits(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var used credits
	for _, t := range s.queue {
		switch {
		case c.now.Before(t.ends):
			used += t.order.reserved()
		case t.failure == nil:
			used += t.order.used()
		}
	}
	left := (startingCredits - used).number()
	return c.json(http.StatusOK, creditsBody{creditsData{
		tokenCredits{left, false, used.number()}, userCredits{left, used.number()},
	}, "", true})
}
