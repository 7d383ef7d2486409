package tracker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// The relay said no, and then calls back: its task exists, and was paid for.
func TestAPurchaseThatWasTakenForRefusedIsSettledByACallback(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		r.create = func(string) error {
			return &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "refused"}}
		}
		_, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.ErrorContains(t, err, "refused")
		tasks, _, err := tr.List(t.Context(), video.Filter{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, video.Failed, tasks[0].Status)
		r.end("task-unified-0", video.Succeeded)
		require.True(t, tr.Hint(tasks[0].Hint, "task-unified-0"))
		synctest.Wait()
		now := known(t, tr, tasks[0].ID)
		require.Equal(t, video.Succeeded, now.Status)
		require.Equal(t, video.WasCharged, now.Charged())
		require.Equal(t, []string{"found"}, o.take())
	})
}

// Who knows a purchase's hint and another task's id cannot give it that task where its model or time is another.
func TestACallbackSettlesNothingWithATaskOfAnotherModelOrTime(t *testing.T) {
	for name, told := range map[string]video.Snapshot{
		"another model":        {Status: video.Succeeded, Model: "wan2.6-r2v", VideoURL: "https://media.example/a.mp4"},
		"made an hour before":  {Status: video.Succeeded, Model: "wan2.7-r2v", SubmittedAt: time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)},
		"made ten minutes on":  {Status: video.Running, Model: "wan2.7-r2v", SubmittedAt: time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC)},
		"of another long clip": {Status: video.Succeeded, Usage: &video.Usage{Output: decimal.NewFromInt(9)}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
				r.create = lost
				task := ordered(t, tr, "Image 1 waves")
				r.tasks["task-unified-another"] = told
				require.True(t, tr.Hint(task.Hint, "task-unified-another"))
				synctest.Wait()
				require.True(t, ptr(known(t, tr, task.ID)).InDoubt())
				require.Equal(t, []string{"ignored"}, o.take())
			})
		})
	}
}

// Two purchases are lost, and a callback of one tells an id that the other may have made: it is taken, and not believed for good.
func TestACallbackIsAFindingWhereAnotherPurchaseMayHaveMadeTheTask(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.create = lost
		bens, annas := ordered(t, tr, "Image 1 waves"), ordered(t, tr, "Image 1 sings")
		for range 2 {
			require.True(t, tr.Hint(bens.Hint, "task-unified-1")) // which is Anna's
			synctest.Wait()
			require.True(t, known(t, tr, bens.ID).Found)
			time.Sleep(time.Minute)
		}
		require.True(t, tr.Hint(annas.Hint, "task-unified-1"))
		synctest.Wait()
		require.Equal(t, "task-unified-1", known(t, tr, annas.ID).ProviderTaskID, "her own callback tells the same")
		require.True(t, ptr(known(t, tr, bens.ID)).InDoubt(), "and takes it from him")
	})
}
