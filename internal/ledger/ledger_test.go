package ledger_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

const window = 10 * time.Minute

// behave is what every ledger must do, whatever it is kept in.
func behave(t *testing.T, open func(t *testing.T) tracker.Ledger) {
	for _, tests := range []map[string]func(t *testing.T, l tracker.Ledger){claims(), repeats(), doubts(), changes()} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, open(t)) })
			})
		}
	}
}

func order(prompt, key string) video.Order {
	return video.Order{Request: video.Request{Model: "wan2.7-r2v", Prompt: prompt}, Fingerprint: prompt, IdempotencyKey: key}
}

// claims is who may buy.
func claims() map[string]func(t *testing.T, l tracker.Ledger) {
	return map[string]func(t *testing.T, l tracker.Ledger){
		"a key is claimed once, however many claim it": func(t *testing.T, l tracker.Ledger) {
			var claims atomic.Int32
			var wait sync.WaitGroup
			for range 50 {
				wait.Go(func() {
					_, claimed, err := l.Claim(t.Context(), order("a", "k"))
					if err == nil && claimed {
						claims.Add(1)
					}
				})
			}
			wait.Wait()
			require.EqualValues(t, 1, claims.Load())
		},
		"a key of another request is refused": func(t *testing.T, l tracker.Ledger) {
			first, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, claimed, err := l.Claim(t.Context(), order("b", "k"))
			require.ErrorContains(t, err, first.ID)
			require.False(t, claimed)
		},
	}
}

// repeats is what counts as the same order.
func repeats() map[string]func(t *testing.T, l tracker.Ledger) {
	return map[string]func(t *testing.T, l tracker.Ledger){
		"an equal request without a key counts as one within the window": func(t *testing.T, l tracker.Ledger) {
			first, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.True(t, claimed)
			_, err = l.Bought(t.Context(), first.ID, "theirs")
			require.NoError(t, err)
			_, err = l.Looked(t.Context(), first.ID, video.Snapshot{Status: video.Succeeded})
			require.NoError(t, err)
			time.Sleep(window - time.Second)
			again, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, first.ID, again.ID)
			time.Sleep(time.Second)
			_, claimed, err = l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.True(t, claimed, "the window is over")
		},
		"a failed or cancelled clip may be ordered again at once": func(t *testing.T, l tracker.Ledger) {
			for _, end := range []video.Status{video.Failed, video.Canceled} {
				task, _, err := l.Claim(t.Context(), order("a", ""))
				require.NoError(t, err)
				_, err = l.Bought(t.Context(), task.ID, string(end))
				require.NoError(t, err)
				_, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: end})
				require.NoError(t, err)
				_, claimed, err := l.Claim(t.Context(), order("a", ""))
				require.NoError(t, err)
				require.True(t, claimed)
				time.Sleep(window)
			}
		},
		"a refused purchase may be claimed again by its key, an unknown one never": func(t *testing.T, l tracker.Ledger) {
			for charged, again := range map[video.Charged]bool{video.NotCharged: true, video.ChargedUnknown: false} {
				task, _, err := l.Claim(t.Context(), order("a", string(charged)))
				require.NoError(t, err)
				_, err = l.NotBought(t.Context(), task.ID, &video.Error{Charged: charged})
				require.NoError(t, err)
				same, claimed, err := l.Claim(t.Context(), order("a", string(charged)))
				require.NoError(t, err)
				require.Equal(t, again, claimed, charged)
				require.Equal(t, task.ID, same.ID)
				time.Sleep(window)
			}
		},
		"what may be bought already is not bought under another key within the window": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task.ID, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			_, claimed, err := l.Claim(t.Context(), order("a", "another"))
			require.ErrorContains(t, err, task.ID)
			require.False(t, claimed)
			_, claimed, err = l.Claim(t.Context(), order("b", "another"))
			require.NoError(t, err)
			require.True(t, claimed)
			time.Sleep(window)
			_, claimed, err = l.Claim(t.Context(), order("a", "a third"))
			require.NoError(t, err)
			require.True(t, claimed)
		},
	}
}

// doubts is what must not be bought again before somebody knows.
func doubts() map[string]func(t *testing.T, l tracker.Ledger) {
	return map[string]func(t *testing.T, l tracker.Ledger){
		"a refused key does not buy over what may be bought": func(t *testing.T, l tracker.Ledger) {
			refused, _, err := l.Claim(t.Context(), order("p", "a"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), refused.ID, &video.Error{Charged: video.NotCharged})
			require.NoError(t, err)
			doubtful, _, err := l.Claim(t.Context(), order("p", "b"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), doubtful.ID, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			_, claimed, err := l.Claim(t.Context(), order("p", "a"))
			require.ErrorContains(t, err, doubtful.ID)
			require.False(t, claimed)
		},
		"a purchase that is long under way is not bought beside it": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("p", "a"))
			require.NoError(t, err)
			require.Equal(t, video.ChargedUnknown, task.Charged(), "nobody has answered yet")
			_, claimed, err := l.Claim(t.Context(), order("p", "b"))
			require.NoError(t, err)
			require.True(t, claimed, "two keys at once are two clips")
			time.Sleep(time.Minute)
			_, _, err = l.Claim(t.Context(), order("p", "c"))
			require.ErrorContains(t, err, task.ID)
		},
	}
}

// changes is what may become of a task.
func changes() map[string]func(t *testing.T, l tracker.Ledger) {
	return map[string]func(t *testing.T, l tracker.Ledger){
		"a success without a link is looked at again": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("p", "a"))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			_, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded})
			require.NoError(t, err)
			task, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4"})
			require.NoError(t, err)
			require.Equal(t, "https://media.example/a.mp4", task.VideoURL)
		},
		"a purchase given up for lost is found again": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task.ID, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			task, err = l.Bought(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			require.Equal(t, video.Pending, task.Status)
			require.Nil(t, task.Failure)
		},
		"without a key, what is still being made counts as the same, whatever the window": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			time.Sleep(2 * window)
			again, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, task.ID, again.ID)
		},
		"without a key, what may be bought already counts as the same for a day": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task.ID, &video.Error{Charged: video.ChargedUnknown})
			require.NoError(t, err)
			time.Sleep(video.Lifetime - time.Second)
			again, claimed, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, task.ID, again.ID)
		},
		"a task is found by either id": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			_, err = l.Task(t.Context(), "theirs")
			require.ErrorIs(t, err, ledger.ErrNotFound)
			_, err = l.Bought(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			for _, id := range []string{task.ID, "theirs"} {
				found, err := l.Task(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, task.ID, found.ID)
			}
			_, err = l.Task(t.Context(), "")
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"a task made elsewhere is adopted once": func(t *testing.T, l tracker.Ledger) {
			first, err := l.Adopt(t.Context(), "theirs", video.Snapshot{Status: video.Running})
			require.NoError(t, err)
			again, err := l.Adopt(t.Context(), "theirs", video.Snapshot{Status: video.Succeeded})
			require.NoError(t, err)
			require.Equal(t, first, again)
		},
		"a change wakes who waits for it": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			changed := l.Changed(task.ID)
			_, err = l.Bought(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			<-changed
			require.Nil(t, l.Changed("nobody"))
			_, err = l.Bought(t.Context(), "nobody", "theirs")
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"who comes too late changes nothing": func(t *testing.T, l tracker.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			same := func(got video.Task, err error) {
				require.NoError(t, err)
				require.Equal(t, task, got)
			}
			same(l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Running}))
			same(l.Saved(t.Context(), task.ID, "a.mp4", nil))
			task, err = l.Bought(t.Context(), task.ID, "theirs")
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "another")
			require.ErrorContains(t, err, "theirs")
			same(l.NotBought(t.Context(), task.ID, &video.Error{}))
			task, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4"})
			require.NoError(t, err)
			require.False(t, task.SubmittedAt.IsZero(), "what is known is kept where the provider is silent")
			same(l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Failed}))
			task, err = l.Saved(t.Context(), task.ID, "a.mp4", nil)
			require.NoError(t, err)
			same(l.Saved(t.Context(), task.ID, "", errors.New("late")))
		},
	}
}

func TestMemory(t *testing.T) {
	behave(t, func(*testing.T) tracker.Ledger { return ledger.NewMemory(window) })
}
