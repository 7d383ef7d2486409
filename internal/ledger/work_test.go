package ledger_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// keep gives a sign of life.
func keep(t *testing.T, l *ledger.Ledger, id string, until time.Duration) {
	task, err := l.Task(t.Context(), id)
	require.NoError(t, err)
	kept, err := l.Keep(t.Context(), task, time.Now().Add(until))
	require.NoError(t, err)
	require.True(t, kept)
}

func ids(tasks []video.Task) []string {
	var all []string
	for i := range tasks {
		all = append(all, tasks[i].ID)
	}
	return all
}

// one counts the takers of something that only one may have, among many in two processes.
func one(t *testing.T, l *ledger.Ledger, take func(l *ledger.Ledger) (bool, error)) {
	t.Helper()
	other := beside(t, l, nil)
	var taken atomic.Int32
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			if ok, err := take([]*ledger.Ledger{l, other}[i%2]); ok && err == nil {
				taken.Add(1)
			}
		})
	}
	wait.Wait()
	require.EqualValues(t, 1, taken.Load())
}

// work is what processes find to be done.
func work() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"what is to be followed tells how far it was": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", "k"), "theirs")
			_, err := seen(l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Running, Progress: 40}, time.Time{}))
			require.NoError(t, err)
			open, err := l.Open(t.Context())
			require.NoError(t, err)
			require.Len(t, open, 1)
			require.Equal(t, 40, open[0].Progress)
		},
		"before there is any ledger there is no work": func(t *testing.T, l *ledger.Ledger) {
			open, err := l.Open(t.Context())
			require.NoError(t, err)
			doubts, err := l.InDoubt(t.Context())
			require.NoError(t, err)
			save, err := l.ToSave(t.Context(), true, 5)
			require.NoError(t, err)
			require.Empty(t, slices.Concat(open, doubts, save))
			next, err := l.NextDue(t.Context(), true)
			require.NoError(t, err)
			require.True(t, next.IsZero())
			at, err := l.DueAt(t.Context(), "sweep")
			require.NoError(t, err)
			require.True(t, at.IsZero(), "it never was done")
			require.NoError(t, l.Settle(t.Context(), "sweep", time.Now()))
			require.NoError(t, l.Hurry(t.Context(), "sweep", time.Now()))
			n, err := l.Interrupted(t.Context())
			require.NoError(t, err)
			require.Zero(t, n)
			require.NoError(t, l.Troubled(t.Context(), "", nil))
			known, err := l.Known(t.Context(), []string{"theirs"})
			require.NoError(t, err)
			require.Empty(t, known)
			_, err = l.Mine(t.Context(), "nobody")
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"what is bought and has not ended is open, oldest first, where it was bought": func(t *testing.T, l *ledger.Ledger) {
			var want []string
			for i := range 3 {
				want = append(want, bought(t, l, order(strconv.Itoa(i), ""), strconv.Itoa(i)).ID)
				pass(time.Millisecond)
			}
			_, _, err := l.Looked(t.Context(), want[1], video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			ended := bought(t, l, order("ended", ""), "ended")
			_, _, err = l.Looked(t.Context(), ended.ID, video.Snapshot{Status: video.Failed}, time.Time{})
			require.NoError(t, err)
			_, _, err = l.Claim(t.Context(), order("under way", ""))
			require.NoError(t, err)
			open, err := l.Open(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, ids(open))
			require.Equal(t, "wan2.7-r2v", open[0].Request.Model)
			require.Empty(t, open[0].Request.Prompt)
			open, err = beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" }).Open(t.Context())
			require.NoError(t, err)
			require.Empty(t, open)
		},
		"what has no id yet is in doubt for as long as the service remembers": func(t *testing.T, l *ledger.Ledger) {
			first, _, err := l.Claim(t.Context(), order("a", "a"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), first, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			pass(time.Hour)
			second, _, err := l.Claim(t.Context(), order("b", "b"))
			require.NoError(t, err)
			refused, _, err := l.Claim(t.Context(), order("c", "c"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), refused, &video.Error{Charged: video.NotCharged})
			require.NoError(t, err)
			for _, want := range [][]string{{first.ID, second.ID}, {second.ID}, nil} {
				doubts, err := l.InDoubt(t.Context())
				require.NoError(t, err)
				require.Equal(t, want, ids(doubts))
				if want != nil {
					require.NotEmpty(t, doubts[0].Request.Prompt)
				}
				pass(video.Lifetime - time.Hour)
			}
		},
		"a purchase belongs to the account it was made with": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			mine, err := l.Mine(t.Context(), task.ID)
			require.NoError(t, err)
			require.True(t, mine)
			mine, err = beside(t, l, func(o *ledger.Options) { o.Account = "another" }).Mine(t.Context(), task.ID)
			require.NoError(t, err)
			require.False(t, mine)
			_, err = l.Mine(t.Context(), "nobody")
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"the ids of purchases are told from those of adopted tasks and of strangers": func(t *testing.T, l *ledger.Ledger) {
			bought(t, l, order("a", ""), "theirs")
			_, err := l.Adopt(t.Context(), "", "adopted", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			asked := []string{"adopted", "'; DROP TABLE r2v_task; --"}
			for i := range 1200 { // more than one statement takes
				asked = append(asked, strconv.Itoa(i))
			}
			known, err := l.Known(t.Context(), append(asked, "theirs"))
			require.NoError(t, err)
			require.Equal(t, map[string]bool{"theirs": true, "adopted": false}, known)
		},
	}
}

// shifts is how work goes from one process to another.
func shifts() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a clip that is due is taken by one of many, and kept by who saves it": func(t *testing.T, l *ledger.Ledger) {
			var due []string
			for i, ended := range []time.Duration{2, 1, 3} {
				task := bought(t, l, order(strconv.Itoa(i), ""), strconv.Itoa(i))
				_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", EndedAt: time.Now().Add(-time.Hour + ended*time.Minute)}, time.Now().Add(time.Second))
				require.NoError(t, err)
				due = append(due, task.ID)
			}
			due[0], due[1] = due[1], due[0]
			toSave := func(limit int) []string {
				tasks, err := l.ToSave(t.Context(), true, limit)
				require.NoError(t, err)
				return ids(tasks)
			}
			require.Empty(t, toSave(5), "not yet")
			next, err := l.NextDue(t.Context(), true)
			require.NoError(t, err)
			require.Equal(t, time.Second, time.Until(next))
			pass(time.Second)
			require.Equal(t, due[:2], toSave(2), "the most urgent first")
			one(t, l, func(l *ledger.Ledger) (bool, error) { return l.Take(t.Context(), due[0], time.Now().Add(time.Minute)) })
			require.Equal(t, due[1:], toSave(5))
			pass(59 * time.Second)
			keep(t, l, due[0], time.Minute)
			pass(time.Minute - time.Second)
			require.NotContains(t, toSave(5), due[0])
			pass(time.Second)
			require.Contains(t, toSave(5), due[0], "its taker gave no more sign of life")
			_, err = l.Saved(t.Context(), due[0], "a.mp4", nil, time.Time{})
			require.NoError(t, err)
			require.Equal(t, due[1:], toSave(5))
			taken, err := l.Take(t.Context(), due[0], time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.False(t, taken)
			elsewhere := beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" })
			taken, err = elsewhere.Take(t.Context(), due[1], time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.False(t, taken, "it was bought elsewhere")
		},
		"what was put off before the clock was set back is due at once": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u"}, time.Now().Add(5*time.Hour))
			require.NoError(t, err)
			next, err := l.NextDue(t.Context(), true)
			require.NoError(t, err)
			require.False(t, next.After(time.Now()))
			tasks, err := l.ToSave(t.Context(), true, 1)
			require.NoError(t, err)
			require.Len(t, tasks, 1)
			taken, err := l.Take(t.Context(), task.ID, time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.True(t, taken)
		},
		"a purchase whose process gives no sign of life is in doubt": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			interrupted := func() video.Status {
				_, err := l.Interrupted(t.Context())
				require.NoError(t, err)
				task, err := l.Task(t.Context(), task.ID)
				require.NoError(t, err)
				return task.Status
			}
			pass(29 * time.Second)
			require.Equal(t, video.Pending, interrupted())
			keep(t, l, task.ID, 30*time.Second)
			pass(29 * time.Second)
			require.Equal(t, video.Pending, interrupted())
			pass(time.Second)
			require.Equal(t, video.Unknown, interrupted())
			future, _, err := l.Claim(t.Context(), order("b", ""))
			require.NoError(t, err)
			keep(t, l, future.ID, 5*time.Hour) // as before the clock was set back
			n, err := l.Interrupted(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			n, err = l.Interrupted(t.Context())
			require.NoError(t, err)
			require.Zero(t, n, "each once")
		},
		"how long a model usually takes": func(t *testing.T, l *ledger.Ledger) {
			for i := range 30 {
				task := bought(t, l, order(strconv.Itoa(i), ""), strconv.Itoa(i))
				if i == 4 {
					quick, slow, err := l.Usual(t.Context(), "wan2.7-r2v")
					require.NoError(t, err)
					require.Zero(t, quick+slow, "four are too few to tell")
				}
				submitted := time.Now().Add(-time.Hour)
				took := time.Duration(i+1) * time.Second
				_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u", SubmittedAt: submitted, EndedAt: submitted.Add(took)}, time.Time{})
				require.NoError(t, err)
			}
			quick, slow, err := l.Usual(t.Context(), "wan2.7-r2v")
			require.NoError(t, err)
			require.Equal(t, "13s 29s", fmt.Sprint(quick, " ", slow), "of the latest 20")
			quick, slow, err = l.Usual(t.Context(), "another")
			require.NoError(t, err)
			require.Zero(t, quick+slow)
		},
	}
}
