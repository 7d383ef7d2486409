package tracker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// readUnready bounds the tasks of others that are read in one round for their prompts.
const readUnready = 20

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
	found := match(r.doubts, strangers, r.plausible)
	for _, task := range r.doubts {
		if !unknown(task) {
			continue
		}
		if task.Trouble != nil {
			if err := r.Ledger.Troubled(ctx, task.ID, nil); err != nil {
				return err
			}
		}
		if id, ok := found[task.ID]; ok {
			err = r.adopt(ctx, task, id)
		} else {
			err = r.release(ctx, task, strangers)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stranger is a task of the provider's that this ledger does not know.
type stranger struct {
	provided
	prompt string // empty while the provider does not tell
}

// strangers are the tasks of the list that no purchase of this ledger is known to have made, oldest first.
func (r *round) strangers(ctx context.Context) ([]stranger, error) {
	ids := make([]string, 0, len(r.listed))
	for id := range r.listed {
		ids = append(ids, id)
	}
	known, err := r.Ledger.Known(ctx, ids)
	if err != nil {
		return nil, err
	}
	var all []stranger
	for id, row := range r.listed {
		s := stranger{provided: row}
		possible := func(task video.Task) bool { return r.plausible(&task, &s) }
		if !known[id] && slices.ContainsFunc(r.doubts, possible) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b stranger) int {
		return cmp.Or(a.SubmittedAt.Compare(b.SubmittedAt), cmp.Compare(a.ID, b.ID))
	})
	for i := range all[:min(len(all), readUnready)] {
		if all[i].prompt, err = r.prompt(ctx, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// prompt asks what a task was made from, once; the provider tells it when the clip is made.
func (r *round) prompt(ctx context.Context, s *stranger) (string, error) {
	r.mu.Lock()
	text, known := r.prompts[s.ID]
	r.mu.Unlock()
	if known || s.Status.Open() || s.Status != video.Succeeded {
		return text, nil
	}
	if err := r.keepDuty(ctx); err != nil {
		return "", err
	}
	snapshot, err := r.ask(ctx, s.ID)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.prompts == nil || len(r.prompts) > 1000 {
		r.prompts = map[string]string{}
	}
	r.prompts[s.ID] = snapshot.Prompt
	return snapshot.Prompt, nil
}

// plausible reports whether a purchase may have made a task: the model is the same, the service took it while the purchase
// was under way, and it does not say another prompt.
func (r *round) plausible(task *video.Task, s *stranger) bool {
	begun := task.CreatedAt.Add(r.skew)
	return s.Model == task.Request.Model &&
		s.SubmittedAt.After(begun.Add(-time.Minute)) && s.SubmittedAt.Before(begun.Add(createTimeout+time.Minute)) &&
		(s.prompt == "" || samePrompt(task.Request.Prompt, s.prompt))
}

// match pairs purchases of unknown fate with the tasks that they must have made. Where the prompt is known, equal ones are
// paired in the order of their times. Where it is not, a pair is certain only when neither can belong to another, a purchase
// that is still under way included.
func match(doubts []video.Task, strangers []stranger, plausible func(*video.Task, *stranger) bool) map[string]string {
	pairs, taken := map[string]string{}, map[string]bool{}
	for i := range strangers {
		s := &strangers[i]
		for j := range doubts {
			task := &doubts[j]
			if s.prompt == "" || !plausible(task, s) || pairs[task.ID] != "" {
				continue
			}
			pairs[task.ID], taken[s.ID] = s.ID, true
			break
		}
	}
	owners := map[string]int{}  // of a task
	choices := map[string]int{} // of a purchase
	last := map[string]string{} // a purchase's choice
	for i := range strangers {
		s := &strangers[i]
		for j := range doubts {
			task := &doubts[j]
			if !taken[s.ID] && pairs[task.ID] == "" && plausible(task, s) {
				owners[s.ID]++
				choices[task.ID]++
				last[task.ID] = s.ID
			}
		}
	}
	for task, s := range last {
		if choices[task] == 1 && owners[s] == 1 {
			pairs[task] = s
		}
	}
	return pairs
}

// adopt records what was found, and looks at it at once.
func (r *round) adopt(ctx context.Context, task video.Task, providerTaskID string) error {
	r.Logger.InfoContext(ctx, "a purchase of unknown fate was found in the service's list", "task", task.ID, "provider_task_id", providerTaskID)
	now, err := r.Ledger.Bought(ctx, task.ID, providerTaskID, true)
	if err != nil {
		return err
	}
	r.open = append(r.open, now)
	_, err = r.look(ctx, now)
	return err
}

// release sets a purchase free that is provably not there: the whole list of its time was read, begun long after it, with the
// key that it was made with, and by clocks that agree.
func (r *round) release(ctx context.Context, task video.Task, strangers []stranger) error {
	patience := r.Absence
	if patience == 0 {
		patience = ledger.Doubt
	}
	possible := func(s stranger) bool { // one that failed cost nothing, whoever's it was
		return s.Status != video.Failed && s.Status != video.Canceled && r.plausible(&task, &s)
	}
	if !r.whole || !r.timed || r.skew.Abs() > straightClock || r.now.Sub(task.CreatedAt) < patience || slices.ContainsFunc(strangers, possible) {
		return nil
	}
	mine, err := r.Ledger.Mine(ctx, task.ID)
	if err != nil || !mine {
		return err
	}
	r.Logger.WarnContext(ctx, "a purchase of unknown fate is not in the service's list: it was never made", "task", task.ID)
	_, err = r.Ledger.NotBought(ctx, task, &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "NeverArrived", Message: "the answer to the purchase was lost, and the service's list has no such task",
		Advice: "Nothing was charged. Call generate_r2v again if the clip is still wanted; the same idempotency_key may be used.", Retryable: true,
	}})
	return err
}
