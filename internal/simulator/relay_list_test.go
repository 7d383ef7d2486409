package simulator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// listed are the ids of a list or a batch, in its order.
func (r reply) listed() []string {
	r.t.Helper()
	require.Equal(r.t, 200, r.status, "%s", r.body)
	ids := []string{}
	for _, row := range r.at("data").(array) {
		ids = append(ids, row.(object)["id"].(string))
	}
	return ids
}

func TestTheRelaysListIsNewestFirstInPagesAndCanBeNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{Concurrent: 99})
		var ids []string
		for range 19 {
			ids = append([]string{c.ordered(flash())}, ids...)
			time.Sleep(time.Second)
		}
		bad := c.ordered(relay27(set("prompt", "[[fault:fail-parameter]]")))
		gone := c.ordered(relay27(set("prompt", "[[fault:cancelled]]")))
		ids = append([]string{gone, bad}, ids...)
		require.Equal(t, ids[:20], c.read("/v1/tasks").listed())
		require.Equal(t, ids[20:], c.read("/v1/tasks?page=2").listed())
		require.Equal(t, ids[7:14], c.read("/v1/tasks?page=2&page_size=7").listed())
		require.Empty(t, c.read("/v1/tasks?page=9").listed())
		page := c.read("/v1/tasks?page=2&page_size=7").json()
		require.Equal(t, []any{21., 2., 7.}, []any{page["total"], page["page"], page["page_size"]})
		require.Equal(t, ids[:2], c.read("/v1/tasks?model=wan2.7-reference-video").listed())
		require.Empty(t, c.read("/v1/tasks?type=image").listed())
		require.Len(t, c.read("/v1/tasks?type=video&status=processing").listed(), 17)
		time.Sleep(10 * time.Minute)
		require.Equal(t, []string{bad}, c.read("/v1/tasks?status=failed").listed())
		require.Equal(t, []string{gone}, c.read("/v1/tasks?status=cancelled").listed())
		require.Len(t, c.read("/v1/tasks?status=completed").listed(), 19)
		row := c.read("/v1/tasks?status=completed&page_size=1").at("data").(array)[0]
		require.Equal(t, object{
			"id": ids[2], "model": "wan2.6-reference-video-flash", "type": "video", "status": "completed", "progress": 100., "created_at": 946684818.,
			"duration": 93., "has_results": true, "result_count": 1., "has_error": false, "credits_used": 34.,
		}, row)
		for query, param := range map[string]string{
			"status=SUCCEEDED": "status", "page=0": "page", "page=x": "page", "page_size=0": "page_size", "page_size=101": "page_size",
		} {
			c.read("/v1/tasks?"+query).denied(400, "invalid_request", "invalid_request_error", param)
		}
	})
}

func TestABatchIsInTheOrderOfItsIdsWithoutThoseThatNobodyKnows(t *testing.T) {
	c := relay(t, simulator.Options{})
	a, b := c.ordered(flash()), c.ordered(relay27())
	batch := func(ids array) reply { return c.post("/v1/tasks/batch", object{"task_ids": ids}) }
	answer := batch(array{b, "task-unified-1-a", "nonsense", a})
	require.Equal(t, []string{b, a}, answer.listed())
	require.Equal(t, c.look(b).json(), answer.at("data").(array)[0])
	require.Empty(t, batch(times(50, "task-unified-1-a")).listed())
	batch(times(51, a)).denied(400, "invalid_request", "invalid_request_error", "task_ids")
	batch(array{}).denied(400, "invalid_request", "invalid_request_error", "task_ids")
	batch(array{5}).denied(400, "invalid_request", "invalid_request_error", "")
}

func TestHowSoonATaskWasReadAgainIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{APIKey: "sk-test"})
		a, b, never := c.ordered(flash()), c.ordered(flash()), c.ordered(flash())
		c.look(a)
		time.Sleep(9 * time.Second)
		c.post("/v1/tasks/batch", object{"task_ids": array{a, b, "task-unified-1-a"}})
		time.Sleep(8500 * time.Millisecond)
		c.arm("503", "get")
		require.Equal(t, 503, c.look(a).status, "a read that goes wrong is one")
		time.Sleep(20 * time.Second)
		c.look(a)
		c.read("/v1/tasks")
		require.JSONEq(t, `[{"task_id":"`+a+`","reads":4,"shortest_seconds":8.5},{"task_id":"`+b+`","reads":1,"shortest_seconds":null},
			{"task_id":"`+never+`","reads":0,"shortest_seconds":null}]`, string(c.read("/control/reads").body))
		c.send("GET", relayTasks+a, nil, headers{"Authorization": ""})
		require.Contains(t, string(c.read("/control/reads").body), `"reads":5,"shortest_seconds":0}`)
	})
}

func TestReadsOfADashScopeAreKnownToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		id := c.task(wan26())
		c.status(id)
		time.Sleep(1500 * time.Millisecond)
		c.status(id)
		require.JSONEq(t, `[{"task_id":"`+id+`","reads":2,"shortest_seconds":1.5}]`, string(c.read("/control/reads").body))
	})
}

func TestTheRelayIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		id := c.ordered(flash())
		c.look(id)
		c.look(id)
		c.read("/v1/tasks")
		c.post("/v1/tasks/batch", object{"task_ids": array{id}})
		c.read("/v1/credits")
		c.post("/api/v1/files/upload/base64", object{"base64_data": onePixel})
		require.Equal(t, object{"create": 1., "get": 2., "list": 1., "batch": 1., "credits": 1., "upload": 1., "callback": 0., "result": 0., "sample": 0.,
			"redirected": 0., "tasks": 1.}, c.read("/control/counters").json())
		require.Equal(t, object{"create": 1., "get": 2., "list": 1., "batch": 1.}, c.read("/control/rates").json())
		require.Equal(t, object{
			"task_id": id, "prompt": "A person dancing", "model": "wan2.6-reference-video-flash", "status": "PENDING",
			"submitted": "2000-01-01T00:00:00Z", "ends": "2000-01-01T00:01:33Z", "usage": nil,
		}, c.observed()[0])
	})
}
