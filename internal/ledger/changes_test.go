package ledger_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// inDoubt claims an order whose purchase nobody can tell the fate of.
func inDoubt(t *testing.T, l *ledger.Ledger, name string) video.Task {
	task, _, err := l.Claim(t.Context(), order(name, name))
	require.NoError(t, err)
	task, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.ChargedUnknown})
	require.NoError(t, err)
	return task
}

// purchases is whose a provider's id is.
func purchases() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"an answer takes an id from the purchase that only found it": func(t *testing.T, l *ledger.Ledger) {
			finder := inDoubt(t, l, "finder")
			finder, err := l.Bought(t.Context(), finder.ID, "theirs", true)
			require.NoError(t, err)
			require.True(t, finder.Found)
			answered := bought(t, l, order("answered", ""), "theirs")
			require.False(t, answered.Found)
			finder, err = l.Task(t.Context(), finder.ID)
			require.NoError(t, err)
			require.Equal(t, video.Unknown, finder.Status)
			require.Empty(t, finder.ProviderTaskID)
			require.False(t, finder.Found)
		},
		"an answer replaces what the purchase itself had found": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "found", true)
			require.NoError(t, err)
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Failed}, time.Time{})
			require.NoError(t, err)
			task, err = l.Bought(t.Context(), task.ID, "answered", false)
			require.NoError(t, err)
			require.Equal(t, "answered", task.ProviderTaskID)
			require.Equal(t, video.Pending, task.Status)
			require.False(t, task.Found)
			_, err = l.Task(t.Context(), "found")
			require.ErrorIs(t, err, ledger.ErrNotFound)
		},
		"a purchase that was set free and claimed again is no longer its first buyer's": func(t *testing.T, l *ledger.Ledger) {
			first, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), first, &video.Error{Charged: video.NotCharged})
			require.NoError(t, err)
			pass(time.Second)
			second, claimed, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			require.True(t, claimed)
			for _, c := range []struct {
				task video.Task
				kept bool
			}{{first, false}, {second, true}} {
				kept, err := l.Keep(t.Context(), c.task, time.Now().Add(time.Minute))
				require.NoError(t, err)
				require.Equal(t, c.kept, kept)
			}
		},
		"an answer confirms what was found": func(t *testing.T, l *ledger.Ledger) {
			task := inDoubt(t, l, "finder")
			task, err := l.Bought(t.Context(), task.ID, "theirs", true)
			require.NoError(t, err)
			require.Equal(t, video.ChargedUnknown, task.Charged(), "it may be another one's")
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			task, err = l.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			require.False(t, task.Found)
			require.Equal(t, video.Running, task.Status)
			require.Equal(t, video.NotCharged, task.Charged())
		},
		"a finding takes no id from a purchase": func(t *testing.T, l *ledger.Ledger) {
			answered := bought(t, l, order("answered", ""), "theirs")
			finder := inDoubt(t, l, "finder")
			_, err := l.Bought(t.Context(), finder.ID, "theirs", true)
			require.ErrorContains(t, err, "theirs is another task's")
			require.NotContains(t, err.Error(), answered.ID, "it may be another person's")
			now, err := l.Task(t.Context(), finder.ID)
			require.NoError(t, err)
			require.Equal(t, finder, now)
		},
		"an adopted task gives way to its purchase, however that learns of it": func(t *testing.T, l *ledger.Ledger) {
			for _, found := range []bool{true, false} {
				id := map[bool]string{true: "found", false: "answered"}[found]
				adopted, err := l.Adopt(t.Context(), "", id, video.Snapshot{Status: video.Running}, time.Time{})
				require.NoError(t, err)
				buyer := inDoubt(t, l, id)
				_, err = l.Bought(t.Context(), buyer.ID, id, found)
				require.NoError(t, err)
				task, err := l.Task(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, buyer.ID, task.ID)
				task, err = l.Task(t.Context(), adopted.ID)
				require.NoError(t, err)
				require.Equal(t, buyer.ID, task.ID, "an id that was given out is good for the same clip")
			}
		},
		"an id that cannot be recorded stays where it is": func(t *testing.T, l *ledger.Ledger) {
			buyer := bought(t, l, order("buyer", ""), "its own")
			adopted, err := l.Adopt(t.Context(), "", "adopted", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			finder := inDoubt(t, l, "finder")
			finder, err = l.Bought(t.Context(), finder.ID, "found", true)
			require.NoError(t, err)
			for _, before := range []video.Task{adopted, finder} {
				for _, id := range []string{buyer.ID, "nobody"} {
					_, err := l.Bought(t.Context(), id, before.ProviderTaskID, false)
					require.Error(t, err)
					now, err := l.Task(t.Context(), before.ProviderTaskID)
					require.NoError(t, err)
					require.Equal(t, before, now)
				}
			}
			_, err = l.Bought(t.Context(), inDoubt(t, l, "nameless").ID, "", false)
			require.Error(t, err, "an empty id is none")
		},
		"an id is recorded once, however often": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			again, err := l.Bought(t.Context(), task.ID, "theirs", true)
			require.NoError(t, err)
			require.Equal(t, task, again)
		},
	}
}

// findings is what becomes of an id that was only found.
func findings() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"what the provider holds is kept although its id was known before its answer": func(t *testing.T, l *ledger.Ledger) {
			hold := amount("0.7") // 0.4 was estimated
			for name, known := range map[string]struct {
				end  video.Snapshot
				held string
			}{
				"still open":            {video.Snapshot{Status: video.Running}, "0.7"},
				"made, without a bill":  {video.Snapshot{Status: video.Succeeded, VideoURL: "u"}, "0.7"},
				"made, with a bill":     {video.Snapshot{Status: video.Succeeded, VideoURL: "u", Bill: &[]decimal.Decimal{amount("0.3")}[0]}, "0.3"},
				"came to nothing":       {video.Snapshot{Status: video.Failed}, "0"},
				"not looked at by then": {video.Snapshot{}, "0.7"},
			} {
				for _, found := range []bool{false, true} {
					l := perDay(t, l, "100", time.UTC)
					before := amount(left(t, l, "USD"))
					task, _, err := l.Claim(t.Context(), order(name+strconv.FormatBool(found), ""))
					require.NoError(t, err)
					id := "of " + task.ID
					_, err = l.Bought(t.Context(), task.ID, id, found)
					require.NoError(t, err)
					if known.end.Status != "" {
						_, err = seen(l.Looked(t.Context(), task.ID, known.end, time.Time{}))
						require.NoError(t, err)
					}
					task, err = l.Answered(t.Context(), task.ID, id, &hold)
					require.NoError(t, err)
					require.False(t, task.Found)
					require.NotNil(t, task.Hold, name)
					require.Equal(t, "0.7", task.Hold.String(), name)
					require.Equal(t, known.held, before.Sub(amount(left(t, l, "USD"))).String(), name)
					more := amount("0.9")
					task, err = l.Answered(t.Context(), task.ID, id, &more)
					require.NoError(t, err)
					require.Equal(t, "0.7", task.Hold.String(), "the first answer is the one")
				}
			}
		},
		"a found id that is another one's is given back, an answered one never": func(t *testing.T, l *ledger.Ledger) {
			answered := bought(t, l, order("answered", ""), "answered")
			same, err := l.Disowned(t.Context(), answered.ID, "answered")
			require.NoError(t, err)
			require.Equal(t, answered, same)
			finder := inDoubt(t, l, "finder")
			finder, err = l.Bought(t.Context(), finder.ID, "found", true)
			require.NoError(t, err)
			same, err = l.Disowned(t.Context(), finder.ID, "another")
			require.NoError(t, err)
			require.Equal(t, finder, same)
			finder, err = l.Disowned(t.Context(), finder.ID, "found")
			require.NoError(t, err)
			require.Equal(t, video.Unknown, finder.Status)
			require.Empty(t, finder.ProviderTaskID)
			require.Equal(t, "Disowned", finder.Failure.Code)
			_, err = l.Adopt(t.Context(), "", "found", video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
		},
	}
}

// races is who of several gets what only one can have.
func races() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a task is adopted whatever keys have been used": func(t *testing.T, l *ledger.Ledger) {
			bought(t, l, order("a", "adopted-theirs"), "another")
			task, err := l.Adopt(t.Context(), "", "theirs", video.Snapshot{Status: video.Running, VideoURL: "u"}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "theirs", task.ProviderTaskID)
			require.Nil(t, task.Estimate)
		},
		"one of two processes with the same key buys": func(t *testing.T, l *ledger.Ledger) {
			one(t, l, func(l *ledger.Ledger) (bool, error) {
				_, claimed, err := l.Claim(t.Context(), order("a", "k"))
				return claimed, err
			})
		},
		"a refused key is claimed again by one of many": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "k"))
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.NotCharged})
			require.NoError(t, err)
			one(t, l, func(l *ledger.Ledger) (bool, error) {
				_, claimed, err := l.Claim(t.Context(), order("a", "k"))
				return claimed, err
			})
		},
		"looking back buys nothing and makes no file": func(t *testing.T, l *ledger.Ledger) {
			o := order("a", "k")
			o.Replay = true
			_, _, err := l.Claim(t.Context(), o)
			require.ErrorIs(t, err, ledger.ErrNotFound)
			require.NoFileExists(t, l.Path)
			task := bought(t, l, order("a", "k"), "theirs")
			again, claimed, err := l.Claim(t.Context(), o)
			require.NoError(t, err)
			require.False(t, claimed)
			require.Equal(t, task.ID, again.ID)
		},
	}
}

// saves is what becomes of a clip, and of what is known of its task.
func saves() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"what the provider is silent about stays as it was known": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			at := time.Now().Add(-time.Minute)
			full := video.Snapshot{Status: video.Succeeded, SubmittedAt: at, ScheduledAt: at.Add(time.Second), EndedAt: at.Add(2 * time.Second), Usage: seconds("3")}
			before, _, err := l.Looked(t.Context(), task.ID, full, time.Time{})
			require.NoError(t, err)
			now, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u"}, time.Time{})
			require.NoError(t, err)
			before.VideoURL = "u"
			require.Equal(t, before, now)
		},
		"a success stays one, whatever an older view says": func(t *testing.T, l *ledger.Ledger) {
			l = perDay(t, l, "1", time.UTC)
			task := bought(t, l, order("a", ""), "theirs")
			_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, Usage: seconds("2")}, time.Now())
			require.NoError(t, err)
			for _, older := range []video.Status{video.Pending, video.Running, video.Failed, video.Canceled, video.Unknown} {
				task, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: older, Failure: &video.Failure{Code: "Late"}}, time.Time{})
				require.NoError(t, err)
				require.Equal(t, video.Succeeded, task.Status)
				require.Nil(t, task.Failure)
				require.Equal(t, "0.8", left(t, l, "USD"), "it was billed")
			}
			next, err := l.NextDue(t.Context(), true)
			require.NoError(t, err)
			require.True(t, next.IsZero(), "when it is looked at next is up to who looked")
		},
		"a newer link replaces the old one until the clip is saved": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			same, err := l.Relinked(t.Context(), task.ID, "early")
			require.NoError(t, err)
			require.Equal(t, task, same)
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "old"}, time.Time{})
			require.NoError(t, err)
			task, err = l.Relinked(t.Context(), task.ID, "new")
			require.NoError(t, err)
			require.Equal(t, "new", task.VideoURL)
			task, err = l.Saved(t.Context(), task.ID, "a.mp4", nil, time.Time{})
			require.NoError(t, err)
			same, err = l.Relinked(t.Context(), task.ID, "late")
			require.NoError(t, err)
			require.Equal(t, task, same)
		},
		"a save that failed is tried again, and forgotten when it succeeds": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: "u"}, time.Now())
			require.NoError(t, err)
			task, err = l.Saved(t.Context(), task.ID, "", errors.New("the disk is full"), time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.Empty(t, task.SavedTo)
			require.Equal(t, "the disk is full", task.SaveError)
			next, err := l.NextDue(t.Context(), true)
			require.NoError(t, err)
			require.Equal(t, time.Minute, time.Until(next))
			task, err = l.Saved(t.Context(), task.ID, "a.mp4", nil, time.Time{})
			require.NoError(t, err)
			require.Equal(t, "a.mp4", task.SavedTo)
			require.Empty(t, task.SaveError)
			next, err = l.NextDue(t.Context(), true)
			require.NoError(t, err)
			require.True(t, next.IsZero())
		},
		"who saves nothing leaves clips to those who do, and what failed is due again on demand": func(t *testing.T, l *ledger.Ledger) {
			made := func(id, link string) string {
				task := bought(t, l, order(id, ""), id)
				_, _, err := l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: link, EndedAt: time.Now()}, time.Now())
				require.NoError(t, err)
				return task.ID
			}
			toSave := func(saves bool) []string {
				tasks, err := l.ToSave(t.Context(), saves, 5)
				require.NoError(t, err)
				return ids(tasks)
			}
			made("dead", "https://media.example/dead")
			pass(video.Lifetime + 2*time.Hour)
			linked, linkless := made("linked", "https://media.example/a"), made("linkless", "")
			require.Equal(t, []string{linkless}, toSave(false))
			require.ElementsMatch(t, []string{linked, linkless}, toSave(true), "nobody tries a link that is long dead")
			_, err := l.Saved(t.Context(), linked, "", errors.New("no room"), time.Now().Add(10*time.Minute))
			require.NoError(t, err)
			require.Equal(t, []string{linkless}, toSave(true))
			require.NoError(t, l.SaveAgain(t.Context()))
			require.ElementsMatch(t, []string{linked, linkless}, toSave(true))
		},
	}
}

// tellings is what is kept of what is said.
func tellings() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a trouble is told with the task, or with all that are open, until it is over": func(t *testing.T, l *ledger.Ledger) {
			one, two := bought(t, l, order("1", ""), "1"), bought(t, l, order("2", ""), "2")
			ended := bought(t, l, order("3", ""), "3")
			_, _, err := l.Looked(t.Context(), ended.ID, video.Snapshot{Status: video.Failed}, time.Time{})
			require.NoError(t, err)
			codes := func() (all [3]string) {
				for i, id := range []string{one.ID, two.ID, ended.ID} {
					task, err := l.Task(t.Context(), id)
					require.NoError(t, err)
					if task.Trouble != nil {
						all[i] = task.Trouble.Code
					}
				}
				return all
			}
			require.NoError(t, l.Troubled(t.Context(), one.ID, &video.Failure{Code: "A"}))
			require.Equal(t, [3]string{"A", "", ""}, codes())
			require.NoError(t, l.Troubled(t.Context(), "", &video.Failure{Code: "B"}))
			require.Equal(t, [3]string{"B", "B", ""}, codes())
			_, _, err = l.Looked(t.Context(), one.ID, video.Snapshot{Status: video.Running}, time.Time{})
			require.NoError(t, err)
			require.Equal(t, [3]string{"", "B", ""}, codes())
			require.NoError(t, l.Troubled(t.Context(), "", nil))
			require.Equal(t, [3]string{}, codes())
		},
		"text that no database takes costs no task": func(t *testing.T, l *ledger.Ledger) {
			const bad = "a\x00b\xffc"
			_, err := l.Task(t.Context(), bad)
			require.ErrorIs(t, err, ledger.ErrNotFound)
			task := bought(t, l, order("a", ""), "theirs")
			require.NoError(t, l.Troubled(t.Context(), task.ID, &video.Failure{Message: bad}))
			_, _, err = l.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Succeeded, VideoURL: bad, Failure: &video.Failure{Message: bad}}, time.Time{})
			require.NoError(t, err)
			_, err = l.Relinked(t.Context(), task.ID, bad)
			require.NoError(t, err)
			_, err = l.Saved(t.Context(), task.ID, "", errors.New(bad), time.Time{})
			require.NoError(t, err)
			task, err = l.Saved(t.Context(), task.ID, bad, nil, time.Time{})
			require.NoError(t, err)
			require.NotEmpty(t, task.SavedTo)
		},
	}
}
