package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// arrivals notes when requests of a kind reach the service, after what the way there takes.
type arrivals struct {
	http.RoundTripper
	kind func(r *http.Request) bool
	way  func(n int) time.Duration

	mu sync.Mutex
	n  int
	at []time.Time
}

func (a *arrivals) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.kind(r) {
		a.mu.Lock()
		n := a.n
		a.n++
		a.mu.Unlock()
		if a.way != nil {
			time.Sleep(a.way(n))
		}
		a.mu.Lock()
		a.at = append(a.at, time.Now())
		a.mu.Unlock()
	}
	return a.RoundTripper.RoundTrip(r)
}

// most is how many arrived within a second, whichever second.
func (a *arrivals) most() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortFunc(a.at, time.Time.Compare)
	most, first := 0, 0
	for i, at := range a.at {
		for at.Sub(a.at[first]) > time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func oneTask(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/tasks")
}

// loop lets somebody call on and on, as many at a time as given, until the test's end.
func loop(t *testing.T, callers int, call func(ctx context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for ctx.Err() == nil {
				call(ctx)
				sleepIn(ctx, time.Second)
			}
		})
	}
	t.Cleanup(func() { stop(); calling.Wait() })
}

func sleepIn(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

const invented = "00000000-0000-0000-0000-000000000000"

func TestWhoAsksOnAndOnKeepsNobodysTasksFromBeingFollowed(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, tr *tracker.Tracker, own string){
		"get_task of an invented id":    func(ctx context.Context, tr *tracker.Tracker, _ string) { _, _ = tr.Wait(ctx, "bob", invented, 0) },
		"cancel_task of an invented id": func(ctx context.Context, tr *tracker.Tracker, _ string) { _, _ = tr.Cancel(ctx, "bob", invented) },
		"cancel_task of a running task": func(ctx context.Context, tr *tracker.Tracker, own string) { _, _ = tr.Cancel(ctx, "bob", own) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
				gets := &arrivals{RoundTripper: simulatortest.Transport(sim), kind: oneTask}
				here, there := onLedger(t, path, sim), onLedger(t, path, sim)
				here.Provider, there.Provider = providerOver(t, gets), providerOver(t, gets)
				run(t, here)
				own, _, err := there.Create(t.Context(), orderOf(t, "bob", "Image 1 runs"))
				require.NoError(t, err)
				task, _, err := here.Create(t.Context(), orderOf(t, "anna", "Image 1 waves"))
				require.NoError(t, err)
				time.Sleep(150 * time.Second) // it takes three minutes
				loop(t, 40, func(ctx context.Context) {
					ctx, hangUp := context.WithTimeout(ctx, time.Second) // that place is taken, and left
					defer hangUp()
					call(ctx, there, own.ID)
				})

				task, err = here.Wait(t.Context(), "anna", task.ID, time.Hour)
				require.NoError(t, err)
				require.Equal(t, video.Succeeded, task.Status)
				require.Less(t, time.Since(task.EndedAt), 5*time.Second)
				require.LessOrEqual(t, gets.most(), 20, "documented")
			})
		})
	}
}

func TestWhoIsRefusedMakesNoLineLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		var asking sync.WaitGroup
		busy := 0
		var mu sync.Mutex
		for range 200 {
			asking.Go(func() {
				start := time.Now()
				_, err := tr.Wait(t.Context(), "bob", invented, 0)
				var failure *video.Error
				if mu.Lock(); errors.As(err, &failure) && failure.Code == "Busy" {
					busy++
					require.Zero(t, time.Since(start), "it is said at once")
					require.Contains(t, failure.Advice, "list_tasks")
				}
				mu.Unlock()
			})
		}
		asking.Wait()
		require.Greater(t, busy, 150)
		start := time.Now()
		_, err := tr.Wait(t.Context(), "anna", invented, 0)
		require.ErrorContains(t, err, "no task has the id")
		require.LessOrEqual(t, time.Since(start), time.Second, "nobody but the last one served is before her")
	})
}

func TestPurchasesOfTwoProcessesStayWithinTheDocumentedPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{Concurrent: 99})
		creates := &arrivals{
			RoundTripper: simulatortest.Transport(sim), kind: func(r *http.Request) bool { return r.Method == http.MethodPost },
			way: func(n int) time.Duration { return []time.Duration{400, 50, 0, 20, 0, 0, 10}[n%7] * time.Millisecond }, // a handshake, a ledger that is slow
		}
		both := []*tracker.Tracker{onLedger(t, path, sim), onLedger(t, path, sim)}
		var buying sync.WaitGroup
		for _, tr := range both {
			tr.Provider = providerOver(t, creates)
		}
		for i := range 40 {
			buying.Go(func() {
				_, _, err := both[i%2].Create(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d", i)))
				require.NoError(t, err)
			})
		}
		buying.Wait()
		require.Len(t, creates.at, 40)
		require.LessOrEqual(t, creates.most(), 5)
	})
}

func TestOnePersonsCancellationsDoNotHoldUpAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		var ids []string
		for _, owner := range []string{"bob", "anna"} {
			task, _, err := tr.Create(t.Context(), orderOf(t, owner, "Image 1 waves"))
			require.NoError(t, err)
			ids = append(ids, task.ID)
		}
		var asking sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 40 {
			asking.Go(func() { _, _ = tr.Cancel(ctx, "bob", ids[0]) })
		}
		synctest.Wait()
		start := time.Now()
		_, _ = tr.Cancel(t.Context(), "anna", ids[1])
		require.LessOrEqual(t, time.Since(start), 2*time.Second, "she stands behind one of his, not behind all")
		cancel()
		asking.Wait()
	})
}
