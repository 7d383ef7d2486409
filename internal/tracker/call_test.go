package tracker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// attempt is one message as it came.
type attempt struct {
	at                time.Time
	address, id, body string
}

// receivers take callbacks, and answer them as a test wants.
type receivers struct {
	mu       sync.Mutex
	attempts []attempt
	now, top int // under way at once
	answer   func(n int, address string) video.Delivery
}

func (r *receivers) Send(_ context.Context, address, id string, body []byte) video.Delivery {
	r.mu.Lock()
	r.attempts = append(r.attempts, attempt{time.Now(), address, id, string(body)})
	n := len(r.attempts)
	r.now++
	r.top = max(r.top, r.now)
	r.mu.Unlock()
	d := r.answer(n, address)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	return d
}

// all are the attempts so far.
func (r *receivers) all() []attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.attempts)
}

// pauses are the times between the attempts.
func (r *receivers) pauses() (out []time.Duration) {
	all := r.all()
	for i := range all[1:] {
		out = append(out, all[i+1].at.Sub(all[i].at))
	}
	return out
}

func delivered(int, string) video.Delivery { return video.Delivery{Delivered: true} }

func unwilling(int, string) video.Delivery {
	return video.Delivery{Error: "hooks.example answered with HTTP 500"}
}

// calling makes a tracker send its callbacks to receivers that answer so.
func calling(tr *tracker.Tracker, answer func(n int, address string) video.Delivery) *receivers {
	r := &receivers{answer: answer}
	tr.Callbacks = r
	tr.Body = func(_ context.Context, task video.Task) ([]byte, error) {
		return json.Marshal(map[string]any{"task_id": task.ID, "status": task.Status, "saved_to": task.SavedTo, "billed": task.Billed})
	}
	return r
}

const hook = "https://hooks.example/r2v?token=canary"

func hooked(t *testing.T, prompt string) video.Order {
	t.Helper()
	o := order(t, prompt)
	o.CallbackURL = hook
	return o
}

func alone(t *testing.T) (*tracker.Tracker, http.Handler) {
	t.Helper()
	sim := simulator.New(simulator.Options{})
	return onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim), sim
}

func create(t *testing.T, tr *tracker.Tracker, o video.Order) video.Task {
	t.Helper()
	task, _, err := tr.Create(t.Context(), o)
	require.NoError(t, err)
	return task
}

func now(t *testing.T, tr *tracker.Tracker, id string) video.Task {
	t.Helper()
	task, err := tr.Ledger.Task(t.Context(), id)
	require.NoError(t, err)
	return task
}

func TestAnEndIsToldOnceWhateverItIs(t *testing.T) {
	for prompt, status := range map[string]video.Status{"waves": video.Succeeded, "[[fault:fail-internal]]": video.Failed, "is cancelled": video.Canceled} {
		for _, saves := range []bool{true, false} {
			t.Run(fmt.Sprint(prompt, saves), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tr, sim := alone(t)
					if saves {
						saving(t, tr, sim)
					}
					r := calling(tr, delivered)
					run(t, tr)
					task := create(t, tr, hooked(t, "Image 1 "+prompt))
					if status == video.Canceled {
						_, err := tr.Cancel(t.Context(), "", task.ID)
						require.NoError(t, err)
					}
					time.Sleep(20 * time.Minute)
					all := r.all()
					require.Len(t, all, 1)
					require.Equal(t, hook, all[0].address)
					require.Contains(t, all[0].body, task.ID)
					require.Contains(t, all[0].body, status)
					ended := now(t, tr, task.ID)
					require.Less(t, all[0].at.Sub(ended.EndedAt), 6*time.Second)
					if status == video.Succeeded {
						require.Contains(t, all[0].body, `"billed":"0.5"`, "its cost is settled")
						require.Equal(t, saves, strings.Contains(all[0].body, task.ID+".mp4"), "its clip is saved")
					}
					require.Equal(t, all[0].id, ended.Callback.ID)
					require.Equal(t, 1, ended.Callback.Attempts)
					require.WithinDuration(t, all[0].at, ended.Callback.DeliveredAt, time.Millisecond)
				})
			})
		}
	}
}

func TestATaskThatAsksForNoneHasNoCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := alone(t)
		r := calling(tr, delivered)
		run(t, tr)
		create(t, tr, order(t, "Image 1 waves"))
		time.Sleep(10 * time.Minute)
		require.Empty(t, r.all())
	})
}

func TestARefusalIsToldByTheCallItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := alone(t)
		r := calling(tr, delivered)
		run(t, tr)
		_, _, err := tr.Create(t.Context(), hooked(t, "Image 1 [[fault:allocation-quota]]"))
		require.Error(t, err)
		time.Sleep(10 * time.Minute)
		require.Empty(t, r.all())
	})
}

func TestACallbackIsRetriedAt1And2And4SecondsAndThenUntilADayIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := alone(t)
		var outcomes []string
		tr.Called = func(outcome string) { outcomes = append(outcomes, outcome) }
		var log bytes.Buffer
		tr.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tr.PollInterval = 10 * time.Minute // so that a day is not too many looks
		r := calling(tr, unwilling)
		stop := run(t, tr)
		task := create(t, tr, hooked(t, "Image 1 waves"))
		time.Sleep(30 * time.Hour)
		stop()
		all, pauses := r.all(), r.pauses()
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, pauses[:3])
		want := 30 * time.Second
		for _, pause := range pauses[3 : len(pauses)-1] {
			require.LessOrEqual(t, pause, want)
			require.Greater(t, pause, want*9/10-time.Second)
			want = min(2*want, time.Hour)
		}
		ended := now(t, tr, task.ID)
		require.WithinDuration(t, ended.EndedAt.Add(24*time.Hour), all[len(all)-1].at, time.Millisecond, "the last one is made when the day is over")
		require.LessOrEqual(t, pauses[len(pauses)-1], time.Hour)
		for _, a := range all {
			require.Equal(t, all[0].id, a.id, "receivers know it again")
		}
		require.True(t, ended.Callback.Over())
		require.True(t, ended.Callback.DeliveredAt.IsZero())
		require.Equal(t, len(all), ended.Callback.Attempts)
		require.Equal(t, "hooks.example answered with HTTP 500", ended.Callback.Error)
		require.Equal(t, video.Succeeded, ended.Status, "what a receiver does is no harm to the task")
		require.Len(t, outcomes, len(all))
		require.Equal(t, "given_up", outcomes[len(outcomes)-1])
		require.Equal(t, len(all)-1, strings.Count(log.String(), `msg="callback not delivered"`))
		require.Contains(t, log.String(), `msg="callback given up" task=`+task.ID+" host=hooks.example")
		require.NotContains(t, log.String(), "canary")
	})
}

func TestWhatAReceiverAsksForIsHonoured(t *testing.T) {
	for name, c := range map[string]struct {
		d      video.Delivery
		after  time.Duration // from now
		pauses []time.Duration
	}{
		"gone":                {d: video.Delivery{Gone: true, Error: "gone"}},
		"in a minute":         {after: time.Minute, pauses: []time.Duration{time.Minute}},
		"in five hours":       {after: 5 * time.Hour, pauses: []time.Duration{time.Hour}},
		"sooner than we want": {after: time.Millisecond, pauses: []time.Duration{time.Second}},
		"a while ago":         {after: -time.Hour, pauses: []time.Duration{time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, _ := alone(t)
				r := calling(tr, func(n int, address string) video.Delivery {
					if n == 2 {
						return delivered(n, address)
					}
					if c.after != 0 {
						return video.Delivery{Error: "later", NotBefore: time.Now().Add(c.after)}
					}
					return c.d
				})
				tr.PollInterval = time.Minute
				run(t, tr)
				task := create(t, tr, hooked(t, "Image 1 waves"))
				time.Sleep(90 * time.Minute)
				require.Equal(t, c.pauses, r.pauses())
				require.True(t, now(t, tr, task.ID).Callback.Over())
			})
		})
	}
}
