package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

const invalidURL = "Invalid URL provided in your request."

func urls(n int, format string) array {
	var list array
	for i := range n {
		list = append(list, fmt.Sprintf(format, i))
	}
	return list
}

func medium(kind, address string) object { return object{"type": kind, "url": address} }

func media(images, videos, frames int) array {
	var list array
	for i := range images {
		list = append(list, medium("reference_image", fmt.Sprintf("https://a.test/%d.png", i)))
	}
	for i := range videos {
		list = append(list, medium("reference_video", fmt.Sprintf("https://a.test/%d.mp4", i)))
	}
	for range frames {
		list = append(list, medium("first_frame", "https://a.test/frame.webp"))
	}
	return list
}

type rule struct {
	changes       []change
	code, message string // empty: a good order
}

func good(changes ...change) rule { return rule{changes: changes} }

func wrong(message string, changes ...change) rule {
	return rule{changes, "InvalidParameter", message}
}

func badURL(changes ...change) rule { return rule{changes, "InvalidURL", invalidURL} }

// rules of both families, in parts of a request that they share.
func sharedRules() map[string]rule {
	return map[string]rule{
		"no input":                     wrong("Field required: input", set("input", nil)),
		"no prompt":                    wrong("Field required: input.prompt", set("input.prompt", nil)),
		"empty prompt":                 wrong("Field required: input.prompt", set("input.prompt", "")),
		"prompt is a number":           wrong("Input should be a valid string: input.prompt", set("input.prompt", 5)),
		"long prompt":                  good(set("input.prompt", strings.Repeat("x", 9000))),
		"long negative prompt":         good(set("input.negative_prompt", strings.Repeat("x", 900))),
		"negative prompt is a list":    wrong("Input should be a valid string: input.negative_prompt", set("input.negative_prompt", array{})),
		"no parameters":                good(set("parameters", nil)),
		"empty parameters":             good(set("parameters", object{})),
		"parameters are a list":        wrong("Input should be a valid dictionary: parameters", set("parameters", array{})),
		"no duration":                  good(set("parameters.duration", nil)),
		"shortest":                     good(set("parameters.duration", 2)),
		"too short":                    wrong("Range of duration should be [2, 10]", set("parameters.duration", 1)),
		"longest with a video":         good(set("parameters.duration", 10)),
		"too long with a video":        wrong("Range of duration should be [2, 10]", set("parameters.duration", 11)),
		"broken duration":              wrong("Input should be a valid integer: parameters.duration", set("parameters.duration", 5.5)),
		"duration is text":             wrong("Input should be a valid integer: parameters.duration", set("parameters.duration", "5")),
		"smallest seed":                good(set("parameters.seed", 0)),
		"largest seed":                 good(set("parameters.seed", 2147483647)),
		"seed too large":               wrong("Range of seed should be [0, 2147483647]", set("parameters.seed", int64(2147483648))),
		"negative seed":                wrong("Range of seed should be [0, 2147483647]", set("parameters.seed", -1)),
		"watermark is text":            wrong("Input should be a valid boolean: parameters.watermark", set("parameters.watermark", "yes")),
		"watermark":                    good(set("parameters.watermark", true)),
		"fields of the SDKs":           good(set("input.extend_prompt", true), set("input.function", "video-synthesis"), set("parameters.with_audio", false)),
		"fields of the other family":   good(set("parameters.camera", "left"), set("trace", 1)),
		"null is as good as no field ": good(set("parameters", object{"seed": nil, "watermark": nil, "duration": nil})),
	}
}

func rules26() map[string]rule {
	rules := sharedRules()
	for _, size := range []string{
		"1280*720", "720*1280", "960*960", "1088*832", "832*1088", "1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632",
	} {
		rules["size "+size] = good(set("parameters.size", size))
	}
	for _, size := range []string{"1104*832", "1648*1248", "1280x720", "16:9", "720P", ""} {
		rules["no size "+size] = wrong("The size is not match "+size, set("parameters.size", size))
	}
	for name, r := range map[string]rule{
		"no references":               wrong("Field required: input.reference_urls", set("input.reference_urls", nil)),
		"empty references":            wrong("Field required: input.reference_urls", set("input.reference_urls", array{})),
		"references are text":         wrong("Input should be a valid list: input.reference_urls", set("input.reference_urls", "https://a.test/a.png")),
		"reference is a number":       wrong("Input should be a valid string: input.reference_urls[0]", set("input.reference_urls", array{5})),
		"media instead":               wrong("Field required: input.reference_urls", set("input.reference_urls", nil), set("input.media", media(1, 0, 0))),
		"five images":                 good(set("input.reference_urls", urls(5, "https://a.test/%d.png"))),
		"six images":                  wrong("The number of reference images and videos should not be greater than 5", set("input.reference_urls", urls(6, "https://a.test/%d.png"))),
		"three videos":                good(set("input.reference_urls", urls(3, "https://a.test/%d.MOV"))),
		"four videos":                 wrong("The number of reference videos should not be greater than 3", set("input.reference_urls", urls(4, "https://a.test/%d.mp4?x=1"))),
		"the deprecated list":         good(set("input.reference_urls", nil), set("input.reference_video_urls", urls(3, "https://a.test/%d"))),
		"four in the deprecated list": wrong("The number of reference videos should not be greater than 3", set("input.reference_urls", nil), set("input.reference_video_urls", urls(4, "https://a.test/%d"))),
		"http":                        good(set("input.reference_urls", array{"http://a.test/a.png"})),
		"empty address":               badURL(set("input.reference_urls", array{"", "https://a.test/a.png"})),
		"data URI":                    badURL(set("input.reference_urls", array{"data:image/png;base64,QUJD"})),
		"file address":                badURL(set("input.reference_urls", array{"file:///a.png"})),
		"no host":                     badURL(set("input.reference_urls", array{"https:///a.png"})),
		"no scheme":                   badURL(set("input.reference_urls", array{"a.png"})),
		"single shot":                 good(set("parameters.shot_type", "single")),
		"multi shot":                  good(set("parameters.shot_type", "multi")),
		"another shot":                wrong("Input should be 'single', 'multi': parameters.shot_type", set("parameters.shot_type", "double")),
		"silent":                      good(set("parameters.audio", false)),
		"audio is text":               wrong("Input should be a valid boolean: parameters.audio", set("parameters.audio", "off")),
		"audio is flash's only":       good(set("model", "wan2.6-r2v"), set("parameters.audio", "off")),
		"wan2.7's parameters":         good(set("parameters.resolution", "480P"), set("parameters.ratio", "2:1"), set("parameters.prompt_extend", 1)),
	} {
		rules[name] = r
	}
	return rules
}

func rules27() map[string]rule {
	rules := sharedRules()
	for _, ratio := range []string{"16:9", "9:16", "1:1", "4:3", "3:4"} {
		rules["720P "+ratio] = good(set("parameters.ratio", ratio))
		rules["1080P "+ratio] = good(set("parameters.ratio", ratio), set("parameters.resolution", "1080P"))
	}
	counted := "The number of reference images and videos should not be greater than 5"
	with := func(element object) change { return set("input.media", array{element}) }
	for name, r := range map[string]rule{
		"dated model":          good(set("model", "wan2.7-r2v-2026-06-12")),
		"480P":                 wrong("Input should be '720P', '1080P': parameters.resolution", set("parameters.resolution", "480P")),
		"resolution in lower":  wrong("Input should be '720P', '1080P': parameters.resolution", set("parameters.resolution", "720p")),
		"21:9":                 wrong("Input should be '16:9', '9:16', '1:1', '4:3', '3:4': parameters.ratio", set("parameters.ratio", "21:9")),
		"no media":             wrong("Field required: input.media", set("input.media", nil)),
		"empty media":          wrong("Field required: input.media", set("input.media", array{})),
		"reference_urls alone": wrong("Field required: input.media", set("input.media", nil), set("input.reference_urls", urls(1, "https://a.test/%d.png"))),
		"media is an object":   wrong("Input should be a valid list: input.media", set("input.media", object{})),
		"medium is text":       wrong("Input should be a valid dictionary: input.media[0]", set("input.media", array{"https://a.test/a.png"})),
		"no type":              wrong("Field required: input.media[0].type", with(object{"url": "https://a.test/a.png"})),
		"no url":               wrong("Field required: input.media[0].url", with(object{"type": "reference_image"})),
		"another type":         wrong("Input should be 'reference_image', 'reference_video', 'first_frame': input.media[0].type", with(medium("image", "https://a.test/a.png"))),
		"five images":          good(set("input.media", media(5, 0, 0))),
		"five videos":          good(set("input.media", media(0, 5, 0))),
		"six references":       wrong(counted, set("input.media", media(3, 3, 0))),
		"five and a frame":     good(set("input.media", media(2, 3, 1))),
		"six and a frame":      wrong(counted, set("input.media", media(3, 3, 1))),
		"two frames":           wrong("The number of first_frame should not be greater than 1", set("input.media", media(1, 0, 2))),
		"only a frame":         wrong("At least one reference_image or reference_video is required: input.media", set("input.media", media(0, 0, 1))),
		"15 s without a video": good(set("input.media", media(1, 0, 1)), set("parameters.duration", 15)),
		"16 s without a video": wrong("Range of duration should be [2, 15]", set("input.media", media(1, 0, 1)), set("parameters.duration", 16)),
		"data URI of an image": good(with(medium("reference_image", "data:image/png;base64,QUJD"))),
		"data URI of a frame":  good(set("input.media", append(media(1, 0, 0), medium("first_frame", "data:image/webp;base64,QUJD")))),
		"data URI of a video":  badURL(with(medium("reference_video", "data:video/mp4;base64,QUJD"))),
		"data URI of a GIF":    badURL(with(medium("reference_image", "data:image/gif;base64,QUJD"))),
		"data URI not base64":  badURL(with(medium("reference_image", "data:image/png;base64,***"))),
		"data URI plain":       badURL(with(medium("reference_image", "data:image/png,QUJD"))),
		"file address":         badURL(with(medium("reference_video", "file:///a.mp4"))),
		"voice":                good(with(object{"type": "reference_image", "url": "https://a.test/a.png", "reference_voice": "https://a.test/a.mp3"})),
		"voice is text":        wrong("Input should be a valid string: input.media[0].reference_voice", with(object{"type": "reference_image", "url": "https://a.test/a.png", "reference_voice": 1})),
		"voice is a data URI":  badURL(with(object{"type": "reference_image", "url": "https://a.test/a.png", "reference_voice": "data:audio/wav;base64,QUJD"})),
		"voice is an OGG":      {[]change{with(object{"type": "reference_image", "url": "https://a.test/a.png", "reference_voice": "https://a.test/a.ogg"})}, "InvalidURL", "File type is not supported. Allowed types are: .wav, .mp3."},
		"voice of a frame": wrong("reference_voice is only supported with reference_image or reference_video: input.media[1]",
			set("input.media", append(media(1, 0, 0), object{"type": "first_frame", "url": "https://a.test/a.png", "reference_voice": "https://a.test/a.mp3"}))),
		"Java's referenceVoice":   good(with(object{"type": "reference_image", "url": "https://a.test/a.png", "referenceVoice": 1})),
		"wan2.6's parameters":     good(set("parameters.size", "1*1"), set("parameters.shot_type", "x"), set("parameters.audio", false)),
		"prompt_extend is a word": wrong("Input should be a valid boolean: parameters.prompt_extend", set("parameters.prompt_extend", "no")),
	} {
		rules[name] = r
	}
	return rules
}

func TestWan26RefusesAWrongOrderAtOnce(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	for name, r := range rules26() {
		t.Run(name, func(t *testing.T) {
			before := c.read("/control/counters").at("tasks")
			answer := c.create(wan26(r.changes...))
			if r.message == "" {
				require.Equal(t, 200, answer.status, "%s", answer.body)
				return
			}
			answer.refused(400, r.code, r.message)
			require.Equal(t, before, c.read("/control/counters").at("tasks"))
		})
	}
}

func TestWan27TakesAWrongOrderAndItsTaskFails(t *testing.T) {
	for name, r := range rules27() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{Unthrottled: true})
				id := c.task(wan27(r.changes...))
				require.Equal(t, "PENDING", c.status(id))
				time.Sleep(10 * time.Second)
				if r.message == "" {
					require.Equal(t, "RUNNING", c.status(id))
					time.Sleep(10 * time.Minute)
					require.Equal(t, "SUCCEEDED", c.status(id))
					return
				}
				answer := c.read("/api/v1/tasks/" + id)
				require.Equal(t, 200, answer.status)
				require.Equal(t, "FAILED", answer.at("output", "task_status"))
				require.Equal(t, r.code, answer.at("output", "code"))
				require.Equal(t, r.message, answer.at("output", "message"))
				require.NotContains(t, answer.json(), "usage")
			})
		})
	}
}

func TestModelsAndBodiesAreCheckedAtOnce(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	for _, model := range []string{"wan2.6-r2v", "wan2.6-r2v-flash"} {
		require.Equal(t, 200, c.create(wan26(set("model", model))).status)
	}
	for _, model := range []string{"wan2.7-r2v", "wan2.7-r2v-2026-06-12"} {
		require.Equal(t, 200, c.create(wan27(set("model", model))).status)
	}
	c.create(wan27(set("model", "wan2.7-R2V"))).refused(400, "InvalidParameter", "Model not exist.")
	c.create(wan27(set("model", nil))).refused(400, "BadRequest.EmptyModel", `Required parameter "model" missing from request.`)
	for _, body := range []string{"", "{", "[]", "null", `{"model":"wan2.7-r2v"} x`} {
		c.send(http.MethodPost, createPath, []byte(body), createHeaders()).
			refused(400, "InvalidParameter", "Required body invalid, please check the request body format.")
	}
	c.create(wan27(), headers{"Content-Type": "text/plain"}).
		refused(400, "BadRequest.IllegalInput", "The input parameter requires json format.")
	require.Equal(t, 200, c.create(wan27(), headers{"Content-Type": "application/json; charset=utf-8"}).status)
}

func TestLongPromptsAreCutWithoutAWord(t *testing.T) {
	for _, at := range []struct {
		order object
		limit int
	}{{wan26(), 1500}, {wan26(set("model", "wan2.6-r2v")), 1500}, {wan27(), 5000}} {
		for _, length := range []int{at.limit, at.limit + 1} {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{})
				id := c.task(changed(at.order, []change{set("input.prompt", strings.Repeat("舞", length))}))
				time.Sleep(time.Hour)
				require.Equal(t, strings.Repeat("舞", at.limit), c.read("/api/v1/tasks/"+id).at("output", "orig_prompt"))
			})
		}
	}
}

func TestMediaOfAKnownWrongLengthFailTheTask(t *testing.T) {
	video := func(address string) object { return wan26(set("input.reference_urls", array{address})) }
	voice := func(address string) object {
		return wan27(set("input.media", array{object{"type": "reference_image", "url": "https://a.test/a.png", "reference_voice": address}}))
	}
	for name, at := range map[string]struct {
		order   object
		message string
	}{
		"shortest":          {video("https://a.test/a-1s.mp4"), ""},
		"too short":         {video("https://a.test/a-0.9s.mp4"), "Invalid file duration. The file duration must be 1 s ~ 30 s."},
		"longest":           {video("https://a.test/a-30s.mp4"), ""},
		"too long":          {video("https://a.test/a.mp4?seconds=30.001"), "Invalid file duration. The file duration must be 1 s ~ 30 s."},
		"an image":          {video("https://a.test/a-90s.png"), ""},
		"deprecated, short": {wan26(set("input.reference_urls", nil), set("input.reference_video_urls", array{"https://a.test/a-1.5s.mp4"})), "Invalid file duration. The file duration must be 2 s ~ 30 s."},
		"voice":             {voice("https://a.test/v-10s.wav"), ""},
		"voice too long":    {voice("https://a.test/v-11s.wav"), "Invalid file duration. The file duration must be 1 s ~ 10 s."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{})
				id := c.task(at.order)
				time.Sleep(10 * time.Second)
				answer := c.read("/api/v1/tasks/" + id)
				if at.message == "" {
					require.Equal(t, "RUNNING", answer.at("output", "task_status"))
					return
				}
				require.Equal(t, "FAILED", answer.at("output", "task_status"))
				require.Equal(t, "InvalidFile.Duration", answer.at("output", "code"))
				require.Equal(t, at.message, answer.at("output", "message"))
			})
		})
	}
}
