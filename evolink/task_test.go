package evolink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

func TestGetReadsTheRecordedAnswers(t *testing.T) {
	const model = "wan2.6-reference-video-flash"
	created := time.Unix(1757169743, 0).UTC()
	clip := []string{"https://media.evolink.ai/task-unified-1757169743-7cvnl5zw.mp4"}
	tests := map[string]evolink.Task{
		"task-processing.json": {ID: taskID, Model: model, Status: "processing", Progress: 42, Created: created, EstimatedTime: 2 * time.Minute},
		"task-completed.json":  {ID: taskID, Model: model, Status: "completed", Progress: 100, Created: created, Results: clip},
		"task-completed-image.json": {
			ID: "task-unified-1756817821-4x3rx6ny", Model: "gpt-4o-image", Status: "completed", Progress: 100,
			Created: time.Unix(1756817821, 0).UTC(), Results: []string{"http://example.com/image.jpg"},
		},
		"task-completed-as-read-by-the-client.json": {
			ID: taskID, Model: model, Status: "completed", Progress: 100, Created: created, Results: clip, VideoDuration: "5",
			CreditsReserved: "17.0", CreditsUsed: "15.81", RequestID: "20250906144223000000000000000000",
		},
		"task-failed.json": {
			ID: taskID, Model: model, Status: "failed", Progress: 100, Created: created,
			Error: &evolink.TaskError{Code: "content_policy_violation", Type: "task_error",
				Message: "Content policy violation. Your request was blocked by safety filters."},
		},
		"task-failed-request-cancelled.json": {
			ID: taskID, Model: model, Status: "failed", Progress: 100, Created: created,
			Error: &evolink.TaskError{Code: "request_cancelled", Type: "task_error", Message: "Request cancelled."},
		},
		"task-cancelled.json": {ID: taskID, Model: model, Status: evolink.StatusCancelled, Created: created},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			c, u := serve(t, answer(reply{status: 200, body: text(t, name)}))
			task, err := c.GetTask(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, &want, task)
			require.True(t, strings.HasPrefix(u.requests()[0], "GET /gateway/v1/tasks/"+want.ID+" HTTP/1.1\n"))
		})
	}
}

// get reads a task t of which the answer says more.
func get(t *testing.T, more string) *evolink.Task {
	t.Helper()
	c, _ := serve(t, answer(reply{status: 200, body: `{"id":"t","status":"processing",` + more + `}`}))
	task, err := c.GetTask(t.Context(), "t")
	require.NoError(t, err)
	return task
}

func TestCreditsKeepTheirDigits(t *testing.T) {
	for sent, want := range map[string]string{
		`17.0`: "17.0", `"15.810"`: "15.810", `0.1000000000000000055511151231`: "0.1000000000000000055511151231", `5.0E-4`: "5.0E-4",
		`0`: "0", `-1`: "", `null`: "", `true`: "", `{}`: "", `"NaN"`: "", `1e999999999`: "", `""`: "", `99999999999999999999`: "99999999999999999999",
	} {
		task := get(t, fmt.Sprintf(`"video_duration":%[1]s,"usage":{"credits_reserved":%[1]s,"credits_used":%[1]s,"Credits_Used":7}`, sent))
		require.Equal(t, want, task.CreditsReserved.String(), sent)
		require.Equal(t, want, task.CreditsUsed.String(), sent)
		require.Equal(t, want, task.VideoDuration.String(), sent)
	}
	require.Equal(t, "5", get(t, `"video_duration":null,"task_info":{"video_duration":"5"}`).VideoDuration.String())
}

func TestProgressIsAPercentage(t *testing.T) {
	for sent, want := range map[string]int{
		`0`: 0, `42`: 42, `"42"`: 42, `42.9`: 42, `100`: 100, `101`: 100, `-5`: 0, `1e3`: 0, `null`: 0, `"42%"`: 0, `[]`: 0, `99999999999999999999`: 0,
	} {
		require.Equal(t, want, get(t, `"progress":`+sent).Progress, sent)
	}
}

func TestTimesAreSecondsOrRFC3339(t *testing.T) {
	at := time.Unix(1757169743, 0).UTC()
	for sent, want := range map[string]time.Time{
		`1757169743`: at, `"1757169743"`: at, `1757169743.7`: at, `"2025-09-06T22:42:23+08:00"`: at, `"2025-09-06T14:42:23.5Z"`: at,
		`0`: {}, `-1`: {}, `null`: {}, `"yesterday"`: {}, `"2025-09-06 14:42:23"`: {}, `9e18`: {}, `253402300800`: {},
		`"9999-12-31T23:59:59-12:00"`: {}, `"0001-01-01T00:00:00Z"`: {},
	} {
		require.Equal(t, want, get(t, `"created":`+sent).Created, sent)
	}
}

func TestResultsAreMergedAndOnlyLinks(t *testing.T) {
	const a, b = "https://media.example/a.mp4", "http://media.example/b.mp4?x=1&y=2"
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`"https://media.example/%d"`, i)
	}
	for sent, want := range map[string][]string{
		`"results":["` + a + `"]`: {a},
		`"results":["` + a + `","` + a + `"],"result_data":[{"video_url":"` + b + `"},{"video_url":"` + a + `"}]`: {a, b},
		`"results":[],"result_data":{"video_url":"` + b + `"}`:                                                    {b},
		`"results":null,"result_data":[null,7,{"video_url":null},{"video_url":"` + a + `"}]`:                      {a},
		`"results":"` + a + `"`: {a},
		`"results":[7,null,{},["x"],"","javascript:alert(1)","file:///etc/passwd","httpx://a","https://","//a/b","https://u:p@a/b","https://a/\u0000","https://a/b c d ` + "\\u202e" + `"]`: nil,
		`"results":{"video_url":"` + a + `"},"result_data":[{"image_url":"` + a + `"}]`:                                                                                                     nil,
	} {
		require.Equal(t, want, get(t, sent).Results, sent)
	}
	require.Len(t, get(t, `"results":[`+strings.Join(many, ",")+`]`).Results, 16)
}

func TestTaskErrorsAreReadInEveryForm(t *testing.T) {
	for sent, want := range map[string]*evolink.TaskError{
		`{"code":500,"message":"no","type":"task_error","suggestion":"change the input"}`: {Code: "500", Message: "no", Type: "task_error", Suggestion: "change the input"},
		`"it broke\n"`: {Message: "it broke"},
		`{}`:           nil, `null`: nil, `[]`: nil, `false`: nil, `{"code":null}`: nil,
	} {
		require.Equal(t, want, get(t, `"error":`+sent).Error, sent)
	}
}

func TestTruthMayBeQuoted(t *testing.T) {
	for sent, want := range map[string]bool{`true`: true, `"true"`: true, `1`: true, `false`: false, `"false"`: false, `0`: false, `null`: false, `"yes"`: false, `{}`: false} {
		require.Equal(t, want, get(t, `"task_info":{"can_cancel":`+sent+`}`).CanCancel, sent)
	}
}

func TestUnknownStatesAreKept(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 200, body: `{"id":"t","status":"suspended\u202e","new":[1]}`, header: map[string]string{"X-Request-ID": "from-the-header"}}))
	task, err := c.GetTask(t.Context(), "t")
	require.NoError(t, err)
	require.Equal(t, &evolink.Task{ID: "t", Status: "suspended", RequestID: "from-the-header"}, task)
}

func TestAnAnswerThatIsNotTheTaskIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"id":"t"}`, `{"status":"completed"}`, `{"id":"other","status":"completed"}`, `{"id":null,"status":"failed"}`, `{"data":{"id":"t","status":"completed"}}`} {
		c, _ := serve(t, answer(reply{status: 200, body: body}))
		_, err := c.GetTask(t.Context(), "t")
		require.Equal(t, 200, failure(t, err).StatusCode, body)
	}
}

func TestATaskThatIsGoneIsAnErrorWithItsCode(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 404, body: text(t, "refused-404-task-not-found.json")}))
	_, err := c.GetTask(t.Context(), taskID)
	e := failure(t, err)
	require.Equal(t, "task_not_found", e.Code)
	require.Equal(t, 404, e.StatusCode)
	require.False(t, e.Transient())
}

func TestIDsThatAreNoPathElementAreRefusedBeforeARequest(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: "{}"}))
	for _, id := range []string{"", ".", "..", "a/b", `a\b`, "../credits", "a b", "a\nb", "a\u202eb", strings.Repeat("a", 257)} {
		t.Run(id, func(t *testing.T) {
			_, err := c.GetTask(t.Context(), id)
			require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
			require.Regexp(t, `^get task: .*task id`, err)
			_, err = c.BatchTasks(t.Context(), []string{"good", id})
			require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
			require.Regexp(t, `^get tasks: .*task id`, err)
		})
	}
	require.Empty(t, u.requests())
	_, err := c.GetTask(t.Context(), "a%2F..?b")
	failure(t, err)
	require.True(t, strings.HasPrefix(u.requests()[0], "GET /gateway/v1/tasks/a%252F..%3Fb HTTP/1.1\n"))
}
