package tracker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// mostStrangers bounds the tasks of others that are read in one round for their prompts.
const mostStrangers = 20

// straightClock is how far the clocks may be apart for the absence of a task to prove anything.
const straightClock = 5 * time.Minute

// reconcile looks for the purchases of unknown fate among the tasks of the list that nobody here knows: by model, by time, and
// by prompt where the provider tells it. What is found for certain is adopted; what is not there when it must be is set free.
func (r *round) reconcile(ctx context.Context) error {
	if !slices.ContainsFunc(r.doubts, unknown) {
		return nil
	}
	strangers, err := r.strangers(ctx)
	if err != nil {
		return err
	}
	// What was bought or claimed while the list was read would be missing from what was known before.
	if r.doubts, err = r.Ledger.InDoubt(ctx); err != nil {
		return err
	}
	found := r.match(strangers)
	for _, task := range r.doubts {
		if !unknown(task) {
			continue
		}
		if task.Trouble != nil {
			err = errors.Join(err, r.Ledger.Troubled(ctx, task.ID, nil))
		}
		if id, ok := found[task.ID]; ok {
			err = errors.Join(err, r.adopt(ctx, task, id))
		} else {
			err = errors.Join(err, r.release(ctx, task, strangers))
		}
	}
	return errors.Join(err, r.keepUnclaimed(ctx, strangers, found))
}

// stranger is a task of the provider's that no purchase of this ledger is known to have made.
type stranger struct {
	provided
	traits
	adopted bool // somebody has asked for it by its id
}

// traits are what a task tells of its making once it has succeeded; zero before.
type traits struct {
	prompt  [sha256.Size]byte // of the text without blanks around it
	seconds decimal.Decimal   // of the new clip
	sr      int
}

// told reports whether the task has told its prompt.
func (t traits) told() bool { return t.prompt != [sha256.Size]byte{} }

// fits reports whether a request may have made a task with these traits.
func (t traits) fits(r *video.Request) bool {
	switch {
	case t.told() && t.prompt != digest(r.Prompt):
		return false
	case t.seconds.IsPositive() && r.Duration > 0 && !t.seconds.Equal(decimal.NewFromInt(int64(r.Duration))):
		return false
	}
	return t.sr == 0 || r.Resolution == "" || r.Resolution == strconv.Itoa(t.sr)+"P"
}

func digest(prompt string) [sha256.Size]byte { return sha256.Sum256([]byte(strings.TrimSpace(prompt))) }

// strangers are the tasks of the list that may be what is in doubt, oldest first. Those that failed cost nothing and are nobody's.
func (r *round) strangers(ctx context.Context) ([]stranger, error) {
	known, err := r.Ledger.Known(ctx, slices.Collect(maps.Keys(r.listed)))
	if err != nil {
		return nil, err
	}
	rows := slices.SortedFunc(maps.Values(r.listed), func(a, b provided) int {
		return cmp.Or(a.SubmittedAt.Compare(b.SubmittedAt), cmp.Compare(a.ID, b.ID))
	})
	var all []stranger
	reads := 0
	for _, row := range rows {
		purchase, there := known[row.ID]
		s := stranger{provided: row, adopted: there}
		if purchase || row.Status == video.Failed || row.Status == video.Canceled || !slices.ContainsFunc(r.doubts, s.possible) {
			continue
		}
		s.traits = r.traitsOf(ctx, row, &reads)
		if slices.ContainsFunc(r.doubts, s.possible) {
			all = append(all, s)
		}
	}
	return all, nil
}

// possible reports whether a purchase may have made the task, whenever that was.
func (s *stranger) possible(task video.Task) bool {
	return (s.Model == "" || s.Model == task.Request.Model) && s.fits(&task.Request)
}

// traitsOf asks what a task was made from, once; the provider tells it when the clip is made. One that cannot be read has told
// nothing yet.
func (r *round) traitsOf(ctx context.Context, row provided, reads *int) traits {
	r.mu.Lock()
	known, ok := r.traits[row.ID]
	r.mu.Unlock()
	if ok || row.Status != video.Succeeded || *reads == mostStrangers || r.keepDuty(ctx) != nil {
		return known
	}
	*reads++
	s, err := r.ask(ctx, row.ID, r.ReadInterval)
	if err != nil || s.Status != video.Succeeded {
		return traits{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.traits == nil || len(r.traits) > 10_000 {
		r.traits = map[string]traits{}
	}
	r.traits[row.ID] = traitsIn(s)
	return r.traits[row.ID]
}

// traitsIn are the traits that a finished task tells.
func traitsIn(s video.Snapshot) traits {
	var t traits
	if s.Prompt != "" {
		t.prompt = digest(s.Prompt)
	}
	if s.Usage != nil {
		t.seconds, t.sr = s.Usage.Output, s.Usage.SR
	}
	return t
}

// plausible reports whether a purchase may have made a task: what it tells fits, and the service took it while the purchase was
// under way.
func (r *round) plausible(task *video.Task, s *stranger) bool {
	begun := task.CreatedAt.Add(r.skew)
	return s.possible(*task) && s.SubmittedAt.After(begun.Add(-time.Minute)) && s.SubmittedAt.Before(begun.Add(createTimeout+time.Minute))
}

// matching pairs purchases of unknown fate with the tasks that they must have made.
type matching struct {
	owners  map[string][]*video.Task // of a stranger, oldest first, those under way included
	choices map[string]int           // of a purchase: how many strangers it may have made
	pairs   map[string]string        // a purchase and the stranger that it has
}

// match pairs what is certain. A task that tells its prompt goes to the one purchase that it fits, to any of several that are
// equal, or in the order of their times where there is a task for every one; between people by nothing but what it tells. One that does not tell yet goes to a purchase only
// when neither can belong to another, and the list had time to show what else there may be.
func (r *round) match(strangers []stranger) map[string]string {
	m := matching{owners: map[string][]*video.Task{}, choices: map[string]int{}, pairs: map[string]string{}}
	for i := range strangers {
		s := &strangers[i]
		for j := range r.doubts {
			if task := &r.doubts[j]; r.plausible(task, s) {
				m.owners[s.ID] = append(m.owners[s.ID], task)
				m.choices[task.ID]++
			}
		}
	}
	for i := range strangers {
		s := &strangers[i]
		owners := m.owners[s.ID]
		switch {
		case len(owners) == 0:
		case !s.told():
			if old := r.now.Sub(owners[0].CreatedAt) >= r.PollInterval; old && !s.adopted && s.Model != "" && len(owners) == 1 && m.choices[owners[0].ID] == 1 {
				m.pair(owners, s)
			}
		case personOf(owners) != unclaimed && (alike(owners) || m.oneForEach(strangers, owners)):
			m.pair(owners, s)
		}
	}
	return m.pairs
}

// pair gives a stranger to the first of its owners that has none.
func (m *matching) pair(owners []*video.Task, s *stranger) {
	for _, task := range owners {
		if task.Status == video.Unknown && m.pairs[task.ID] == "" {
			m.pairs[task.ID] = s.ID
			return
		}
	}
}

// unclaimed owns the clips of which nobody can tell whose they are. No person can have this name; operators see them.
const unclaimed = "(unclaimed)"

// personOf is whose all of the tasks are, unclaimed when they are of several people.
func personOf(tasks []*video.Task) string {
	for _, task := range tasks {
		if task.Owner != tasks[0].Owner {
			return unclaimed
		}
	}
	return tasks[0].Owner
}

// oneForEach reports whether there are as many tasks that tell their prompt as there are purchases that they may belong to.
func (m *matching) oneForEach(strangers []stranger, owners []*video.Task) bool {
	if slices.ContainsFunc(owners, func(task *video.Task) bool { return task.Status != video.Unknown }) {
		return false // one that is under way may still be answered
	}
	n := 0
	for i := range strangers {
		if strangers[i].told() && slices.Equal(m.owners[strangers[i].ID], owners) {
			n++
		}
	}
	return n == len(owners)
}

// alike reports whether purchases are of the same clip, so that it does not matter whose a task is.
func alike(tasks []*video.Task) bool {
	first, _ := json.Marshal(tasks[0].Request)
	return !slices.ContainsFunc(tasks[1:], func(task *video.Task) bool {
		request, err := json.Marshal(task.Request)
		return err != nil || !bytes.Equal(request, first)
	})
}

// adopt records what was found, and looks at it at once.
func (r *round) adopt(ctx context.Context, task video.Task, providerTaskID string) error {
	r.Logger.InfoContext(ctx, "a purchase of unknown fate was found in the service's list", "task", task.ID, "provider_task_id", providerTaskID)
	now, err := r.Ledger.Bought(ctx, task.ID, providerTaskID, true)
	if err != nil {
		return err
	}
	r.open = append(r.open, now)
	return r.look(ctx, now)
}

// keepUnclaimed follows and saves the clips that one of several purchases must have made, when nobody can tell which: it is paid
// for, and would be lost with its link.
func (r *round) keepUnclaimed(ctx context.Context, strangers []stranger, found map[string]string) error {
	taken := slices.Collect(maps.Values(found))
	for _, s := range strangers {
		var owners []*video.Task
		for i := range r.doubts {
			if task := &r.doubts[i]; unknown(*task) && r.plausible(task, &s) {
				owners = append(owners, task)
			}
		}
		old := r.now.Sub(s.SubmittedAt.Add(-r.skew)) > cmp.Or(r.Absence, ledger.Doubt)/3
		if !s.told() && !r.tellsNoPrompts(&s) || s.adopted || !old || slices.Contains(taken, s.ID) || len(owners) == 0 {
			continue
		}
		snapshot, err := r.ask(ctx, s.ID, r.ReadInterval)
		if errors.Is(err, errEarly) {
			continue // it is kept in the next round
		}
		if err != nil {
			return err
		}
		task, err := r.Ledger.Adopt(ctx, personOf(owners), s.ID, snapshot, r.saveAt(snapshot))
		if errors.Is(err, ledger.ErrNotFound) {
			continue // somebody has asked for it meanwhile
		}
		if err != nil {
			return err
		}
		r.Logger.WarnContext(ctx, "a clip belongs to one of several purchases of unknown fate, and nobody can tell which; it is kept", "task", task.ID, "provider_task_id", s.ID)
	}
	return nil
}

// vouched reports whether a list that nobody vouches for shows what was bought here around the time of a purchase, so that it would show
// that one as well: purchases that were answered, not those that were themselves only found in it.
func (r *round) vouched(ctx context.Context, task *video.Task) (bool, error) {
	if !r.doubtful {
		return true, nil
	}
	ids, err := r.Ledger.AnsweredBetween(ctx, task.CreatedAt.Add(-wideMargin), task.CreatedAt.Add(wideMargin))
	return slices.ContainsFunc(ids, func(id string) bool { _, ok := r.listed[id]; return ok }), err
}

// tellsNoPrompts reports a clip that is made and will never tell its prompt.
func (r *round) tellsNoPrompts(s *stranger) bool {
	return r.doubtful && s.Status == video.Succeeded && s.Model != ""
}

// release sets a purchase free that is provably not there: long after it, by a whole list that has every task of ours and none
// that it may have made, read with the key that it was made with, and by clocks that agree.
func (r *round) release(ctx context.Context, task video.Task, strangers []stranger) error {
	possible := func(s stranger) bool { return s.possible(task) }
	if !r.timed || r.skew.Abs() > straightClock || r.now.Sub(task.CreatedAt) < cmp.Or(r.Absence, ledger.Doubt) || slices.ContainsFunc(strangers, possible) {
		return nil
	}
	if whole, err := r.listedAll(ctx); err != nil || !whole {
		return err
	}
	if vouched, err := r.vouched(ctx, &task); err != nil || !vouched {
		return err
	}
	mine, err := r.Ledger.Mine(ctx, task.ID)
	if err != nil || !mine {
		return err
	}
	r.Logger.WarnContext(ctx, "a purchase of unknown fate is not in the service's list: nothing was made that costs money", "task", task.ID)
	_, err = r.Ledger.NotBought(ctx, task, &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "NeverArrived", Message: "the answer to the purchase was lost, and the service's list has no such task, or only a failed one",
		Advice: "Nothing was charged. Call generate_r2v again if the clip is still wanted; the same idempotency_key may be used.", Retryable: true,
	}})
	return err
}

// listedAll reports whether the list has every task that is known to be in its time: one that lacks some may lack others.
func (r *round) listedAll(ctx context.Context) (bool, error) {
	if !r.whole {
		return false, nil
	}
	from, to := r.span()
	const edge = time.Minute // a list may lag that much
	ids, err := r.Ledger.Between(ctx, from.Add(edge), earlier(to, r.now).Add(-edge))
	if err != nil {
		return false, err
	}
	missing := func(id string) bool { _, ok := r.listed[id]; return !ok }
	return !slices.ContainsFunc(ids, missing), nil
}
