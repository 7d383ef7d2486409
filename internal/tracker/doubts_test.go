package tracker_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// seconds is an order of another length, with a key of its own.
func seconds(t *testing.T, prompt string, duration int) video.Order {
	t.Helper()
	o := order(t, prompt)
	o.Request.Duration, o.IdempotencyKey, o.Fingerprint = duration, fmt.Sprintf("key-%d", duration), fmt.Sprintf("%s %d", prompt, duration)
	return o
}

// arm orders a fault for the next calls of a kind; below 0 times until the end.
func arm(t *testing.T, sim http.Handler, fault, on string, times int) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/control/faults", strings.NewReader(fmt.Sprintf(`{"fault":%q,"on":%q,"times":%d}`, fault, on, times)))
	r.RemoteAddr = "" // as in memory
	sim.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
}

func TestEqualPromptsOfOtherLengthsAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim, stop := followUntil(t)
		const prompt = "Image 1 waves"
		arm(t, sim, "drop-before", "create", 1)
		lost, _, err := tr.Create(t.Context(), seconds(t, prompt, 4))
		require.NoError(t, err)
		arm(t, sim, "drop-after", "create", 1)
		made, _, err := tr.Create(t.Context(), seconds(t, prompt, 9))
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		stop()
		pass(t, tr, 35*time.Minute)
		made, err = tr.Wait(t.Context(), "", made.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, made.Status)
		lost, err = tr.Wait(t.Context(), "", lost.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Failed, lost.Status)
		require.Equal(t, video.NotCharged, lost.Charged())
	})
}

func TestAStrangersFailureIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		_, err := tr.Provider.Create(t.Context(), provider.Purchase{Request: order(t, "Image 1 is a stranger [[fault:fail-internal]]").Request})
		require.NoError(t, err)
		task := doubted(t, tr, "Image 1 waves [[fault:drop-after]] [[fault:late-in-list]]")
		time.Sleep(30 * time.Second)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.NotEmpty(t, task.ProviderTaskID, "the stranger is the only one of its time and model")
		require.Equal(t, video.ChargedUnknown, task.Charged())
		_, err = tr.Cancel(t.Context(), "", task.ID)
		require.ErrorContains(t, err, "may be another one's")
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.NotNil(t, task.Billed)
	})
}

func TestWhatIsUnknownToTheServiceHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		for i := range 5 {
			task, _, err := tr.Ledger.Claim(t.Context(), order(t, fmt.Sprintf("Image 1 of another account %d", i)))
			require.NoError(t, err)
			_, err = tr.Ledger.Bought(t.Context(), task.ID, fmt.Sprintf("not-here-%d", i), false)
			require.NoError(t, err)
		}
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		lost := doubted(t, tr, "Image 1 runs [[fault:drop-after]]")
		for _, id := range []string{task.ID, lost.ID} {
			task, err := tr.Wait(t.Context(), "", id, time.Hour)
			require.NoError(t, err)
			require.Equal(t, video.Succeeded, task.Status)
			require.Less(t, time.Since(task.EndedAt), time.Minute)
		}
		before := looked(t, sim)
		time.Sleep(5 * time.Minute)
		require.LessOrEqual(t, looked(t, sim)-before, 5*21, "each is asked for once in a poll interval")
	})
}

func TestWhoSavesNothingHindersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		on, off := onLedger(t, path, sim), onLedger(t, path, sim)
		saving(t, on, sim)
		run(t, off)
		task, _, err := on.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		task, err = off.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Empty(t, task.SavedTo)
		run(t, on)
		task, err = on.Wait(t.Context(), "", task.ID, time.Minute)
		require.NoError(t, err)
		require.FileExists(t, task.SavedTo)
	})
}

func TestABusyAccountHidesNoPurchase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim, stop := followUntil(t)
		for i := range 50 {
			_, err := tr.Provider.Create(t.Context(), provider.Purchase{Request: order(t, fmt.Sprintf("Image 1 is stranger %d", i)).Request})
			require.NoError(t, err)
		}
		task := doubted(t, tr, "Image 1 waves [[fault:drop-after]]")
		time.Sleep(5 * time.Minute)
		stop()
		pass(t, tr, 25*time.Minute) // it is queued behind them
		run(t, tr)
		task, err := tr.Wait(t.Context(), "", task.ID, 3*time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Equal(t, "Image 1 waves [[fault:drop-after]]", tasksOf(t, sim)[task.ProviderTaskID])
	})
}

func TestNothingIsSetFreeByAClockOrAListThatIsWrong(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, tr *tracker.Tracker, sim http.Handler){
		"the clock was wrong at the purchase": func(t *testing.T, tr *tracker.Tracker, _ http.Handler) {
			db, err := sql.Open("sqlite", tr.Ledger.Path+"?_pragma=busy_timeout(10000)")
			require.NoError(t, err)
			defer db.Close()
			_, err = db.ExecContext(t.Context(), "UPDATE r2v_task SET created_at = created_at - 31 * 60000000 WHERE provider_task_id IS NULL")
			require.NoError(t, err)
		},
		"the list lacks what is known to be there": func(t *testing.T, _ *tracker.Tracker, sim http.Handler) { arm(t, sim, "hide-from-list", "list", -1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, sim, stop := followUntil(t)
				_, _, err := tr.Create(t.Context(), order(t, "Image 1 is known"))
				require.NoError(t, err)
				time.Sleep(3 * time.Minute)
				task := doubted(t, tr, "Image 1 waves [[fault:drop-after]]")
				spoil(t, tr, sim)
				stop()
				pass(t, tr, 90*time.Minute)
				task, err = tr.Wait(t.Context(), "", task.ID, 0)
				require.NoError(t, err)
				require.NotEqual(t, video.Failed, task.Status)
			})
		})
	}
}

func TestATaskOfAnotherServiceIsSaidToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		here, there := onLedger(t, path, sim), onLedger(t, path, sim)
		there.Ledger.Upstream = "elsewhere"
		task, _, err := there.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		_, err = here.Wait(t.Context(), "", task.ID, 0)
		require.ErrorContains(t, err, "it was bought from elsewhere, and this server reaches simulator")
	})
}

func TestATaskOfAnotherServiceIsNotCancelledHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim, theirs := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{}), simulator.New(simulator.Options{})
		here, there := onLedger(t, path, sim), onLedger(t, path, theirs)
		there.Ledger.Upstream = "elsewhere"
		for prompt, charged := range map[string]video.Charged{"Image 1 waves": video.NotCharged, "Image 1 waves [[fault:drop-before]]": video.ChargedUnknown} {
			task, _, err := there.Create(t.Context(), order(t, prompt))
			require.NoError(t, err)
			same, err := here.Cancel(t.Context(), "", task.ID)
			var failure *video.Error
			require.ErrorAs(t, err, &failure)
			require.Equal(t, "BoughtElsewhere", failure.Code)
			require.Equal(t, charged, failure.Charged)
			require.Contains(t, failure.Advice, "DASHSCOPE_REGION")
			require.Equal(t, task.Status, same.Status)
		}
		require.Zero(t, counted(t, sim, "cancel")+counted(t, sim, "get"), "the wrong service is not asked")

		task, _, err := there.Create(t.Context(), order(t, "Image 1 runs"))
		require.NoError(t, err)
		_, err = there.Cancel(t.Context(), "", task.ID)
		require.NoError(t, err)
		task, err = here.Cancel(t.Context(), "", task.ID)
		require.NoError(t, err, "what is cancelled is cancelled, wherever")
		require.Equal(t, video.Canceled, task.Status)
	})
}

func TestARefusedKeyIsNotTriedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{Concurrent: 9, APIKey: "sk-test-key"})
		tr := onLedger(t, path, sim)
		for i := range 5 {
			_, _, err := tr.Create(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d", i)))
			require.NoError(t, err)
		}
		tr.Provider = providerOver(t, simulatortest.Transport(simulator.New(simulator.Options{APIKey: "sk-another"})))
		time.Sleep(time.Minute)
		require.Equal(t, 5*time.Second, tr.Round(t.Context()), "as when there is nothing to do")
		require.Equal(t, 5*time.Second, tr.Round(t.Context()))
		run(t, onLedger(t, path, sim))
		time.Sleep(10 * time.Minute)
		tasks, _, err := tr.List(t.Context(), video.Filter{Limit: 9})
		require.NoError(t, err)
		for _, task := range tasks {
			require.Equal(t, video.Succeeded, task.Status, "another process has a better key")
		}
	})
}
