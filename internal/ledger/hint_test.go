package ledger_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/postgrestest"
	"r2v-mcp/internal/video"
)

func TestHints(t *testing.T) {
	for name, test := range hints() {
		for database, open := range map[string]opener{"SQLite": onSQLite, "PostgreSQL": onPostgreSQL(postgrestest.Database(t))} {
			t.Run(database+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := open(t, ledger.Options{Window: window})
					defer func() { require.NoError(t, l.Close()) }()
					test(t, l)
				})
			})
		}
	}
}

// hints is what the provider's own callbacks need.
func hints() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a task is found by its hint alone, and by all of it": func(t *testing.T, l *ledger.Ledger) {
			_, err := l.ByHint(t.Context(), strings.Repeat("a", 26))
			require.ErrorIs(t, err, ledger.ErrNotFound, "there is no ledger yet")
			task, _, err := l.Claim(t.Context(), by("anna", order("a", "k")))
			require.NoError(t, err)
			require.Len(t, task.Hint, 26)
			got, err := l.ByHint(t.Context(), task.Hint)
			require.NoError(t, err)
			require.Equal(t, task, got)
			for _, hint := range []string{
				"", task.ID, task.Hint[1:], task.Hint + "a", strings.ToUpper(task.Hint), " " + task.Hint[1:], strings.Repeat("a", 26), strings.Repeat("%", 26),
				strings.Repeat("\x00", 26), strings.Repeat("\xff", 26), task.Hint[:25] + "_", task.Hint[:25] + "8", strings.Repeat("ä", 13),
			} {
				_, err := l.ByHint(t.Context(), hint)
				require.ErrorIs(t, err, ledger.ErrNotFound, "%q", hint)
			}
			_, err = beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" }).ByHint(t.Context(), task.Hint)
			require.ErrorIs(t, err, ledger.ErrNotFound, "who reaches another service can look at nothing")
		},
		"what is malformed is not asked for": func(t *testing.T, l *ledger.Ledger) {
			_, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			require.NoError(t, l.Close())
			_, err = l.ByHint(t.Context(), strings.Repeat("a", 26))
			require.Error(t, err)
			require.NotErrorIs(t, err, ledger.ErrNotFound, "what might be one is")
			_, err = l.ByHint(t.Context(), strings.Repeat("A", 26))
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"a claim that is claimed again has another hint": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.NotCharged})
			require.NoError(t, err)
			again, claimed, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			require.True(t, claimed)
			require.Equal(t, task.ID, again.ID)
			_, err = l.ByHint(t.Context(), task.Hint)
			require.ErrorIs(t, err, ledger.ErrNotFound)
			_, err = l.ByHint(t.Context(), again.Hint)
			require.NoError(t, err)
		},
		"an id is taken by who was answered with it": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			takeable := func(want bool, why string) {
				t.Helper()
				ok, err := l.Takeable(t.Context(), task.ID, "theirs")
				require.NoError(t, err)
				require.Equal(t, want, ok, why)
			}
			takeable(true, "nobody has it")
			_, err = l.Adopt(t.Context(), "", "theirs", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			takeable(true, "somebody has asked for it")
			other, _, err := l.Claim(t.Context(), order("b", "other"))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), other.ID, "theirs", true)
			require.NoError(t, err)
			takeable(true, "another has found it, which proves nothing")
			_, err = l.Bought(t.Context(), other.ID, "theirs", false)
			require.NoError(t, err)
			takeable(false, "another was answered with it")
		},
	}
}
