package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// credits are counted in hundred-thousandths: a rate has two decimals, a length three.
type credits int64

// number writes 4207500 as 42.075 and 3400000 as 34.
func (c credits) number() json.Number {
	digits := strconv.FormatInt(int64(c), 10)
	if len(digits) < 6 {
		digits = strings.Repeat("0", 6-len(digits)) + digits
	}
	whole, decimals := digits[:len(digits)-5], strings.TrimRight(digits[len(digits)-5:], "0")
	if decimals == "" {
		return json.Number(whole)
	}
	return json.Number(whole + "." + decimals)
}

// creditsPerSecond is in hundredths of a credit. The relay publishes no rates of these models: these are the simulator's own.
func (o order) creditsPerSecond() credits {
	full := credits(680)
	if o.tier == 1080 {
		full = 1020
	}
	switch {
	case o.model.name != relayFlash:
		return full
	case o.silent:
		return full / 4
	}
	return full / 2
}

// reserved is held when a task is made: its duration alone.
func (o order) reserved() credits { return o.creditsPerSecond() * credits(o.seconds) * 1000 }

// used is what a task costs when it has succeeded: what went in and what came out.
func (o order) used() credits {
	billed := millis(o.seconds) * 1000
	for _, ref := range o.references {
		if ref.kind == videoKind {
			billed += min(ref.length, o.relayLimit())
		}
	}
	return o.creditsPerSecond() * credits(billed)
}

// relayLimit is how much of each video is billed ("Input video billing rules" of wan2.6). For wan2.7 the pages tell of none.
func (o order) relayLimit() millis {
	if o.model.name == relay27 {
		return longestVideo
	}
	videos := 0
	for _, ref := range o.references {
		if ref.kind == videoKind {
			videos++
		}
	}
	switch videos {
	case 1:
		return 5000
	case 2:
		return 2500
	}
	return 1650
}

type relayBill struct {
	CreditsUsed json.Number `json:"credits_used"`
}

func (o order) relayUsage26(_, _ millis) any { return relayBill{o.used().number()} }

func (o order) relayUsage27(_, _ millis) any { return relayBill{o.used().number()} }

const (
	relayObject = "video.generation.task"
	relayType   = "video"
)

type relayCreateBody struct {
	Created  int64           `json:"created"`
	ID       string          `json:"id"`
	Model    string          `json:"model"`
	Object   string          `json:"object"`
	Progress int             `json:"progress"`
	Status   string          `json:"status"`
	TaskInfo relayCreateInfo `json:"task_info"`
	Type     string          `json:"type"`
	Usage    relayHold       `json:"usage"`
}

type relayCreateInfo struct {
	CanCancel     bool  `json:"can_cancel"`
	EstimatedTime int64 `json:"estimated_time"`
}

type relayHold struct {
	BillingRule     string      `json:"billing_rule"`
	CreditsReserved json.Number `json:"credits_reserved"`
	UserGroup       string      `json:"user_group"`
}

// createRelayed takes an order, or refuses it at once. The header Idempotency-Key changes nothing: it is in no document.
func (s *Server) createRelayed(c *call) answer {
	o, wrong := readRelayed(c.order, s.callbacks.inside)
	if wrong != nil {
		return c.refuseField(wrong)
	}
	if c.failure == nil {
		if c.downloads = s.fetch(c, o); len(c.downloads) > 0 {
			c.now = time.Now()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.admit(c, o, nil)
	s.planCallback(c, t)
	return c.json(http.StatusOK, relayCreateBody{
		Created: t.submitted.Unix(), ID: t.id, Model: o.model.name, Object: relayObject, Status: "pending",
		TaskInfo: relayCreateInfo{true, ceilSeconds(t.ends.Sub(t.submitted))}, Type: relayType,
		Usage: relayHold{"per_second", o.reserved().number(), "default"},
	})
}

func ceilSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// relayStatus is a task's state in the relay's words; cancelled stands in no enum, but callbacks and filters tell of it.
func relayStatus(s status) string {
	return map[status]string{
		pending: "pending", running: "processing", succeeded: "completed", failed: "failed", canceled: "cancelled",
	}[s]
}

type relayTaskBody struct {
	Created    int64           `json:"created"`
	Error      *relayError     `json:"error,omitempty"`
	ID         string          `json:"id"`
	Model      string          `json:"model"`
	Object     string          `json:"object"`
	Progress   int             `json:"progress"`
	ResultData []relayResult   `json:"result_data,omitempty"`
	Results    []string        `json:"results,omitempty"`
	Status     string          `json:"status"`
	TaskInfo   relayTaskInfo   `json:"task_info"`
	Type       string          `json:"type"`
	Usage      json.RawMessage `json:"usage,omitempty"`
}

type relayTaskInfo struct {
	CanCancel bool `json:"can_cancel"`
}

type relayResult struct {
	ResultID string `json:"result_id"`
	Duration int    `json:"duration"`
	VideoURL string `json:"video_url"`
}

// getRelayed answers GET /v1/tasks/{id}. A task is forgotten after a day.
func (s *Server) getRelayed(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tasks[c.r.PathValue("id")]
	if !ok || t.status(c.now) == unknown {
		return c.refuse(refusal{http.StatusNotFound, "task_not_found", "Task not found or expired"})
	}
	body := s.relayed(t, c.now, baseAddress(c.r))
	if c.unbilled || c.now.Sub(t.ends) < c.hideYoung {
		body.Usage = nil
	}
	if c.nested && body.Results != nil {
		body.ResultData = []relayResult{{"result-1", t.order.seconds, body.Results[0]}}
		body.Results = nil
	}
	return c.json(http.StatusOK, body)
}

// relayed is a task as the relay shows it. credits_used is in no document: EvoLink's own client reads it.
func (s *Server) relayed(t *task, now time.Time, base string) relayTaskBody {
	state := t.status(now)
	body := relayTaskBody{
		Created: t.submitted.Unix(), ID: t.id, Model: t.order.model.name, Object: relayObject, Progress: t.progress(now),
		Status: relayStatus(state), TaskInfo: relayTaskInfo{state == pending}, Type: relayType,
	}
	switch state {
	case succeeded:
		body.Results = []string{s.resultLink(base, t)}
		if !t.unbilled(now) {
			body.Usage = json.RawMessage(`{"credits_used":` + t.order.used().number().String() + `}`)
		}
	case failed:
		body.Error = &relayError{Code: t.failure.code, Message: t.failure.message, Type: "task_error"}
	}
	return body
}

// progress grows with time up to 99 and is 100 once the task has ended, however it did.
func (t *task) progress(now time.Time) int {
	switch t.status(now) {
	case pending:
		return 0
	case running:
		return int(99 * now.Sub(t.starts) / max(1, t.ends.Sub(t.starts)))
	}
	return 100
}

// unbilled tells of a task whose bill is kept back.
func (t *task) unbilled(now time.Time) bool {
	return slices.ContainsFunc(t.planned, func(a *armed) bool {
		return a.left != 0 && (a.fault.Name == noUsageFault || a.fault.Name == lateBillFault && now.Sub(t.ends) < a.delay)
	})
}
