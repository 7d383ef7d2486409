package tools

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// search is how long a purchase of unknown fate is looked for before it is known that it never was, as a rule.
const search = 30 * time.Minute

// taskWarnings is all that somebody who pays for a task should be told unasked, the most urgent first.
func (s *Set) taskWarnings(t *video.Task, c clip) []string {
	var out []string
	for _, warning := range append([]string{s.endangered(t), searched(t), found(t), s.notSaved(t), c.trouble, misbuilt(t), s.heldMore(t)}, s.oddBill(t)...) {
		if warning != "" {
			out = append(out, warning)
		}
	}
	return out
}

// remembered reports whether the service can still be asked for a task.
func remembered(t *video.Task) bool { return time.Now().Before(t.ExpiresAt()) }

// endangered tells that a task is about to be forgotten by the service, while nobody knows what came of it.
func (s *Set) endangered(t *video.Task) string {
	left := time.Until(t.ExpiresAt())
	if left > video.Alarm || (!t.Status.Open() && !t.Linkless() && !t.InDoubt()) {
		return ""
	}
	at := t.ExpiresAt().UTC().Format(time.RFC3339)
	when := fmt.Sprintf("forgets it at %s, in %.0f minutes", at, left.Minutes())
	if left <= 0 {
		when = "has forgotten it since " + at
	}
	by := "provider_task_id " + t.ProviderTaskID
	if t.ProviderTaskID == "" {
		by = "model and time, " + t.CreatedAt.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("this clip may be lost: the service %s, and what came of the task is not known. Tell the user now to look for it in %s, by %s", when, s.Console, by)
}

// searched tells what is going on with a purchase of unknown fate.
func searched(t *video.Task) string {
	if !t.InDoubt() || !remembered(t) {
		return ""
	}
	return "the answer to the purchase was lost. It is being looked for in the service's list: as a rule it is found within seconds; " +
		"if it is provably not there for half an hour, it was not bought (FAILED, NeverArrived); it may stay open for 24 hours where several were lost at once or the list proves nothing"
}

// found tells that a task is ours for all that is known, which only the prompt of its clip proves, where the service tells it.
func found(t *video.Task) string {
	const words = "the answer to the purchase was lost, and this task was found in the service's list by model and time"
	switch {
	case t.Found && t.Status.Open():
		return words + ": its prompt confirms it when the clip is made, if the service tells prompts, and charged is unknown until then"
	case t.Found && t.Status == video.Succeeded:
		return words + "; the service did not tell its prompt: look at the clip before you use it, since it may be that of another program with the same account"
	}
	return ""
}

// notSaved tells why a clip is not on the disk yet. The reason may name places of this machine.
func (s *Set) notSaved(t *video.Task) string {
	why := " (" + t.SaveError + ")"
	if s.HidePaths {
		why = ""
	}
	switch {
	case t.SaveError == "" || t.SavedTo != "":
		return ""
	case dead(t):
		return "the clip was not saved" + why + ", and its link has died"
	}
	words := "the clip is not saved yet" + why + ": "
	if t.VideoURL != "" {
		words += "download video_url before it dies at " + t.VideoURLExpiresAt().UTC().Format(time.RFC3339) + "; "
	}
	return words + "saving is tried again by itself"
}

// dead reports whether the link to a clip has died.
func dead(t *video.Task) bool { return t.VideoURL != "" && !time.Now().Before(t.VideoURLExpiresAt()) }

// misbuilt tells what is wrong with a clip that was saved all the same.
func misbuilt(t *video.Task) string {
	if t.SaveError == "" || t.SavedTo == "" {
		return ""
	}
	return "the clip is saved, but look at it: " + t.SaveError
}

// oddBill tells when a bill is not what was estimated; the payer hears it from us first.
func (s *Set) oddBill(t *video.Task) []string {
	if t.Currency == "" || t.Status != video.Succeeded {
		return nil
	}
	if t.Billed == nil {
		return []string{s.unbilled(t)}
	}
	var out []string
	if tier := strings.TrimSuffix(t.Request.Resolution, "P"); t.Usage != nil && t.Usage.SR != 0 && tier != strconv.Itoa(t.Usage.SR) {
		out = append(out, fmt.Sprintf("the service made %dP where %s was ordered: its price may be another", t.Usage.SR, t.Request.Resolution))
	}
	if t.Estimate != nil {
		if off := difference(*t.Billed, t.Estimate); off != "" {
			out = append(out, off)
		}
	}
	return out
}

// heldMore tells of a hold above the highest estimate, the first sign of a rate that is wrong.
func (s *Set) heldMore(t *video.Task) string {
	held := t.Held()
	if held == nil || t.Estimate == nil || !held.GreaterThan(t.Estimate.High) {
		return ""
	}
	return fmt.Sprintf("the service has set aside %s %s, and the highest estimate was %s: its rate may be another than the one that is known here; tell the user before more is bought",
		held, s.currency(t), t.Estimate.High)
}

// unbilled tells of a success of which nobody knows yet what it cost.
func (s *Set) unbilled(t *video.Task) string {
	words := "the service sent no usage that can be read"
	if t.Estimate == nil {
		words = "the service has told no bill"
	}
	if !t.BillAt.IsZero() {
		words += " yet, and is asked again by a server with its key"
	}
	words += ": look at the bill in " + s.Console
	if held := t.Held(); held != nil {
		if t.Estimate != nil { // which is held where it is more
			held = new(decimal.Max(*held, t.Estimate.High))
		}
		words += fmt.Sprintf("; the budget counts the %s %s that are held for it", held, s.currency(t))
	}
	return words
}

// difference tells by how much a bill misses its estimate, when that is more than one percent.
func difference(billed decimal.Decimal, estimate *video.Cost) string {
	miss, off := estimate.Miss(billed)
	if !off {
		return ""
	}
	direction := "above"
	if miss.IsNegative() {
		direction = "below"
	}
	share := ""
	if nearest := billed.Sub(miss); nearest.IsPositive() {
		share = fmt.Sprintf(" (%s %%)", miss.Abs().Shift(2).Div(nearest).Round(1))
	}
	estimated := estimate.High.String()
	if !estimate.Low.Equal(estimate.High) {
		estimated = estimate.Low.String() + " to " + estimated
	}
	return fmt.Sprintf("the bill of %s %s is %s%s %s the estimate of %s: a reference may be longer or shorter than was said",
		billed, estimate.Currency, miss.Abs(), share, direction, estimated)
}
