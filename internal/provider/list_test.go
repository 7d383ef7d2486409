package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

func TestListTellsTheRecordedTasks(t *testing.T) {
	now := time.Now()
	page, err := answering(t, http.StatusOK, recorded(t, "list.json")).List(context.Background(), now.Add(-time.Hour), now, 1)
	require.NoError(t, err)
	require.WithinDuration(t, now, page.ServedAt, time.Minute)
	page.ServedAt = time.Time{}
	at := func(second, ms int) time.Time { return time.Date(2025, 4, 25, 8, 0, second, ms*1e6, time.UTC) }
	require.Equal(t, provider.Page{Total: 2, Last: true, Tasks: []provider.Listed{
		{ID: "50e2ccea-abc4-43d7-a0dc-xxxxxx", Status: video.Running, Model: "wanx2.1-kf2v-plus", SubmittedAt: at(428, 109), StartedAt: at(428, 138)},
		{
			ID: "a8532587-xxxx-xxxx-xxxx-0c46b17950d1", Status: video.Succeeded, Model: "wanx2.1-kf2v-plus",
			SubmittedAt: at(10, 220), StartedAt: at(10, 251), EndedAt: at(302, 481),
		},
	}}, page)

	page, err = answering(t, http.StatusOK, recorded(t, "list-empty.json")).List(context.Background(), now.Add(-time.Hour), now, 1)
	require.NoError(t, err)
	require.Empty(t, page.Tasks)
	require.True(t, page.Last)
}

func TestListReadsAllTasksPageByPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		began := time.Now()
		var made []string
		for range 250 {
			made = append(made, p.create("Image 1 dances"))
		}
		until := time.Now()
		var found []string
		for page := 1; ; page++ {
			got, err := p.List(t.Context(), began, until, page)
			require.NoError(t, err)
			require.Equal(t, 250, got.Total)
			require.Equal(t, time.Now().Truncate(time.Second).UTC(), got.ServedAt)
			for _, task := range got.Tasks {
				found = append(found, task.ID)
			}
			if got.Last {
				require.Equal(t, 3, page)
				break
			}
		}
		require.ElementsMatch(t, made, found)
	})
}

// Times go over the wire in whole seconds: the task of the last instant is not to fall out of the span.
func TestListLosesNoTaskToRounding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Second - time.Millisecond)
		p := simulate(t)
		id := p.create("Image 1 dances")
		at := time.Now()
		for name, span := range map[string][2]time.Time{
			"an instant": {at, at}, "its end": {at.Add(-time.Hour), at}, "its beginning": {at, at.Add(time.Hour)},
			"a day until then": {at.Add(-24 * time.Hour), at}, "a day from then": {at, at.Add(24 * time.Hour)},
		} {
			page, err := p.List(t.Context(), span[0], span[1], 1)
			require.NoError(t, err, name)
			require.Len(t, page.Tasks, 1, name)
			require.Equal(t, id, page.Tasks[0].ID)
		}
	})
}

func TestTheSpanIsAskedForInWholeSeconds(t *testing.T) {
	at := func(s string) time.Time {
		t, _ := time.Parse("02 15:04:05.000", s)
		return t.AddDate(2026, 0, 0)
	}
	for _, tt := range []struct{ from, to, start, end string }{
		{"10 04:00:00.000", "10 05:00:00.000", "20260110120000", "20260110130000"},
		{"10 04:00:00.999", "10 05:00:00.001", "20260110120000", "20260110130001"},
		{"10 04:00:00.500", "11 04:00:00.500", "20260110120000", "20260111120000"}, // the service takes no second more
	} {
		var asked *http.Request
		p := serving(t, func(w http.ResponseWriter, r *http.Request) {
			asked = r
			fmt.Fprint(w, recorded(t, "list-empty.json"))
		})
		_, err := p.List(t.Context(), at(tt.from), at(tt.to), 1)
		require.NoError(t, err)
		q := asked.URL.Query()
		require.Equal(t, []string{tt.start, tt.end, "1", "100"}, []string{q.Get("start_time"), q.Get("end_time"), q.Get("page_no"), q.Get("page_size")})
	}
}

// To take a page for the last that is not hides paid tasks; so does to ask for one page for ever.
func TestTheLastPageIsKnownWhateverTheAnswerLacks(t *testing.T) {
	for _, tt := range []struct {
		name, counts string
		rows, page   int
		last         bool
	}{
		{"as asked, more", `"total":250,"total_page":3,"page_no":2,"page_size":100`, 100, 2, false},
		{"as asked, last", `"total":250,"total_page":3,"page_no":3,"page_size":100`, 50, 3, true},
		{"as asked, beyond", `"total":250,"total_page":3,"page_no":4,"page_size":100`, 0, 4, true},
		{"smaller pages, more", `"total":45,"total_page":5,"page_no":4,"page_size":10`, 10, 4, false},
		{"smaller pages, last", `"total":45,"total_page":5,"page_no":5,"page_size":10`, 5, 5, true},
		{"smaller pages without their number, more", `"total":45,"page_no":4,"page_size":10`, 10, 4, false},
		{"smaller pages without their number, last", `"total":45,"total_page":0,"page_no":5,"page_size":10`, 5, 5, true},
		{"exactly full, last", `"total":20,"page_no":2,"page_size":10`, 10, 2, true},
		{"number of pages alone, more", `"total_page":3`, 7, 2, false},
		{"number of pages alone, last", `"total_page":3`, 7, 3, true},
		{"total alone, more", `"total":45`, 10, 1, false},
		{"total alone, more after short pages", `"total":120`, 50, 2, false},
		{"total alone, all", `"total":45`, 45, 1, true},
		{"total alone, beyond", `"total":120`, 0, 4, true},
		{"counts that disagree", `"total":45,"total_page":1,"page_size":10`, 10, 1, false},
		{"page size alone, full", `"page_size":10`, 10, 1, false},
		{"page size alone, short", `"page_size":10`, 9, 1, true},
		{"nothing, full", `"request_id":"r"`, 100, 1, false},
		{"nothing, short", `"total":0,"total_page":0,"page_no":0,"page_size":0`, 99, 1, true},
		{"nonsense, short", `"total":-1,"total_page":-1,"page_size":-1`, 3, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows := strings.TrimSuffix(strings.Repeat(`{"task_id":"a","status":"RUNNING"},`, tt.rows), ",")
			p := answering(t, http.StatusOK, `{`+tt.counts+`,"data":[`+rows+`]}`)
			page, err := p.List(context.Background(), time.Now().Add(-time.Hour), time.Now(), tt.page)
			require.NoError(t, err)
			require.Equal(t, tt.last, page.Last)
			require.Len(t, page.Tasks, tt.rows)
			require.GreaterOrEqual(t, page.Total, 0)
		})
	}
}

// What is no page of the list asked for must not pass for one: from a task's absence it is concluded that it was not made.
func TestListIsNeverShortByMistake(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		body     string
		from, to time.Time
		page     int
		code     string
	}{
		"another page":      {`{"data":[],"page_no":1}`, now.Add(-time.Hour), now, 2, "WrongPage"},
		"too long a span":   {`{"data":[]}`, now.Add(-24*time.Hour - 1), now, 1, "InvalidParameter"},
		"a span backwards":  {`{"data":[]}`, now, now.Add(-1), 1, "InvalidParameter"},
		"no beginning":      {`{"data":[]}`, time.Time{}, time.Time{}, 1, "InvalidParameter"},
		"no such page":      {`{"data":[]}`, now, now, 0, "InvalidParameter"},
		"refused, by words": {`{"code":"InvalidParameter","message":"no"}`, now, now, 1, "InvalidParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := answering(t, http.StatusOK, tt.body).List(context.Background(), tt.from, tt.to, tt.page)
			e := failure(t, err)
			require.Equal(t, tt.code, e.Code)
			require.Equal(t, video.NotCharged, e.Charged)
			require.NotEmpty(t, e.Message+e.Advice)
		})
	}
}

func TestAListThatFailedMayBeAskedForAgainWhereThatHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		for fault, retryable := range map[string]bool{
			"drop-before": true, "503": true, "html-502": true, "504": true, "empty-200": true, "garbage-200": true,
			"throttled": true, "invalid-api-key": false, "access-denied": false, "invalid-parameter": false,
		} {
			p.arm(fault, "list")
			_, err := p.List(t.Context(), time.Now().Add(-time.Hour), time.Now(), 1)
			e := failure(t, err)
			require.Equal(t, video.NotCharged, e.Charged, fault)
			require.Equal(t, retryable, e.Retryable, fault)
			require.NotEmpty(t, e.Advice, fault)
		}
	})
}
