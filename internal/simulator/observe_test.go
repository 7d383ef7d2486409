package simulator_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func (c *client) observed() (list array) {
	c.t.Helper()
	answer := c.read("/control/tasks")
	require.Equal(c.t, 200, answer.status)
	require.NoError(c.t, json.Unmarshal(answer.body, &list))
	return list
}

// What was really made, and what it really costs, whatever the caller was told.
func TestEveryTaskAndItsBillCanBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock begins at 2000-01-01 00:00 UTC
		c := memory(t, simulator.Options{Unthrottled: true})
		require.Equal(t, array{}, c.observed())
		done := c.task(wan27())
		time.Sleep(1234567 * time.Microsecond)
		_, err := c.try(http.MethodPost, createPath, encode(t, prompted("[[fault:drop-after]] [[fault:hide-from-list]]")), createHeaders())
		require.Error(t, err)
		gone := c.task(wan26())
		c.post("/api/v1/tasks/"+gone+"/cancel", nil)
		bad := c.task(prompted("[[fault:fail-internal]]"))
		c.create(wan26(set("model", "nope")))

		first := object{
			"task_id": done, "prompt": "Video 1 dances", "model": "wan2.7-r2v", "status": "PENDING",
			"submitted": "2000-01-01T00:00:00Z", "ends": "2000-01-01T00:03:03Z", "usage": nil,
		}
		require.Equal(t, first, c.observed()[0])
		time.Sleep(time.Hour)
		list := c.observed()
		require.Len(t, list, 4)
		first["status"], first["usage"] = "SUCCEEDED", c.read("/api/v1/tasks/"+done).at("usage")
		require.NotEmpty(t, first["usage"])
		require.Equal(t, first, list[0])
		lost := list[1].(object)
		require.Equal(t, "character1 dances [[fault:drop-after]] [[fault:hide-from-list]]", lost["prompt"])
		require.Equal(t, c.read("/api/v1/tasks/"+lost["task_id"].(string)).at("usage"), lost["usage"])
		require.Equal(t, object{
			"task_id": gone, "prompt": "character1 dances", "model": "wan2.6-r2v-flash", "status": "CANCELED",
			"submitted": "2000-01-01T00:00:01.234567Z", "ends": "2000-01-01T00:00:01.234567Z", "usage": nil,
		}, list[2])
		require.Equal(t, bad, list[3].(object)["task_id"])
		require.Equal(t, "FAILED", list[3].(object)["status"])
		require.Nil(t, list[3].(object)["usage"])
		time.Sleep(24 * time.Hour)
		require.Equal(t, "UNKNOWN", c.observed()[0].(object)["status"])
		require.Nil(t, c.observed()[0].(object)["usage"])
	})
}

func TestTheMostCallsWithinASecondAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		rates := func() object { return c.read("/control/rates").json() }
		require.Equal(t, object{"create": 0., "get": 0., "list": 0., "cancel": 0.}, rates())
		gets := func(n int) {
			for range n {
				c.read("/api/v1/tasks/1111")
			}
		}
		gets(3)
		time.Sleep(time.Second - time.Nanosecond)
		gets(4) // with the three before
		require.Equal(t, 7., rates()["get"])
		time.Sleep(time.Nanosecond)
		gets(2) // with the four before
		require.Equal(t, 7., rates()["get"])
		time.Sleep(time.Second)
		gets(25) // five are throttled
		require.Equal(t, 429, c.read("/api/v1/tasks/1111").status)
		time.Sleep(time.Hour)

		c.create(wan26())
		c.read("/api/v1/tasks")
		c.read("/api/v1/tasks")
		c.post("/api/v1/tasks/1111/cancel", nil)
		c.read("/samples/x.png")
		require.Equal(t, object{"create": 1., "get": 26., "list": 2., "cancel": 1.}, rates())
	})
}

func TestAnswersTellTheServersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		time.Sleep(90 * time.Minute)
		require.Equal(t, "Sat, 01 Jan 2000 01:30:00 GMT", c.read("/api/v1/tasks").header.Get("Date"))
		c.post("/control/faults", object{"fault": "slow", "on": "list"})
		require.Equal(t, "Sat, 01 Jan 2000 01:30:30 GMT", c.read("/api/v1/tasks").header.Get("Date"))
	})
}
