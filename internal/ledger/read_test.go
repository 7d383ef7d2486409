package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
)

// reads is how all processes of a ledger leave the provider's tasks alone for a while.
func reads() map[string]func(t *testing.T, l *ledger.Ledger) {
	const apart = 8 * time.Second
	take := func(t *testing.T, l *ledger.Ledger, id string) bool {
		t.Helper()
		taken, err := l.TakeRead(t.Context(), id, apart)
		require.NoError(t, err)
		return taken
	}
	readIn := func(t *testing.T, l *ledger.Ledger, id string) time.Duration {
		t.Helper()
		wait, err := l.ReadIn(t.Context(), id, apart)
		require.NoError(t, err)
		return wait
	}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"of all who want to read a task one does, and the next one not before its time": func(t *testing.T, l *ledger.Ledger) {
			whoever := func(l *ledger.Ledger) (bool, error) { return l.TakeRead(t.Context(), "theirs", apart) }
			require.Zero(t, readIn(t, l, "theirs"), "before there is any ledger")
			require.NoError(t, func() error { _, err := whoever(l); return err }())
			pass(apart - time.Microsecond)
			require.False(t, take(t, l, "theirs"))
			require.Equal(t, time.Microsecond, readIn(t, l, "theirs"))
			pass(time.Microsecond)
			require.Zero(t, readIn(t, l, "theirs"))
			one(t, l, whoever)
			require.True(t, take(t, l, "another"))
			require.True(t, take(t, beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" }), "theirs"))
		},
		"no read comes a part of a microsecond too early": func(t *testing.T, l *ledger.Ledger) {
			pass(999 * time.Nanosecond)
			require.True(t, take(t, l, "theirs"))
			pass(apart - time.Nanosecond)
			require.False(t, take(t, l, "theirs"))
			pass(time.Microsecond)
			require.True(t, take(t, l, "theirs"))
		},
		"a read that takes long counts from its end": func(t *testing.T, l *ledger.Ledger) {
			require.True(t, take(t, l, "theirs"))
			pass(5 * time.Second)
			require.NoError(t, l.HasRead(t.Context(), "theirs", apart))
			pass(5 * time.Second)
			require.False(t, take(t, l, "theirs"))
			require.Equal(t, 3*time.Second, readIn(t, l, "theirs"))
			pass(3 * time.Second)
			require.True(t, take(t, l, "theirs"))
		},
		"a read of before the clock was set back keeps nobody": func(t *testing.T, l *ledger.Ledger) {
			for _, back := range []time.Duration{5 * time.Hour, 50 * time.Minute, time.Minute} {
				id := back.String()
				require.True(t, take(t, l, id))
				require.NoError(t, l.HasRead(t.Context(), id, back))
				require.Zero(t, readIn(t, l, id), back)
				require.True(t, take(t, l, id), back)
				require.False(t, take(t, l, id), back)
			}
		},
		"reads are forgotten, and nothing else is": func(t *testing.T, l *ledger.Ledger) {
			_, err := l.Seize(t.Context(), "sweep", time.Now().Add(time.Second))
			require.NoError(t, err)
			count := func() (n int) {
				db := behind(t, l)
				defer db.Close()
				require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM r2v_turn").Scan(&n))
				return n
			}
			for i := range 200 {
				require.True(t, take(t, l, fmt.Sprint(i)))
				pass(time.Second)
			}
			require.LessOrEqual(t, count(), 1+60+8+1, "those of a minute, and the sweep")
			pass(time.Hour)
			require.True(t, take(t, l, string(make([]byte, 5000))), "an id may be what anybody has sent")
			require.Equal(t, 2, count())
			at, err := l.DueAt(t.Context(), "sweep")
			require.NoError(t, err)
			require.False(t, at.IsZero())
		},
	}
}
