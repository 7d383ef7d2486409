package tracker_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
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

// instead answers some requests itself, where it returns a text, and leaves the others to the service.
type instead struct {
	http.RoundTripper
	answer func(path string) (status int, body string)
}

func (i instead) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		if status, body := i.answer(r.URL.Path); status != 0 {
			return &http.Response{StatusCode: status, Request: r, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	return i.RoundTripper.RoundTrip(r)
}

const (
	denied  = `{"code":"AccessDenied","message":"Access denied.","request_id":"r"}`
	outOf   = `{"code":"ModelUnavailable","message":"Model is unavailable.","request_id":"r"}`
	running = `{"request_id":"r","output":{"task_id":"%s","task_status":"RUNNING"}}`
)

func TestRefusedIDsAndAnOutageHoldUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		var outage atomic.Bool
		tr.Provider = providerOver(t, instead{simulatortest.Transport(sim), func(path string) (int, string) {
			switch single := !strings.HasSuffix(path, "/tasks/"); {
			case single && strings.Contains(path, "not-ours"):
				return http.StatusForbidden, denied
			case outage.Load() && single:
				return http.StatusServiceUnavailable, outOf
			}
			return 0, ""
		}})
		for i := range 3 {
			tr.Ledger.Account = fmt.Sprintf("another %d", i)
			task, _, err := tr.Ledger.Claim(t.Context(), order(t, fmt.Sprintf("Image 1 of another account %d", i)))
			require.NoError(t, err)
			_, err = tr.Ledger.Bought(t.Context(), task.ID, fmt.Sprintf("not-ours-%d", i), false)
			require.NoError(t, err)
		}
		tr.Ledger.Account = "ours"
		var ids []string
		for i := range 4 {
			task, _, err := tr.Create(t.Context(), order(t, fmt.Sprintf("Image 1 waves %d", i)))
			require.NoError(t, err)
			ids = append(ids, task.ID)
		}
		time.Sleep(30 * time.Second)
		outage.Store(true)
		time.Sleep(5 * time.Minute)
		outage.Store(false)
		for _, id := range ids {
			task, err := tr.Wait(t.Context(), "", id, time.Hour)
			require.NoError(t, err)
			require.Equal(t, video.Succeeded, task.Status)
		}
	})
}

func TestAStrangerThatCannotBeReadHoldsUpNothing(t *testing.T) {
	for answer, end := range map[string]video.Status{denied: video.Unknown, running: video.Failed} { // what cannot be read may be it
		t.Run(answer[:20], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, sim, stop := followUntil(t)
				stranger, err := tr.Provider.Create(t.Context(), provider.Purchase{Request: order(t, "Image 1 is a stranger").Request})
				require.NoError(t, err)
				once := 0
				tr.Provider = providerOver(t, instead{simulatortest.Transport(sim), func(path string) (int, string) {
					if strings.HasSuffix(path, stranger.ID) && (answer == denied || once < 3) {
						once++
						if answer == denied {
							return http.StatusForbidden, denied
						}
						return http.StatusOK, fmt.Sprintf(running, stranger.ID)
					}
					return 0, ""
				}})
				time.Sleep(10 * time.Minute) // it has ended
				made := doubted(t, tr, "Image 1 waves [[fault:drop-after]]")
				made, err = tr.Wait(t.Context(), "", made.ID, time.Hour)
				require.NoError(t, err)
				require.Equal(t, video.Succeeded, made.Status)
				require.NotEqual(t, stranger.ID, made.ProviderTaskID)
				lost := doubted(t, tr, "Image 1 runs [[fault:drop-before]]")
				stop()
				pass(t, tr, 90*time.Minute)
				lost, err = tr.Wait(t.Context(), "", lost.ID, 0)
				require.NoError(t, err)
				require.Equal(t, end, lost.Status)
			})
		})
	}
}

func TestAClipOfAnotherLengthIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim, stop := followUntil(t)
		arm(t, sim, "drop-before", "create", 1)
		task, _, err := tr.Create(t.Context(), seconds(t, "Image 1 waves", 9))
		require.NoError(t, err)
		_, err = tr.Provider.Create(t.Context(), provider.Purchase{Request: seconds(t, "Image 1 waves", 4).Request}) // a colleague's
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.True(t, task.Found)
		again := seconds(t, "Image 1 waves", 9)
		again.IdempotencyKey = "another"
		_, _, err = tr.Create(t.Context(), again)
		require.ErrorContains(t, err, "MayBeBoughtAlready")
		stop()
		pass(t, tr, 90*time.Minute)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Failed, task.Status)
		require.Equal(t, video.NotCharged, task.Charged())
	})
}

func TestAPaidClipOfNobodyKnowsWhichPurchaseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		tr := onLedger(t, path, sim)
		saving(t, tr, sim)
		stop := run(t, tr)
		seeded := func(seed int64) video.Order {
			o := order(t, "Image 1 waves")
			o.Request.Seed, o.Fingerprint, o.IdempotencyKey = &seed, fmt.Sprint(seed), fmt.Sprint("key-", seed)
			return o
		}
		arm(t, sim, "drop-before", "create", 1)
		first, _, err := tr.Create(t.Context(), seeded(1))
		require.NoError(t, err)
		arm(t, sim, "drop-after", "create", 1)
		second, _, err := tr.Create(t.Context(), seeded(2))
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		stop()
		pass(t, tr, 110*time.Minute)
		for _, id := range []string{first.ID, second.ID} {
			task, err := tr.Wait(t.Context(), "", id, 0)
			require.NoError(t, err)
			require.Equal(t, video.Unknown, task.Status, "a seed is not told")
		}
		tasks, _, err := tr.List(t.Context(), video.Filter{Status: video.Succeeded, Limit: 5})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		require.FileExists(t, tasks[0].SavedTo)
		require.Equal(t, 1, counted(t, sim, "tasks"))
	})
}

func TestABadKeyOfOneProcessIsNotToldOfTheTasksOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{APIKey: "sk-test-key"})
		good, bad := onLedger(t, path, sim), onLedger(t, path, sim)
		bad.Ledger.Account = "another"
		refused := simulator.New(simulator.Options{APIKey: "sk-another"})
		bad.Provider = providerOver(t, simulatortest.Transport(refused))
		run(t, bad)
		task, _, err := good.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		run(t, good)
		task, err = good.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Less(t, time.Since(task.EndedAt), 30*time.Second)
		require.LessOrEqual(t, counted(t, refused, "get"), 4, "it stands aside")
	})
}

func TestAPromptThatIsToldEarlyIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		task := doubted(t, tr, "Image 1 waves [[fault:drop-before]]")
		stranger, err := tr.Provider.Create(t.Context(), provider.Purchase{Request: order(t, "Image 1 is a stranger").Request})
		require.NoError(t, err)
		tr.Provider = providerOver(t, instead{simulatortest.Transport(sim), func(path string) (int, string) {
			if strings.HasSuffix(path, stranger.ID) {
				return http.StatusOK, fmt.Sprintf(`{"request_id":"r","output":{"task_id":%q,"task_status":"RUNNING","orig_prompt":"Image 1 is a stranger"}}`, stranger.ID)
			}
			return 0, ""
		}})
		run(t, tr)
		time.Sleep(30 * time.Second)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status)
		require.Empty(t, task.ProviderTaskID)
	})
}
