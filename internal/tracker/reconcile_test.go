package tracker_test

import (
	"net/http"
	"path/filepath"
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

// doubted buys a clip whose answer is lost.
func doubted(t *testing.T, tr *tracker.Tracker, prompt string) video.Task {
	t.Helper()
	task, _, err := tr.Create(t.Context(), order(t, prompt))
	require.NoError(t, err)
	require.Equal(t, video.Unknown, task.Status)
	require.Equal(t, video.ChargedUnknown, task.Charged())
	return task
}

func TestAPurchaseWhoseAnswerWasLostIsFoundWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task := doubted(t, tr, "Image 1 waves [[fault:drop-after]]")
		time.Sleep(time.Minute)
		again, replayed, err := tr.Create(t.Context(), order(t, "Image 1 waves [[fault:drop-after]]"))
		require.NoError(t, err)
		require.True(t, replayed)
		require.Equal(t, task.ID, again.ID)
		require.NotEmpty(t, again.ProviderTaskID)
		require.True(t, again.Status.Open())
		require.Equal(t, 1, counted(t, sim, "create"))
		again, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, again.Status)
		require.NotNil(t, again.Billed)
	})
}

func TestWhoeverWaitsForADoubtIsToldWhatBecameOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task := doubted(t, tr, "Image 1 waves [[fault:drop-after]]")
		task, err := tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
	})
}

func TestAListThatLagsLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		const prompt = "Image 1 waves [[fault:drop-after]] [[fault:late-in-list]]"
		task := doubted(t, tr, prompt)
		time.Sleep(2 * time.Minute)
		task, err := tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status, "not in the list yet, and not given up")
		task, err = tr.Wait(t.Context(), "", task.ID, 10*time.Minute)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Equal(t, 1, counted(t, sim, "create"))
	})
}

func TestAPurchaseThatNeverArrivedIsSetFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		o := order(t, "Image 1 waves [[fault:drop-before x1]]")
		o.IdempotencyKey = "mine"
		_, _, err := tr.Create(t.Context(), o)
		require.NoError(t, err)
		time.Sleep(29 * time.Minute)
		task, _, err := tr.Create(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status, "a list may lag")
		time.Sleep(4 * time.Minute)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Failed, task.Status)
		require.Equal(t, "NeverArrived", task.Failure.Code)
		require.Equal(t, video.NotCharged, task.Charged())
		require.Equal(t, 0, counted(t, sim, "tasks"))

		again, replayed, err := tr.Create(t.Context(), o)
		require.NoError(t, err)
		require.False(t, replayed)
		require.Equal(t, task.ID, again.ID, "the key buys after all")
		require.Equal(t, 1, counted(t, sim, "tasks"))
	})
}

func TestNobodyElseSetsAPurchaseFree(t *testing.T) {
	for name, hinder := range map[string]func(tr *tracker.Tracker, sim http.Handler){
		"another account": func(tr *tracker.Tracker, _ http.Handler) { tr.Ledger.Account = "another" },
		"clocks apart": func(tr *tracker.Tracker, sim http.Handler) {
			tr.Provider = providerOver(t, changed{simulatortest.Transport(sim), func(h http.Header) { h.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)) }})
		},
		"no clock": func(tr *tracker.Tracker, sim http.Handler) {
			tr.Provider = providerOver(t, changed{simulatortest.Transport(sim), func(h http.Header) { h.Del("Date") }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
				task := doubted(t, onLedger(t, path, sim), "Image 1 waves [[fault:drop-before]]")
				other := onLedger(t, path, sim)
				hinder(other, sim)
				pass(t, other, 2*time.Hour)
				task, err := other.Wait(t.Context(), "", task.ID, 0)
				require.NoError(t, err)
				require.Equal(t, video.Unknown, task.Status)
			})
		})
	}
}

// changed answers with other headers.
type changed struct {
	http.RoundTripper
	header func(http.Header)
}

func (c changed) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		c.header(resp.Header)
	}
	return resp, err
}

func TestDoubtsAtOnceEachFindTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		prompts := map[string]string{}
		for _, what := range []string{"waves", "runs", "sings", "sleeps"} {
			prompt := "Image 1 " + what + " [[fault:drop-after]]"
			prompts[doubted(t, tr, prompt).ID] = prompt
		}
		// Somebody else makes clips of the same model at the same time.
		for range 3 {
			_, err := tr.Provider.Create(t.Context(), provider.Purchase{Request: order(t, "Image 1 is a stranger").Request})
			require.NoError(t, err)
		}
		made := map[string]string{}
		for id := range prompts {
			task, err := tr.Wait(t.Context(), "", id, time.Hour)
			require.NoError(t, err)
			require.Equal(t, video.Succeeded, task.Status)
			made[id] = tasksOf(t, sim)[task.ProviderTaskID]
		}
		require.Equal(t, prompts, made)
	})
}

func TestATaskOfAnotherIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _, stop := followUntil(t)
		task := doubted(t, tr, "Image 1 waves [[fault:drop-before]]")
		stranger, err := tr.Provider.Create(t.Context(), provider.Purchase{Request: order(t, "Image 1 is a stranger").Request})
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, stranger.ID, task.ProviderTaskID, "the only one of its time and model")
		time.Sleep(10 * time.Minute)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status, "when it is made, its prompt tells that it is another's")
		require.Empty(t, task.ProviderTaskID)
		require.Empty(t, task.SavedTo)
		stop()
		pass(t, tr, 30*time.Minute)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Failed, task.Status)
		require.Equal(t, video.NotCharged, task.Charged())
	})
}

func TestAPurchaseOfAProcessThatDiedIsLookedFor(t *testing.T) {
	for name, arrived := range map[string]bool{"before it arrived": false, "after it arrived": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, _ := follow(t)
				o := order(t, "Image 1 waves")
				task, claimed, err := tr.Ledger.Claim(t.Context(), o) // and its process dies
				require.NoError(t, err)
				require.True(t, claimed)
				if arrived {
					_, err = tr.Provider.Create(t.Context(), provider.Purchase{Request: o.Request})
					require.NoError(t, err)
				}
				time.Sleep(time.Minute)
				task, err = tr.Wait(t.Context(), "", task.ID, 0)
				require.NoError(t, err)
				if arrived {
					require.NotEmpty(t, task.ProviderTaskID)
					return
				}
				require.Equal(t, video.Unknown, task.Status)
				require.Equal(t, "Interrupted", task.Failure.Code)
			})
		})
	}
}
