package ledger_test

import (
	"cmp"
	"database/sql"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// forgetful makes the newest changes of a task's callback undone, as if a version of the program had made the rest that knows no callbacks.
func forgetful(t *testing.T, l *ledger.Ledger, id string) {
	t.Helper()
	driver, source := "sqlite", "file:"+(&url.URL{Path: l.Path}).EscapedPath()+"?_pragma=busy_timeout(5000)"
	if l.DatabaseURL != "" {
		driver, source = "postgres", l.DatabaseURL
	}
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "UPDATE r2v_task SET callback = '', callback_due_at = NULL WHERE id = $1", id)
	require.NoError(t, err)
}

// claimed is an order of whose end somebody is to be told, and which is not bought yet.
func claimed(t *testing.T, l *ledger.Ledger, name string) video.Task {
	t.Helper()
	o := order(name, name)
	o.CallbackURL = receiver
	task, claimed, err := l.Claim(t.Context(), o)
	require.NoError(t, err)
	require.True(t, claimed)
	return task
}

// search looks for ends that nobody was told of, and returns how many callbacks are due then.
func search(t *testing.T, l *ledger.Ledger) int {
	t.Helper()
	require.NoError(t, l.CallLost(t.Context()))
	return len(due(t, l, true))
}

// untoldEnds is who is told of ends that no change of ours has told.
func untoldEnds() map[string]func(t *testing.T, l *ledger.Ledger) {
	made := video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4", Usage: seconds("3.5")}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a success whose link never comes is told after a day, as it is": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, video.Snapshot{Status: video.Succeeded}, time.Now())
			require.NoError(t, last(l.Saved(t.Context(), task.ID, "", sql.ErrNoRows, time.Now())))
			pass(video.Lifetime - time.Second)
			require.Zero(t, search(t, l))
			silent(t, l)
			pass(time.Second)
			for range 2 {
				require.Equal(t, 1, search(t, l))
			}
			first := due(t, l, true)[0]
			require.True(t, first.Linkless())
			look(t, l, task.ID, made, time.Time{}) // after all: it is the same end
			again := due(t, l, true)
			require.Len(t, again, 1)
			require.Equal(t, first.Callback.ID, again[0].Callback.ID)
			require.NotEmpty(t, again[0].VideoURL)
		},
		"an end that an earlier version has recorded is told": func(t *testing.T, l *ledger.Ledger) {
			for i, s := range []video.Snapshot{{Status: video.Failed}, {Status: video.Canceled}, {Status: video.Unknown}, made} {
				task := told(t, l, string(s.Status), "")
				look(t, l, task.ID, s, time.Time{})
				forgetful(t, l, task.ID)
				require.Len(t, due(t, l, true), i)
				for range 2 {
					require.Equal(t, i+1, search(t, l))
				}
			}
			require.Zero(t, search(t, beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" })))
		},
		"a clip that an earlier version is saving has its minute": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, made, time.Now())
			forgetful(t, l, task.ID)
			require.Zero(t, search(t, l))
			require.Equal(t, time.Minute, dueIn(t, l))
			saved := told(t, l, "b", "")
			look(t, l, saved.ID, made, time.Now())
			require.NoError(t, last(l.Saved(t.Context(), saved.ID, "b.mp4", nil, time.Time{})))
			forgetful(t, l, saved.ID)
			require.Equal(t, 1, search(t, l))
		},
		"a purchase that an earlier version has found to be none is told, and one that was refused within its call is not": func(t *testing.T, l *ledger.Ledger) {
			refused := &video.Error{Charged: video.NotCharged}
			quick := claimed(t, l, "quick")
			now, err := l.NotBought(t.Context(), quick, refused)
			require.NoError(t, err)
			require.Equal(t, &video.Callback{URL: receiver, Told: true}, now.Callback)
			require.True(t, now.Callback.Over())
			doubt := claimed(t, l, "doubt")
			require.NoError(t, last(l.NotBought(t.Context(), doubt, &video.Error{Charged: video.ChargedUnknown})))
			require.NoError(t, last(l.NotBought(t.Context(), doubt, refused)))
			forgetful(t, l, doubt.ID)
			pass(2 * video.Lifetime)
			require.Equal(t, 1, search(t, l))
			require.Equal(t, doubt.ID, due(t, l, true)[0].ID)
			again := claimed(t, l, "quick")
			require.Equal(t, quick.ID, again.ID)
			require.Equal(t, &video.Callback{URL: receiver}, again.Callback, "another purchase, of which nothing is told yet")
			require.Equal(t, 1, search(t, l))
		},
		"what has not ended is not told": func(t *testing.T, l *ledger.Ledger) {
			told(t, l, "open", "")
			look(t, l, told(t, l, "running", "").ID, video.Snapshot{Status: video.Running}, time.Time{})
			claimed(t, l, "claimed")
			pass(3 * video.Lifetime)
			require.Zero(t, search(t, l))
			silent(t, l)
		},
	}
}

// given is how an attempt is given back.
func given() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"an attempt that is given back is due at once and was none": func(t *testing.T, l *ledger.Ledger) {
			look(t, l, told(t, l, "a", "").ID, failed(), time.Time{})
			before := due(t, l, false)[0]
			for range 2 { // the second time there is an error from before
				taken, ok, err := l.TakeCall(t.Context(), before, time.Now().Add(30*time.Second))
				require.NoError(t, err)
				require.True(t, ok)
				require.Empty(t, due(t, l, true))
				pass(time.Second)
				require.NoError(t, l.Uncalled(t.Context(), taken, before.Callback))
				again := due(t, beside(t, l, nil), false)[0]
				want := *before.Callback
				want.NextAt = again.Callback.NextAt
				require.Equal(t, &want, again.Callback)
				require.Equal(t, time.Now(), again.Callback.NextAt.In(time.Local))
				second, ok, err := l.TakeCall(t.Context(), again, time.Now().Add(30*time.Second))
				require.NoError(t, err)
				require.True(t, ok)
				require.NoError(t, l.Uncalled(t.Context(), taken, before.Callback), "the first is too late")
				require.Empty(t, due(t, l, true))
				_, err = l.Called(t.Context(), second, video.Delivery{Error: cmp.Or(before.Callback.Error, "why")}, time.Now())
				require.NoError(t, err)
				before = due(t, l, false)[0]
			}
			require.Equal(t, 2, before.Callback.Attempts)
		},
	}
}
