package ledger_test

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// pages walks a list to its end.
func pages(t *testing.T, l *ledger.Ledger, f video.Filter, between func()) []string {
	var all []string
	for range 100 {
		page, next, err := l.List(t.Context(), f)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), f.Limit)
		all = append(all, ids(page)...)
		if next == "" {
			return all
		}
		require.Len(t, page, f.Limit)
		f.Cursor = next
		between()
	}
	require.Fail(t, "the list has no end")
	return nil
}

// lists is what a reader of the ledger sees.
func lists() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"the pages are newest first, and show each task once while others are added": func(t *testing.T, l *ledger.Ledger) {
			require.Empty(t, pages(t, l, video.Filter{Limit: 5}, nil), "there is no file yet")
			var old []string
			for i := range 23 {
				task, _, err := l.Claim(t.Context(), order(strconv.Itoa(i), strconv.Itoa(i)))
				require.NoError(t, err)
				old = append(old, task.ID)
				if i%5 != 0 { // some have the same time
					pass(time.Microsecond)
				}
			}
			added := 0
			got := pages(t, l, video.Filter{Limit: 5}, func() {
				pass(time.Microsecond)
				added++
				bought(t, l, order("new", "new"+strconv.Itoa(added)), "new"+strconv.Itoa(added))
			})
			require.ElementsMatch(t, old, got)
			require.Equal(t, 4, added)
			whole, next, err := l.List(t.Context(), video.Filter{Limit: math.MaxInt})
			require.NoError(t, err)
			require.Empty(t, next)
			require.Len(t, whole, 27)
			require.True(t, slices.IsSortedFunc(whole, func(a, b video.Task) int { return b.CreatedAt.Compare(a.CreatedAt) }))
			require.Equal(t, got, ids(whole)[4:], "equal times have an order as well")
			last, _, err := l.List(t.Context(), video.Filter{Limit: 1_000_000_000})
			require.NoError(t, err)
			require.Equal(t, whole, last)
		},
		"a status selects": func(t *testing.T, l *ledger.Ledger) {
			task := bought(t, l, order("a", ""), "theirs")
			doubtful := inDoubt(t, l, "b")
			for status, want := range map[video.Status][]string{video.Pending: {task.ID}, video.Unknown: {doubtful.ID}, video.Failed: nil, "' OR 1=1 --": nil} {
				require.Equal(t, want, pages(t, l, video.Filter{Status: status, Limit: 1}, func() {}), status)
			}
		},
		"all are counted, or those of a status": func(t *testing.T, l *ledger.Ledger) {
			count := func(status video.Status, want int) {
				n, err := l.Count(t.Context(), video.Filter{Status: status})
				require.NoError(t, err)
				require.Equal(t, want, n, status)
			}
			count("", 0)
			inDoubt(t, l, "a")
			inDoubt(t, l, "b")
			bought(t, l, order("c", ""), "theirs")
			for status, want := range map[video.Status]int{"": 3, video.Unknown: 2, video.Pending: 1, video.Failed: 0, "' OR 1=1 --": 0} {
				count(status, want)
			}
		},
		"no limit is a limit of one": func(t *testing.T, l *ledger.Ledger) {
			inDoubt(t, l, "a")
			inDoubt(t, l, "b")
			for _, limit := range []int{0, -1, math.MinInt} {
				page, next, err := l.List(t.Context(), video.Filter{Limit: limit})
				require.NoError(t, err)
				require.Len(t, page, 1)
				require.NotEmpty(t, next)
			}
		},
		"a forged cursor is refused": func(t *testing.T, l *ledger.Ledger) {
			inDoubt(t, l, "a")
			inDoubt(t, l, "b")
			_, good, err := l.List(t.Context(), video.Filter{Limit: 1})
			require.NoError(t, err)
			text, err := base64.RawURLEncoding.DecodeString(good)
			require.NoError(t, err)
			encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
			id := string(text[len(text)-30:])
			require.Regexp(t, "^r2v-", id)
			for name, cursor := range map[string]string{
				"garbage": "%%%", "a word": "next", "a blank": " ", "other base64": encode("hello world"), "padded": base64.URLEncoding.EncodeToString([]byte("x")),
				"negative": encode("-1 " + id), "zero": encode("0 " + id), "signed": encode("+a " + id), "not as written": encode("0A " + id),
				"huge": encode("zzzzzzzzzzzzzzzzzzzzzzzz " + id), "no id": encode("abc"), "an empty id": encode("abc "), "another's id": encode("abc theirs"),
				"SQL": encode("abc r2v-' OR 1=1 --"), "NUL": encode("abc r2v-\x00"), "no UTF-8": encode("abc r2v-\xff"),
				"long": encode("abc r2v-" + string(make([]byte, 10_000))), "a copy with an end": good + "A", "newline": good + "\n",
			} {
				_, _, err := l.List(t.Context(), video.Filter{Limit: 1, Cursor: cursor})
				require.ErrorIs(t, err, ledger.ErrCursor, name)
			}
		},
	}
}

// watches is who learns of a change.
func watches() map[string]func(t *testing.T, l *ledger.Ledger) {
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"a change in another process wakes within a second": func(t *testing.T, l *ledger.Ledger) {
			task, _, err := l.Claim(t.Context(), order("a", ""))
			require.NoError(t, err)
			other := beside(t, l, nil)
			changed, stop := l.Watch(t.Context(), task.ID)
			defer stop()
			pass(time.Second)
			for len(changed) > 0 {
				<-changed // the first look
			}
			pass(time.Second)
			require.Empty(t, changed, "nothing has changed")
			_, err = other.Bought(t.Context(), task.ID, "theirs", false)
			require.NoError(t, err)
			start := time.Now()
			<-changed
			require.Less(t, time.Since(start), time.Second)
		},
		"who stops waiting is forgotten, and others are not": func(t *testing.T, l *ledger.Ledger) {
			task := inDoubt(t, l, "a")
			_, first := l.Watch(t.Context(), task.ID)
			changed, second := l.Watch(t.Context(), task.ID)
			defer second()
			first()
			first()
			_, err := l.Bought(t.Context(), task.ID, "theirs", true)
			require.NoError(t, err)
			<-changed
		},
		"what concerns all wakes all": func(t *testing.T, l *ledger.Ledger) {
			one, two := bought(t, l, order("1", ""), "1"), bought(t, l, order("2", ""), "2")
			changed, stop := l.Watch(t.Context(), one.ID)
			defer stop()
			also, stopToo := l.Watch(t.Context(), two.ID)
			defer stopToo()
			require.NoError(t, l.Troubled(t.Context(), "", &video.Failure{Code: "A"}))
			<-changed
			<-also
		},
	}
}
