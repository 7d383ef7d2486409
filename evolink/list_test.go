package evolink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

func TestListSendsItsConditions(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "list-empty.json")}))
	list, err := c.ListTasks(t.Context(), evolink.ListTasksRequest{Status: evolink.StatusProcessing, Model: "a&b", Page: 2, PageSize: 100})
	require.NoError(t, err)
	require.Empty(t, list.Tasks)
	requireHeads(t, u, c, `GET /gateway/v1/tasks?model=a%26b&page=2&page_size=100&status=processing HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-evo-canary-0123456789abcdef
User-Agent: r2v-mcp

`)
	_, err = c.ListTasks(t.Context(), evolink.ListTasksRequest{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(u.requests()[1], "GET /gateway/v1/tasks HTTP/1.1\n"), u.requests()[1])
}

func TestListReadsTheRecordedAnswer(t *testing.T) {
	header := map[string]string{"Date": "Sat, 06 Sep 2025 14:45:00 GMT", "X-Request-Id": "r-1"}
	c, _ := serve(t, answer(reply{status: 200, body: text(t, "list.json"), header: header}))
	list, err := c.ListTasks(t.Context(), evolink.ListTasksRequest{})
	require.NoError(t, err)
	require.Equal(t, &evolink.TaskList{
		ServedAt: time.Date(2025, 9, 6, 14, 45, 0, 0, time.UTC), Total: 2, Page: 1, PageSize: 20, RequestID: "r-1",
		Tasks: []evolink.TaskSummary{{
			ID: taskID, Model: "wan2.6-reference-video-flash", Type: "video", Status: "completed", Progress: 100,
			Created: time.Unix(1757169743, 0).UTC(), Duration: "97", CreditsUsed: "15.81", HasResults: true,
		}, {
			ID: "task-unified-1757169700-a1b2c3d4", Model: "wan2.7-reference-video", Type: "video", Status: "failed", Progress: 100,
			Created: time.Unix(1757169700, 0).UTC(), CreditsUsed: "0", HasError: true,
		}},
	}, list)
}

func TestListTimesMayBeText(t *testing.T) {
	for sent, want := range map[string]time.Time{
		`"created_at":"1757169743"`: time.Unix(1757169743, 0).UTC(), `"created":1757169743`: time.Unix(1757169743, 0).UTC(),
		`"created_at":null`: {}, `"created_at":"soon"`: {},
	} {
		c, _ := serve(t, answer(reply{status: 200, body: `{"total":"1","data":[{"id":"t",` + sent + `}]}`}))
		list, err := c.ListTasks(t.Context(), evolink.ListTasksRequest{})
		require.NoError(t, err)
		require.Equal(t, 1, list.Total)
		require.Equal(t, want, list.Tasks[0].Created, sent)
	}
}

// Times of tasks are compared with the service's clock: where it does not tell its time, ours must not pass for it.
func TestAListWithoutAReadableDateSaysNoTime(t *testing.T) {
	for _, date := range []string{"", "yesterday", "2025-04-25T08:07:09Z"} {
		c, _ := serve(t, answer(reply{status: 200, body: text(t, "list.json"), header: map[string]string{"Date": date}}))
		list, err := c.ListTasks(t.Context(), evolink.ListTasksRequest{})
		require.NoError(t, err)
		require.Zero(t, list.ServedAt, date)
	}
}

// A paid task is looked for in the list, so an answer that is no list must not read as an empty one.
func TestListsAreNeverEmptyByMistake(t *testing.T) {
	for i, body := range []string{
		`{}`, `{"total":0}`, `{"total":1,"data":null}`, `{"total":1,"data":{}}`, `{"data":[null]}`, `{"data":[7]}`,
		`{"data":[{"status":"processing"}]}`, `{"data":[{"id":"../credits","status":"failed"}]}`, `{"Data":[]}`, `[]`, `null`,
		`{"error":{"code":"unauthorized","message":"no","type":"authentication_error"}}`,
	} {
		t.Run(body, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 200, body: body}))
			_, err := c.ListTasks(t.Context(), evolink.ListTasksRequest{})
			require.Equal(t, 200, failure(t, err).StatusCode)
			_, err = c.BatchTasks(t.Context(), []string{fmt.Sprint("t-", i)})
			require.Equal(t, 200, failure(t, err).StatusCode)
		})
	}
}

func TestBatchReadsThoseTasksThatExist(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "batch.json"), header: map[string]string{"X-Request-Id": "r-1"}}))
	const failed, unknown = "task-unified-1757169700-a1b2c3d4", "task-unified-1757169700-unknown0"
	tasks, err := c.BatchTasks(t.Context(), []string{failed, unknown, taskID, failed})
	require.NoError(t, err)
	require.Len(t, tasks, 2)
	require.Equal(t, taskID, tasks[0].ID)
	require.Equal(t, 42, tasks[0].Progress)
	require.Equal(t, failed, tasks[1].ID)
	require.Equal(t, "content_policy_violation", tasks[1].Error.Code)
	require.Equal(t, "r-1", tasks[1].RequestID)
	require.Equal(t, []string{`{"task_ids":["` + failed + `","` + unknown + `","` + taskID + `"]}`}, u.bodies())
	require.True(t, strings.HasPrefix(u.requests()[0], "POST /gateway/v1/tasks/batch HTTP/1.1\n"))
}

func TestBatchGivesNoTaskThatWasNotAskedFor(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 200, body: text(t, "batch.json")}))
	tasks, err := c.BatchTasks(t.Context(), []string{taskID})
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.Equal(t, taskID, tasks[0].ID)
}

func TestBatchTakesOneToFiftyTasks(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: `{"data":[]}`}))
	ids := make([]string, 51)
	for i := range ids {
		ids[i] = fmt.Sprint("t-", i)
	}
	for _, bad := range [][]string{nil, {}, ids, append(ids, ids...)} {
		_, err := c.BatchTasks(t.Context(), bad)
		require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
		require.ErrorContains(t, err, "1 to 50")
	}
	require.Empty(t, u.requests())
	tasks, err := c.BatchTasks(t.Context(), append(ids[:50:50], ids[:50]...))
	require.NoError(t, err)
	require.Empty(t, tasks)
	require.Len(t, u.requests(), 1)
}

func TestCreditsReadTheRecordedAnswer(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "credits.json")}))
	credits, err := c.Credits(t.Context())
	require.NoError(t, err)
	require.Equal(t, &evolink.Credits{
		Account: evolink.CreditLine{Remaining: "1095.3996", Used: "135.9048"},
		Key:     evolink.CreditLine{Remaining: "99416.4429", Used: "583.5571"},
	}, credits)
	require.True(t, strings.HasPrefix(u.requests()[0], "GET /gateway/v1/credits HTTP/1.1\n"))
}

func TestCreditsAreNeverNothingByMistake(t *testing.T) {
	for _, body := range []string{`{}`, `{"success":true,"data":{}}`, `{"data":{"user":{}}}`, `{"success":false,"message":"no","data":{"user":{"used_credits":1}}}`} {
		c, _ := serve(t, answer(reply{status: 200, body: body}))
		_, err := c.Credits(t.Context())
		require.Equal(t, 200, failure(t, err).StatusCode, body)
	}
	c, _ := serve(t, answer(reply{status: 200, body: `{"data":{"token":{"unlimited_credits":"true"},"user":{"remaining_credits":"-1.5"}}}`}))
	credits, err := c.Credits(t.Context())
	require.NoError(t, err)
	require.True(t, credits.Key.Unlimited)
	require.Equal(t, "-1.5", credits.Account.Remaining.String())
}
