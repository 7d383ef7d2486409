package tracker_test

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

func orderOf(t *testing.T, owner, prompt string) video.Order {
	t.Helper()
	o := order(t, prompt)
	o.Owner = owner
	return o
}

// refuses asks for a task in every way, and requires the words for one that does not exist.
func refuses(t *testing.T, tr *tracker.Tracker, owner, id string) {
	t.Helper()
	missing := strings.Repeat("0", len(id))
	if strings.HasPrefix(id, "r2v-") {
		missing = "r2v-" + strings.Repeat("a", len(id)-4)
	}
	for name, ask := range map[string]func(id string) (video.Task, error){
		"wait":   func(id string) (video.Task, error) { return tr.Wait(t.Context(), owner, id, time.Minute) },
		"cancel": func(id string) (video.Task, error) { return tr.Cancel(t.Context(), owner, id) },
	} {
		_, want := ask(missing)
		task, err := ask(id)
		require.Zero(t, task, name)
		got, known := new(video.Error), new(video.Error)
		require.ErrorAs(t, err, &got, name)
		require.ErrorAs(t, want, &known, name)
		known.Message = strings.ReplaceAll(known.Message, missing, id)
		require.Equal(t, known, got, name)
	}
}

func TestAnothersTaskIsOneThatDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task, _, err := tr.Create(t.Context(), orderOf(t, "anna", "Image 1 waves"))
		require.NoError(t, err)
		for range 3 { // PENDING, RUNNING and SUCCEEDED
			for _, owner := range []string{"bob", ""} {
				refuses(t, tr, owner, task.ID)
				refuses(t, tr, owner, task.ProviderTaskID)
			}
			time.Sleep(3 * time.Minute)
		}
		require.Zero(t, counted(t, sim, "cancel"))
		for _, id := range []string{task.ID, task.ProviderTaskID} {
			seen, err := tr.Wait(t.Context(), "anna", id, 0)
			require.NoError(t, err)
			require.Equal(t, video.Succeeded, seen.Status)
		}
		before := counted(t, sim, "get")
		_, err = tr.Wait(t.Context(), "bob", "00000000-0000-0000-0000-000000000000", 0)
		require.Error(t, err)
		unknown := counted(t, sim, "get") - before
		_, err = tr.Wait(t.Context(), "bob", task.ProviderTaskID, 0)
		require.Error(t, err)
		require.Equal(t, unknown, counted(t, sim, "get")-before-unknown, "both are looked for, so that their time is the same")
	})
}

func TestNobodyElseSeesAPurchaseInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		task, _, err := tr.Create(t.Context(), orderOf(t, "anna", "Image 1 waves [[fault:drop-after]]"))
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status)
		id := slices.Collect(maps.Keys(tasksOf(t, sim)))[0]
		refuses(t, tr, "bob", id)
		time.Sleep(7 * time.Minute) // it is made, and tells its prompt
		refuses(t, tr, "bob", id)
		run(t, tr)
		task, err = tr.Wait(t.Context(), "anna", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, id, task.ProviderTaskID)
		require.Equal(t, video.Succeeded, task.Status)
		refuses(t, tr, "bob", id)
	})
}

func TestWhatIsMadeElsewhereIsAdoptedByWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		elsewhere := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		made, _, err := elsewhere.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		doubt, _, err := tr.Create(t.Context(), orderOf(t, "anna", "Image 1 runs [[fault:drop-after]]"))
		require.NoError(t, err)
		require.Equal(t, video.Unknown, doubt.Status)
		task, err := tr.Wait(t.Context(), "bob", made.ProviderTaskID, 0)
		require.NoError(t, err, "it is older than what is in doubt")
		require.Equal(t, "bob", task.Owner)
		refuses(t, tr, "anna", made.ProviderTaskID)
		refuses(t, tr, "anna", task.ID)
	})
}

// Who waits for an adopted task that turns out to be another's purchase sees nothing of the purchase.
func TestAPurchaseIsNotShownToWhoHadAdoptedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		elsewhere := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		made, _, err := elsewhere.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		adopted, err := tr.Wait(t.Context(), "bob", made.ProviderTaskID, 0)
		require.NoError(t, err)
		claim, _, err := tr.Ledger.Claim(t.Context(), orderOf(t, "anna", "Image 1 waves"))
		require.NoError(t, err)
		waited := make(chan error)
		go func() {
			task, err := tr.Wait(t.Context(), "bob", adopted.ID, time.Hour)
			if task.ID != "" {
				err = nil
			}
			waited <- err
		}()
		synctest.Wait()
		_, err = tr.Ledger.Bought(t.Context(), claim.ID, made.ProviderTaskID, false)
		require.NoError(t, err)
		require.ErrorContains(t, <-waited, "no task has the id "+adopted.ID)
		refuses(t, tr, "bob", adopted.ID)
		refuses(t, tr, "bob", made.ProviderTaskID)
	})
}

// Equal orders of two people whose answers were lost: nobody can tell whose clip is whose, and nobody gets the other's.
func TestDoubtsOfTwoPeopleAreNotMixedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim, stop := followUntil(t)
		var tasks []video.Task
		for _, owner := range []string{"anna", "bob"} {
			task, _, err := tr.Create(t.Context(), orderOf(t, owner, "Image 1 waves [[fault:drop-after]]"))
			require.NoError(t, err)
			tasks = append(tasks, task)
		}
		time.Sleep(10 * time.Minute)
		stop()
		pass(t, tr, 110*time.Minute)
		for _, task := range tasks {
			now, err := tr.Wait(t.Context(), task.Owner, task.ID, 0)
			require.NoError(t, err)
			require.Equal(t, video.Unknown, now.Status)
			for id := range tasksOf(t, sim) {
				refuses(t, tr, task.Owner, id)
			}
		}
		kept, _, err := tr.Ledger.List(t.Context(), video.Filter{Owner: "(unclaimed)", Limit: 9})
		require.NoError(t, err)
		require.Len(t, kept, 2, "they are paid for, and operators see them")
	})
}

func TestEachEndIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{Concurrent: 40})
		var mu sync.Mutex
		told := map[string][]video.Task{}
		var all []*tracker.Tracker
		var stop []func()
		for range 4 {
			tr := onLedger(t, path, sim)
			tr.Ended = func(_ context.Context, task video.Task) {
				mu.Lock()
				defer mu.Unlock()
				told[task.ID] = append(told[task.ID], task)
			}
			stop = append(stop, run(t, tr))
			all = append(all, tr)
		}
		want := map[string]video.Status{}
		for i := range 18 {
			fault := []string{"", " [[fault:fail-data-inspection]]", ""}[i%3]
			task, _, err := all[i%4].Create(t.Context(), orderOf(t, "anna", "Image 1 waves "+strconv.Itoa(i)+fault))
			require.NoError(t, err)
			want[task.ID] = []video.Status{video.Succeeded, video.Failed, video.Canceled}[i%3]
			if i%3 == 2 {
				var cancelling sync.WaitGroup
				for _, tr := range all[:2] { // both see its end
					cancelling.Go(func() { _, _ = tr.Cancel(t.Context(), "anna", task.ID) })
				}
				cancelling.Wait()
			}
		}
		time.Sleep(5 * time.Minute)
		for i, tr := range all { // they carry on one after the other
			stop[i]()
			pass(t, tr, 10*time.Minute)
		}
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, told, len(want))
		for id, status := range want {
			require.Len(t, told[id], 1)
			require.Equal(t, status, told[id][0].Status)
			require.Equal(t, "anna", told[id][0].Owner)
			require.Equal(t, status == video.Succeeded, told[id][0].Billed != nil)
		}
	})
}
