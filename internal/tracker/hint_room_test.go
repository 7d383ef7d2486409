package tracker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

func TestHintsUnderWayAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		r.slow = 20 * time.Second
		var taken int
		for i := range 80 {
			task, _, err := tr.Ledger.Claim(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d", i)))
			require.NoError(t, err)
			_, err = tr.Ledger.Bought(t.Context(), task.ID, fmt.Sprintf("theirs-%d", i), false)
			require.NoError(t, err)
			if tr.Hint(task.Hint, "") {
				taken++
			}
		}
		require.Equal(t, 64, taken)
		time.Sleep(time.Minute)
		require.Len(t, o.take(), 64)
		require.Equal(t, 64, r.spaced(t))
		task := ordered(t, tr, "Image 1 runs")
		require.True(t, tr.Hint(task.Hint, ""), "there is room again")
	})
}

func TestHintsThatArePutOffAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		const many = 300
		var tasks []video.Task
		for i := range many {
			task, _, err := tr.Ledger.Claim(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d", i)))
			require.NoError(t, err)
			_, err = tr.Ledger.Bought(t.Context(), task.ID, fmt.Sprintf("theirs-%d", i), false)
			require.NoError(t, err)
			r.tasks[fmt.Sprintf("theirs-%d", i)] = video.Snapshot{Status: video.Running}
			tasks = append(tasks, task)
		}
		for i, task := range tasks { // by now
			require.True(t, tr.Hint(task.Hint, ""))
			if i%10 == 9 {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Minute)
		require.Equal(t, many, r.spaced(t))
		o.take()
		for _, task := range tasks {
			_, err := tr.Ledger.TakeRead(t.Context(), known(t, tr, task.ID).ProviderTaskID, apart) // another process reads it
			require.NoError(t, err)
			require.True(t, tr.Hint(task.Hint, ""))
			synctest.Wait()
		}
		require.Len(t, o.take(), many-64, "polling finds the ends of those")
		time.Sleep(time.Minute)
		require.Equal(t, many+64, r.spaced(t))
		require.Len(t, o.take(), 64)
	})
}
