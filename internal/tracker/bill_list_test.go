package tracker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// list makes the relay's list tell what a task costs, which its own answer never does.
func (r *relay) list(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := decimal.NewFromInt(34)
	r.bills = map[string]*decimal.Decimal{id: &d}
}

// slowList answers after half a second.
type slowList struct{ *relay }

func (s slowList) Bill(ctx context.Context, id string, submitted time.Time) (*decimal.Decimal, error) {
	select {
	case <-time.After(500 * time.Millisecond):
		return s.relay.Bill(ctx, id, submitted)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A list that refuses or is full keeps no bill from being known that a task tells by itself.
func TestAListThatFailsKeepsNobodyFromABill(t *testing.T) {
	full := &video.Error{Failure: video.Failure{Code: "rate_limit_exceeded", Retryable: true}, RetryAfter: 30 * time.Second}
	for name, failure := range map[string]error{"refused": refusedKey(), "full": full} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
				tr.Saver, tr.PollInterval, r.billErr = keeper{}, 5*time.Minute, failure
				for i := range 40 {
					task := ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i))
					r.endAlone(task.ProviderTaskID, video.Succeeded)
				}
				run(t, tr)
				time.Sleep(4 * time.Hour)
				asked := r.billsAsked()
				task := endedAlone(t, tr, r, "Image 1 is new")
				r.bill(task.ProviderTaskID)
				require.Less(t, billedAfter(t, tr, task.ID), time.Minute)
				require.Less(t, asked, 4*60+20, "once a minute at the most")
			})
		})
	}
}

// Who waits for a clip has its bill with it that only the list tells.
func TestWhoWaitsHasTheBillThatTheListTells(t *testing.T) {
	for _, saver := range []tracker.Saver{nil, keeper{}} {
		inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
			tr.Saver, tr.Provider = saver, slowList{r}
			run(t, tr)
			task := ordered(t, tr, "Image 1 waves")
			r.list(task.ProviderTaskID)
			time.AfterFunc(20*time.Second, func() { r.endAlone(task.ProviderTaskID, video.Succeeded) })
			got, err := tr.Wait(t.Context(), "", task.ID, 5*time.Minute)
			require.NoError(t, err)
			require.Equal(t, video.Succeeded, got.Status)
			require.Equal(t, "34", got.Billed.String())

			never := ordered(t, tr, "Image 1 is never billed")
			r.endAlone(never.ProviderTaskID, video.Succeeded)
			got, err = tr.Wait(t.Context(), "", never.ID, 5*time.Minute)
			require.NoError(t, err)
			require.Less(t, time.Since(got.EndedAt), 6*time.Second, "and waits for it no longer than that")
		})
	}
}

func TestAClipWithoutALinkIsBilled(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.Saver = keeper{}
		run(t, tr)
		task := ordered(t, tr, "Image 1 waves")
		r.list(task.ProviderTaskID)
		r.mu.Lock()
		r.tasks[task.ProviderTaskID] = video.Snapshot{Status: video.Succeeded, SubmittedAt: r.tasks[task.ProviderTaskID].SubmittedAt}
		r.mu.Unlock()
		require.Less(t, billedAfter(t, tr, task.ID), time.Minute)
	})
}

// A question that could not be asked, a day later, ends the bill for nobody.
func TestAFailureAfterADayGivesNoBillUp(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.PollInterval = time.Hour
		stop := run(t, tr)
		task := ordered(t, tr, "Image 1 waves")
		r.endAlone(task.ProviderTaskID, video.Succeeded)
		_, err := tr.Wait(t.Context(), "", task.ID, 2*time.Hour)
		require.NoError(t, err)
		stop()
		time.Sleep(25 * time.Hour)
		var asked atomic.Int64
		other, _ := overRelay(t, tr.Ledger.Path, r)
		other.Provider = stranger{r, &asked, refusedKey()}
		stop = run(t, other)
		time.Sleep(5 * time.Minute)
		stop()
		require.EqualValues(t, 1, asked.Load())
		r.bill(task.ProviderTaskID)
		again, _ := overRelay(t, tr.Ledger.Path, r)
		run(t, again)
		require.Less(t, billedAfter(t, again, task.ID), time.Hour)
	})
}

// The end of the program in the midst of a question: the next process asks at once, and the callback has the bill.
func TestTheEndOfAProgramPutsNoBillOff(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.Provider = slowList{r}
		stop := run(t, tr)
		task := endedAlone(t, tr, r, "Image 1 waves")
		r.list(task.ProviderTaskID)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait() // the list is being read
		stop()
		require.Nil(t, known(t, tr, task.ID).Billed)
		again, _ := overRelay(t, tr.Ledger.Path, r)
		rec := calling(again, delivered)
		run(t, again)
		require.Less(t, billedAfter(t, again, task.ID), 10*time.Second)
		time.Sleep(2 * time.Minute)
		require.Len(t, rec.all(), 1)
		require.Contains(t, string(rec.all()[0].body), `"billed":"34"`)
	})
}

// The relay's own callback comes when the bill is confirmed.
func TestAHintMakesABillBeAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		run(t, tr)
		task := endedAlone(t, tr, r, "Image 1 waves")
		time.Sleep(time.Hour)
		r.bill(task.ProviderTaskID)
		require.True(t, tr.Hint(known(t, tr, task.ID).Hint, task.ProviderTaskID))
		require.Less(t, billedAfter(t, tr, task.ID), 10*time.Second)
		require.Equal(t, []string{"looked"}, o.take())
		require.True(t, tr.Hint(known(t, tr, task.ID).Hint, task.ProviderTaskID))
		time.Sleep(time.Minute)
		require.Equal(t, []string{"ignored"}, o.take(), "it is billed")
		r.spaced(t)
	})
}
