package ledger_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/postgrestest"
	"r2v-mcp/internal/video"
)

const window = 10 * time.Minute

// opener opens a ledger of its own for a test.
type opener func(t *testing.T, o ledger.Options) *ledger.Ledger

// behave is what every ledger must do, whatever it is kept in. Every rule has a ledger and a clock of its own.
func behave(t *testing.T, open opener) {
	for _, tests := range []map[string]func(t *testing.T, l *ledger.Ledger){
		claims(), repeats(), doubts(), changes(), budgets(), days(), work(), shifts(), duties(), reads(), purchases(), findings(), races(), saves(), tellings(), lists(), watches(), uploads(), owners(), apart(), ends(), shares(), ringing(), doubted(), calls(), untoldEnds(), billing(), settling(), given(),
	} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := open(t, ledger.Options{Window: window})
					defer func() { require.NoError(t, l.Close()) }()
					test(t, l)
				})
			})
		}
	}
}

// beside is another process's view of a ledger, with settings of its own.
func beside(t *testing.T, l *ledger.Ledger, change func(o *ledger.Options)) *ledger.Ledger {
	o := l.Options
	if change != nil {
		change(&o)
	}
	other := ledger.New(o)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	return other
}

// refuses claims, which the ledger cannot record, and returns why. Nothing was charged, and the words say what to do.
func refuses(t *testing.T, l *ledger.Ledger) *video.Error {
	t.Helper()
	_, claimed, err := l.Claim(t.Context(), order("refused", "refused"))
	require.False(t, claimed)
	failure := new(video.Error)
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "LedgerUnavailable", failure.Code)
	require.Equal(t, video.NotCharged, failure.Charged)
	require.NotEmpty(t, failure.Advice)
	return failure
}

// code is the code of a refusal, empty for none.
func code(err error) string {
	if failure, ok := errors.AsType[*video.Error](err); ok {
		return failure.Code
	}
	return ""
}

// pass lets time go by. Every rule runs in a testing/synctest bubble, where that takes none.
func pass(d time.Duration) { time.Sleep(d) }

func order(prompt, key string) video.Order {
	cost := video.Cost{Low: decimal.RequireFromString("0.3"), High: decimal.RequireFromString("0.4"), PerSecond: decimal.RequireFromString("0.1"), Currency: "USD"}
	return video.Order{Request: video.Request{Model: "wan2.7-r2v", Prompt: prompt}, Estimate: cost, Fingerprint: prompt, IdempotencyKey: key}
}

// seen is a look of which it does not matter whether it has ended the task.
func seen(task video.Task, _ bool, err error) (video.Task, error) { return task, err }

// claims is who may buy.
func claims() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a key is claimed once, however many claim it": func(t *testing.T, l *ledger.Ledger) {
			var claims atomic.Int32
			var wait sync.WaitGroup
			for range 50 {
				wait.Go(func() {
					_, claimed, err := l.Claim(t.Context(), order("a", "k"))
					if err == nil && claimed {
						claims.Add(1)
					}
				})
			}
			wait.Wait()
			require.EqualValues(t, 1, claims.Load())
		},
		"a key of another request is refused": func(t *testing.T, l *ledger.Ledger) {
			first, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, claimed, err := l.Claim(t.Context(), order("b", "k"))
			require.ErrorContains(t, err, first.ID)
			require.False(t, claimed)
		},
	}
}

// repeats is what counts as the same order.
func repeats() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"an equal request without a key counts as one within the window": func(t *testing.T, l *ledger.Ledger) {
			first, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.True(t, claimed)
			_, err = l.Bought(t.Context(), first.ID, "theirs", false)
			require.NoError(t, err)
			_, _, err = l.Looked(t.Context(), first.ID, video.Snapshot{Status: video.Succeeded}, time.Time{})
			require.NoError(t, err)
			time.Sleep(window - time.Second)
			again, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, first.ID, again.ID)
			time.Sleep(time.Second)
			_, claimed, err = l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.True(t, claimed, "the window is over")
		},
		"a failed or cancelled clip may be ordered again at once": func(t *testing.T, l *ledger.Ledger) {
			for _, end := range []video.Status{video.Failed, video.Canceled} {
				task, _, err := l.Claim(t.Context(), order("a", ""))
				require.NoError(t, err)
				_, err = l.Bought(t.Context(), task.ID, string(end), false)
				require.NoError(t, err)
				_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: end}, time.Time{})
				require.NoError(t, err)
				_, claimed, err := l.Claim(t.Context(), order("a", ""))
				require.NoError(t, err)
				require.True(t, claimed)
				time.Sleep(window)
			}
		},
		"a refused purchase may be claimed again by its key, an unknown one never": func(t *testing.T, l *ledger.Ledger) {
			for charged, again := range map[video.Charged]bool{video.NotCharged: true, video.ChargedUnknown: false} {
				task, _, err := l.Claim(t.Context(), order("a", string(charged)))
				require.NoError(t, err)
				_, err = l.NotBought(t.Context(), task, &video.Error{Charged: charged})
				require.NoError(t, err)
				same, claimed, err := l.Claim(t.Context(), order("a", string(charged)))
				require.NoError(t, err)
				require.Equal(t, again, claimed, charged)
				require.Equal(t, task.ID, same.ID)
				time.Sleep(video.Lifetime)
			}
		},
		"what may be bought already is not bought under another key for a day": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			_, claimed, err := l.Claim(t.Context(), order("a", "another"))
			require.ErrorContains(t, err, task.ID)
			require.False(t, claimed)
			_, claimed, err = l.Claim(t.Context(), order("b", "another"))
			require.NoError(t, err)
			require.True(t, claimed)
			time.Sleep(video.Lifetime)
			_, claimed, err = l.Claim(t.Context(), order("a", "a third"))
			require.NoError(t, err)
			require.True(t, claimed)
		},
	}
}

// doubts is what must not be bought again before somebody knows.
func doubts() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a refused key does not buy over what may be bought": func(t *testing.T, l *ledger.Ledger) {
			refused, _, err := l.Claim(t.Context(), order("p", "a"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), refused, &video.Error{Charged: video.NotCharged})
			require.NoError(t, err)
			doubtful, _, err := l.Claim(t.Context(), order("p", "b"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), doubtful, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			_, claimed, err := l.Claim(t.Context(), order("p", "a"))
			require.ErrorContains(t, err, doubtful.ID)
			require.False(t, claimed)
		},
		"a purchase that is long under way is not bought beside it": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("p", "a"))
			require.NoError(t, err)
			require.Equal(t, video.ChargedUnknown, task.Charged(), "nobody has answered yet")
			pass(time.Microsecond)
			_, claimed, err := l.Claim(t.Context(), order("p", "b"))
			require.NoError(t, err)
			require.True(t, claimed, "two keys at once are two clips")
			time.Sleep(time.Minute)
			_, _, err = l.Claim(t.Context(), order("p", "c"))
			require.ErrorContains(t, err, task.ID)
		},
	}
}

// changes is what may become of a task.
func changes() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a success without a link is looked at again": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("p", "a"))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded}, time.Time{})
			require.NoError(t, err)
			task, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4"}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "https://media.example/a.mp4", task.VideoURL)
		},
		"a purchase given up for lost is found again": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			task, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			require.Equal(t, video.Pending, task.Status)
			require.Nil(t, task.Failure)
		},
		"without a key, what is still being made counts as the same, whatever the window": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			time.Sleep(2 * window)
			again, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, task.ID, again.ID)
		},
		"without a key, what may be bought already counts as the same for a day": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			time.Sleep(video.Lifetime - time.Second)
			again, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, task.ID, again.ID)
		},
		"a task is found by either id": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.Task(t.Context(), "theirs")
			require.ErrorIs(t, err, ledger.ErrNotFound)
			_, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			for _, id := range []string{task.ID, "theirs"} {
				found, err := l.Task(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, task.ID, found.ID)
			}
			_, err = l.Task(t.Context(), "")
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"a task made elsewhere is adopted once": func(t *testing.T, l *ledger.Ledger) {
			first, err := l.Adopt(t.Context(), "", "theirs", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			again, err := l.Adopt(t.Context(), "", "theirs", video.Snapshot{Status: video.Succeeded}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, first, again)
		},
		"a change wakes who waits for it": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			changed, stop := l.Watch(t.Context(), task.ID)
			defer stop()
			_, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			<-changed
			_, err = l.Bought(t.Context(), "nobody", "theirs", false)
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"who comes too late changes nothing": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			same := func(got video.Task, err error) {
				require.NoError(t, err)
				require.Equal(t, task, got)
			}
			same(seen(l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Running}, time.Time{})))
			same(l.Saved(t.Context(), task.ID, "a.mp4", nil, time.Time{}))
			task, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "another", false)
			require.ErrorContains(t, err, "theirs")
			same(l.NotBought(t.Context(), task, &video.Error{}))
			task, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4"}, time.Time{})
			require.NoError(t, err)
			require.False(t, task.SubmittedAt.IsZero(), "what is known is kept where the provider is silent")
			same(seen(l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Failed}, time.Time{})))
			task, err = l.Saved(t.Context(), task.ID, "a.mp4", nil, time.Time{})
			require.NoError(t, err)
			same(l.Saved(t.Context(), task.ID, "", errors.New("late"), time.Time{}))
		},
	}
}

func TestSQLite(t *testing.T) { behave(t, onSQLite) }

func onSQLite(t *testing.T, o ledger.Options) *ledger.Ledger {
	t.Helper()
	o.Path = filepath.Join(t.TempDir(), "data", "ledger.db")
	return ledger.New(o)
}

func TestPostgreSQL(t *testing.T) { behave(t, onPostgreSQL(postgrestest.Database(t))) }

// onPostgreSQL gives every test a schema of its own in one database.
func onPostgreSQL(address string) opener {
	return func(t *testing.T, o ledger.Options) *ledger.Ledger {
		t.Helper()
		u, err := url.Parse(address)
		require.NoError(t, err)
		schema := "test_" + strings.ToLower(rand.Text())
		db, err := sql.Open("postgres", address)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
		require.NoError(t, err)
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		o.DatabaseURL = u.String()
		return ledger.New(o)
	}
}
