package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/video"
)

// number shows a decimal as a JSON number, exactly.
func number(d decimal.Decimal) json.Number { return json.Number(d.String()) }

// stamp shows a time to the second, in UTC.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

type interval struct {
	Low  json.Number `json:"low"`
	High json.Number `json:"high"`
}

func asInterval(i billing.Interval) interval {
	return interval{Low: number(i.Low), High: number(i.High)}
}

type costAnswer struct {
	Low       json.Number `json:"low"`
	High      json.Number `json:"high"`
	Currency  string      `json:"currency"`
	PerSecond json.Number `json:"per_second"`
}

// asCost shows an estimate, nothing where no rate is known.
func asCost(c *video.Cost) *costAnswer {
	if c == nil || !c.Known() {
		return nil
	}
	return &costAnswer{Low: number(c.Low), High: number(c.High), Currency: c.Currency, PerSecond: number(c.PerSecond)}
}

// currency is what a task was bought in: a task that was made elsewhere was made with this account.
func (s *Set) currency(t *video.Task) string {
	if t.Currency == "" && t.Estimate != nil {
		return t.Estimate.Currency
	}
	if region := s.Catalogue.Region(s.Region); t.Currency == "" && region != nil {
		return region.Currency
	}
	return t.Currency
}

// asPurchase shows what a clip may cost, nothing where no rate is known and nothing is held for it.
func (s *Set) asPurchase(t *video.Task) *purchaseCost {
	out := &purchaseCost{Currency: s.currency(t)}
	if e := asCost(t.Estimate); e != nil {
		out.Low, out.High, out.PerSecond = e.Low, e.High, e.PerSecond
	}
	if held := t.Held(); held != nil {
		out.Held = number(*held)
	}
	if out.High == "" && out.Held == "" {
		return nil
	}
	return out
}

// asTaskCost shows what was estimated, what the provider holds, and what was billed once it has counted; nothing where nothing of
// these is known, as of a task that was made elsewhere.
func (s *Set) asTaskCost(t *video.Task) *taskCost {
	held := t.Held()
	if t.Estimate == nil && t.Billed == nil && held == nil {
		return nil
	}
	out := &taskCost{Currency: s.currency(t)}
	if e := t.Estimate; e != nil {
		out.Estimated = &interval{Low: number(e.Low), High: number(e.High)}
	}
	if held != nil {
		out.Held = number(*held)
	}
	if t.Billed == nil {
		return out
	}
	out.Billed = number(*t.Billed)
	if t.Estimate != nil {
		miss, _ := t.Estimate.Miss(*t.Billed)
		out.Difference = number(miss)
	}
	return out
}

// truncationWords lists the documented limits as a model reads them, for as many references as can count:
// "5, 2.5, 1.65, 1.25, 1 s when 1, 2, 3, 4, 5".
func truncationWords(most int) string {
	var limits, counts []string
	for i, d := range billing.Truncation()[:min(most, len(billing.Truncation()))] {
		limits, counts = append(limits, d.String()), append(counts, strconv.Itoa(i+1))
	}
	return strings.Join(limits, ", ") + " s when " + strings.Join(counts, ", ")
}

// nextStep is the one thing to do now, from a fixed set of sentences.
func (s *Set) nextStep(t *video.Task, c clip) string {
	wait := int(min(s.MaxWait, 45*time.Second).Seconds())
	switch {
	case t.Status.Open():
		return fmt.Sprintf("Call get_task with task_id %s and wait_seconds %d, again while status is PENDING or RUNNING. Do not call generate_r2v again.", t.ID, wait)
	case t.Status == video.Succeeded && t.Found && (t.SavedTo != "" || !dead(t) && !s.unsaved(t) && t.VideoURL != ""):
		return "Whether this is the clip that was ordered is not proved: look at it, or let the user, before it is used, and do not buy it again before."
	case t.Status == video.Succeeded && t.SavedTo != "":
		return c.nextStep()
	case t.Linkless():
		return fmt.Sprintf("The clip is made and paid for, but the service has sent no link yet: call get_task with task_id %s again until it has, within 24 hours.", t.ID)
	case t.Status == video.Succeeded && dead(t):
		return "The clip was made and paid for, but its link has died and it is not saved: tell the user, and do not buy it again unasked."
	case s.unsaved(t) && t.SaveError != "":
		return fmt.Sprintf("The clip is made, but not saved yet: saving is tried again by itself. Call get_task with task_id %s again in %d s; if the clip is needed now, give the user video_url and say that it dies at %s.",
			t.ID, s.pollAfter(t), t.VideoURLExpiresAt().UTC().Format(time.RFC3339))
	case s.unsaved(t):
		return fmt.Sprintf("The clip is made and still being saved: call get_task with task_id %s once more, or give the user video_url and say when it dies.", t.ID)
	case t.Status == video.Succeeded:
		return "Done: give the user video_url and say when it dies."
	case t.InDoubt() && remembered(t):
		return fmt.Sprintf("Nobody knows yet whether this clip was bought: do not buy it again. It is being looked for: call get_task with task_id %s and wait_seconds %d, again until its status is another. If it is still UNKNOWN after two calls, tell the user: %s.", t.ID, wait, settledBy(t))
	case t.InDoubt():
		return "This purchase was looked for in vain for 24 hours. Look at the bill in " + s.Console + " before buying the clip again."
	case t.Status == video.Unknown:
		return "The service has forgotten this task: ids live 24 hours. Look at the bill in " + s.Console + " before buying the clip again."
	case t.Failure != nil:
		return "Nothing was charged. Follow error.advice; a new purchase needs a new idempotency_key if this one had your own."
	}
	return "Nothing was charged. If the clip is still wanted, call generate_r2v again, with a new idempotency_key if this one had your own."
}

// settledBy is when a purchase of unknown fate is found or set free as a rule.
func settledBy(t *video.Task) string {
	by := t.CreatedAt.Add(search)
	if time.Now().Before(by) {
		return "it is settled by " + by.UTC().Format(time.RFC3339) + " at the latest as a rule"
	}
	return "it should be settled since " + by.UTC().Format(time.RFC3339) + ", and is looked for until " + t.ExpiresAt().UTC().Format(time.RFC3339)
}

// unsaved reports a clip that this server is to save, and may still.
func (s *Set) unsaved(t *video.Task) bool {
	return s.Saves && t.Status == video.Succeeded && t.VideoURL != "" && t.SavedTo == "" && !dead(t)
}

// pollAfter is when a task that may still change is worth asking for again, in whole seconds, 0 for any other.
func (s *Set) pollAfter(t *video.Task) int {
	if !t.Status.Open() && (!t.InDoubt() || !remembered(t)) && !s.unsaved(t) {
		return 0
	}
	return int(math.Ceil(s.PollInterval.Seconds()))
}

// refuse turns an error of the task's life into an answer in full.
func (s *Set) refuse(what string, err error) *refusal {
	err = s.told(err)
	r := &refusal{what: what, charged: video.NotCharged, next: "Call again; if it stays like this, tell the user.", cause: err}
	if err != nil {
		r.what += " " + err.Error()
	}
	if known, ok := errors.AsType[*video.Error](err); ok {
		r.charged = known.Charged
		if known.Advice != "" {
			r.next = known.Advice
		}
	}
	return r
}

// notFound refuses an id of which nothing could be learned. Whatever its task cost to make, this call does not know it.
func (s *Set) notFound(err error) *refusal {
	r := s.refuse("The task could not be looked up, which costs nothing.", err)
	r.charged = video.ChargedUnknown
	return r
}
