package simulator_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// What the official Python SDK 1.26.2 puts on the wire, its headers and its order of keys.
func sdk(more headers) headers {
	all := headers{
		"User-Agent":      "dashscope/1.26.2; python/3.11.2; platform/Linux-6.1; processor/",
		"Accept-Encoding": "gzip, deflate",
		"Accept":          "application/json; charset=utf-8",
	}
	maps.Copy(all, more)
	return all
}

const (
	sdkWan26 = `{"model":"wan2.6-r2v-flash","parameters":{"audio":true,"size":"1280*720","duration":5,"seed":7,"watermark":true,"shot_type":"multi"},` +
		`"input":{"prompt":"character1 and character2 舞","extend_prompt":true,"negative_prompt":"blur","function":"video-synthesis",` +
		`"reference_urls":["https://a.test/role1.mp4","https://a.test/object.png"]}}`
	sdkWan27 = `{"model":"wan2.7-r2v","parameters":{"duration":10,"prompt_extend":false,"watermark":true,"resolution":"720P","ratio":"16:9"},` +
		`"input":{"prompt":"Video 1 dances","extend_prompt":true,"function":"video-synthesis","media":[` +
		`{"type":"reference_image","url":"https://a.test/a.png","reference_voice":"https://a.test/a.mp3"},` +
		`{"type":"reference_video","url":"https://a.test/b.mp4"},{"type":"first_frame","url":"https://a.test/c.webp"}]}}`
	javaWan27 = `{"model":"wan2.7-r2v","input":{"prompt":"Image 1 waves","extend_prompt":true,"media":[` +
		`{"url":"https://a.test/a.png","type":"reference_image","referenceVoice":"https://a.test/a.mp3"}]},"parameters":{"with_audio":false,"duration":5}}`
)

// readable checks what the SDK needs of a good answer: 200, application/json, output with both words, usage an object
// or absent.
func readable(t *testing.T, answer reply) string {
	t.Helper()
	require.Equal(t, http.StatusOK, answer.status, "%s", answer.body)
	require.Contains(t, answer.header.Get("Content-Type"), "application/json")
	require.NotEmpty(t, answer.at("output", "task_id"))
	require.NotEmpty(t, answer.at("output", "task_status"))
	if usage, present := answer.json()["usage"]; present {
		require.IsType(t, object{}, usage)
	}
	return answer.at("output", "task_id").(string)
}

func TestTheOfficialSDKsRequestsAreUnderstood(t *testing.T) {
	c := sockets(t, simulator.Options{Speed: fast, Unthrottled: true})
	create := sdk(headers{"X-DashScope-Async": "enable", "Content-Type": "application/json; charset=utf-8"})
	for name, body := range map[string]string{"wan2.6": sdkWan26, "wan2.7": sdkWan27, "Java": javaWan27} {
		t.Run(name, func(t *testing.T) {
			id := readable(t, c.send(http.MethodPost, createPath, []byte(body), create))
			polls := []string{
				"/api/v1/tasks/" + id,       // the sync client's
				"/api/v1/tasks/" + id + "/", // the async client's fetch
				"/api/v1/tasks/" + id + "/?audio=false&size=1280*720&duration=5&seed=7", // and its wait
			}
			for _, path := range polls {
				require.Equal(t, id, readable(t, c.send(http.MethodGet, path, nil, sdk(nil))))
			}
			require.Eventually(t, func() bool { return c.status(id) == "SUCCEEDED" }, 5*time.Second, time.Millisecond)
			readable(t, c.send(http.MethodGet, polls[0], nil, sdk(nil)))
		})
	}
	list := c.send(http.MethodGet, "/api/v1/tasks?page_no=1&page_size=10&region=cn-beijing", nil, sdk(nil))
	require.EqualValues(t, 3, list.at("total"))
}

func TestTheOfficialSDKsCancelsAreUnderstood(t *testing.T) {
	c := sockets(t, simulator.Options{})
	id := c.task(wan26())
	require.Equal(t, 200, c.send(http.MethodPost, "/api/v1/tasks/"+id+"/cancel", nil, sdk(nil)).status)
	id = c.task(wan26())
	answer := c.send(http.MethodPost, "/api/v1/tasks/"+id+"/cancel/", []byte(`{"model":"","parameters":{},"input":""}`),
		sdk(headers{"Content-Type": "application/json"}))
	require.Equal(t, 200, answer.status)
	require.Len(t, answer.json(), 1)
}

func TestTheOfficialSDKsUploadsAreUnderstood(t *testing.T) {
	c := sockets(t, simulator.Options{})
	address := c.uploaded("夏 1.png", []byte("picture"))
	body := strings.Replace(javaWan27, "https://a.test/a.png", address, 1)
	readable(t, c.send(http.MethodPost, createPath, []byte(body), sdk(headers{
		"X-DashScope-Async": "enable", "Content-Type": "application/json; charset=utf-8", "X-DashScope-OssResourceResolve": "enable",
	})))
}
