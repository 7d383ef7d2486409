package dashscope_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestListSendsTimesInBeijingTime(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "list.json")}))
	_, err := c.ListTasks(t.Context(), dashscope.ListTasksRequest{
		Start: time.Date(2026, 4, 1, 20, 0, 0, 0, time.UTC),
		End:   time.Date(2026, 4, 2, 15, 4, 5, 999, time.FixedZone("", -5*60*60)),
		Model: "wan2.7-r2v", Status: dashscope.StatusRunning, TaskID: "a&b", PageNo: 2, PageSize: 100,
	})
	require.NoError(t, err)
	requireHeads(t, u, c, `GET /gateway/api/v1/tasks/?end_time=20260403040405&model_name=wan2.7-r2v&page_no=2&page_size=100`+
		`&start_time=20260402040000&status=RUNNING&task_id=a%26b HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-canary-0123456789abcdef
User-Agent: r2v-mcp

`)
}

func TestListWithoutConditionsSendsNone(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "list-empty.json")}))
	list, err := c.ListTasks(t.Context(), dashscope.ListTasksRequest{})
	require.NoError(t, err)
	require.Empty(t, list.Tasks)
	require.True(t, strings.HasPrefix(u.requests()[0], "GET /gateway/api/v1/tasks/ HTTP/1.1\n"), u.requests()[0])
}

func TestListReadsTheRecordedAnswer(t *testing.T) {
	date := map[string]string{"Date": "Fri, 25 Apr 2025 08:07:09 GMT"}
	c, _ := serve(t, answer(reply{status: 200, body: text(t, "list.json"), header: date}))
	list, err := c.ListTasks(t.Context(), dashscope.ListTasksRequest{})
	require.NoError(t, err)
	require.Equal(t, &dashscope.TaskList{
		ServedAt: time.Date(2025, 4, 25, 8, 7, 9, 0, time.UTC),
		Total:    2, TotalPages: 1, PageNo: 1, PageSize: 10, RequestID: "f6756b7e-d0bb-9b74-813a-xxxxxx",
		Tasks: []dashscope.TaskSummary{{
			ID: "50e2ccea-abc4-43d7-a0dc-xxxxxx", Status: "RUNNING", Model: "wanx2.1-kf2v-plus", Region: "cn-beijing",
			RequestID: "1abfc3c8-dd25-98da-ad0b-xxxxxx",
			Created:   time.Date(2025, 4, 25, 8, 7, 8, 109e6, time.UTC),
			Started:   time.Date(2025, 4, 25, 8, 7, 8, 138e6, time.UTC),
		}, {
			ID: "a8532587-xxxx-xxxx-xxxx-0c46b17950d1", Status: "SUCCEEDED", Model: "wanx2.1-kf2v-plus", Region: "cn-beijing",
			RequestID: "6f0d8b1c-0b5e-9f0e-8d4c-xxxxxx",
			Created:   time.Date(2025, 4, 25, 8, 0, 10, 220e6, time.UTC),
			Started:   time.Date(2025, 4, 25, 8, 0, 10, 251e6, time.UTC),
			Ended:     time.Date(2025, 4, 25, 8, 5, 2, 481e6, time.UTC),
		}},
	}, list)
}

// Times of tasks are compared with the service's clock: where it does not tell its time, ours must not pass for it.
func TestAListWithoutAReadableDateSaysNoTime(t *testing.T) {
	for _, date := range []string{"", "yesterday", "2025-04-25T08:07:09Z"} {
		c, _ := serve(t, answer(reply{status: 200, body: text(t, "list.json"), header: map[string]string{"Date": date}}))
		list, err := c.ListTasks(t.Context(), dashscope.ListTasksRequest{})
		require.NoError(t, err)
		require.Zero(t, list.ServedAt, date)
	}
}

func TestListTimesMayBeText(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 200, body: `{"total":"1","data":[{"task_id":"t","gmt_create":"1745568428109",
		"start_time":"","end_time":9e18}]}`}))
	list, err := c.ListTasks(t.Context(), dashscope.ListTasksRequest{})
	require.NoError(t, err)
	require.Equal(t, 1, list.Total)
	require.Equal(t, time.Date(2025, 4, 25, 8, 7, 8, 109e6, time.UTC), list.Tasks[0].Created)
	require.Zero(t, list.Tasks[0].Started)
	require.Zero(t, list.Tasks[0].Ended)
}

// A paid task is looked for in the list, so an answer that is no list must not read as an empty one.
func TestListIsNeverEmptyByMistake(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"total":0}`, `{"total":1,"data":null}`, `{"total":1,"data":{}}`, `{"data":[null]}`, `{"data":[7]}`,
		`{"data":[{"status":"RUNNING"}]}`, `{"data":[{"task_id":"../uploads"}]}`, `{"Data":[]}`, `[]`, `null`,
	} {
		t.Run(body, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 200, body: body}))
			_, err := c.ListTasks(t.Context(), dashscope.ListTasksRequest{})
			require.Equal(t, 200, failure(t, err).StatusCode)
		})
	}
}
