package ledger

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

// What is asked every few seconds must not read a ledger of years.
func TestWhatIsAskedAllTheTimeUsesAnIndex(t *testing.T) {
	l := New(Options{Path: filepath.Join(t.TempDir(), "ledger.db")})
	_, _, err := l.Claim(t.Context(), video.Order{Fingerprint: "a"})
	require.NoError(t, err)
	defer l.Close()
	for name, query := range map[string]string{
		"open":     openTasks,
		"in doubt": inDoubt,
		"due":      "SELECT min(due_at) FROM r2v_task WHERE " + doable,
		"budget":   reserved,
		"by hint":  byHint,
		"taken":    taken,

		"count of open": countOpen,
		"budget of one": reservedBy,
		"list of one":   listed,
		"list of all":   listedAll,

		"callbacks":     toCall,
		"next callback": nextCall,
		"lost":          lost,
		"due bills":     dueBills,
		"next bill":     nextBill,
	} {
		rows, err := l.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, 1, 2, 3, 4, 5)
		require.NoError(t, err)
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
			plan = append(plan, detail)
		}
		require.NoError(t, rows.Err())
		if name == "count of open" { // all of a partial index
			require.Contains(t, strings.Join(plan, "; "), "SCAN r2v_task USING INDEX r2v_task_open", name)
			continue
		}
		require.NotContains(t, strings.Join(plan, "; "), "SCAN r2v_task", name)
		if name == "by hint" {
			require.Contains(t, strings.Join(plan, "; "), "USING INDEX r2v_task_hint (hint=?)")
		}
		if name == "lost" {
			require.Contains(t, strings.Join(plan, "; "), "USING INDEX r2v_task_untold (upstream=?)")
		}
		if strings.HasSuffix(name, " bill") || strings.HasSuffix(name, " bills") {
			require.Contains(t, strings.Join(plan, "; "), "INDEX r2v_task_bill (upstream=?")
		}
		if strings.HasPrefix(name, "list") {
			require.NotContains(t, strings.Join(plan, "; "), "TEMP B-TREE", name)
		}
		if strings.HasSuffix(name, "of one") {
			require.Contains(t, strings.Join(plan, "; "), "r2v_task_owner (owner=? AND created_at", name)
		}
	}
}

func TestAPathMayHoldAnything(t *testing.T) {
	require.Equal(t, "file:/a%20b%23%3F%25/l.db", dataSource("/a b#?%/l.db", nil))
}
