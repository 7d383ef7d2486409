package simulator_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func TestARelayedTaskGoesThroughItsStatesAndIsForgottenAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		id := c.ordered(flash()) // waits 3 s and runs 90 s
		is := func(status string, progress float64, cancellable bool) {
			t.Helper()
			answer := c.look(id)
			require.Equal(t, status, answer.at("status"))
			require.Equal(t, progress, answer.at("progress"))
			require.Equal(t, cancellable, answer.at("task_info", "can_cancel"))
		}
		is("pending", 0, true)
		time.Sleep(3 * time.Second)
		is("processing", 0, false)
		time.Sleep(45 * time.Second)
		is("processing", 49, false)
		time.Sleep(45*time.Second - time.Nanosecond)
		is("processing", 98, false)
		time.Sleep(time.Nanosecond)
		is("completed", 100, false)
		require.Len(t, c.look(id).at("results"), 1)
		time.Sleep(24*time.Hour - 93*time.Second - time.Nanosecond)
		is("completed", 100, false)
		time.Sleep(time.Nanosecond)
		c.look(id).denied(404, "task_not_found", "invalid_request_error", "")
		require.Zero(t, c.read("/v1/tasks").at("total"))
		require.Equal(t, array{}, c.post("/v1/tasks/batch", object{"task_ids": array{id}}).at("data"))
	})
}

func TestARelayedClipCanBePlayedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		id := c.ordered(relay26(set("quality", "1080p"), set("aspect_ratio", "3:4"), set("duration", 2)))
		time.Sleep(10 * time.Minute)
		link := c.look(id).at("results").(array)[0].(string)
		clip := c.read(link)
		require.Equal(t, "video/mp4", clip.header.Get("Content-Type"))
		film := probed(t, clip.body)
		require.Equal(t, 2*time.Second, film.length)
		require.Equal(t, [2]int{1248, 1632}, [2]int{film.width, film.height})
		time.Sleep(24 * time.Hour)
		require.Equal(t, 403, c.read(link).status)
	})
}

func TestIdsThatTheRelayDoesNotKnow(t *testing.T) {
	c := relay(t, simulator.Options{})
	for _, id := range []string{"1111", "task-unified-", "task-1757169743-7cvnl5zw", "task-unified-1%202", "task-unified-a!"} {
		c.look(id).denied(400, "invalid_task_id", "invalid_request_error", "")
	}
	c.look("task-unified-1757169743-7cvnl5zw").denied(404, "task_not_found", "invalid_request_error", "")
}

func TestTheRelayWantsItsKey(t *testing.T) {
	c := relay(t, simulator.Options{APIKey: "sk-test"})
	for _, wrong := range []headers{{"Authorization": ""}, {"Authorization": "Bearer sk-other"}, {"Authorization": "Basic sk-test"}} {
		for _, path := range []string{"/v1/tasks", "/v1/credits", "/v1/tasks/task-unified-1-a"} {
			c.send(http.MethodGet, path, nil, wrong).denied(401, "unauthorized", "authentication_error", "")
		}
		for _, path := range []string{relayPath, "/v1/tasks/batch", "/api/v1/files/upload/base64", "/api/v1/files/upload/stream", "/api/v1/files/upload/url"} {
			c.send(http.MethodPost, path, []byte(`{}`), wrong).denied(401, "unauthorized", "authentication_error", "")
		}
	}
	require.Equal(t, 200, c.read("/v1/tasks").status)
}

func TestTheRelayHasNothingElse(t *testing.T) {
	c := relay(t, simulator.Options{})
	id := c.ordered(flash())
	for method, paths := range map[string][]string{
		http.MethodPost:   {relayTasks + id, relayTasks + id + "/cancel", "/v1/tasks", "/v1/credits", createPath, "/upload"},
		http.MethodGet:    {relayPath, "/v1/tasks/batch", "/api/v1/tasks", "/api/v1/tasks/" + id, "/api/v1/uploads?action=getPolicy", "/", "/v1"},
		http.MethodDelete: {relayTasks + id},
	} {
		for _, path := range paths {
			c.send(method, path, nil, nil).denied(404, "not_found", "invalid_request_error", "")
		}
	}
	require.Equal(t, "pending", c.look(id).at("status"))
}

// The header is in no document, so nobody may rely on it.
func TestTheSameIdempotencyKeyMakesAnotherTask(t *testing.T) {
	c := relay(t, simulator.Options{})
	h := headers{"Content-Type": "application/json", "Idempotency-Key": "0123456789abcdef"}
	first, second := c.send(http.MethodPost, relayPath, encode(t, flash()), h), c.send(http.MethodPost, relayPath, encode(t, flash()), h)
	require.NotEqual(t, first.at("id"), second.at("id"))
	require.Equal(t, 2, c.tasks())
	require.Contains(t, string(c.read("/control/requests").body), `"Idempotency-Key":"0123456789abcdef"`)
}

func TestAReferenceThatCannotBeHadFailsTheRelayedTask(t *testing.T) {
	for address, code := range map[string]string{
		"https://a.test/gone.mp4": "resource_not_found", "https://a.test/page.mp4": "invalid_parameters", "https://a.test/a-31s.mp4": "invalid_parameters",
		"https://a.test/a-1.9s.mp4": "invalid_parameters", "https://a.test/clip": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			c := relay(t, simulator.Options{Client: &http.Client{Transport: new(internet)}})
			id := c.ordered(flash(set("video_urls", array{address})))
			require.Equal(t, "pending", c.look(id).at("status"))
			time.Sleep(10 * time.Minute)
			answer := c.look(id)
			if code == "" { // of 2.5 s
				require.Equal(t, 25.5, answer.at("usage", "credits_used"))
				return
			}
			require.Equal(t, code, answer.at("error", "code"))
			require.Equal(t, "task_error", answer.at("error", "type"))
		})
	}
}
