package evolink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

func TestCreateSendsExactlyTheDocumentedRequest(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	task, err := c.CreateVideo(t.Context(), &evolink.VideoRequest{
		Model: "wan2.6-reference-video-flash", Prompt: "A person dancing",
		VideoURLs: []string{"https://help-static-aliyun-doc.aliyuncs.com/file-manage-files/xxx.mp4"},
	}, idem)
	require.NoError(t, err)
	require.Equal(t, &evolink.Task{
		ID: taskID, Model: "wan2.6-reference-video-flash", Status: evolink.StatusPending,
		Created: time.Unix(1757169743, 0).UTC(), EstimatedTime: 2 * time.Minute, CanCancel: true, CreditsReserved: "5",
	}, task)
	require.Equal(t, []string{`{"model":"wan2.6-reference-video-flash","prompt":"A person dancing",` +
		`"video_urls":["https://help-static-aliyun-doc.aliyuncs.com/file-manage-files/xxx.mp4"]}`}, u.bodies())
	requireHeads(t, u, c, fmt.Sprintf(`POST /gateway/v1/videos/generations HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-evo-canary-0123456789abcdef
Connection: close
Content-Length: %d
Content-Type: application/json
Idempotency-Key: r2v-0123456789abcdef
User-Agent: r2v-mcp

`, len(u.bodies()[0])))
}

func TestCreateSendsWhatEachModelKnows(t *testing.T) {
	tests := map[string]struct {
		request evolink.VideoRequest
		want    string
	}{
		"2.6": {evolink.VideoRequest{
			Model: "m", Prompt: `says "a < b & c > d"`, VideoURLs: []string{"https://example.com/a.mp4?x=1&y=2"},
			Quality: "1080p", AspectRatio: "9:16", Duration: new(10), GenerateAudio: new(false),
			ModelParams: evolink.ModelParams{ShotType: "multi"}, CallbackURL: "https://example.com/callbacks/x",
		}, `{"model":"m","prompt":"says \"a < b & c > d\"","video_urls":["https://example.com/a.mp4?x=1&y=2"],"quality":"1080p",` +
			`"aspect_ratio":"9:16","duration":10,"generate_audio":false,"callback_url":"https://example.com/callbacks/x",` +
			`"model_params":{"shot_type":"multi"}}`},
		"2.7": {evolink.VideoRequest{
			Model: "m", Prompt: "图1 talks", NegativePrompt: "rain", ImageStart: "https://example.com/f.png",
			ImageURLs: []string{"https://example.com/1.png"}, Seed: new(int64(0)), PromptExtend: new(false),
			ModelParams: evolink.ModelParams{VoiceBindings: map[string]string{"video1": "https://example.com/w", "image1": "https://example.com/v"}},
		}, `{"model":"m","prompt":"图1 talks","negative_prompt":"rain","image_start":"https://example.com/f.png",` +
			`"image_urls":["https://example.com/1.png"],"seed":0,"prompt_extend":false,` +
			`"model_params":{"voice_bindings":{"image1":"https://example.com/v","video1":"https://example.com/w"}}}`},
		"nothing": {evolink.VideoRequest{ImageURLs: []string{}, ModelParams: evolink.ModelParams{VoiceBindings: map[string]string{}}}, `{}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
			_, err := c.CreateVideo(t.Context(), &test.request, idem)
			require.NoError(t, err)
			require.Equal(t, []string{test.want}, u.bodies())
		})
	}
}

// An id that was paid for must survive whatever else is odd about the answer.
func TestCreateFindsTheTaskIDInAnOddAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"no status":        `{"id":"t-1"}`,
		"other types":      `{"request_id":7,"id":"t-1","status":[],"created":{},"progress":"x","usage":"none","task_info":[],"results":7,"error":[]}`,
		"nulls":            `{"id":"t-1","status":null,"created":null,"progress":null,"usage":null,"task_info":null,"results":null,"error":null}`,
		"unknown fields":   `{"id":"t-1","extra":{"a":[1]},"new":true}`,
		"other case first": `{"ID":"t-2","id":"t-1","Id":"t-3"}`,
		"with an error":    `{"id":"t-1","error":{"code":"invalid_request","message":"no","type":"invalid_request_error"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 200, body: body, header: map[string]string{"Content-Type": "text/html"}}))
			task, err := create(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, "t-1", task.ID)
		})
	}
}

func TestCreateSaysWhetherTheAnswerIsAnEarlierOne(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "True": true, "false": false, "": false, "1?": false} {
		header := map[string]string{"Idempotency-Replayed": value, "X-Oneapi-Request-Id": "r-1"}
		c, _ := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json"), header: header}))
		task, err := create(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, want, task.Replayed, value)
		require.Equal(t, "r-1", task.RequestID)
	}
}

func TestOnlyKeysOfTheKnownFormAreSent(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	for _, bad := range []string{"", "short", strings.Repeat("a", 15), strings.Repeat("a", 97), "0123456789 abcdef", "0123456789abcde\n", "0123456789abcdeé", "0123456789/abcdef"} {
		_, err := c.CreateVideo(t.Context(), video(), bad)
		require.Equal(t, evolink.FateNotSent, failure(t, err).Fate(), bad)
		require.ErrorContains(t, err, "idempotency key")
	}
	_, err := c.CreateVideo(t.Context(), nil, idem)
	require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
	require.Empty(t, u.requests())
	for _, good := range []string{strings.Repeat("a", 16), strings.Repeat("Z", 96), "A.b_c-0123456789"} {
		_, err := c.CreateVideo(t.Context(), video(), good)
		require.NoError(t, err)
	}
	require.Len(t, u.requests(), 3)
}
