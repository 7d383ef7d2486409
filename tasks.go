package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

type tasksFlags struct {
	json   bool
	status string
	limit  int
	owner  *string // nil for everyone's
}

func (p *program) tasksCommand() *cobra.Command {
	var f tasksFlags
	var owner string
	cmd := &cobra.Command{
		Use: "tasks", Short: "Show the ledger: tasks, and what was spent by day against the budget", Args: cobra.NoArgs,
		Long: "Show the ledger: its tasks, newest first, and what was spent by day against the budget.\nIt asks nobody but the ledger, and needs no key.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("owner") {
				f.owner = &owner
			}
			return p.tasks(cmd.Context(), f)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document: tasks, days, budget")
	cmd.Flags().StringVar(&f.status, "status", "", "only tasks of this `status`: "+statuses())
	cmd.Flags().StringVar(&owner, "owner", "", "only tasks of the person of this `name`, and their budget; \"\" for whoever has no name")
	cmd.Flags().IntVar(&f.limit, "limit", 20, "the latest `n` tasks; 0 for all")
	return cmd
}

func statuses() string {
	var names []string
	for _, s := range video.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// report is what the ledger tells.
type report struct {
	tasks  []video.Task
	filter video.Filter  // what was asked for
	total  int           // tasks of the ledger that the filter lets through, those that are not shown too
	days   []ledger.Day  // of the last week, latest first
	budget *video.Budget // of today, nil for none
	now    time.Time
	place  string // of the ledger, without a password; empty where no folder is known
	exists bool
}

func (p *program) tasks(ctx context.Context, f tasksFlags) error {
	status := video.Status(strings.ToUpper(f.status))
	if status != "" && !slices.Contains(video.Statuses(), status) {
		return fmt.Errorf("--status: %q is not one of %s", f.status, statuses())
	}
	if f.limit < 0 {
		return fmt.Errorf("--limit: %d is below 0", f.limit)
	}
	cfg, catalogue, err := p.config(ctx)
	if err != nil {
		return err
	}
	l := cfg.ledger()
	filter := video.Filter{Everyone: true, Status: status, Limit: f.limit}
	if f.owner != nil {
		filter.Everyone, filter.Owner = false, *f.owner
	}
	r, err := readReport(ctx, l, filter, catalogue.Region(cfg.Region).Currency)
	if err := errors.Join(advised(err), l.Close()); err != nil {
		return err
	}
	r.place = cfg.ledgerName()
	if f.json {
		return r.writeJSON(p.stdout)
	}
	return r.writeTable(p.stdout)
}

// advised adds to an error what can be done about it.
func advised(err error) error {
	if known, ok := errors.AsType[*video.Error](err); ok && known.Advice != "" {
		return fmt.Errorf("%w\n%s", err, known.Advice)
	}
	return err
}

// lastDays is how many days are summed up.
const lastDays = 7

func readReport(ctx context.Context, l *ledger.Ledger, f video.Filter, currency string) (r *report, err error) {
	r = &report{filter: f, now: time.Now(), exists: true}
	if _, err := os.Stat(l.Path); l.DatabaseURL == "" && errors.Is(err, os.ErrNotExist) {
		r.exists = false
	}
	if r.tasks, r.total, err = latest(ctx, l, f); err != nil {
		return nil, err
	}
	if r.days, err = l.Days(ctx, r.now.AddDate(0, 0, 1-lastDays)); err != nil {
		return nil, err
	}
	if f.Everyone {
		l.BudgetPerPerson = nil // of whom?
	}
	r.budget, err = l.Budget(ctx, f.Owner, currency)
	return r, err
}

// latest returns the filter's limit of tasks, newest first, all for 0, and how many there are in all.
func latest(ctx context.Context, l *ledger.Ledger, f video.Filter) (tasks []video.Task, total int, err error) {
	if f.Limit == 0 {
		f.Limit = math.MaxInt32
	}
	tasks, next, err := l.List(ctx, f)
	if err != nil || next == "" {
		return tasks, len(tasks), err
	}
	total, err = l.Count(ctx, f)
	return tasks, total, err
}

// settled is what the finished clips of the days cost, and how far that is from what was estimated for each.
type settled struct {
	currency     string
	billed       decimal.Decimal
	above, below decimal.Decimal // outside the estimates
	missed       int             // tasks of more than 1 % outside
}

// settled sums up by currency.
func (r *report) settled() []settled {
	var sums []settled
	for _, d := range r.days {
		i := slices.IndexFunc(sums, func(s settled) bool { return s.currency == d.Currency })
		if i < 0 {
			i = len(sums)
			sums = append(sums, settled{currency: d.Currency})
		}
		s := &sums[i]
		s.billed, s.above, s.below, s.missed = s.billed.Add(d.Billed), s.above.Add(d.Above), s.below.Add(d.Below), s.missed+d.Missed
	}
	return slices.DeleteFunc(sums, func(s settled) bool { return s.billed.IsZero() && s.below.IsZero() })
}

// people reports whether there is more than one person whose tasks are told apart.
func (r *report) people() bool {
	names := map[string]bool{}
	for i := range r.tasks {
		names[r.tasks[i].Owner] = true
	}
	for _, d := range r.days {
		for _, s := range d.People {
			names[s.Owner] = true
		}
	}
	return len(names) > 1
}

// spender is what one person's clips of the days cost, and how much of that is today's.
type spender struct {
	owner, currency     string
	tasks               int
	billed, used, today decimal.Decimal
}

// spenders sums up by person and currency, in the order of their names.
func (r *report) spenders() []spender {
	var sums []spender
	for _, d := range r.days {
		for _, share := range d.People {
			i := slices.IndexFunc(sums, func(s spender) bool { return s.owner == share.Owner && s.currency == d.Currency })
			if i < 0 {
				i = len(sums)
				sums = append(sums, spender{owner: share.Owner, currency: d.Currency})
			}
			s := &sums[i]
			s.tasks, s.billed, s.used = s.tasks+share.Tasks, s.billed.Add(share.Billed), s.used.Add(share.Used)
			if d.Date == r.now.Format(time.DateOnly) {
				s.today = s.today.Add(share.Used)
			}
		}
	}
	slices.SortFunc(sums, func(a, b spender) int {
		return cmp.Or(strings.Compare(a.owner, b.owner), strings.Compare(a.currency, b.currency))
	})
	return sums
}
