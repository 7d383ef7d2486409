package main_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// filled makes the ledger of a data folder with so many tasks, all saved.
func filled(t *testing.T, dir string, tasks int) {
	t.Helper()
	l := ledger.New(ledger.Options{Path: filepath.Join(dir, "ledger.db"), Upstream: "127.0.0.1:8790"})
	cost := video.Cost{Low: decimal.NewFromInt(1), High: decimal.NewFromInt(1), PerSecond: decimal.New(1, -1), Currency: "USD"}
	request := video.Request{Model: "wan2.7-r2v", Prompt: "Image 1 waves at the sea", References: []video.Reference{{URL: "https://media.example/a.png", Kind: video.Image}}}
	task, _, err := l.Claim(t.Context(), video.Order{Request: request, Estimate: cost, Fingerprint: "f"})
	require.NoError(t, err)
	_, err = l.Bought(t.Context(), task.ID, "theirs", false)
	require.NoError(t, err)
	_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4", EndedAt: time.Now()}, time.Time{})
	require.NoError(t, err)
	_, err = l.Saved(t.Context(), task.ID, "/videos/a.mp4", nil, time.Time{})
	require.NoError(t, err)
	require.NoError(t, l.Close())

	db, err := sql.Open("sqlite", l.Path)
	require.NoError(t, err)
	defer db.Close()
	var same string // columns that all copies share
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT group_concat(name) FROM pragma_table_info('r2v_task')
		WHERE name NOT IN ('id', 'provider_task_id', 'idempotency_key', 'created_at', 'hint')`).Scan(&same))
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO r2v_task (id, provider_task_id, idempotency_key, hint, created_at, %s)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %d)
		SELECT 'r2v-' || i, 'theirs-' || i, 'key-' || i, 'hint-' || i, created_at - i * 1000000, %s FROM r2v_task, n`, same, tasks-1, same))
	require.NoError(t, err)
}

func TestALongLedgerCostsTheStartNothing(t *testing.T) {
	measured(t)
	home := t.TempDir()
	long, none := filepath.Join(home, "long"), filepath.Join(home, "none")
	filled(t, long, 10_000)
	var with, without time.Duration
	for range tries {
		var a, b []beginning
		for range 40 {
			a = append(a, begin(t, built(t, "r2v-mcp"), home, "R2V_DATA_DIR="+long, "DASHSCOPE_API_KEY=sk-test"))
			b = append(b, begin(t, built(t, "r2v-mcp"), home, "R2V_DATA_DIR="+none, "DASHSCOPE_API_KEY=sk-test"))
		}
		with, _ = summary(a)
		without, _ = summary(b)
		t.Logf("start to tools/list with 10,000 tasks in the ledger %v, without %v", with, without)
		if with-without <= mostForLedger {
			break
		}
	}
	require.LessOrEqual(t, with-without, mostForLedger)

	// And the first page of the list, which opens the ledger.
	p := greeted(t, "R2V_DATA_DIR="+long)
	defer p.stop()
	from := time.Now()
	p.send(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_tasks","arguments":{"limit":5}}}`)
	require.Contains(t, string(p.line()), "next_cursor")
	t.Logf("first page of list_tasks, the ledger opened for it: %v", time.Since(from))
}
