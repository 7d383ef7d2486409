package page

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

const (
	longestPrompt  = 220 // characters of a prompt that tell it from others
	longestMessage = 400 // characters of what upstream says
)

// entry is a task as the page shows it.
type entry struct {
	ID, Status, Prompt       string
	Facts                    []string // the model, and what was asked of it
	Made                     time.Time
	Took                     string // how long the service took
	Estimated, Billed, Money string // Money says whether anything was charged, where it is not billed yet
	Live                     bool   // it may change by itself
	Retried                  bool   // saving failed, and is tried again now and then
	Progress                 *progress
	Clip                     bool      // it is saved, and can be played
	Link                     string    // to the clip at the service, by https, while it lives
	LinkUntil                time.Time // zero where the service has told no link
	LinkDead                 bool
	Width, Height            int // of the clip, or what has its shape
	Stage                    string
	Failure                  *video.Failure
	Trouble, SaveError       string
}

// progress is how far a task seems to be. Percent is 0 when nobody can tell.
type progress struct {
	Percent int
	Words   string
}

func newEntry(t *video.Task, now time.Time, currency string, usual func(string) span) entry {
	e := entry{ID: t.ID, Status: string(t.Status), Made: t.CreatedAt.UTC(), Facts: facts(t),
		Prompt:    cmp.Or(line(cmp.Or(t.Request.Prompt, t.Prompt), longestPrompt), "A clip without a known prompt"),
		Clip:      t.Status == video.Succeeded && t.SavedTo != "" && isID(t.ID),
		SaveError: line(t.SaveError, longestMessage), Live: live(t, now),
	}
	e.Width, e.Height = shape(t)
	e.price(t, currency)
	if !t.EndedAt.IsZero() && !t.SubmittedAt.IsZero() {
		e.Took = spell(t.EndedAt.Sub(t.SubmittedAt))
	}
	e.fromService(t, now)
	if f := t.Failure; f != nil {
		e.Failure = &video.Failure{Code: line(f.Code, 80), Message: line(f.Message, longestMessage), Advice: line(f.Advice, longestMessage), Retryable: f.Retryable}
	}
	if f := t.Trouble; f != nil && e.Live {
		e.Trouble = line(f.Message+" "+f.Advice, longestMessage)
	}
	if e.Live {
		e.Progress = newProgress(t, now, usual(t.Request.Model))
	} else if !e.Clip {
		e.Stage = stage(t, now)
	}
	return e
}

// fromService fills in how the clip can be had from the service, and how long.
func (e *entry) fromService(t *video.Task, now time.Time) {
	until := t.VideoURLExpiresAt()
	if t.Status != video.Succeeded || until.IsZero() {
		return
	}
	e.LinkUntil, e.LinkDead = until.UTC(), !now.Before(until)
	if !e.Clip {
		e.Link, _ = serviceLinkOf(t, now)
	}
	e.Retried = t.SavedTo == "" && t.SaveError != "" && !e.LinkDead
}

// serviceLinkOf tells the service's link to a clip and when it ends, empty when it has ended or a browser is not to follow it.
func serviceLinkOf(t *video.Task, now time.Time) (link string, until time.Time) {
	until = t.VideoURLExpiresAt()
	if t.Status != video.Succeeded || !now.Before(until) || !isWebLink(t.VideoURL) {
		return "", time.Time{}
	}
	return t.VideoURL, until.UTC()
}

// live reports whether the page of a task may change by itself.
func live(t *video.Task, now time.Time) bool {
	switch {
	case t.Status.Open():
		return true
	case t.InDoubt(), t.Linkless():
		return now.Before(t.ExpiresAt())
	}
	return t.Status == video.Succeeded && t.SavedTo == "" && t.SaveError == "" && now.Before(t.EndedAt.Add(saving))
}

// saving is how long a clip is waited for to be saved: then whoever should save it does not.
const saving = 10 * time.Minute

// facts are the model and what was asked of it, where that is known.
func facts(t *video.Task) []string {
	r := &t.Request
	all := []string{line(r.Model, 60), line(r.Resolution, 20), line(r.Ratio, 20), ""}
	if u := t.Usage; u != nil && u.Output.IsPositive() {
		all[3] = u.Output.String() + "\u00a0s"
	} else if r.Duration > 0 {
		all[3] = strconv.Itoa(r.Duration) + "\u00a0s"
	}
	known := all[:0]
	for _, fact := range all {
		if fact != "" {
			known = append(known, fact)
		}
	}
	return known
}

// price fills in what the task may cost, and does.
func (e *entry) price(t *video.Task, currency string) {
	if c := t.Estimate; c != nil {
		currency = c.Currency
		e.Estimated = amount(c.High, currency)
		if !c.Low.Equal(c.High) {
			e.Estimated = figure(c.Low, currency) + "–" + e.Estimated
		}
	} else if t.Currency != "" {
		currency = t.Currency
	}
	held := ""
	if h := t.Held(); h != nil {
		held = amount(*h, currency) + " held by the service"
	}
	switch {
	case t.Billed != nil:
		e.Billed = amount(*t.Billed, currency)
	case t.Charged() == video.NotCharged && t.Status.Open() && held != "":
		e.Money = "Nothing yet; " + held
	case t.Charged() == video.NotCharged && t.Status.Open():
		e.Money = "Nothing yet"
	case t.Charged() == video.NotCharged:
		e.Money = "Nothing"
	case t.Charged() == video.WasCharged && held != "":
		e.Money = "Charged; the bill is not known yet, and " + held
	case t.Charged() == video.WasCharged:
		e.Money = "Charged; the bill is not known yet"
	default:
		e.Money = "Not known yet"
	}
}

// amount spells money with its currency.
func amount(d decimal.Decimal, currency string) string {
	return strings.TrimSuffix(figure(d, currency)+"\u00a0"+line(currency, 8), "\u00a0")
}

// figure spells money with two decimals, and with more where it has more; what is no money, such as credits, as it is.
func figure(d decimal.Decimal, currency string) string {
	if strings.ToUpper(currency) == currency && (d.Exponent() > -2 || d.Equal(d.Truncate(2))) {
		return d.StringFixed(2)
	}
	return d.String()
}

// newProgress tells how far a task is where the service does, and else estimates it.
func newProgress(t *video.Task, now time.Time, usual span) *progress {
	since := t.SubmittedAt
	if since.IsZero() {
		since = t.CreatedAt
	}
	elapsed := max(now.Sub(since), 0)
	switch {
	case t.Status == video.Succeeded:
		return &progress{Words: "Made. The clip is being saved."}
	case t.Status == video.Unknown, t.Found:
		return &progress{Words: "Nobody knows yet whether it was bought: it is being looked for."}
	case t.Status == video.Pending && t.ProviderTaskID == "":
		return &progress{Words: "It is being ordered."}
	case t.Progress > 0:
		percent := min(t.Progress, 99)
		return &progress{Percent: percent, Words: fmt.Sprintf("%d\u00a0%%, says the service. In the making for %s.", percent, spell(elapsed))}
	case t.Status != video.Running:
		return &progress{Words: "Waiting for its turn at the service, for " + spell(elapsed) + "."}
	case usual.slow <= 0:
		return &progress{Words: "In the making for " + spell(elapsed) + "."}
	case elapsed >= usual.slow:
		return &progress{Percent: 95, Words: fmt.Sprintf("In the making for %s, longer than usual: most clips of this model take up to %s.", spell(elapsed), spell(usual.slow))}
	}
	percent := min(max(int(100*elapsed/usual.slow), 1), 95)
	return &progress{Percent: percent, Words: fmt.Sprintf("About %d\u00a0%%. This is an estimate: clips of this model usually take %s to %s.", percent, spell(usual.quick), spell(usual.slow))}
}

// stage says why there is no clip where one would play.
func stage(t *video.Task, now time.Time) string {
	switch {
	case t.Status == video.Failed:
		return "No clip was made."
	case t.Status == video.Canceled:
		return "Cancelled before it began."
	case t.Status == video.Unknown:
		return "The service does not know it any more."
	case t.VideoURL == "":
		return "The service has told no link to the clip, and does not know it any more."
	case now.Before(t.VideoURLExpiresAt()):
		return "The clip is made, and not saved here."
	}
	return "The clip was not saved here, and its link has ended."
}

// spell writes a length of time as people say it, on one line.
func spell(d time.Duration) string {
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return fmt.Sprintf("%d\u00a0h\u00a0%d\u00a0min", h, m)
	case m > 0 && s > 0:
		return fmt.Sprintf("%d\u00a0min\u00a0%d\u00a0s", m, s)
	case m > 0:
		return fmt.Sprintf("%d\u00a0min", m)
	}
	return fmt.Sprintf("%d\u00a0s", s)
}

// shape tells the clip's sides, so that the page does not jump when it is loaded.
func shape(t *video.Task) (width, height int) {
	asked := t.Request.Ratio
	if t.Usage != nil {
		asked = cmp.Or(t.Usage.Size, t.Usage.Ratio, asked)
	}
	w, h, _ := strings.Cut(strings.ReplaceAll(asked, "*", ":"), ":")
	width, _ = strconv.Atoi(w)
	height, _ = strconv.Atoi(h)
	if width <= 0 || height <= 0 || width > 1<<14 || height > 1<<14 {
		return 16, 9
	}
	return width, height
}

// day is what was spent today, and how much may be.
type day struct {
	Used, PerDay, Left string // PerDay is empty where there is no limit
	Value, High, Max   string // of the meter; Max is empty when nothing may be spent
	Percent            string
	Resets             time.Time
}

func newDay(b *video.Budget) *day {
	if b == nil {
		return nil
	}
	d := &day{Used: figure(b.Used, b.Currency), PerDay: amount(b.PerDay, b.Currency), Left: amount(decimal.Max(b.Left, decimal.Zero), b.Currency), Resets: b.ResetsAt.UTC()}
	if b.PerDay.IsPositive() {
		d.Value, d.High, d.Max = b.Used.String(), b.PerDay.Shift(-1).Mul(decimal.NewFromInt(8)).String(), b.PerDay.String()
		d.Percent = b.Used.Shift(2).Div(b.PerDay).StringFixed(0) + " %"
	}
	return d
}
