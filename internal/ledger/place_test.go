package ledger_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
)

func TestProcessesInTwoTimeZonesShareADaysBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := decimal.NewFromInt(1)
		path := filepath.Join(t.TempDir(), "ledger.db")
		var bought int
		for i, zone := range []*time.Location{time.UTC, time.FixedZone("Pago Pago", -11*60*60), time.FixedZone("Kiritimati", 14*60*60)} {
			l := ledger.New(ledger.Options{Path: path, BudgetPerDay: &one, Zone: zone})
			for j := range 3 {
				_, claimed, _ := l.Claim(t.Context(), order(string(rune('a'+3*i+j)), ""))
				if claimed {
					bought++
				}
			}
			b, err := l.Budget(t.Context(), "", "USD")
			require.NoError(t, err)
			require.Equal(t, "0.2", b.Left.String(), zone)
			require.NoError(t, l.Close())
		}
		require.Equal(t, 2, bought)
	})
}

func TestAFileThatWasTakenAwayIsNotWrittenTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "ledger.db")
	l := ledger.New(ledger.Options{Path: path, Window: time.Minute})
	defer l.Close()
	first, _, err := l.Claim(t.Context(), order("a", "k"))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	_, err = l.Task(t.Context(), first.ID)
	require.ErrorIs(t, err, ledger.ErrNotFound)
	require.NoFileExists(t, path, "looking makes none")
	second, claimed, err := l.Claim(t.Context(), order("a", "k"))
	require.NoError(t, err)
	require.True(t, claimed)
	other := ledger.New(ledger.Options{Path: path, Window: time.Minute})
	defer other.Close()
	same, claimed, err := other.Claim(t.Context(), order("a", "k"))
	require.NoError(t, err)
	require.False(t, claimed)
	require.Equal(t, second.ID, same.ID)
}
