package tracker_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// apart is how long the relay wants a task left alone between two reads of it.
const apart = 8 * time.Second

// outcomes are what has come of hints.
type outcomes struct {
	mu  sync.Mutex
	all []string
}

func (o *outcomes) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { o.all = nil }()
	return o.all
}

// overRelay is one process that buys from a relay.
func overRelay(t *testing.T, path string, r *relay) (*tracker.Tracker, *outcomes) {
	t.Helper()
	l := ledger.New(ledger.Options{Path: path, Upstream: "relay", Account: "ours", Window: 10 * time.Minute, Zone: time.UTC})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	var o outcomes
	tr := &tracker.Tracker{
		Provider: r, Ledger: l, PollInterval: 15 * time.Second, ReadInterval: apart, Logger: slog.New(slog.DiscardHandler), HintURL: "https://r2v.example/callbacks/",
		Hinted: func(outcome string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.all = append(o.all, outcome)
		},
	}
	t.Cleanup(tr.Drain)
	return tr, &o
}

// ordered buys a clip.
func ordered(t *testing.T, tr *tracker.Tracker, prompt string) video.Task {
	t.Helper()
	task, _, err := tr.Create(t.Context(), order(t, prompt))
	require.NoError(t, err)
	return task
}

func known(t *testing.T, tr *tracker.Tracker, id string) video.Task {
	t.Helper()
	task, err := tr.Ledger.Task(t.Context(), id)
	require.NoError(t, err)
	return task
}

// inBubble runs a test with one process and a relay.
func inBubble(t *testing.T, test func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRelay()
		tr, o := overRelay(t, filepath.Join(t.TempDir(), "ledger.db"), r)
		test(t, tr, r, o)
	})
}

func TestAHintIsFollowedAtOnceOrAsSoonAsTheTaskMayBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		task := ordered(t, tr, "Image 1 waves") // nobody follows it
		require.Equal(t, "https://r2v.example/callbacks/"+task.Hint, r.hints[task.ProviderTaskID])
		began := time.Now()
		require.True(t, tr.Hint(task.Hint, task.ProviderTaskID))
		synctest.Wait()
		require.Equal(t, []time.Duration{0}, r.readOf(task.ProviderTaskID, began), "it was never read")
		time.Sleep(3 * time.Second)
		for range 50 {
			require.True(t, tr.Hint(task.Hint, task.ProviderTaskID))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{0, apart}, r.readOf(task.ProviderTaskID, began), "fifty hints 3 s after a read are one read 8 s after it")
		require.Equal(t, video.Running, known(t, tr, task.ID).Status, "whatever a callback says")
		heard := o.take()
		require.Len(t, heard, 51)
		slices.Sort(heard)
		require.Equal(t, []string{"looked", "looked"}, heard[49:])

		r.end(task.ProviderTaskID, video.Succeeded)
		require.True(t, tr.Hint(task.Hint, ""))
		synctest.Wait()
		require.Equal(t, video.Succeeded, known(t, tr, task.ID).Status, "an id is not needed")
		for range 10 {
			time.Sleep(time.Minute)
			require.True(t, tr.Hint(task.Hint, task.ProviderTaskID))
		}
		synctest.Wait()
		require.Equal(t, 3, r.spaced(t), "what has ended is not read any more")
		require.Equal(t, append([]string{"looked"}, slices.Repeat([]string{"ignored"}, 10)...), o.take())
	})
}

func TestHintsBesideTheSweepReadNoTaskTooOften(t *testing.T) {
	for open, slow := range map[int]time.Duration{1: 0, 3: 700 * time.Millisecond, 6: 9 * time.Second} {
		t.Run(fmt.Sprintf("%d open, %v", open, slow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, path := newRelay(), filepath.Join(t.TempDir(), "ledger.db")
				r.listing, r.slow = true, slow
				one, _ := overRelay(t, path, r)
				two, _ := overRelay(t, path, r)
				run(t, one)
				run(t, two)
				var tasks []video.Task
				for i := range open {
					tasks = append(tasks, ordered(t, one, fmt.Sprintf("Image 1 waves %d", i)))
				}
				began := time.Now()
				for i := range 100 { // at all phases, at either replica
					task := tasks[i%open]
					[]*tracker.Tracker{one, two}[i%2].Hint(task.Hint, task.ProviderTaskID)
					time.Sleep(time.Duration(i%7) * 237 * time.Millisecond)
				}
				reads, most := r.spaced(t), open*(int(time.Since(began)/apart)+2)
				require.LessOrEqual(t, reads, most)
				require.Greater(t, reads, most/3)
			})
		})
	}
}

func TestWhatWasSkippedGoesByItsOwnLastLook(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.PollInterval = time.Minute // and so a beat of 12 s
		task := ordered(t, tr, "Image 1 waves")
		run(t, tr)
		time.Sleep(2 * time.Minute)
		reads := r.readOf(task.ProviderTaskID, time.Now())
		began := time.Now().Add(reads[len(reads)-1]) // of the last look
		time.Sleep(9*time.Second - time.Since(began))
		require.True(t, tr.Hint(task.Hint, ""))
		time.Sleep(13 * time.Second)
		var then []int
		for _, at := range r.readOf(task.ProviderTaskID, began)[len(reads):] {
			then = append(then, int(at.Seconds()))
		}
		require.Equal(t, []int{9, 21}, then, "the sweep at 12 s leaves it alone, and the one at 24 s would be late")
	})
}

func TestWhatWasSkippedIsNotTriedAgainBeforeItsTime(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		task := ordered(t, tr, "Image 1 waves")
		time.Sleep(24 * time.Second)
		require.True(t, tr.Hint(task.Hint, ""))
		time.Sleep(6 * time.Second) // it is worth a look from now on
		require.InDelta(t, 2*time.Second, tr.Round(t.Context()), float64(time.Millisecond))
		time.Sleep(2*time.Second + time.Millisecond)
		require.Equal(t, 5*time.Second, tr.Round(t.Context()))
		require.Equal(t, 2, r.spaced(t))
	})
}

func TestAHintIsFollowedWhereTheListShowsNoEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.listing = true
		var tasks []video.Task
		for i := range 20 {
			tasks = append(tasks, ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i)))
		}
		run(t, tr)
		time.Sleep(2 * time.Minute)
		task := tasks[7]
		r.end(task.ProviderTaskID, video.Failed)
		time.Sleep(10 * time.Second)
		require.Equal(t, video.Running, known(t, tr, task.ID).Status, "the list lags")
		require.True(t, tr.Hint(task.Hint, task.ProviderTaskID))
		time.Sleep(apart)
		require.Equal(t, video.Failed, known(t, tr, task.ID).Status)
		require.Len(t, r.readOf(tasks[8].ProviderTaskID, time.Now()), len(r.readOf(tasks[9].ProviderTaskID, time.Now())), "the others are not read for it")
		r.spaced(t)
	})
}

func TestAHintOfNothingCostsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		task := ordered(t, tr, "Image 1 waves")
		for _, hint := range []string{"", "x", task.ID, task.ProviderTaskID, task.Hint[1:], "aaaaaaaaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAAAAAAAA", "../../../../../../etc/passwd"} {
			require.True(t, tr.Hint(hint, task.ProviderTaskID))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		require.Zero(t, r.spaced(t))
		require.Equal(t, slices.Repeat([]string{"ignored"}, 8), o.take())
	})
}

// lost is a relay whose answers are lost from now on.
func lost(string) error {
	return &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Lost"}}
}

func TestAPurchaseOfUnknownFateTakesTheIDThatIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		other := ordered(t, tr, "Image 1 runs")
		r.create = lost
		task := ordered(t, tr, "Image 1 waves")
		require.Equal(t, video.Unknown, task.Status)
		const theirs = "task-unified-1"
		for _, id := range []string{"", "task-unified-99", other.ProviderTaskID, task.ID, "../v1/credits", "a b", "ä", string(make([]byte, 26)), fmt.Sprintf("%0129d", 1)} {
			require.True(t, tr.Hint(task.Hint, id))
			synctest.Wait()
			time.Sleep(time.Minute)
			require.True(t, ptr(known(t, tr, task.ID)).InDoubt(), id)
		}
		require.Equal(t, 1, r.spaced(t), "task-unified-99 alone may have been it")
		require.Equal(t, slices.Repeat([]string{"ignored"}, 9), o.take())

		r.end(theirs, video.Succeeded)
		for range 2 {
			require.True(t, tr.Hint(task.Hint, theirs))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		now := known(t, tr, task.ID)
		require.Equal(t, theirs, now.ProviderTaskID)
		require.Equal(t, video.Succeeded, now.Status, "one look has told its end as well")
		require.False(t, now.Found, "nobody but the relay knew the hint")
		require.Equal(t, video.WasCharged, now.Charged())
		require.Equal(t, 2, r.spaced(t))
		require.Equal(t, []string{"found", "ignored"}, o.take())
		require.Equal(t, other.ProviderTaskID, known(t, tr, other.ID).ProviderTaskID)
	})
}

func ptr(task video.Task) *video.Task { return &task }

func TestAnIDThatWasOnlyFoundGivesWayToTheOneThatIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.create = lost
		mine, other := ordered(t, tr, "Image 1 waves"), ordered(t, tr, "Image 1 runs")
		_, err := tr.Ledger.Bought(t.Context(), mine.ID, "task-unified-1", true) // the wrong way round
		require.NoError(t, err)
		_, err = tr.Ledger.Bought(t.Context(), other.ID, "task-unified-0", true)
		require.NoError(t, err)
		require.True(t, tr.Hint(mine.Hint, "task-unified-0"))
		synctest.Wait()
		now := known(t, tr, mine.ID)
		require.Equal(t, "task-unified-0", now.ProviderTaskID)
		require.False(t, now.Found)
		require.True(t, ptr(known(t, tr, other.ID)).InDoubt())
		time.Sleep(time.Minute)
		require.True(t, tr.Hint(other.Hint, "task-unified-1"))
		synctest.Wait()
		require.Equal(t, "task-unified-1", known(t, tr, other.ID).ProviderTaskID)
		r.spaced(t)
	})
}

func TestWhatWasFoundIsConfirmedByAHint(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.create = lost
		task := ordered(t, tr, "Image 1 waves")
		_, err := tr.Ledger.Bought(t.Context(), task.ID, "task-unified-0", true)
		require.NoError(t, err)
		require.True(t, tr.Hint(task.Hint, ""))
		synctest.Wait()
		require.True(t, known(t, tr, task.ID).Found, "no id was told")
		time.Sleep(time.Minute)
		require.True(t, tr.Hint(task.Hint, "task-unified-0"))
		synctest.Wait()
		require.False(t, known(t, tr, task.ID).Found)
	})
}

func TestAPurchaseUnderWayWaitsForItsAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, o *outcomes) {
		task, _, err := tr.Ledger.Claim(t.Context(), order(t, "Image 1 waves")) // by another process
		require.NoError(t, err)
		r.end("task-unified-0", video.Succeeded)
		require.True(t, tr.Hint(task.Hint, "task-unified-0"))
		synctest.Wait()
		require.Equal(t, []string{"ignored"}, o.take())
		require.Empty(t, known(t, tr, task.ID).ProviderTaskID)
		require.Zero(t, r.spaced(t))
	})
}

func TestAFloodOfIDsForOneDoubtIsOneLookInEachInterval(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.create = lost
		task := ordered(t, tr, "Image 1 waves")
		for i := range 600 {
			tr.Hint(task.Hint, fmt.Sprintf("forged-%d", i))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		reads := r.spaced(t)
		require.LessOrEqual(t, reads, 60/8+2, "of all ids together")
		require.Greater(t, reads, 5)
		require.True(t, ptr(known(t, tr, task.ID)).InDoubt())
	})
}

func TestHintsEndWithTheProgram(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.slow = 30 * time.Second
		task := ordered(t, tr, "Image 1 waves")
		require.True(t, tr.Hint(task.Hint, ""))
		synctest.Wait()
		require.Equal(t, 1, r.spaced(t))
		began := time.Now()
		tr.Drain()
		require.Zero(t, time.Since(began), "nobody waits for a hint")
		require.False(t, tr.Hint(task.Hint, ""))
		time.Sleep(time.Minute)
		require.Equal(t, 1, r.spaced(t))
		require.Nil(t, known(t, tr, task.ID).Trouble)
	})
}

func TestWhatWasFoundIsNotConfirmedWhereTheRelayDoesNotKnowIt(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		r.create = lost
		task := ordered(t, tr, "Image 1 waves")
		_, err := tr.Ledger.Bought(t.Context(), task.ID, "task-unified-7", true)
		require.NoError(t, err)
		require.True(t, tr.Hint(task.Hint, "task-unified-7"))
		synctest.Wait()
		require.Equal(t, 1, r.spaced(t))
		require.True(t, known(t, tr, task.ID).Found)
		r.end("task-unified-7", video.Failed)
		time.Sleep(time.Minute)
		require.True(t, tr.Hint(task.Hint, "task-unified-7"))
		synctest.Wait()
		now := known(t, tr, task.ID)
		require.False(t, now.Found)
		require.Equal(t, video.Failed, now.Status, "it is what the callback was about")
	})
}
