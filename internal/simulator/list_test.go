package simulator_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// ids are the tasks of a list answer, in its order.
func (r reply) ids() []string {
	r.t.Helper()
	require.Equal(r.t, 200, r.status, "%s", r.body)
	ids := []string{}
	for _, row := range r.at("data").(array) {
		ids = append(ids, row.(object)["task_id"].(string))
	}
	return ids
}

func TestListsAreNewestFirstInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true})
		var ids []string
		for range 23 {
			ids = append([]string{c.task(wan26())}, ids...)
			time.Sleep(time.Second)
		}
		require.Equal(t, ids[:10], c.read("/api/v1/tasks").ids())
		require.Equal(t, ids[20:], c.read("/api/v1/tasks?page_no=3").ids())
		require.Equal(t, ids[7:14], c.read("/api/v1/tasks?page_no=2&page_size=7").ids())
		require.Equal(t, ids, c.read("/api/v1/tasks?page_size=100").ids())
		require.Empty(t, c.read("/api/v1/tasks?page_no=4").ids())
		page := c.read("/api/v1/tasks?page_no=2&page_size=7").json()
		require.EqualValues(t, 23, page["total"])
		require.EqualValues(t, 4, page["total_page"])
		require.EqualValues(t, 2, page["page_no"])
		require.EqualValues(t, 7, page["page_size"])
	})
}

func TestListsCanBeNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // from 2000-01-01 08:00:00 of UTC+8 on
		c := memory(t, simulator.Options{Unthrottled: true})
		done := c.task(wan26())
		time.Sleep(10*time.Minute + time.Second/2)
		wrong := c.task(wan27(set("input.prompt", nil)))
		gone := c.task(wan26())
		c.post("/api/v1/tasks/"+gone+"/cancel", nil)
		time.Sleep(10 * time.Minute)
		runs := c.task(wan27())
		time.Sleep(30 * time.Second)
		waits := c.task(wan27(set("model", "wan2.7-r2v-2026-06-12")))

		for query, ids := range map[string][]string{
			"":                               {waits, runs, gone, wrong, done},
			"status=PENDING":                 {waits},
			"status=RUNNING":                 {runs},
			"status=SUCCEEDED":               {done},
			"status=FAILED":                  {wrong},
			"status=CANCELED":                {gone},
			"status=UNKNOWN":                 {},
			"model_name=wan2.7-r2v":          {runs, wrong},
			"model_name=none":                {},
			"task_id=" + runs:                {runs},
			"task_id=1111":                   {},
			"region=cn-beijing&api_key_id=1": {waits, runs, gone, wrong, done},
			"start_time=20000101081000":      {waits, runs, gone, wrong},
			"start_time=20000101081001":      {waits, runs},
			"end_time=20000101081000":        {gone, wrong, done},
			"end_time=20000101080959":        {done},
			"start_time=20000101080000&end_time=20000102080000":                {waits, runs, gone, wrong, done},
			"start_time=20000101081500&end_time=20000101082015&status=RUNNING": {runs},
			"start_time=19991231080000&end_time=20000101075959":                {},
		} {
			require.Equal(t, ids, c.read("/api/v1/tasks?"+query).ids(), query)
		}
	})
}

func TestListTimesAreMillisecondsAndAbsentUntilKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		begin := time.Now().UnixMilli()
		created := c.create(wan26())
		millis := func(v any) int64 { return int64(v.(float64)) }
		row := func() object { return c.read("/api/v1/tasks").at("data").(array)[0].(object) }
		require.Equal(t, created.at("request_id"), row()["request_id"])
		require.Equal(t, "wan2.6-r2v-flash", row()["model_name"])
		require.Equal(t, "apikey:v1:aigc:video-generation:video-synthesis:wan2.6-r2v-flash", row()["user_api_unique_key"])
		require.Equal(t, begin, millis(row()["gmt_create"]))
		require.NotContains(t, row(), "start_time")
		time.Sleep(3 * time.Second)
		require.Equal(t, begin+3000, millis(row()["start_time"]))
		require.NotContains(t, row(), "end_time")
		time.Sleep(time.Hour)
		require.Equal(t, begin+93000, millis(row()["end_time"]))
		require.NotContains(t, row(), "video_url")
		require.NotContains(t, row(), "usage")
	})
}

func TestWrongListQueriesAreRefused(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	for query, name := range map[string]string{
		"start_time=2000-01-01":                             "start_time",
		"end_time=yesterday":                                "end_time",
		"start_time=20000101000000&end_time=20000102000001": "start_time",
		"start_time=20000102000000&end_time=20000101000000": "start_time",
		"page_no=0":     "page_no",
		"page_no=x":     "page_no",
		"page_size=0":   "page_size",
		"page_size=101": "page_size",
		"status=DONE":   "status",
	} {
		c.read("/api/v1/tasks?"+query).refused(400, "InvalidParameter",
			fmt.Sprintf("Required parameter(%s) missing or invalid, please check the request parameters.", name))
	}
}
