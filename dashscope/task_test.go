package dashscope_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestGetSendsNoCreateHeaders(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "task-running.json")}))
	_, err := c.GetTask(t.Context(), "a%2F..?b")
	require.NoError(t, err)
	requireHeads(t, u, c, `GET /gateway/api/v1/tasks/a%252F..%3Fb HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-canary-0123456789abcdef
User-Agent: r2v-mcp

`)
}

func TestGetReadsTheRecordedAnswers(t *testing.T) {
	utc := func(s string) time.Time {
		at, err := time.Parse("2006-01-02 15:04:05.000", s)
		require.NoError(t, err)
		return at
	}
	tests := map[string]dashscope.Task{
		"task-pending.json": {
			ID: "18814247-f944-4102-aa4a-xxxxxx", Status: "PENDING", RequestID: "1f4c8a3e-2b7d-9c5e-a6f1-xxxxxx",
			SubmitTime: utc("2026-04-02 14:53:19.537"),
		},
		"task-running.json": {
			ID: "18814247-f944-4102-aa4a-xxxxxx", Status: "RUNNING", RequestID: "e5d2a9b7-4c3f-9a1d-8e6b-xxxxxx",
			SubmitTime: utc("2026-04-02 14:53:19.537"), ScheduledTime: utc("2026-04-02 14:53:30.427"),
		},
		"task-succeeded-wan2.6.json": {
			ID: "eff1443c-ccab-4676-aad3-xxxxxx", Status: "SUCCEEDED", RequestID: "caa62a12-8841-41a6-8af2-xxxxxx",
			SubmitTime: utc("2025-12-15 16:25:59.869"), ScheduledTime: utc("2025-12-15 16:25:59.900"),
			EndTime:    utc("2025-12-15 16:30:35.396"),
			OrigPrompt: "character1 happily watches a movie on the sofa",
			VideoURL:   "https://dashscope-result-sh.oss-accelerate.aliyuncs.com/xxx.mp4?Expires=xxx",
			Usage: &dashscope.Usage{
				Duration: "10.0", InputVideoDuration: "5", OutputVideoDuration: "5", VideoCount: 1, SR: 720, Size: "1280*720",
			},
		},
		"task-succeeded-wan2.7.json": {
			ID: "18814247-f944-4102-aa4a-xxxxxx", Status: "SUCCEEDED", RequestID: "52cade0d-905e-9b7d-a01e-xxxxxx",
			SubmitTime: utc("2026-04-02 14:53:19.537"), ScheduledTime: utc("2026-04-02 14:53:30.427"),
			EndTime:    utc("2026-04-02 15:00:39.287"),
			OrigPrompt: "Video 2 holds Image 3 ...",
			VideoURL:   "https://dashscope-a717.oss-accelerate.aliyuncs.com/xxx.mp4?xxxx",
			Usage: &dashscope.Usage{
				Duration: "15", InputVideoDuration: "5", OutputVideoDuration: "10", VideoCount: 1, SR: 720, Ratio: "16:9",
			},
		},
		"task-failed.json": {
			ID: "86ecf553-d340-4e21-af6e-a0c6a421c010", Status: "FAILED", RequestID: "e5d70b02-ebd3-98ce-9fe8-759d7d7b107d",
			Code: "InvalidParameter", Message: "The size is not match xxxxxx",
		},
		"task-unknown.json": {
			ID: "502a00b1-19d9-4839-a82f-xxxxxx", Status: "UNKNOWN", RequestID: "a4de7c32-7057-9f82-8581-xxxxxx",
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 200, body: text(t, name)}))
			task, err := c.GetTask(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, &want, task)
		})
	}
}

func TestUsageNumbersKeepTheirDigits(t *testing.T) {
	tests := []struct{ sent, duration, sr string }{
		{`{"duration":15,"SR":720}`, "15", "720"},
		{`{"duration":10.0,"SR":720.0}`, "10.0", "720"},
		{`{"duration":14.95,"SR":"540"}`, "14.95", "540"},
		{`{"duration":"4.950","SR":"1080"}`, "4.950", "1080"},
		{`{"duration":0.1000000000000000055511151231,"SR":null}`, "0.1000000000000000055511151231", "0"},
		{`{"duration":5.0E-4,"SR":"720P"}`, "5.0E-4", "0"},
		{`{"duration":0,"SR":[]}`, "0", "0"},
		{`{"Duration":15,"sr":720}`, "", "0"},
		{`{"duration":1e999999999,"SR":1e9}`, "", "0"},
		{`{"duration":"NaN","SR":99999999999999999999}`, "", "0"},
		{`{"duration":true,"SR":{}}`, "", "0"},
		{`{}`, "", "0"},
	}
	for _, test := range tests {
		t.Run(test.sent, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 200, body: fmt.Sprintf(`{"output":{"task_id":"t","task_status":"SUCCEEDED"},"usage":%s}`, test.sent)}))
			task, err := c.GetTask(t.Context(), "t")
			require.NoError(t, err)
			require.Equal(t, test.duration, task.Usage.Duration.String())
			require.Equal(t, test.sr, fmt.Sprint(task.Usage.SR))
		})
	}
}

func TestGetToleratesWhatItDoesNotKnow(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 200, body: `{"new":[1],"request_id":null,"usage":null,"output":{"task_id":"t",
		"task_status":"SUSPENDED","submit_time":"yesterday","end_time":"2026-04-02 22:53:19","task_metrics":{"TOTAL":1},
		"actual_prompt":"a man waves"}}`, header: map[string]string{"X-Request-ID": "from-the-header"}}))
	task, err := c.GetTask(t.Context(), "t")
	require.NoError(t, err)
	require.Equal(t, &dashscope.Task{
		ID: "t", Status: "SUSPENDED", RequestID: "from-the-header", ActualPrompt: "a man waves",
		EndTime: time.Date(2026, 4, 2, 14, 53, 19, 0, time.UTC),
	}, task)
}

func TestIDsThatAreNoPathElementAreRefusedBeforeARequest(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: "{}"}))
	for _, id := range []string{"", ".", "..", "a/b", `a\b`, "../uploads", "a b", "a\nb", "a\u202eb", strings.Repeat("a", 257)} {
		t.Run(id, func(t *testing.T) {
			_, err := c.GetTask(t.Context(), id)
			require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
			require.Regexp(t, `^get task: .*task id`, err)
			err = c.CancelTask(t.Context(), id)
			require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
			require.Regexp(t, `^cancel task: .*task id`, err)
		})
	}
	require.Empty(t, u.requests())
}

func TestCancelSendsAnEmptyPost(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "cancel-accepted.json")}))
	require.NoError(t, c.CancelTask(t.Context(), "t-1"))
	requireHeads(t, u, c, `POST /gateway/api/v1/tasks/t-1/cancel HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-canary-0123456789abcdef
Content-Length: 0
User-Agent: r2v-mcp

`)
	require.Equal(t, []string{""}, u.bodies())
}

func TestCancelOfATaskThatRunsIsRefused(t *testing.T) {
	c, u := serve(t, answer(reply{status: 400, body: text(t, "cancel-refused-400-not-pending.json")}))
	e := failure(t, c.CancelTask(t.Context(), "t-1"))
	require.Equal(t, "UnsupportedOperation", e.Code)
	require.Equal(t, 400, e.StatusCode)
	require.Len(t, u.requests(), 1)
}

func TestCancelIsNoSuccessWithACode(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 200, body: text(t, "cancel-refused-400-not-pending.json")}))
	e := failure(t, c.CancelTask(t.Context(), "t-1"))
	require.Equal(t, "UnsupportedOperation", e.Code)
	require.Equal(t, 200, e.StatusCode)
}
