package ledger_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// madeAlone is an end without a bill.
func madeAlone() video.Snapshot {
	return video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4"}
}

func withBill(text string) video.Snapshot {
	s, bill := madeAlone(), decimal.RequireFromString(text)
	s.Bill = &bill
	return s
}

func billless(t *testing.T, l *ledger.Ledger) (ids []string) {
	t.Helper()
	tasks, err := l.Billless(t.Context())
	require.NoError(t, err)
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	return ids
}

func billing() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"what has ended without a bill is asked for until it has one": func(t *testing.T, l *ledger.Ledger) {
			task, other, open := told(t, l, "a", ""), told(t, l, "b", ""), told(t, l, "c", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			look(t, l, other.ID, withBill("3"), time.Time{})
			look(t, l, open.ID, video.Snapshot{Status: video.Running}, time.Time{})
			require.Equal(t, []string{task.ID}, billless(t, l))
			now, fresh, err := l.Billed(t.Context(), task, withBill("33.5"))
			require.NoError(t, err)
			require.True(t, fresh)
			require.Equal(t, "33.5", now.Billed.String())
			require.Empty(t, billless(t, l))
			now, fresh, err = l.Billed(t.Context(), task, withBill("34"))
			require.NoError(t, err)
			require.False(t, fresh, "one process tells it")
			require.Equal(t, "33.5", now.Billed.String())
		},
		"who was asked for last comes last": func(t *testing.T, l *ledger.Ledger) {
			first, second := told(t, l, "a", ""), told(t, l, "b", "")
			look(t, l, first.ID, madeAlone(), time.Time{})
			look(t, l, second.ID, madeAlone(), time.Time{})
			for _, s := range []video.Snapshot{{}, {Status: video.Unknown}, madeAlone(), {Status: video.Failed, Bill: withBill("1").Bill}, withBill("-1")} {
				pass(time.Second)
				_, fresh, err := l.Billed(t.Context(), first, s)
				require.NoError(t, err)
				require.False(t, fresh)
			}
			require.Equal(t, []string{second.ID, first.ID}, billless(t, l))
		},
		"a bill that comes late replaces what was held": func(t *testing.T, l *ledger.Ledger) {
			o := order("a", "a")
			task := bought(t, l, o, "theirs")
			look(t, l, task.ID, madeAlone(), time.Time{})
			spent := func() string {
				days, err := l.Days(t.Context(), time.Now().Add(-time.Hour))
				require.NoError(t, err)
				return days[0].Used.String()
			}
			before := spent()
			_, _, err := l.Billed(t.Context(), task, withBill("0.25"))
			require.NoError(t, err)
			require.NotEqual(t, before, spent())
			require.Equal(t, "0.25", spent())
		},
		"seconds that come late are a bill": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			s := madeAlone()
			s.Usage = seconds("3.5")
			now, fresh, err := l.Billed(t.Context(), task, s)
			require.NoError(t, err)
			require.True(t, fresh)
			require.NotNil(t, now.Billed)
			require.Equal(t, "3.5", now.Usage.Duration.String())
		},
		"a callback waits for the bill, but not for long": func(t *testing.T, l *ledger.Ledger) {
			for i, saving := range []bool{false, true} {
				task := told(t, l, strconv.Itoa(i), "")
				next := time.Time{}
				if saving {
					next = time.Now()
				}
				look(t, l, task.ID, madeAlone(), next)
				require.InDelta(t, time.Minute.Seconds(), dueIn(t, l).Seconds(), 5)
				require.NoError(t, l.CallNow(t.Context(), task.ID))
				require.InDelta(t, time.Minute.Seconds(), dueIn(t, l).Seconds(), 5, "nobody saves it, and the bill is still to come")
				_, _, err := l.Billed(t.Context(), task, video.Snapshot{})
				require.NoError(t, err)
				require.InDelta(t, time.Minute.Seconds(), dueIn(t, l).Seconds(), 5)
				if saving {
					_, err := l.Saved(t.Context(), task.ID, "/clips/a.mp4", nil, time.Time{})
					require.NoError(t, err)
					require.InDelta(t, time.Minute.Seconds(), dueIn(t, l).Seconds(), 5, "it is saved, and the bill is still to come")
				}
				_, _, err = l.Billed(t.Context(), task, withBill("0.3"))
				require.NoError(t, err)
				all := due(t, l, false)
				require.Len(t, all, 1)
				taken, mine, err := l.TakeCall(t.Context(), all[0], time.Now().Add(time.Minute))
				require.NoError(t, err)
				require.True(t, mine)
				_, err = l.Called(t.Context(), taken, video.Delivery{Delivered: true}, time.Time{})
				require.NoError(t, err)
			}
		},
		"a callback waits for the clip though the bill is there": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Now())
			_, _, err := l.Billed(t.Context(), task, withBill("0.3"))
			require.NoError(t, err)
			require.InDelta(t, time.Minute.Seconds(), dueIn(t, l).Seconds(), 5)
			_, err = l.Saved(t.Context(), task.ID, "/clips/a.mp4", nil, time.Time{})
			require.NoError(t, err)
			require.Len(t, due(t, l, false), 1)
		},
		"a bill that comes after the callback calls nobody again": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			ended, err := l.Task(t.Context(), task.ID)
			require.NoError(t, err)
			taken, mine, err := l.TakeCall(t.Context(), ended, time.Now().Add(time.Minute))
			require.NoError(t, err)
			require.True(t, mine)
			_, err = l.Called(t.Context(), taken, video.Delivery{Delivered: true}, time.Time{})
			require.NoError(t, err)
			_, _, err = l.Billed(t.Context(), task, withBill("0.3"))
			require.NoError(t, err)
			silent(t, l)
		},
	}
}
