package simulator_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// The examples of EvoLink's pages: "Wan 2.6 Reference Video Flash", "Get Task Detail", "Get Credits" and "Base64 Upload"; the
// failed task is put together of its schema's values, the list of what EvoLink's own client reads.
const (
	documentedCreate = `{"created":1757169743,"id":"task-unified-1757169743-7cvnl5zw","model":"wan2.6-reference-video-flash",
		"object":"video.generation.task","progress":0,"status":"pending","task_info":{"can_cancel":true,"estimated_time":120},
		"type":"video","usage":{"billing_rule":"per_call","credits_reserved":5,"user_group":"default"}}`
	documentedCompleted = `{"created":1756817821,"id":"task-unified-1756817821-4x3rx6ny","model":"gpt-4o-image",
		"object":"image.generation.task","progress":100,"results":["http://example.com/image.jpg"],"status":"completed",
		"task_info":{"can_cancel":false},"type":"image"}`
	documentedFailed = `{"created":1,"id":"task-unified-1-a","model":"m","object":"video.generation.task","status":"failed","progress":100,
		"error":{"code":"content_policy_violation","message":"m","type":"task_error"},"task_info":{"can_cancel":false},"type":"video"}`
	documentedProcessing = `{"created":1,"id":"task-unified-1-a","model":"m","object":"video.generation.task","status":"processing",
		"progress":50,"task_info":{"can_cancel":false},"type":"video"}`
	documentedList = `{"data":[{"id":"i","model":"m","type":"video","status":"completed","progress":100,"created_at":1,"duration":1,
		"has_results":true,"result_count":1,"has_error":false,"credits_used":1.5}],"total":1,"page":1,"page_size":20}`
	documentedCredits = `{"data":{"token":{"remaining_credits":99416.4429,"unlimited_credits":false,"used_credits":583.5571},
		"user":{"remaining_credits":1095.3996,"used_credits":135.9048}},"message":"","success":true}`
	documentedFile = `{"success":true,"code":200,"msg":"m","data":{"file_id":"file_abc123","file_name":"avatar.png",
		"original_name":"avatar.png","file_size":2048,"mime_type":"image/png","upload_path":"avatars",
		"file_url":"https://files.evolink.ai/avatars/avatar.png",
		"download_url":"https://files.evolink.ai/api/v1/files/download/file_abc123",
		"upload_time":"2025-10-09T00:00:00+08:00","expires_at":"2025-10-12T00:00:00+08:00"}}`
)

func TestRelayBodiesHaveTheShapeOfTheDocumentedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		same := func(documented string, answer reply) {
			t.Helper()
			var body object
			require.NoError(t, json.Unmarshal([]byte(documented), &body))
			require.Equal(t, 200, answer.status)
			require.Equal(t, shape(body), shape(answer.json()))
		}
		created := c.order(flash(set("prompt", "dance [[fault:no-usage]]")))
		same(documentedCreate, created)
		plain := created.at("id").(string)
		bad := c.ordered(flash(set("prompt", "dance [[fault:fail-data-inspection]]")))
		same(documentedProcessing, c.look(plain)) // pending has the same fields
		same(documentedFile, c.post("/api/v1/files/upload/base64", object{"base64_data": onePixel, "upload_path": "avatars", "file_name": "avatar.png"}))
		time.Sleep(10 * time.Second)
		same(documentedProcessing, c.look(plain))
		time.Sleep(10 * time.Minute)
		same(documentedCompleted, c.look(plain))
		same(documentedFailed, c.look(bad))
		same(documentedCredits, c.read("/v1/credits"))
		whole := relay(t, simulator.Options{})
		whole.ordered(flash())
		time.Sleep(10 * time.Minute)
		same(documentedList, whole.read("/v1/tasks"))
	})
}

func TestARelayedTaskIsCreatedAsDocumented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock begins at 2000-01-01 00:00 UTC
		c := relay(t, simulator.Options{})
		answer := c.order(flash())
		id := answer.at("id").(string)
		require.Regexp(t, `^task-unified-946684800-[0-9a-z]{8}$`, id)
		require.Equal(t, object{
			"created": 946684800., "id": id, "model": "wan2.6-reference-video-flash", "object": "video.generation.task", "progress": 0.,
			"status": "pending", "task_info": object{"can_cancel": true, "estimated_time": 93.}, "type": "video",
			"usage": object{"billing_rule": "per_second", "credits_reserved": 17., "user_group": "default"},
		}, answer.json())
		require.NotEqual(t, id, c.ordered(flash()))
	})
}
