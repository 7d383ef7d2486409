package simulator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func TestATaskWaitsRunsEndsAndIsForgottenAfterADay(t *testing.T) {
	for name, at := range map[string]struct {
		order object
		runs  time.Duration
	}{
		"flash 5 s":       {wan26(), 90 * time.Second},
		"flash 10 s":      {wan26(set("parameters.duration", 10)), 120 * time.Second},
		"wan2.6 5 s":      {wan26(set("model", "wan2.6-r2v")), 130 * time.Second},
		"wan2.7 5 s":      {wan27(), 180 * time.Second},
		"wan2.7 no video": {wan27(set("input.media", media(1, 0, 0)), set("parameters.duration", 15)), 300 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{})
				id := c.task(at.order)
				require.Equal(t, "PENDING", c.status(id))
				time.Sleep(3*time.Second - time.Nanosecond)
				require.Equal(t, "PENDING", c.status(id))
				time.Sleep(time.Nanosecond)
				require.Equal(t, "RUNNING", c.status(id))
				time.Sleep(at.runs - time.Nanosecond)
				require.Equal(t, "RUNNING", c.status(id))
				time.Sleep(time.Nanosecond)
				require.Equal(t, "SUCCEEDED", c.status(id))
				time.Sleep(24*time.Hour - 3*time.Second - at.runs - time.Nanosecond)
				require.Equal(t, "SUCCEEDED", c.status(id))
				time.Sleep(time.Nanosecond)
				require.Equal(t, "UNKNOWN", c.status(id))
				require.Zero(t, c.read("/api/v1/tasks").at("total"))
			})
		})
	}
}

func TestTimesAreOfUTCPlus8WithMilliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock begins at 2000-01-01 00:00 UTC
		c := memory(t, simulator.Options{})
		time.Sleep(1234 * time.Millisecond)
		id := c.task(wan26())
		time.Sleep(time.Hour)
		output := c.read("/api/v1/tasks/" + id).at("output").(object)
		require.Equal(t, "2000-01-01 08:00:01.234", output["submit_time"])
		require.Equal(t, "2000-01-01 08:00:04.234", output["scheduled_time"])
		require.Equal(t, "2000-01-01 08:01:34.234", output["end_time"])
	})
}

func TestSpeedDividesTheLifeButNotTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Speed: 60})
		id := c.task(wan26())
		time.Sleep(49 * time.Millisecond)
		require.Equal(t, "PENDING", c.status(id))
		time.Sleep(time.Millisecond)
		require.Equal(t, "RUNNING", c.status(id))
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, "SUCCEEDED", c.status(id))
		time.Sleep(23 * time.Hour)
		require.Equal(t, "SUCCEEDED", c.status(id))
		time.Sleep(time.Hour)
		require.Equal(t, "UNKNOWN", c.status(id))
	})
}

func TestFiveTasksRunAtOnceAndTheRestQueueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true})
		var ids []string
		for range 12 {
			ids = append(ids, c.task(wan26())) // 90 s each
		}
		running := func() (n int) {
			for _, id := range ids {
				if c.status(id) == "RUNNING" {
					n++
				}
			}
			return n
		}
		time.Sleep(3 * time.Second)
		require.Equal(t, 5, running())
		require.Equal(t, "RUNNING", c.status(ids[4]))
		require.Equal(t, "PENDING", c.status(ids[5]))
		time.Sleep(90 * time.Second)
		require.Equal(t, 5, running())
		require.Equal(t, "SUCCEEDED", c.status(ids[4]))
		require.Equal(t, "RUNNING", c.status(ids[5]))
		require.Equal(t, "PENDING", c.status(ids[10]))
		time.Sleep(90 * time.Second)
		require.Equal(t, 2, running())
	})
}

func TestHowManyTasksRunAtOnceCanBeSet(t *testing.T) {
	for concurrent, running := range map[int]int{-1: 5, 0: 5, 1: 1, 7: 7} {
		synctest.Test(t, func(t *testing.T) {
			c := memory(t, simulator.Options{Unthrottled: true, Concurrent: concurrent})
			for range 8 {
				c.task(wan26())
			}
			gone := c.task(wan26())
			time.Sleep(3 * time.Second)
			require.Len(t, c.read("/api/v1/tasks?status=RUNNING").ids(), running)
			require.Equal(t, 200, c.post("/api/v1/tasks/"+gone+"/cancel", nil).status) // all are planned anew
			require.Len(t, c.read("/api/v1/tasks?status=RUNNING").ids(), running)
			time.Sleep(90 * time.Second)
			require.Len(t, c.read("/api/v1/tasks?status=SUCCEEDED").ids(), running)
		})
	}
}

func TestACancelledTaskGivesItsPlaceAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true})
		var ids []string
		for range 5 {
			ids = append(ids, c.task(wan26())) // until 93 s
		}
		long := c.task(wan27(set("parameters.duration", 10))) // 93 s to 333 s
		for range 4 {
			c.task(wan27(set("parameters.duration", 10)))
		}
		last := c.task(wan26()) // the 11th: 333 s to 423 s
		time.Sleep(50 * time.Second)
		require.Equal(t, 200, c.post("/api/v1/tasks/"+long+"/cancel", nil).status)
		require.Equal(t, "CANCELED", c.status(long))
		time.Sleep(42 * time.Second)
		require.Equal(t, "RUNNING", c.status(ids[0]))
		require.Equal(t, "PENDING", c.status(last))
		time.Sleep(time.Second)
		require.Equal(t, "SUCCEEDED", c.status(ids[0]))
		require.Equal(t, "RUNNING", c.status(last))
		time.Sleep(time.Hour)
		require.Equal(t, "CANCELED", c.status(long))
	})
}

func TestOnlyPendingTasksCanBeCancelled(t *testing.T) {
	const message = "Failed to cancel the task, please confirm if the task is in PENDING status."
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		id, gone := c.task(wan26()), c.task(wan26())
		cancel := func(id string) reply { return c.post("/api/v1/tasks/"+id+"/cancel", nil) }
		require.Equal(t, 200, cancel(gone).status)
		cancel(gone).refused(400, "UnsupportedOperation", message)
		cancel("1111").refused(400, "UnsupportedOperation", message)
		time.Sleep(3 * time.Second)
		cancel(id).refused(400, "UnsupportedOperation", message)
		time.Sleep(time.Hour)
		cancel(id).refused(400, "UnsupportedOperation", message)
		require.Equal(t, "SUCCEEDED", c.status(id))
	})
}
