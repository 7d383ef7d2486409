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

// dueBills are the ids of the clips whose bill is to be asked for now.
func dueBills(t *testing.T, l *ledger.Ledger) (ids []string) {
	t.Helper()
	tasks, err := l.DueBills(t.Context(), 16)
	require.NoError(t, err)
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	return ids
}

// billIn is how long it is until a bill is to be asked for.
func billIn(t *testing.T, l *ledger.Ledger) time.Duration {
	t.Helper()
	at, err := l.NextBill(t.Context())
	require.NoError(t, err)
	require.False(t, at.IsZero(), "none ever")
	return time.Until(at)
}

func noBills(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	at, err := l.NextBill(t.Context())
	require.NoError(t, err)
	require.True(t, at.IsZero())
	require.Empty(t, dueBills(t, l))
}

// askedFor takes a clip whose bill is due and records what the provider says of it.
func askedFor(t *testing.T, l *ledger.Ledger, id string, s video.Snapshot, next time.Time) (video.Task, bool) {
	t.Helper()
	task, err := l.Task(t.Context(), id)
	require.NoError(t, err)
	taken, mine, err := l.TakeBill(t.Context(), task, time.Now().Add(5*time.Minute))
	require.NoError(t, err)
	require.True(t, mine)
	task, told, err := l.Billed(t.Context(), taken, s, next)
	require.NoError(t, err)
	return task, told
}

func billing() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"only purchases that have ended without a bill are asked for": func(t *testing.T, l *ledger.Ledger) {
			noBills(t, l)
			task := told(t, l, "a", "")
			look(t, l, told(t, l, "billed", "").ID, withBill("3"), time.Time{})
			look(t, l, told(t, l, "open", "").ID, video.Snapshot{Status: video.Running}, time.Time{})
			look(t, l, told(t, l, "failed", "").ID, failed(), time.Time{})
			used := madeAlone()
			used.Usage = seconds("3.5")
			look(t, l, told(t, l, "used", "").ID, used, time.Time{})
			linkless := told(t, l, "linkless", "")
			look(t, l, linkless.ID, video.Snapshot{Status: video.Succeeded}, time.Time{})
			_, err := l.Adopt(t.Context(), "", "made elsewhere", madeAlone(), time.Time{})
			require.NoError(t, err)
			require.Equal(t, []string{linkless.ID}, dueBills(t, l), "it is made, and paid for")
			pass(time.Second)
			look(t, l, task.ID, madeAlone(), time.Time{})
			require.Equal(t, []string{task.ID, linkless.ID}, dueBills(t, l), "the last end comes first")
			_, fresh := askedFor(t, l, linkless.ID, withBill("0.3"), time.Time{})
			require.True(t, fresh)
			require.NotNil(t, dueIn(t, l))
			look(t, l, linkless.ID, madeAlone(), time.Time{})
			require.Equal(t, []string{task.ID}, dueBills(t, l))
			require.Equal(t, linkless.ID, due(t, l, false)[len(due(t, l, false))-1].ID, "and it is told with the link")
		},
		"one process asks, until its time is over": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			due, err := l.DueBills(t.Context(), 16)
			require.NoError(t, err)
			taken, mine, err := l.TakeBill(t.Context(), due[0], time.Now().Add(5*time.Minute))
			require.NoError(t, err)
			require.True(t, mine)
			_, mine, err = l.TakeBill(t.Context(), due[0], time.Now().Add(5*time.Minute))
			require.NoError(t, err)
			require.False(t, mine)
			require.Empty(t, dueBills(t, l))
			pass(5 * time.Minute)
			require.Equal(t, []string{task.ID}, dueBills(t, l), "it was killed")
			_, again := askedFor(t, l, task.ID, withBill("0.3"), time.Time{})
			require.True(t, again)
			now, late, err := l.Billed(t.Context(), taken, withBill("0.4"), time.Time{})
			require.NoError(t, err)
			require.False(t, late, "it comes too late")
			require.Equal(t, "0.3", now.Billed.String())
			noBills(t, l)
		},
		"what was asked for in vain is asked for again": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			for _, s := range []video.Snapshot{{}, {Status: video.Unknown}, madeAlone(), {Status: video.Failed, Bill: withBill("1").Bill}, withBill("-1")} {
				now, fresh := askedFor(t, l, task.ID, s, time.Now().Add(time.Minute))
				require.False(t, fresh)
				require.Nil(t, now.Billed)
				require.Equal(t, time.Minute, billIn(t, l))
				require.Empty(t, dueBills(t, l))
				pass(time.Minute)
				require.Equal(t, []string{task.ID}, dueBills(t, l))
			}
			askedFor(t, l, task.ID, madeAlone(), time.Time{})
			noBills(t, l)
		},
		"another account lets the own go first": func(t *testing.T, l *ledger.Ledger) {
			other := beside(t, l, func(o *ledger.Options) { o.Account = "another" })
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			require.Empty(t, dueBills(t, other))
			require.Equal(t, time.Minute, billIn(t, other))
			pass(time.Minute)
			require.Equal(t, []string{task.ID}, dueBills(t, other), "it may be a new key of the same account")
			elsewhere := beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" })
			noBills(t, elsewhere)
		},
		"a clock that is set back keeps no bill from being asked for": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			askedFor(t, l, task.ID, madeAlone(), time.Now().Add(3*time.Hour))
			require.Equal(t, []string{task.ID}, dueBills(t, l))
			require.Zero(t, billIn(t, l))
		},
		"a bill that comes late replaces what was held": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", "a"), "theirs")
			look(t, l, task.ID, madeAlone(), time.Time{})
			used := func() string {
				days, err := l.Days(t.Context(), time.Now().Add(-time.Hour))
				require.NoError(t, err)
				return days[0].Used.String()
			}
			require.NotEqual(t, "0.25", used())
			askedFor(t, l, task.ID, withBill("0.25"), time.Time{})
			require.Equal(t, "0.25", used())
		},
		"seconds that come late are a bill": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			s := madeAlone()
			s.Usage = seconds("3.5")
			now, fresh := askedFor(t, l, task.ID, s, time.Time{})
			require.True(t, fresh)
			require.NotNil(t, now.Billed)
			require.Equal(t, "3.5", now.Usage.Duration.String())
		},
		"a clip that turns out to be another one's is billed no more": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", "a"))
			require.NoError(t, err)
			_, err = l.Bought(t.Context(), task.ID, "found", true)
			require.NoError(t, err)
			look(t, l, task.ID, madeAlone(), time.Time{})
			found, err := l.Task(t.Context(), task.ID)
			require.NoError(t, err)
			taken, _, err := l.TakeBill(t.Context(), found, time.Now().Add(time.Minute))
			require.NoError(t, err)
			bought(t, l, order("b", "b"), "found") // which was answered with that id
			now, fresh, err := l.Billed(t.Context(), taken, withBill("9"), time.Time{})
			require.NoError(t, err)
			require.False(t, fresh)
			require.Nil(t, now.Billed)
			noBills(t, l)
		},
	}
}

// settling is what becomes of an end and its callback.
func settling() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a bill that comes with the link is not asked for any more": func(t *testing.T, l *ledger.Ledger) {
			for i, whole := range []video.Snapshot{withBill("0.3"), {Status: video.Succeeded, VideoURL: "https://media.example/a.mp4", Usage: seconds("3.5")}} {
				task := told(t, l, strconv.Itoa(i), "")
				look(t, l, task.ID, video.Snapshot{Status: video.Succeeded}, time.Time{})
				require.Equal(t, []string{task.ID}, dueBills(t, l))
				look(t, l, task.ID, whole, time.Time{})
				noBills(t, l)
			}
		},
		"a callback waits for the bill, but not for long": func(t *testing.T, l *ledger.Ledger) {
			for i, saving := range []bool{false, true} {
				task := told(t, l, strconv.Itoa(i), "")
				look(t, l, task.ID, madeAlone(), map[bool]time.Time{true: time.Now()}[saving])
				require.Equal(t, time.Minute, dueIn(t, l))
				require.NoError(t, l.CallNow(t.Context(), task.ID))
				require.Equal(t, time.Minute, dueIn(t, l), "nobody saves it, and the bill is still to come")
				askedFor(t, l, task.ID, madeAlone(), time.Now())
				require.Equal(t, time.Minute, dueIn(t, l))
				if saving {
					_, err := l.Saved(t.Context(), task.ID, "/clips/a.mp4", nil, time.Time{})
					require.NoError(t, err)
					require.Equal(t, time.Minute, dueIn(t, l), "it is saved, and the bill is still to come")
				}
				askedFor(t, l, task.ID, withBill("0.3"), time.Time{})
				delivered(t, l)
			}
		},
		"a callback waits for the clip though the bill is there": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Now())
			askedFor(t, l, task.ID, withBill("0.3"), time.Time{})
			require.Equal(t, time.Minute, dueIn(t, l))
			require.NoError(t, l.CallNow(t.Context(), task.ID), "nobody saves it after all")
			delivered(t, l)
		},
		"a bill that comes after the callback calls nobody again": func(t *testing.T, l *ledger.Ledger) {
			task := told(t, l, "a", "")
			look(t, l, task.ID, madeAlone(), time.Time{})
			pass(time.Minute)
			delivered(t, l)
			askedFor(t, l, task.ID, withBill("0.3"), time.Time{})
			silent(t, l)
		},
	}
}

// delivered delivers the one callback that is due.
func delivered(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	all := due(t, l, false)
	require.Len(t, all, 1)
	taken, mine, err := l.TakeCall(t.Context(), all[0], time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.True(t, mine)
	_, err = l.Called(t.Context(), taken, video.Delivery{Delivered: true}, time.Time{})
	require.NoError(t, err)
}
