package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/postgrestest"
)

// servers starts servers of one user, who all have the same data.
func servers(t *testing.T, n int, env []string) []*process {
	t.Helper()
	var all []*process
	for range n {
		all = append(all, greetedFor(t, 2*time.Minute, env...))
	}
	return all
}

func requireClip(t *testing.T, path string) {
	t.Helper()
	clip, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Greater(t, len(clip), 8)
	require.Equal(t, "ftyp", string(clip[4:8]), "an MP4 begins with its type")
}

func TestATaskOfAKilledServerIsFollowedAndSavedByAnother(t *testing.T) {
	t.Parallel()
	s := newService(t, 60)
	home := t.TempDir()
	both := servers(t, 2, s.env(home))
	made := both[0].ask("generate_r2v", waving("goodbye")).answer
	require.NotEmpty(t, made.ProviderTaskID)
	both[0].kill()
	// Killed while it looks at open tasks, it keeps that duty for the 30 s of its lease.
	seen := both[1].ask("get_task", map[string]any{"task_id": made.TaskID, "wait_seconds": 50}).answer
	require.Equal(t, "SUCCEEDED", seen.Status)
	require.Equal(t, filepath.Join(home, "clips"), filepath.Dir(seen.SavedTo))
	requireClip(t, seen.SavedTo)
	require.EqualValues(t, 1, s.creates.Load())
	both[1].stop()
}

func TestTwoProcessesShareTheBudgetOfADay(t *testing.T) {
	t.Parallel()
	s := newService(t, 1)
	env := append(s.env(t.TempDir()), "R2V_BUDGET_PER_DAY=1")
	both := servers(t, 2, env)
	const calls = 20
	for i := range calls {
		both[i%2].send(callLine(100+i, "generate_r2v", waving(fmt.Sprint(i))))
	}
	bought := 0
	for i := range calls {
		a := both[i%2].read()
		if a.refusal == "" {
			bought++
			continue
		}
		require.Contains(t, a.refusal, "DayBudgetExceeded")
		require.Contains(t, a.refusal, "0.2 of today's 1 is left")
		require.Contains(t, a.refusal, "The budget comes back at ")
		require.Contains(t, strings.ToLower(a.refusal), "charged: no")
	}
	require.Equal(t, 2, bought)
	require.EqualValues(t, 2, s.creates.Load())
}

func TestManyCallsWithOneKeyBuyOneClip(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		processes int
		env       func(t *testing.T) []string
	}{
		"4 processes, SQLite":     {4, func(*testing.T) []string { return nil }},
		"2 processes, PostgreSQL": {2, func(t *testing.T) []string { return []string{"R2V_DATABASE_URL=" + postgrestest.Database(t)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, 1)
			all := servers(t, tt.processes, append(s.env(t.TempDir()), tt.env(t)...))
			const calls = 1000
			request := waving("once")
			request["idempotency_key"] = "the-one"
			for i := range calls {
				all[i%len(all)].send(callLine(100+i, "generate_r2v", request))
			}
			answers := map[string]int{}
			first := 0
			for i := range calls {
				a := all[i%len(all)].read()
				require.Empty(t, a.refusal)
				answers[a.answer.TaskID+" "+a.answer.ProviderTaskID]++
				if !a.answer.Replayed {
					first++
				}
			}
			require.Len(t, answers, 1, "1,000 answers name one task")
			require.Equal(t, 1, first, "all others are told that nothing new was bought")
			require.EqualValues(t, 1, s.creates.Load())
		})
	}
}

// The service took the order, and its answer was lost on the way.
func TestAnOrderWhoseAnswerWasLostIsFound(t *testing.T) {
	t.Parallel()
	s := newService(t, 60)
	p := greeted(t, append(s.env(t.TempDir()), "R2V_POLL_INTERVAL=2s")...)
	request := waving("[[fault:drop-after]]")
	request["idempotency_key"] = "lost"
	lost := p.ask("generate_r2v", request).answer
	require.Equal(t, "UNKNOWN", lost.Status)
	require.Equal(t, "unknown", lost.Charged)
	require.Empty(t, lost.ProviderTaskID)

	seen := p.ask("get_task", map[string]any{"task_id": lost.TaskID, "wait_seconds": 25}).answer
	require.Equal(t, "SUCCEEDED", seen.Status)
	requireClip(t, seen.SavedTo)

	again := p.ask("generate_r2v", request).answer
	require.Equal(t, lost.TaskID, again.TaskID)
	require.NotEmpty(t, again.ProviderTaskID)
	require.Equal(t, seen.ProviderTaskID, again.ProviderTaskID)
	require.True(t, again.Replayed)
	require.EqualValues(t, 1, s.creates.Load())
	p.stop()
}

// A client that gives up early is answered in time, by a purchase as by get_task.
func TestPurchaseAnswersWithinTheLongestWait(t *testing.T) {
	t.Parallel()
	s := newService(t, 1)
	p := greeted(t, append(s.env(t.TempDir()), "R2V_MAX_WAIT=1s")...)
	start := time.Now()
	made := p.ask("generate_r2v", waving("[[fault:slow]]")).answer
	require.Less(t, time.Since(start), 10*time.Second, "the service answers after 30 s")
	require.Equal(t, "PENDING", made.Status)
	require.Empty(t, made.ProviderTaskID)
	require.Equal(t, "unknown", made.Charged)
	p.kill()
}
