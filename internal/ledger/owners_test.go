package ledger_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// by is an order of somebody's.
func by(owner string, o video.Order) video.Order {
	o.Owner = owner
	return o
}

// finds tells to whom an id leads.
func finds(t *testing.T, l *ledger.Ledger, id string, people ...string) []string {
	var found []string
	for _, owner := range people {
		task, err := l.TaskOf(t.Context(), owner, id)
		if err == nil {
			require.Equal(t, owner, task.Owner)
			found = append(found, owner)
			continue
		}
		require.Equal(t, ledger.ErrNotFound, err)
		require.Zero(t, task)
	}
	return found
}

// owners is whose a task is.
func owners() map[string]func(t *testing.T, l *ledger.Ledger) {
	all := []string{"anna", "Anna", "anna ", "bob", ""}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a task is found by its owner alone, by any of its ids": func(t *testing.T, l *ledger.Ledger) {
			for _, owner := range []string{"anna", "bob", ""} {
				task := bought(t, l, by(owner, order("a", "k")), "theirs-"+owner)
				for _, id := range []string{task.ID, task.ProviderTaskID} {
					require.Equal(t, []string{owner}, finds(t, l, id, all...))
				}
			}
			require.Empty(t, finds(t, l, "nobody's", all...))
		},
		"a task is adopted by who asks first, and by nobody else": func(t *testing.T, l *ledger.Ledger) {
			task, err := l.Adopt(t.Context(), "anna", "theirs", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "anna", task.Owner)
			_, err = l.Adopt(t.Context(), "bob", "theirs", video.Snapshot{Status: video.Running}, time.Time{})
			require.ErrorIs(t, err, ledger.ErrNotFound)
			again, err := l.Adopt(t.Context(), "anna", "theirs", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, task, again)
			require.Equal(t, []string{"anna"}, finds(t, l, "theirs", all...))
		},
		"of many who adopt at once one gets the task": func(t *testing.T, l *ledger.Ledger) {
			var adopted atomic.Int32
			var wait sync.WaitGroup
			for i := range 20 {
				wait.Go(func() {
					task, err := l.Adopt(t.Context(), strconv.Itoa(i), "theirs", video.Snapshot{Status: video.Running}, time.Time{})
					if err == nil && task.Owner == strconv.Itoa(i) {
						adopted.Add(1)
					}
				})
			}
			wait.Wait()
			require.EqualValues(t, 1, adopted.Load())
		},
		"an adopted task that is somebody's purchase is that person's alone": func(t *testing.T, l *ledger.Ledger) {
			adopted, err := l.Adopt(t.Context(), "bob", "theirs", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			task := bought(t, l, by("anna", order("a", "k")), "theirs")
			for _, id := range []string{adopted.ID, "theirs", task.ID} {
				require.Equal(t, []string{"anna"}, finds(t, l, id, all...), id)
			}
			tasks, _, err := l.List(t.Context(), video.Filter{Owner: "bob", Limit: 9})
			require.NoError(t, err)
			require.Empty(t, tasks)
		},
	}
}

// apart is what people do beside each other.
func apart() map[string]func(t *testing.T, l *ledger.Ledger) {
	all := []string{"anna", "Anna", "anna ", "bob", ""}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"keys, repeats and doubts are each person's own": func(t *testing.T, l *ledger.Ledger) {
			seen := map[string]bool{}
			for _, owner := range all {
				for _, o := range []video.Order{order("keyed", "k"), order("keyless", ""), order("another of "+owner, "k2")} {
					task, claimed, err := l.Claim(t.Context(), by(owner, o))
					require.NoError(t, err)
					require.True(t, claimed)
					require.False(t, seen[task.ID])
					seen[task.ID] = true
					_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})
					require.NoError(t, err)
				}
				again, claimed, err := l.Claim(t.Context(), by(owner, order("keyed", "k")))
				require.NoError(t, err)
				require.False(t, claimed)
				require.Equal(t, owner, again.Owner)
			}
			o := by("eve", order("keyed", "k"))
			o.Replay, o.AnyFiles = true, true
			_, _, err := l.Claim(t.Context(), o)
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"a list has one person's tasks, with anybody's cursor": func(t *testing.T, l *ledger.Ledger) {
			mine := map[string][]string{}
			for i := range 24 {
				owner := []string{"anna", "bob", ""}[i%3]
				mine[owner] = append(mine[owner], bought(t, l, by(owner, order(strconv.Itoa(i), "")), strconv.Itoa(i)).ID)
				pass(time.Microsecond)
			}
			for owner, want := range mine {
				require.ElementsMatch(t, want, pages(t, l, video.Filter{Owner: owner, Limit: 3}, func() {}))
				n, err := l.Count(t.Context(), video.Filter{Owner: owner})
				require.NoError(t, err)
				require.Equal(t, 8, n)
				_, next, err := l.List(t.Context(), video.Filter{Owner: owner, Limit: 3})
				require.NoError(t, err)
				for other := range mine {
					tasks, _, err := l.List(t.Context(), video.Filter{Owner: other, Limit: 9, Cursor: next})
					require.NoError(t, err)
					require.Contains(t, []int{5, 6}, len(tasks), "all that are older")
					for _, task := range tasks {
						require.Equal(t, other, task.Owner)
					}
				}
			}
			require.Len(t, pages(t, l, video.Filter{Everyone: true, Owner: "bob", Limit: 5}, func() {}), 24)
			open, err := l.CountOpen(t.Context())
			require.NoError(t, err)
			n, err := l.Count(t.Context(), video.Filter{Everyone: true, Status: video.Pending})
			require.Equal(t, map[video.Status]int{video.Pending: n, video.Running: 0, video.Unknown: 0}, open)
			require.NoError(t, err)
			require.Equal(t, 24, n)
		},
	}
}

// ends is who learns that a task has ended, and whether there is a ledger to learn it from.
func ends() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a ledger is ready before its first task and after": func(t *testing.T, l *ledger.Ledger) {
			require.NoError(t, l.Ready(t.Context()))
			bought(t, l, order("a", ""), "a")
			require.NoError(t, l.Ready(t.Context()))
			require.NoError(t, l.Close())
			require.Equal(t, "LedgerUnavailable", code(l.Ready(t.Context())))
		},
		"of all who see a task end one is told so": func(t *testing.T, l *ledger.Ledger) {
			both := []*ledger.Ledger{l, beside(t, l, nil)}
			for name, end := range map[string]video.Snapshot{
				"made": {Status: video.Succeeded, VideoURL: "u", Usage: seconds("4")}, "failed": {Status: video.Failed}, "cancelled": {Status: video.Canceled}, "forgotten": {Status: video.Unknown},
			} {
				task := bought(t, l, order(name, ""), name)
				_, ended, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Running}, time.Time{})
				require.NoError(t, err)
				require.False(t, ended)
				if end.Status == video.Succeeded {
					_, ended, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded}, time.Time{})
					require.NoError(t, err)
					require.False(t, ended, "its link is still to come")
				}
				var told atomic.Int32
				var wait sync.WaitGroup
				for i := range 20 {
					wait.Go(func() {
						if _, ended, err := both[i%2].Looked(t.Context(), task.ID, end, time.Time{}); err == nil && ended {
							told.Add(1)
						}
					})
				}
				wait.Wait()
				require.EqualValues(t, 1, told.Load(), name)
			}
		},
	}
}

// limited is another process's view of a ledger with both budgets; empty for none.
func limited(t *testing.T, l *ledger.Ledger, all, each string) *ledger.Ledger {
	return beside(t, l, func(o *ledger.Options) {
		o.Zone = time.UTC
		if all != "" {
			most := amount(all)
			o.BudgetPerDay = &most
		}
		if each != "" {
			most := amount(each)
			o.BudgetPerPerson = &most
		}
	})
}

// shares is what each may spend of a day.
func shares() map[string]func(t *testing.T, l *ledger.Ledger) {
	refused := func(t *testing.T, l *ledger.Ledger, o video.Order) *video.Error {
		_, claimed, err := l.Claim(t.Context(), o)
		require.False(t, claimed)
		refusal := new(video.Error)
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, video.NotCharged, refusal.Charged)
		return refusal
	}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a person's part is spent by that person alone": func(t *testing.T, l *ledger.Ledger) {
			l = limited(t, l, "2", "0.5")
			bought(t, l, by("anna", order("a", "")), "a")
			refusal := refused(t, l, by("anna", order("b", "")))
			require.Equal(t, "PersonBudgetExceeded", refusal.Code)
			require.True(t, refusal.Retryable)
			require.Equal(t, "this clip may cost up to 0.4 USD, and 0.1 of the 0.5 that you may spend today is left (0.4 is spent or held for your clips being made)", refusal.Message)
			require.Contains(t, refusal.Advice, "R2V_BUDGET_PER_PERSON")
			bought(t, l, by("bob", order("b", "")), "b")
			bought(t, l, by("", order("c", "")), "c")
			b, err := l.Budget(t.Context(), "anna", "USD")
			require.NoError(t, err)
			require.Equal(t, []string{"0.5", "0.4", "0.1"}, []string{b.PerDay.String(), b.Used.String(), b.Left.String()})
			require.True(t, b.Own)
			refusal = refused(t, l, by("eve", costing("dear", "0.6")))
			require.Equal(t, "this clip may cost up to 0.6 USD, and what you may spend on a whole day is 0.5", refusal.Message)
			require.False(t, refusal.Retryable)
		},
		"what all have left is told without what others have spent": func(t *testing.T, l *ledger.Ledger) {
			l = limited(t, l, "1", "0.9")
			bought(t, l, by("bob", order("b", "")), "b")
			bought(t, l, by("eve", costing("c", "0.3")), "c")
			refusal := refused(t, l, by("anna", order("a", "")))
			require.Equal(t, "DayBudgetExceeded", refusal.Code)
			require.Equal(t, "this clip may cost up to 0.4 USD, and 0.3 of today's 1 is left for all", refusal.Message)
			require.Contains(t, refusal.Advice, "R2V_BUDGET_PER_DAY")
			b, err := l.Budget(t.Context(), "anna", "USD")
			require.NoError(t, err)
			require.False(t, b.Own)
			require.Equal(t, []string{"1", "0.7", "0.3"}, []string{b.PerDay.String(), b.Used.String(), b.Left.String()})
		},
		"a person's part needs no budget of all": func(t *testing.T, l *ledger.Ledger) {
			l = limited(t, l, "", "0.5")
			b, err := l.Budget(t.Context(), "anna", "USD")
			require.NoError(t, err)
			require.Equal(t, "0.5", b.Left.String(), "before there is any file")
			task := bought(t, l, by("anna", order("a", "")), "a")
			refused(t, l, by("anna", order("b", "")))
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Failed}, time.Time{})
			require.NoError(t, err)
			bought(t, l, by("anna", order("b", "")), "b")
			pass(24 * time.Hour)
			bought(t, l, by("anna", order("c", "")), "c")
		},
		"however many of two people ask at once, no limit is overdrawn": func(t *testing.T, l *ledger.Ledger) {
			for _, tt := range []struct {
				all, each string
				most      int32
				mostEach  int32
			}{{"2", "0.9", 4, 2}, {"1.3", "1", 3, 2}} {
				all := []*ledger.Ledger{limited(t, l, tt.all, tt.each), limited(t, l, tt.all, tt.each)}
				granted := map[string]*atomic.Int32{"anna": {}, "bob": {}}
				var wait sync.WaitGroup
				for i := range 20 {
					owner := []string{"anna", "bob"}[i/2%2]
					wait.Go(func() {
						_, claimed, err := all[i%2].Claim(t.Context(), by(owner, order(tt.all+strconv.Itoa(i), "")))
						if claimed && err == nil {
							granted[owner].Add(1)
						}
					})
				}
				wait.Wait()
				anna, bob := granted["anna"].Load(), granted["bob"].Load()
				require.Equal(t, tt.most, anna+bob)
				require.LessOrEqual(t, max(anna, bob), tt.mostEach)
				pass(24 * time.Hour)
			}
		},
		"a day tells what each has spent": func(t *testing.T, l *ledger.Ledger) {
			l = limited(t, l, "9", "5")
			for i, owner := range []string{"bob", "anna", "", "bob"} {
				task := bought(t, l, by(owner, order(strconv.Itoa(i), "")), strconv.Itoa(i))
				if i == 3 {
					_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", Usage: seconds("3")}, time.Time{})
					require.NoError(t, err)
				}
			}
			days, err := l.Days(t.Context(), time.Now())
			require.NoError(t, err)
			require.Len(t, days, 1)
			var text []string
			for _, s := range days[0].People {
				text = append(text, s.Owner+" "+strconv.Itoa(s.Tasks)+" "+s.Used.String()+" "+s.Billed.String())
			}
			require.Equal(t, []string{" 1 0.4 0", "anna 1 0.4 0", "bob 2 0.7 0.3"}, text)
			require.Equal(t, 4, days[0].Tasks)
		},
	}
}
