package ledger_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
)

// duties is what all processes of a ledger take turns at.
func duties() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"two places in a line are never closer than they should be": func(t *testing.T, l *ledger.Ledger) {
			const every = 50 * time.Millisecond
			other := beside(t, l, nil)
			var mu sync.Mutex
			var places []time.Time
			var wait sync.WaitGroup
			for i := range 60 {
				wait.Go(func() {
					pass(time.Duration(i%7) * 123 * time.Microsecond)
					after, taken, err := []*ledger.Ledger{l, other}[i%2].Turn(t.Context(), "query", every, time.Minute)
					place := time.Now().Add(after) // the wait begins with the answer, however long that took
					mu.Lock()
					defer mu.Unlock()
					if err == nil && taken {
						places = append(places, place)
					}
				})
			}
			wait.Wait()
			require.Len(t, places, 60)
			slices.SortFunc(places, time.Time.Compare)
			for i, place := range places[1:] {
				require.GreaterOrEqual(t, place.Sub(places[i]), every)
			}
			require.Less(t, places[59].Sub(places[0]), 60*every, "nor further apart, while there are others")
		},
		"a line that was left unused saves nothing up, and lines are apart": func(t *testing.T, l *ledger.Ledger) {
			turn := func(line string) time.Duration {
				after, taken, err := l.Turn(t.Context(), line, time.Second, time.Minute)
				require.NoError(t, err)
				require.True(t, taken)
				return after
			}
			require.Zero(t, turn("query"))
			require.Zero(t, turn("list"))
			require.Equal(t, time.Second, turn("query"))
			pass(time.Minute)
			require.Zero(t, turn("query"))
			require.Equal(t, time.Second, turn("query"))
			elsewhere, _, err := beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" }).Turn(t.Context(), "query", time.Second, 0)
			require.NoError(t, err)
			require.Zero(t, elsewhere)
		},
		"a place that is too far away is not taken, however many ask for it": func(t *testing.T, l *ledger.Ledger) {
			other := beside(t, l, nil)
			var places atomic.Int32
			var wait sync.WaitGroup
			for i := range 60 {
				wait.Go(func() {
					after, taken, err := []*ledger.Ledger{l, other}[i%2].Turn(t.Context(), "query", time.Second, 10*time.Second)
					if err == nil && taken && after <= 10*time.Second {
						places.Add(1)
					}
				})
			}
			wait.Wait()
			require.EqualValues(t, 11, places.Load(), "now, and after 1 to 10 seconds")
			after, taken, err := l.Turn(t.Context(), "query", time.Second, time.Minute)
			require.NoError(t, err)
			require.True(t, taken)
			require.InDelta(t, 11, after.Seconds(), 0.2, "who was refused has not made the line longer") // SQLite may have made somebody wait
			pass(2 * time.Second)
			after, taken, err = l.Turn(t.Context(), "query", time.Second, 10*time.Second)
			require.NoError(t, err)
			require.True(t, taken, "the line has moved on")
			require.InDelta(t, 10, after.Seconds(), 0.2)
		},
		"a line of before the clock was set back keeps nobody": func(t *testing.T, l *ledger.Ledger) {
			for _, back := range []time.Duration{5 * time.Hour, 50 * time.Minute, 2 * time.Minute} {
				_, _, err := l.Turn(t.Context(), back.String(), back, 0)
				require.NoError(t, err)
				after, taken, err := l.Turn(t.Context(), back.String(), time.Second, 30*time.Second)
				require.NoError(t, err)
				require.True(t, taken, back)
				require.Zero(t, after, back)
			}
		},
		"a duty has one holder, and another when its time is over": func(t *testing.T, l *ledger.Ledger) {
			seize := func(l *ledger.Ledger) (bool, error) {
				return l.Seize(t.Context(), "sweep", time.Now().Add(time.Minute))
			}
			one(t, l, seize)
			pass(time.Minute - time.Second)
			seized, err := seize(l)
			require.NoError(t, err)
			require.False(t, seized)
			pass(time.Second)
			one(t, l, seize)
		},
		"a duty is due when its holder says, or sooner when somebody is in a hurry": func(t *testing.T, l *ledger.Ledger) {
			dueIn := func() time.Duration {
				at, err := l.DueAt(t.Context(), "sweep")
				require.NoError(t, err)
				return time.Until(at)
			}
			_, err := l.Seize(t.Context(), "sweep", time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.Equal(t, time.Minute, dueIn())
			require.NoError(t, l.Settle(t.Context(), "sweep", time.Now().Add(10*time.Minute)))
			require.Equal(t, 10*time.Minute, dueIn())
			require.NoError(t, l.Hurry(t.Context(), "sweep", time.Now().Add(time.Second)))
			require.NoError(t, l.Hurry(t.Context(), "sweep", time.Now().Add(time.Hour)))
			require.Equal(t, time.Second, dueIn())
			at, err := l.DueAt(t.Context(), "never done")
			require.NoError(t, err)
			require.True(t, at.IsZero())
		},
		"a duty of before the clock was set back is due": func(t *testing.T, l *ledger.Ledger) {
			for _, back := range []time.Duration{5 * time.Hour, 50 * time.Minute} {
				require.NoError(t, last(l.Seize(t.Context(), back.String(), time.Now().Add(back))))
				at, err := l.DueAt(t.Context(), back.String())
				require.NoError(t, err)
				require.False(t, at.After(time.Now()), back)
				one(t, l, func(l *ledger.Ledger) (bool, error) {
					return l.Seize(t.Context(), back.String(), time.Now().Add(time.Minute))
				})
			}
		},
	}
}
