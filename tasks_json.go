package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// document is the report for programs: snake_case, exact numbers, times in UTC.
type document struct {
	Tasks  []taskEntry  `json:"tasks"`
	Days   []dayEntry   `json:"days"`
	Budget *budgetEntry `json:"budget"` // null for none
}

type taskEntry struct {
	TaskID         string        `json:"task_id"`
	Owner          string        `json:"owner,omitempty"`
	ProviderTaskID string        `json:"provider_task_id,omitempty"`
	IdempotencyKey string        `json:"idempotency_key,omitempty"`
	Status         video.Status  `json:"status"`
	Model          string        `json:"model,omitempty"`
	Prompt         string        `json:"prompt,omitempty"`
	CreatedAt      time.Time     `json:"created_at"`
	SubmittedAt    time.Time     `json:"submitted_at,omitzero"`
	EndedAt        time.Time     `json:"ended_at,omitzero"`
	ExpiresAt      time.Time     `json:"expires_at"`
	Cost           *costEntry    `json:"cost,omitempty"`
	Charged        video.Charged `json:"charged"`
	VideoURL       string        `json:"video_url,omitempty"`
	VideoExpiresAt time.Time     `json:"video_url_expires_at,omitzero"`
	SavedTo        string        `json:"saved_to,omitempty"`
	SaveError      string        `json:"save_error,omitempty"`
	Error          *errorEntry   `json:"error,omitempty"`
}

type costEntry struct {
	Estimated  *estimateEntry `json:"estimated,omitempty"` // left out where no rate was known
	Held       json.Number    `json:"held,omitempty"`      // set aside by the service, until it bills
	Billed     json.Number    `json:"billed,omitempty"`
	Difference json.Number    `json:"difference,omitempty"` // of the bill, from the nearest end of the estimate: 0 inside
	Currency   string         `json:"currency"`
}

type estimateEntry struct {
	Low  json.Number `json:"low"`
	High json.Number `json:"high"`
}

type errorEntry struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Advice    string `json:"advice,omitempty"`
	Retryable bool   `json:"retryable"`
}

type dayEntry struct {
	Date         string      `json:"date"`
	Currency     string      `json:"currency"`
	Tasks        int         `json:"tasks"`
	Used         json.Number `json:"used"` // billed, and held for what is not billed yet
	Billed       json.Number `json:"billed"`
	EstimatedLow json.Number `json:"estimated_low"` // the lowest estimates of what is billed
	Estimated    json.Number `json:"estimated"`     // the highest
	Above        json.Number `json:"above"`         // by how much bills are above their estimates
	Below        json.Number `json:"below"`         // by how much bills are below theirs, 0 or more
	Missed       int         `json:"missed"`        // tasks whose bill is more than 1 % outside its estimate

	People []personEntry `json:"people"`
}

// personEntry is what of a day's spending is one person's.
type personEntry struct {
	Owner  string      `json:"owner"`
	Tasks  int         `json:"tasks"`
	Used   json.Number `json:"used"`
	Billed json.Number `json:"billed"`
}

type budgetEntry struct {
	Owner    string      `json:"owner,omitempty"` // whose own part of the day it is; left out for what all have together
	PerDay   json.Number `json:"per_day"`
	Used     json.Number `json:"used"`
	Left     json.Number `json:"left"`
	Currency string      `json:"currency"`
	ResetsAt time.Time   `json:"resets_at"`
}

// number is a decimal as a JSON number, exactly.
func number(d decimal.Decimal) json.Number { return json.Number(d.String()) }

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// writeJSON shows the report to a program.
func (r *report) writeJSON(out io.Writer) error {
	d := document{Tasks: []taskEntry{}, Days: []dayEntry{}}
	for i := range r.tasks {
		d.Tasks = append(d.Tasks, asEntry(&r.tasks[i]))
	}
	for _, day := range r.days {
		people := []personEntry{}
		for _, s := range day.People {
			people = append(people, personEntry{Owner: s.Owner, Tasks: s.Tasks, Used: number(s.Used), Billed: number(s.Billed)})
		}
		d.Days = append(d.Days, dayEntry{
			People: people,
			Date:   day.Date, Currency: day.Currency, Tasks: day.Tasks, Used: number(day.Used), Billed: number(day.Billed),
			EstimatedLow: number(day.EstimatedLow), Estimated: number(day.Estimated), Above: number(day.Above), Below: number(day.Below), Missed: day.Missed,
		})
	}
	if b := r.budget; b != nil {
		d.Budget = &budgetEntry{Owner: ownerOf(b, r.filter.Owner), PerDay: number(b.PerDay), Used: number(b.Used), Left: number(b.Left), Currency: b.Currency, ResetsAt: utc(b.ResetsAt)}
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, escaped(text)+"\n")
	return err
}

func ownerOf(b *video.Budget, owner string) string {
	if b.Own {
		return owner
	}
	return ""
}

func asEntry(t *video.Task) taskEntry {
	e := taskEntry{
		TaskID: t.ID, Owner: t.Owner, ProviderTaskID: t.ProviderTaskID, IdempotencyKey: t.IdempotencyKey, Status: t.Status, Model: t.Request.Model,
		Prompt: t.Request.Prompt, CreatedAt: utc(t.CreatedAt), SubmittedAt: utc(t.SubmittedAt), EndedAt: utc(t.EndedAt), ExpiresAt: utc(t.ExpiresAt()),
		Charged: t.Charged(), VideoURL: t.VideoURL, VideoExpiresAt: utc(t.VideoURLExpiresAt()), SavedTo: t.SavedTo, SaveError: t.SaveError,
	}
	e.Cost = asCostEntry(t)
	failure := t.Failure
	if failure == nil {
		failure = t.Trouble
	}
	if failure != nil {
		e.Error = &errorEntry{Code: failure.Code, Message: failure.Message, Advice: failure.Advice, Retryable: failure.Retryable}
	}
	return e
}

// asCostEntry is what a task may cost and does, nil where nothing is known of it.
func asCostEntry(t *video.Task) *costEntry {
	held := t.Held()
	if t.Estimate == nil && t.Billed == nil && held == nil {
		return nil
	}
	e := &costEntry{Currency: t.Currency}
	if held != nil {
		e.Held = number(*held)
	}
	if t.Billed != nil {
		e.Billed = number(*t.Billed)
	}
	if c := t.Estimate; c != nil {
		e.Currency, e.Estimated = c.Currency, &estimateEntry{Low: number(c.Low), High: number(c.High)}
		if t.Billed != nil {
			miss, _ := c.Miss(*t.Billed)
			e.Difference = number(miss)
		}
	}
	return e
}
