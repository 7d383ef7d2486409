package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"r2v-mcp/internal/video"
)

// writeTable shows the report to a person.
func (r *report) writeTable(out io.Writer) error {
	var err error
	switch {
	case !r.exists && r.place == "":
		_, err = fmt.Fprintln(out, "There is no ledger: no folder for user data is known here. Set R2V_DATA_DIR to the one that the server uses.")
	case !r.exists:
		_, err = fmt.Fprintf(out, "There is no ledger yet: %s is made with the first purchase.\n", r.place)
	case len(r.tasks) == 0:
		_, err = fmt.Fprintf(out, "There is no %s in %s.\n", r.selected("task"), r.place)
	default:
		err = errors.Join(r.writeTasks(out), r.writeCut(out))
	}
	return errors.Join(err, r.writeDays(out), r.writePeople(out), r.writeBudget(out), r.writeSettled(out))
}

// selected says which tasks were asked for.
func (r *report) selected(tasks string) string {
	words := strings.TrimSpace(string(r.filter.Status) + " " + tasks)
	if !r.filter.Everyone {
		words += " of " + named(r.filter.Owner)
	}
	return words
}

// named is a person's name for a terminal.
func named(owner string) string {
	if owner == "" {
		return "-"
	}
	return plain(owner)
}

// writeCut says so where not all tasks are shown.
func (r *report) writeCut(out io.Writer) error {
	if len(r.tasks) == r.total {
		return nil
	}
	_, err := fmt.Fprintf(out, "\n%d of %d %s; --limit 0 shows all\n", len(r.tasks), r.total, r.selected("tasks"))
	return err
}

func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

func (r *report) writeTasks(out io.Writer) error {
	w := table(out)
	people, owner := r.people(), ""
	if people {
		owner = "OWNER\t"
	}
	fmt.Fprintln(w, "TIME\tTASK\t"+owner+"STATUS\tMODEL\tESTIMATE\tBILL\tCLIP\tPROMPT")
	for i := range r.tasks {
		t := &r.tasks[i]
		cells := []string{
			t.CreatedAt.Local().Format(time.DateTime), t.ID, string(t.Status), orElse(t.Request.Model, "-"), "-", "-", clip(t, r.now), orElse(cut(t.Request.Prompt), "-"),
		}
		if held := t.Held(); t.Estimate != nil {
			cells[4] = price(t.Estimate)
		} else if held != nil {
			cells[4] = held.String() + " " + t.Currency + " held"
		}
		if t.Billed != nil {
			cells[5] = strings.TrimSpace(t.Billed.String() + " " + t.Currency)
		}
		for i, cell := range cells {
			cells[i] = plain(cell)
		}
		if people {
			cells = slices.Insert(cells, 2, named(t.Owner))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// cut shortens a prompt to what tells it from others.
func cut(prompt string) string {
	const most = 40
	runes := []rune(strings.TrimSpace(prompt))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}

func price(c *video.Cost) string {
	if c.Low.Equal(c.High) {
		return c.High.String() + " " + c.Currency
	}
	return c.Low.String() + "-" + c.High.String() + " " + c.Currency
}

// clip tells where a task's clip is, or why there is none.
func clip(t *video.Task, now time.Time) string {
	switch {
	case t.SavedTo != "" && t.SaveError != "":
		return t.SavedTo + " (but " + t.SaveError + ")"
	case t.SavedTo != "":
		return t.SavedTo
	case t.Linkless():
		return "the service has sent no link yet"
	case t.Status == video.Succeeded:
		words := "not saved"
		if t.SaveError != "" {
			words += ": " + t.SaveError
		}
		return words + "; " + linkLives(t.VideoURLExpiresAt(), now)
	case t.Status == video.Unknown && t.ProviderTaskID != "":
		return "forgotten by the service: look at the bill in its console"
	case t.Charged() == video.ChargedUnknown && t.Status == video.Unknown && now.Before(t.ExpiresAt()):
		return "nobody knows yet whether it was bought: it is looked for; do not buy it again"
	case t.Status == video.Unknown:
		return "nobody knows whether it was bought: look at the bill in the service's console"
	case t.Failure != nil && !t.Status.Open():
		return failed(t.Failure)
	case t.Trouble != nil:
		return "not seen: " + failed(t.Trouble)
	}
	return "-"
}

func failed(f *video.Failure) string { return strings.TrimSuffix(f.Code+": "+f.Message, ": ") }

func linkLives(until, now time.Time) string {
	if left := until.Sub(now); left > 0 {
		return fmt.Sprintf("its link lives %d h %02d min", int(left.Hours()), int(left.Minutes())%60)
	}
	return "its link is dead"
}

func (r *report) writeDays(out io.Writer) error {
	if len(r.days) > 0 {
		fmt.Fprintln(out)
		w := table(out)
		fmt.Fprintln(w, "DAY\tTASKS\tBILLED\tBILLED AND HELD\tCURRENCY")
		for _, d := range r.days {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", d.Date, d.Tasks, d.Billed, d.Used, plain(d.Currency))
		}
		return w.Flush()
	}
	return nil
}

// writePeople shows what each has spent, where there are several.
func (r *report) writePeople(out io.Writer) error {
	if !r.people() {
		return nil
	}
	fmt.Fprintf(out, "\nin %d days, by person:\n", lastDays)
	w := table(out)
	fmt.Fprintln(w, "OWNER\tTASKS\tBILLED\tBILLED AND HELD\tOF TODAY\tCURRENCY")
	for _, s := range r.spenders() {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", named(s.owner), s.tasks, s.billed, s.used, s.today, plain(s.currency))
	}
	return w.Flush()
}

func (r *report) writeBudget(out io.Writer) error {
	b := r.budget
	if b == nil {
		return nil
	}
	whose := ""
	if b.Own {
		whose = " for " + named(r.filter.Owner)
	}
	_, err := fmt.Fprintf(out, "\nbudget of today%s: %s of %s %s used, %s left until %s\n", whose, b.Used, b.PerDay, b.Currency, b.Left, b.ResetsAt.Format("2006-01-02 15:04 MST"))
	return err
}

// writeSettled holds the bills of the days against their estimates, each against its own.
func (r *report) writeSettled(out io.Writer) error {
	for _, s := range r.settled() {
		warning := ""
		if s.missed > 0 {
			warning = fmt.Sprintf("; WARNING: tasks more than 1 %% off: %d: compare with the bill in the service's console", s.missed)
		}
		if _, err := fmt.Fprintf(out, "billed in %d days: %s %s, above the estimates: %s, below: %s%s\n",
			lastDays, s.billed, plain(s.currency), s.above, s.below, warning); err != nil {
			return err
		}
	}
	return nil
}
