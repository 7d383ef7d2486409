package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// twoOverRelay runs a test with two processes on one ledger.
func twoOverRelay(t *testing.T, r *relay, p provider.Provider, test func(t *testing.T, both []*tracker.Tracker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		var both []*tracker.Tracker
		for range 2 {
			tr, _ := overRelay(t, path, r)
			tr.Provider = p
			both = append(both, tr)
		}
		test(t, both)
	})
}

func TestAnIDThatTheLedgerDoesNotKnowIsReadByOneProcessAtATime(t *testing.T) {
	for name, there := range map[string]bool{"the relay knows it": true, "nobody does": false} {
		t.Run(name, func(t *testing.T) {
			r := newRelay()
			twoOverRelay(t, r, r, func(t *testing.T, both []*tracker.Tracker) {
				const id = "task-unified-stranger"
				if there {
					r.tasks[id] = video.Snapshot{Status: video.Running, SubmittedAt: time.Now()}
				}
				var wait sync.WaitGroup
				for i, tr := range both {
					for range 2 {
						wait.Go(func() {
							task, err := tr.Wait(t.Context(), "", id, 0)
							if there {
								require.NoError(t, err)
								require.Equal(t, id, task.ProviderTaskID)
								return
							}
							failure := new(video.Error)
							require.ErrorAs(t, err, &failure)
							require.Contains(t, []string{"TaskNotFound", "Busy"}, failure.Code)
						})
					}
					if i == 0 {
						time.Sleep(time.Second)
					}
				}
				wait.Wait()
				require.GreaterOrEqual(t, r.spaced(t), 1)
			})
		})
	}
}

func TestWhoAsksForATaskAllTheTimeKeepsNobodyFromFollowingIt(t *testing.T) {
	r := newRelay()
	twoOverRelay(t, r, r, func(t *testing.T, both []*tracker.Tracker) {
		o := order(t, "Image 1 waves")
		o.Owner = "anna"
		task, _, err := both[0].Create(t.Context(), o)
		require.NoError(t, err)
		run(t, both[0])
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				for ctx.Err() == nil {
					_, err := both[1].Wait(ctx, "bob", task.ProviderTaskID, 0)
					require.Error(t, err)
				}
			})
		}
		time.Sleep(time.Minute)
		r.end(task.ProviderTaskID, video.Failed)
		time.Sleep(2 * time.Minute)
		require.Equal(t, video.Failed, known(t, both[0], task.ID).Status)
		stop()
		wait.Wait()
		r.spaced(t)
	})
}

// unsaveable keeps no clip.
type unsaveable struct{}

func (unsaveable) Save(context.Context, string, string) (video.Clip, error) {
	return video.Clip{}, errors.New("the link is dead")
}

func TestALinkIsAskedForAnewNoMoreOftenThanATaskMayBeRead(t *testing.T) {
	r := newRelay()
	twoOverRelay(t, r, r, func(t *testing.T, both []*tracker.Tracker) {
		task := ordered(t, both[0], "Image 1 waves")
		r.end(task.ProviderTaskID, video.Succeeded)
		for _, tr := range both {
			tr.Saver = unsaveable{}
			tr.PollInterval = time.Second // and so it is tried again every second
			run(t, tr)
		}
		time.Sleep(time.Minute)
		require.GreaterOrEqual(t, r.spaced(t), 3)
	})
}

// library is a relay whose list shows what has ended, and whose tasks tell their prompts.
type library struct{ *relay }

func (l library) Create(ctx context.Context, p provider.Purchase) (provider.Bought, error) {
	b, err := l.relay.Create(ctx, p)
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.tasks {
		if s.Prompt == "" {
			s.Status, s.Prompt, s.VideoURL = video.Succeeded, p.Request.Prompt, "https://media.example/a.mp4"
			s.Usage = &video.Usage{Output: decimal.NewFromInt(int64(p.Request.Duration))}
			l.tasks[id] = s
		}
	}
	return b, err
}

func (l library) List(context.Context, time.Time, time.Time, int) (provider.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := provider.Page{Last: true, ServedAt: time.Now()}
	for id, s := range l.tasks {
		page.Tasks = append(page.Tasks, provider.Listed{ID: id, Status: s.Status, Model: "wan2.7-r2v", SubmittedAt: s.SubmittedAt})
	}
	return page, nil
}

func TestTheSearchForLostPurchasesReadsNoTaskTooOften(t *testing.T) {
	r := newRelay()
	r.create = lost
	twoOverRelay(t, r, library{r}, func(t *testing.T, both []*tracker.Tracker) {
		for _, tr := range both {
			run(t, tr)
		}
		var tasks []video.Task
		for i := range 4 {
			tasks = append(tasks, ordered(t, both[i%2], fmt.Sprintf("Image 1 waves %d", i)))
		}
		for i := range 60 { // somebody asks for them meanwhile, and their callbacks come
			_, _ = both[i%2].Wait(t.Context(), "bob", fmt.Sprintf("task-unified-%d", i%4), 0)
			both[(i+1)%2].Hint(tasks[i%4].Hint, fmt.Sprintf("task-unified-%d", i%4))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		for i, task := range tasks {
			now := known(t, both[0], task.ID)
			require.Equal(t, fmt.Sprintf("task-unified-%d", i), now.ProviderTaskID)
			require.Equal(t, video.Succeeded, now.Status)
		}
		require.Greater(t, r.spaced(t), 4)
	})
}

func TestAClipOfNobodyKnowsWhichPurchaseIsReadNoMoreOftenForIt(t *testing.T) {
	r := newRelay()
	r.create = lost
	twoOverRelay(t, r, library{r}, func(t *testing.T, both []*tracker.Tracker) {
		for i := range 2 { // the same words in two requests, and one of the two was made
			o := order(t, "Image 1 waves")
			o.IdempotencyKey, o.Request.Duration, o.Fingerprint = fmt.Sprint(i), 0, fmt.Sprint(i)
			_, _, err := both[i].Create(t.Context(), o)
			require.NoError(t, err)
		}
		r.mu.Lock()
		delete(r.tasks, "task-unified-1")
		r.mu.Unlock()
		for _, tr := range both {
			tr.Absence = time.Minute
			run(t, tr)
		}
		time.Sleep(10 * time.Minute)
		r.spaced(t)
	})
}

func TestAProgressThatStandsStillIsNotWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.listing, r.percent = true, 40
		var tasks []video.Task
		for i := range 6 {
			tasks = append(tasks, ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i)))
		}
		run(t, tr)
		time.Sleep(2 * time.Minute)
		written := func() (all []int64) {
			for _, task := range tasks {
				now := known(t, tr, task.ID)
				require.Equal(t, r.percent, now.Progress)
				all = append(all, now.LookedAt.UnixMicro())
			}
			return all
		}
		before := written()
		time.Sleep(2 * time.Minute)
		require.Equal(t, before, written())
		r.mu.Lock()
		r.percent = 50
		r.mu.Unlock()
		time.Sleep(30 * time.Second)
		require.NotEqual(t, before, written())
	})
}

func TestAServiceThatWantsToBeLeftAloneIs(t *testing.T) {
	const longer = 25 * time.Second // than the poll interval
	r := newRelay()
	twoOverRelay(t, r, r, func(t *testing.T, both []*tracker.Tracker) {
		for i := range 3 {
			ordered(t, both[0], fmt.Sprintf("Image 1 waves %d", i))
		}
		for _, tr := range both {
			run(t, tr)
		}
		time.Sleep(time.Minute)
		r.mu.Lock()
		r.refuse = &video.Error{Failure: video.Failure{Code: "rate_limit_exceeded", Retryable: true}, RetryAfter: longer}
		clear(r.reads)
		r.mu.Unlock()
		began := time.Now()
		time.Sleep(2 * time.Minute)
		var all []time.Duration
		for id := range r.tasks {
			all = append(all, r.readOf(id, began)...)
		}
		slices.Sort(all)
		require.GreaterOrEqual(t, len(all), 4)
		for i, at := range all[1:] {
			require.GreaterOrEqual(t, at-all[i], longer, "of any task")
		}
	})
}
