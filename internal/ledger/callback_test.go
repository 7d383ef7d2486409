package ledger_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

const receiver = "https://hooks.example/r2v?token=canary"

// told orders a clip whose end somebody is to be told of.
func told(t *testing.T, l *ledger.Ledger, name, owner string) video.Task {
	t.Helper()
	o := order(name, name)
	o.CallbackURL, o.Owner = receiver, owner
	return bought(t, l, o, "theirs-"+name)
}

func look(t *testing.T, l *ledger.Ledger, id string, s video.Snapshot, next time.Time) {
	t.Helper()
	_, _, err := l.Looked(t.Context(), id, s, next)
	require.NoError(t, err)
}

func failed() video.Snapshot { return video.Snapshot{Status: video.Failed} }

// due returns the callbacks that are due now.
func due(t *testing.T, l *ledger.Ledger, named bool) []video.Task {
	t.Helper()
	tasks, err := l.ToCall(t.Context(), named, 64)
	require.NoError(t, err)
	return tasks
}

// dueIn is how long it is until the next callback.
func dueIn(t *testing.T, l *ledger.Ledger) time.Duration {
	t.Helper()
	at, err := l.NextCall(t.Context(), true)
	require.NoError(t, err)
	require.False(t, at.IsZero(), "none is due ever")
	return time.Until(at)
}

// silent requires that no callback is due, ever.
func silent(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	at, err := l.NextCall(t.Context(), true)
	require.NoError(t, err)
	require.True(t, at.IsZero())
	require.Empty(t, due(t, l, true))
}

// ringing is when who is told of a task's end.
func ringing() map[string]func(t *testing.T, l *ledger.Ledger) {
	made := video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4", Usage: seconds("3.5")}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"an end is told at once, under an id of its own": func(t *testing.T, l *ledger.Ledger) {
			ids := map[string]bool{}
			for i, s := range []video.Snapshot{{Status: video.Failed}, {Status: video.Canceled}, {Status: video.Unknown}, made} {
				task := told(t, l, strconv.Itoa(i), "")
				require.Equal(t, &video.Callback{URL: receiver}, task.Callback)
				look(t, l, task.ID, video.Snapshot{Status: video.Running}, time.Time{})
				silentBut(t, l, i)
				pass(time.Millisecond)
				look(t, l, task.ID, s, time.Time{})
				all := due(t, l, false)
				require.Len(t, all, i+1)
				told := all[i].Callback
				require.Equal(t, task.ID, all[i].ID)
				require.Regexp(t, `^msg_[a-z2-7]{26}$`, told.ID)
				require.Zero(t, told.Attempts)
				require.False(t, told.Over())
				ids[told.ID] = true
				look(t, l, task.ID, s, time.Time{}) // again: it has ended
				again, err := l.Task(t.Context(), task.ID)
				require.NoError(t, err)
				require.Equal(t, told, again.Callback)
			}
			require.Len(t, ids, 4)
		},
		"nobody is told who has not asked": func(t *testing.T, l *ledger.Ledger) {
			for i, s := range []video.Snapshot{failed(), made} {
				task := bought(t, l, order(strconv.Itoa(i), ""), "theirs"+strconv.Itoa(i))
				look(t, l, task.ID, s, time.Now())
				task, err := l.Saved(t.Context(), task.ID, "a.mp4", nil, time.Time{})
				require.NoError(t, err)
				require.Nil(t, task.Callback)
			}
			silent(t, l)
		},
		"a success waits for the first attempt to save it, but for no more than a minute": func(t *testing.T, l *ledger.Ledger) {
			for name, save := range map[string]func(id string) error{
				"saved": func(id string) error { return last(l.Saved(t.Context(), id, "a.mp4", nil, time.Time{})) },
				"not saved": func(id string) error {
					return last(l.Saved(t.Context(), id, "", errors.New("no disk"), time.Now().Add(time.Minute)))
				},
				"nobody saves":  func(id string) error { return l.CallNow(t.Context(), id) },
				"it takes long": func(string) error { pass(50 * time.Second); return nil },
			} {
				task := told(t, l, name, "")
				look(t, l, task.ID, made, time.Now())
				require.Equal(t, time.Minute, dueIn(t, l), name)
				require.Empty(t, due(t, l, true))
				pass(10 * time.Second)
				require.Empty(t, due(t, l, true))
				require.NoError(t, save(task.ID))
				all := due(t, l, true)
				require.Len(t, all, 1, name)
				require.Equal(t, "0.35", all[0].Billed.String(), "its cost is settled")
				taken, ok, err := l.TakeCall(t.Context(), all[0], time.Now().Add(30*time.Second))
				require.NoError(t, err)
				require.True(t, ok)
				require.NoError(t, save(task.ID)) // which hurries nothing that has begun
				if name != "it takes long" {
					require.Equal(t, 30*time.Second, dueIn(t, l))
				}
				taken, err = l.Task(t.Context(), taken.ID)
				require.NoError(t, err)
				_, err = l.Called(t.Context(), taken, video.Delivery{Delivered: true}, time.Time{})
				require.NoError(t, err)
				silent(t, l)
			}
		},
		"a success without a link has not ended": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, video.Snapshot{Status: video.Succeeded}, time.Now())
			silent(t, l)
			look(t, l, task.ID, video.Snapshot{Status: video.Running}, time.Now()) // an older view
			silent(t, l)
			look(t, l, task.ID, made, time.Time{})
			require.Len(t, due(t, l, true), 1)
			task = told(t, l, "b", "")
			look(t, l, task.ID, video.Snapshot{Status: video.Succeeded}, time.Now())
			_, err := l.Saved(t.Context(), task.ID, "b.mp4", nil, time.Time{})
			require.NoError(t, err)
			require.Len(t, due(t, l, true), 2)
		},
		"the first caller's address is kept": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			o := order("a", "a")
			o.CallbackURL = "https://elsewhere.example/"
			again, claimed, err := l.Claim(t.Context(), o)
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, task.ID, again.ID)
			require.Equal(t, receiver, again.Callback.URL)
		},
	}
}

// doubted is who is told of purchases whose caller had to be answered before their fate was known.
func doubted() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a purchase that is refused within its call is told by the call, and one that was in doubt or took long is not": func(t *testing.T, l *ledger.Ledger) {
			refused := &video.Error{Charged: video.NotCharged}
			claim := func(name string) video.Task {
				o := order(name, name)
				o.CallbackURL = receiver
				task, claimed, err := l.Claim(t.Context(), o)
				require.NoError(t, err)
				require.True(t, claimed)
				return task
			}
			quick := claim("quick")
			pass(19 * time.Second)
			require.NoError(t, last(l.NotBought(t.Context(), quick, refused)))
			silent(t, l)
			slow := claim("slow")
			pass(20 * time.Second)
			require.NoError(t, last(l.NotBought(t.Context(), slow, refused)))
			require.Equal(t, []string{slow.ID}, ids(due(t, l, true)))
			doubt := claim("doubt")
			require.NoError(t, last(l.NotBought(t.Context(), doubt, &video.Error{Charged: video.ChargedUnknown})))
			require.Len(t, due(t, l, true), 1, "nobody knows yet")
			require.NoError(t, last(l.NotBought(t.Context(), doubt, refused)))
			require.Len(t, due(t, l, true), 2)
			again := claim("doubt") // as a new purchase, which has not ended
			require.Equal(t, doubt.ID, again.ID)
			require.Equal(t, &video.Callback{URL: receiver}, again.Callback)
			require.Len(t, due(t, l, true), 1)
			found, err := l.Bought(t.Context(), slow.ID, "theirs", true) // after all
			require.NoError(t, err)
			require.Equal(t, &video.Callback{URL: receiver}, found.Callback)
			silent(t, l)
			look(t, l, slow.ID, failed(), time.Time{})
			first := due(t, l, true)[0].Callback.ID
			bought(t, l, order("whose it was", ""), "theirs") // the one that found it is in doubt again
			silent(t, l)
			_, err = l.Bought(t.Context(), slow.ID, "other", false)
			require.NoError(t, err)
			look(t, l, slow.ID, failed(), time.Time{})
			require.NotEqual(t, first, due(t, l, true)[0].Callback.ID, "it is another end")
		},
		"what was looked for in vain until it was forgotten is told": func(t *testing.T, l *ledger.Ledger) {
			require.NoError(t, l.CallLost(t.Context()))
			o := order("a", "a")
			o.CallbackURL = receiver
			task, _, err := l.Claim(t.Context(), o)
			require.NoError(t, err)
			require.NoError(t, last(l.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})))
			pass(video.Lifetime - time.Second)
			require.NoError(t, l.CallLost(t.Context()))
			silent(t, l)
			pass(time.Second)
			for range 2 {
				require.NoError(t, l.CallLost(t.Context()))
			}
			all := due(t, l, true)
			require.Len(t, all, 1)
			require.Equal(t, video.Unknown, all[0].Status)
		},
	}
}

// silentBut requires that n callbacks are due.
func silentBut(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	require.Len(t, due(t, l, true), n)
}

// calls is how callbacks are sent.
func calls() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"before there is any ledger nobody is called": func(t *testing.T, l *ledger.Ledger) {
			silent(t, l)
			require.NoError(t, l.CallNow(t.Context(), "nobody"))
		},
		"an attempt is one process's, and its id, attempts and error outlive it": func(t *testing.T, l *ledger.Ledger) {
			look(t, l, told(t, l, "a", "").ID, failed(), time.Time{})
			seen := due(t, l, false)[0]
			one(t, l, func(l *ledger.Ledger) (bool, error) {
				_, taken, err := l.TakeCall(t.Context(), seen, time.Now().Add(30*time.Second))
				return taken, err
			})
			require.Empty(t, due(t, l, true))
			task, err := l.Task(t.Context(), seen.ID)
			require.NoError(t, err)
			require.Equal(t, 1, task.Callback.Attempts)
			require.WithinDuration(t, time.Now(), task.Callback.LastAt, time.Millisecond)
			require.Equal(t, 30*time.Second, dueIn(t, l))
			pass(30 * time.Second) // its process has ended
			again := due(t, l, false)[0]
			require.Equal(t, seen.Callback.ID, again.Callback.ID)
			second, taken, err := l.TakeCall(t.Context(), again, time.Now().Add(30*time.Second))
			require.NoError(t, err)
			require.True(t, taken)
			require.Equal(t, 2, second.Callback.Attempts)
			late, err := l.Called(t.Context(), task, video.Delivery{Delivered: true}, time.Time{})
			require.NoError(t, err)
			require.True(t, late.Callback.DeliveredAt.IsZero(), "it was too late")
			why := "hooks.example answered with HTTP 500\x00\xff"
			_, err = l.Called(t.Context(), second, video.Delivery{Error: why}, time.Now().Add(2*time.Second))
			require.NoError(t, err)
			require.Equal(t, 2*time.Second, dueIn(t, l))
			pass(2 * time.Second)
			third, taken, err := beside(t, l, nil).TakeCall(t.Context(), due(t, l, false)[0], time.Now().Add(30*time.Second))
			require.NoError(t, err)
			require.True(t, taken)
			require.Equal(t, seen.Callback.ID, third.Callback.ID)
			require.Equal(t, "hooks.example answered with HTTP 500\ufffd\ufffd", third.Callback.Error)
			done, err := l.Called(t.Context(), third, video.Delivery{Delivered: true}, time.Now().Add(time.Second))
			require.NoError(t, err)
			require.Equal(t, 3, done.Callback.Attempts)
			require.WithinDuration(t, time.Now(), done.Callback.DeliveredAt, time.Millisecond)
			require.Empty(t, done.Callback.Error)
			require.True(t, done.Callback.Over())
			silent(t, l)
		},
		"a callback that is given up is over": func(t *testing.T, l *ledger.Ledger) {
			look(t, l, told(t, l, "a", "").ID, failed(), time.Time{})
			task, _, err := l.TakeCall(t.Context(), due(t, l, false)[0], time.Now().Add(30*time.Second))
			require.NoError(t, err)
			task, err = l.Called(t.Context(), task, video.Delivery{Gone: true, Error: "gone"}, time.Time{})
			require.NoError(t, err)
			require.True(t, task.Callback.Over())
			require.True(t, task.Callback.DeliveredAt.IsZero())
			require.Equal(t, "gone", task.Callback.Error)
			silent(t, l)
		},
		"a task that is in doubt again has no attempt to record": func(t *testing.T, l *ledger.Ledger) {
			o := order("a", "a")
			o.CallbackURL = receiver
			task, _, err := l.Claim(t.Context(), o)
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "theirs", true)
			require.NoError(t, err)
			look(t, l, task.ID, failed(), time.Time{})
			taken, _, err := l.TakeCall(t.Context(), due(t, l, false)[0], time.Now().Add(30*time.Second))
			require.NoError(t, err)
			bought(t, l, order("whose it was", ""), "theirs")
			task, err = l.Called(t.Context(), taken, video.Delivery{Delivered: true}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, &video.Callback{URL: receiver}, task.Callback)
		},
		"those of people with a name are for those who serve people, and the crowd of one is in nobody's way": func(t *testing.T, l *ledger.Ledger) {
			for i := range 80 {
				look(t, l, told(t, l, "anna"+strconv.Itoa(i), "anna").ID, failed(), time.Time{})
				pass(time.Millisecond)
			}
			at, err := l.NextCall(t.Context(), false)
			require.NoError(t, err)
			require.True(t, at.IsZero())
			for _, name := range []string{"bob", ""} {
				look(t, l, told(t, l, "of "+name, name).ID, failed(), time.Time{})
				pass(time.Millisecond)
			}
			require.Len(t, due(t, l, false), 1)
			at, err = l.NextCall(t.Context(), false)
			require.NoError(t, err)
			require.False(t, at.IsZero())
			all := due(t, l, true)
			require.Len(t, all, 64)
			owners := map[string]int{}
			for i := range all {
				owners[all[i].Owner]++
			}
			require.Equal(t, map[string]int{"anna": 62, "bob": 1, "": 1}, owners)
			require.True(t, strings.HasPrefix(all[0].Request.Prompt, "anna0"), "the most urgent first")
			require.Empty(t, due(t, beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" }), true))
		},
		"what was put off before the clock was set back is due": func(t *testing.T, l *ledger.Ledger) {
			look(t, l, told(t, l, "a", "").ID, failed(), time.Time{})
			task, _, err := l.TakeCall(t.Context(), due(t, l, false)[0], time.Now().Add(30*time.Second))
			require.NoError(t, err)
			_, err = l.Called(t.Context(), task, video.Delivery{Error: "x"}, time.Now().Add(time.Hour))
			require.NoError(t, err)
			require.Empty(t, due(t, l, true))
			require.Equal(t, time.Hour, dueIn(t, l))
			pass(time.Hour)
			task, _, err = l.TakeCall(t.Context(), due(t, l, false)[0], time.Now().Add(30*time.Second))
			require.NoError(t, err)
			_, err = l.Called(t.Context(), task, video.Delivery{Error: "x"}, time.Now().Add(5*time.Hour))
			require.NoError(t, err)
			require.Len(t, due(t, l, true), 1)
			require.Zero(t, dueIn(t, l))
		},
	}
}
