package tracker_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// hanging are receivers that take a message and never answer.
type hanging struct{ receivers }

func (h *hanging) Send(ctx context.Context, address, id string, body []byte) video.Delivery {
	h.receivers.Send(ctx, address, id, body)
	<-ctx.Done()
	return video.Delivery{Error: "hooks.example did not answer in time"}
}

// hangs makes a tracker send its callbacks to receivers that never answer.
func hangs(tr *tracker.Tracker) *hanging {
	calling(tr, delivered) // for what is said
	h := &hanging{receivers{answer: delivered}}
	tr.Callbacks = h
	return h
}

// killed follows tasks as a process does that is killed by the returned function: whatever it is about to write then is never written.
func killed(t *testing.T, tr *tracker.Tracker) (kill func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { tr.Run(ctx); close(done) }()
	t.Cleanup(tr.Drain)
	return func() { require.NoError(t, tr.Ledger.Close()); cancel(); <-done }
}

// Each of the first processes is killed while its attempt is at the receiver, which has failed by then; the last one meets a receiver that is
// down for a minute.
func TestAReceiverThatFailsThreeTimesAndIsDownForAMinuteGetsItOnceThoughEachServerIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		var all []attempt
		var id string
		for n := range 3 {
			tr := onLedger(t, path, sim)
			h := hangs(tr)
			kill := killed(t, tr)
			if n == 0 {
				id = create(t, tr, hooked(t, "Image 1 waves")).ID
			}
			for len(h.all()) == 0 {
				time.Sleep(100 * time.Millisecond)
			}
			taken := now(t, tr, id).Callback
			require.Equal(t, n+1, taken.Attempts)
			kill()
			all = append(all, h.all()...)
			require.Len(t, all, n+1)
		}
		from := time.Now()
		last := onLedger(t, path, sim)
		r := calling(last, func(n int, address string) video.Delivery {
			if time.Since(from) < time.Minute {
				return video.Delivery{Error: "hooks.example refuses connections"}
			}
			return delivered(n, address)
		})
		run(t, last)
		time.Sleep(10 * time.Minute)
		require.GreaterOrEqual(t, len(r.all()), 2)
		all = slices.Concat(all, r.all())
		for i, a := range all {
			require.Equal(t, all[0].id, a.id)
			if i > 0 && i < 4 {
				require.GreaterOrEqual(t, a.at.Sub(all[i-1].at), 30*time.Second, "the lease of who was killed")
			}
		}
		got := now(t, last, id).Callback
		require.WithinDuration(t, all[len(all)-1].at, got.DeliveredAt, time.Millisecond, "nothing is sent once it was delivered")
		require.Equal(t, len(all), got.Attempts)
		require.Less(t, got.DeliveredAt.Sub(from), 3*time.Minute)
	})
}

func TestTheEndOfTheProgramWaitsASecondForReceivers(t *testing.T) {
	for name, c := range map[string]struct {
		after     time.Duration // the receiver answers
		delivered bool
	}{"one that answers": {900 * time.Millisecond, true}, "one that hangs": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
				tr := onLedger(t, path, sim)
				var outcomes []string
				tr.Called = func(outcome string) { outcomes = append(outcomes, outcome) }
				var stopped time.Time
				calling(tr, delivered)
				tr.Callbacks = sends(func(ctx context.Context) video.Delivery {
					select {
					case <-time.After(time.Until(stopped.Add(c.after))):
						return video.Delivery{Delivered: true}
					case <-ctx.Done():
						return video.Delivery{Error: "hooks.example did not answer in time"}
					}
				})
				due(t, tr, "", 1)
				stopped = time.Now().Add(2 * time.Second)
				stop := run(t, tr)
				time.Sleep(2 * time.Second)
				stop()
				tr.Drain()
				require.Equal(t, min(c.after, time.Second), time.Since(stopped))
				tasks, _, err := tr.Ledger.List(t.Context(), video.Filter{Limit: 1})
				require.NoError(t, err)
				require.Equal(t, c.delivered, !tasks[0].Callback.DeliveredAt.IsZero())
				if c.delivered {
					require.Equal(t, []string{"delivered"}, outcomes)
					return
				}
				require.Empty(t, outcomes, "it is not the receiver's failure")
				require.Zero(t, tasks[0].Callback.Attempts)
				require.Empty(t, tasks[0].Callback.Error)
				next := onLedger(t, path, sim)
				r := calling(next, delivered)
				run(t, next)
				time.Sleep(2 * time.Second)
				require.Len(t, r.all(), 1, "another process has it at once")
				require.Equal(t, tasks[0].Callback.ID, r.all()[0].id)
				require.Equal(t, 1, now(t, next, tasks[0].ID).Callback.Attempts)
			})
		})
	}
}

// sends answers whatever is sent.
type sends func(ctx context.Context) video.Delivery

func (s sends) Send(ctx context.Context, _, _ string, _ []byte) video.Delivery { return s(ctx) }

func TestNoAttemptIsCountedThatTheEndOfTheProgramKeepsFromBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := alone(t)
		r := calling(tr, delivered)
		due(t, tr, "", 3)
		tr.Drain()
		run(t, tr)
		time.Sleep(time.Minute)
		require.Empty(t, r.all())
		tasks, err := tr.Ledger.ToCall(t.Context(), false, 10)
		require.NoError(t, err)
		require.Len(t, tasks, 3, "they are due for whoever comes")
		for i := range tasks {
			require.Zero(t, tasks[i].Callback.Attempts)
		}
	})
}

// attemptsOf makes an end, lets nobody send for a while, and returns when attempts at a receiver that fails were made, counted from the end.
func attemptsOf(t *testing.T, off time.Duration, s video.Snapshot) (after []time.Duration, c *video.Callback) {
	t.Helper()
	tr, _ := alone(t)
	tr.Provider = newRelay() // which has no list that could prove anything
	task, _, err := tr.Ledger.Claim(t.Context(), hooked(t, "Image 1 waves"))
	require.NoError(t, err)
	if s.Status == video.Unknown {
		_, err = tr.Ledger.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})
	} else {
		_, err = tr.Ledger.Bought(t.Context(), task.ID, "theirs", false)
		require.NoError(t, err)
		_, _, err = tr.Ledger.Looked(t.Context(), task.ID, s, time.Time{})
	}
	require.NoError(t, err)
	from := time.Now()
	time.Sleep(off)
	r := calling(tr, unwilling)
	tr.PollInterval = time.Hour
	run(t, tr)
	time.Sleep(60 * time.Hour)
	for _, a := range r.all() {
		after = append(after, a.at.Sub(from))
	}
	return after, now(t, tr, task.ID).Callback
}

func TestAfterItsDayACallbackIsTriedOnceAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		after, c := attemptsOf(t, 3*video.Lifetime, video.Snapshot{Status: video.Failed})
		require.Equal(t, []time.Duration{3*video.Lifetime + time.Second}, after)
		require.True(t, c.Over())
	})
	synctest.Test(t, func(t *testing.T) {
		after, c := attemptsOf(t, video.Lifetime-4*time.Second, video.Snapshot{Status: video.Failed})
		begin := video.Lifetime - 3*time.Second
		require.Equal(t, []time.Duration{begin, begin + time.Second, video.Lifetime}, after, "the last one is made when the day is over")
		require.True(t, c.Over())
	})
}

// What nobody knows more of a day later is told then, and for a day.
func TestAnEndThatNeverComesIsToldAfterADay(t *testing.T) {
	for _, s := range []video.Snapshot{{Status: video.Succeeded}, {Status: video.Unknown}} {
		t.Run(string(s.Status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				after, c := attemptsOf(t, 0, s)
				require.NotEmpty(t, after)
				require.GreaterOrEqual(t, after[0], video.Lifetime)
				require.Less(t, after[0], video.Lifetime+10*time.Minute+time.Second)
				require.Equal(t, 2*video.Lifetime, after[len(after)-1])
				require.Greater(t, len(after), 24)
				require.True(t, c.Over())
			})
		})
	}
}
