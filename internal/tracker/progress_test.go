package tracker_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
)

// telling is a provider that says how far its tasks are, in their own answers and in its list.
type telling struct {
	provider.Provider
	percent *atomic.Int64
}

func (p telling) Look(ctx context.Context, id string) (video.Snapshot, error) {
	s, err := p.Provider.Look(ctx, id)
	s.Progress = int(p.percent.Load())
	return s, err
}

func (p telling) List(ctx context.Context, from, to time.Time, page int) (provider.Page, error) {
	all, err := p.Provider.List(ctx, from, to, page)
	for i := range all.Tasks {
		all.Tasks[i].Progress = int(p.percent.Load())
	}
	return all, err
}

// What the service says of an open task's progress is known soon after, whether the task is read or listed; what it does not say
// any more stays.
func TestProgressOfAnOpenTaskIsKept(t *testing.T) {
	for _, tasks := range []int{1, 6} {
		t.Run(fmt.Sprint(tasks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := simulator.New(simulator.Options{Speed: 0.05})
				tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
				var percent atomic.Int64
				tr.Provider = telling{providerOver(t, simulatortest.Transport(sim)), &percent}
				var bought []video.Task
				for i := range tasks {
					task, _, err := tr.Create(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d times", i)))
					require.NoError(t, err)
					bought = append(bought, task)
				}
				run(t, tr)
				for _, step := range []struct{ says, kept int }{{7, 7}, {42, 42}, {0, 42}, {99, 99}} {
					percent.Store(int64(step.says))
					time.Sleep(16 * time.Second)
					for _, task := range bought {
						now, err := tr.Wait(t.Context(), "", task.ID, 0)
						require.NoError(t, err)
						require.True(t, now.Status.Open())
						require.Equal(t, step.kept, now.Progress)
					}
				}
			})
		})
	}
}
