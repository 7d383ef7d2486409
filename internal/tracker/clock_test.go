package tracker_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// setBack makes a ledger look as if the clock had been set back since all of it was written.
func setBack(t *testing.T, tr *tracker.Tracker, by time.Duration) {
	t.Helper()
	db, err := sql.Open("sqlite", tr.Ledger.Path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	for _, change := range []string{
		"UPDATE r2v_task SET created_at = created_at + $1, submitted_at = submitted_at + $1, looked_at = looked_at + $1",
		"UPDATE r2v_turn SET at = at + $1",
	} {
		_, err = db.ExecContext(t.Context(), change, by.Microseconds())
		require.NoError(t, err)
	}
}

func TestAClockThatIsSetBackKeepsNoTaskFromBeingFollowed(t *testing.T) {
	for _, back := range []time.Duration{5 * time.Second, 50 * time.Minute, 3 * time.Hour} {
		for _, open := range []int{1, 6} {
			t.Run(fmt.Sprintf("%d open, %v", open, back), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sim := simulator.New(simulator.Options{Concurrent: 9})
					tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
					stop := run(t, tr)
					var tasks []video.Task
					for i := range open {
						task, _, err := tr.Create(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d", i)))
						require.NoError(t, err)
						tasks = append(tasks, task)
					}
					time.Sleep(40 * time.Second) // each was looked at
					stop()
					setBack(t, tr, back)
					run(t, tr)
					time.Sleep(10 * time.Minute)
					for _, task := range tasks {
						require.Equal(t, video.Succeeded, known(t, tr, task.ID).Status)
					}
				})
			})
		}
	}
}

func TestAClockThatIsSetBackKeepsNoTaskOfTheRelayFromBeingRead(t *testing.T) {
	for _, back := range []time.Duration{5 * time.Second, 50 * time.Minute, 3 * time.Hour} {
		for name, open := range map[string]int{"read one by one": 1, "listed": 6} {
			t.Run(fmt.Sprintf("%s, %v", name, back), func(t *testing.T) {
				inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
					r.listing = true
					var tasks []video.Task
					for i := range open {
						tasks = append(tasks, ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i)))
					}
					stop := run(t, tr)
					time.Sleep(30 * time.Second)
					require.True(t, tr.Hint(tasks[0].Hint, ""))
					time.Sleep(2 * apart) // it may have been put off
					stop()
					setBack(t, tr, back)
					time.Sleep(apart) // of the relay's own clock
					r.end(tasks[0].ProviderTaskID, video.Succeeded)
					o.take()
					require.True(t, tr.Hint(tasks[0].Hint, ""))
					time.Sleep(2 * apart)
					require.Equal(t, video.Succeeded, known(t, tr, tasks[0].ID).Status, "a callback is followed")
					require.Equal(t, []string{"looked"}, o.take())
					for _, task := range tasks {
						r.end(task.ProviderTaskID, video.Succeeded)
					}
					r.listing = false
					setBack(t, tr, back)
					run2, _ := overRelay(t, tr.Ledger.Path, r)
					run(t, run2)
					time.Sleep(2 * time.Minute)
					for _, task := range tasks {
						require.Equal(t, video.Succeeded, known(t, tr, task.ID).Status)
					}
				})
			})
		}
	}
}
