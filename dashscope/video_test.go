package dashscope_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestCreateSendsExactlyTheDocumentedRequest(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	task, err := c.CreateVideo(t.Context(), &dashscope.VideoRequest{
		Model: "wan2.7-r2v",
		Input: dashscope.VideoInput{
			Prompt:         `图1 says "a < b & c > d"`,
			NegativePrompt: "rain",
			Media: []dashscope.Media{
				{Type: "reference_image", URL: "https://example.com/a.png?x=1&y=2", ReferenceVoice: "https://example.com/v.mp3"},
				{Type: "first_frame", URL: "https://example.com/f.png"},
			},
		},
		Parameters: dashscope.VideoParameters{
			Resolution: "720P", Ratio: "16:9", Duration: new(10),
			PromptExtend: new(false), Watermark: new(true), Seed: new(int64(0)),
		},
	})
	require.NoError(t, err)
	require.Equal(t, "0385dc79-5ff8-4d82-bcb6-xxxxxx", task.ID)
	require.Equal(t, dashscope.StatusPending, task.Status)
	require.Equal(t, "4909100c-7b5a-9f92-bfe5-xxxxxx", task.RequestID)

	require.Equal(t, []string{`{"model":"wan2.7-r2v","input":{"prompt":"图1 says \"a < b & c > d\"","negative_prompt":"rain","media":[` +
		`{"type":"reference_image","url":"https://example.com/a.png?x=1&y=2","reference_voice":"https://example.com/v.mp3"},` +
		`{"type":"first_frame","url":"https://example.com/f.png"}]},` +
		`"parameters":{"resolution":"720P","ratio":"16:9","duration":10,"prompt_extend":false,"watermark":true,"seed":0}}`}, u.bodies())
	requireHeads(t, u, c, fmt.Sprintf(`POST /gateway/api/v1/services/aigc/video-generation/video-synthesis HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-canary-0123456789abcdef
Connection: close
Content-Length: %d
Content-Type: application/json
User-Agent: r2v-mcp
X-Dashscope-Async: enable

`, len(u.bodies()[0])))
}

func TestCreateLeavesOutWhatIsNotGiven(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	_, err := c.CreateVideo(t.Context(), &dashscope.VideoRequest{
		Model: "wan2.6-r2v",
		Input: dashscope.VideoInput{Prompt: "character1 sings", ReferenceURLs: []string{"https://example.com/a.mp4"}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{`{"model":"wan2.6-r2v","input":{"prompt":"character1 sings",` +
		`"reference_urls":["https://example.com/a.mp4"]},"parameters":{}}`}, u.bodies())
}

func TestCreateSendsTheFieldsOfTheOlderForm(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	_, err := c.CreateVideo(t.Context(), &dashscope.VideoRequest{
		Model:      "wan2.6-r2v-flash",
		Parameters: dashscope.VideoParameters{Size: "1280*720", Duration: new(5), ShotType: "multi", Audio: new(false)},
	})
	require.NoError(t, err)
	require.Equal(t, []string{`{"model":"wan2.6-r2v-flash","input":{"prompt":""},` +
		`"parameters":{"size":"1280*720","duration":5,"shot_type":"multi","audio":false}}`}, u.bodies())
}

func TestCreateAsksForUploadsToBeResolved(t *testing.T) {
	const upload = "oss://dashscope-instant/a.png"
	tests := map[string]struct {
		input dashscope.VideoInput
		want  bool
	}{
		"reference url":   {dashscope.VideoInput{ReferenceURLs: []string{"https://example.com/a", upload}}, true},
		"media":           {dashscope.VideoInput{Media: []dashscope.Media{{URL: upload}}}, true},
		"voice":           {dashscope.VideoInput{Media: []dashscope.Media{{URL: "https://example.com/a", ReferenceVoice: upload}}}, true},
		"no upload":       {dashscope.VideoInput{Media: []dashscope.Media{{URL: "https://example.com/oss://"}}}, false},
		"only the prompt": {dashscope.VideoInput{Prompt: upload}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
			_, err := c.CreateVideo(t.Context(), &dashscope.VideoRequest{Input: test.input})
			require.NoError(t, err)
			require.Equal(t, test.want, strings.Contains(u.requests()[0], "\nX-Dashscope-Ossresourceresolve: enable\n"))
		})
	}
}

// An id that was paid for must survive whatever else is odd about the answer.
func TestCreateFindsTheTaskIDInAnOddAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"no status":        `{"output":{"task_id":"t-1"}}`,
		"other types":      `{"request_id":7,"output":{"task_id":"t-1","task_status":[],"submit_time":1},"usage":"none"}`,
		"unknown fields":   `{"output":{"task_id":"t-1","extra":{"a":[1]}},"new":true}`,
		"other case first": `{"output":{"TASK_ID":"t-2","task_id":"t-1","Task_Id":"t-3"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 200, body: body, header: map[string]string{"Content-Type": "text/html"}}))
			task, err := c.CreateVideo(t.Context(), video())
			require.NoError(t, err)
			require.Equal(t, "t-1", task.ID)
		})
	}
}

func TestCreateWithoutARequestIsNotSent(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200}))
	_, err := c.CreateVideo(t.Context(), nil)
	require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
	require.Empty(t, u.requests())
}

func requireHeads(t *testing.T, u *upstream, c *dashscope.Client, want ...string) {
	t.Helper()
	at, err := url.Parse(address(c))
	require.NoError(t, err)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "HOST", at.Host)
	}
	require.Equal(t, want, u.requests())
}
