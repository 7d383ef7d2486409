package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

const (
	aClip    = "https://media.test/a-4s.mp4"
	aPicture = "https://media.test/a.png"
	aVoice   = "https://media.test/a.mp3"
)

func TestWhatTheRelayRefuses(t *testing.T) {
	c := relay(t, simulator.Options{})
	for _, at := range []struct {
		order object
		param string
	}{
		{flash(set("model", nil)), "model"},
		{flash(set("model", "wan2.6-r2v-flash")), "model"},
		{flash(set("model", 5)), "model"},
		{flash(set("prompt", nil)), "prompt"},
		{flash(set("prompt", "")), "prompt"},
		{flash(set("prompt", 5)), "prompt"},
		{flash(set("prompt", strings.Repeat("舞", 1501))), "prompt"},
		{flash(set("video_urls", nil)), "video_urls"},
		{flash(set("video_urls", array{})), "video_urls"},
		{flash(set("video_urls", aClip)), "video_urls"},
		{flash(set("video_urls", times(4, aClip))), "video_urls"},
		{flash(set("video_urls", array{aClip, "oss://a.mp4"})), "video_urls[1]"},
		{flash(set("video_urls", array{5})), "video_urls[0]"},
		{flash(set("video_urls", array{"data:video/mp4;base64,AA=="})), "video_urls[0]"},
		{flash(set("quality", "720P")), "quality"},
		{flash(set("quality", 720)), "quality"},
		{flash(set("aspect_ratio", "21:9")), "aspect_ratio"},
		{flash(set("duration", 1)), "duration"},
		{flash(set("duration", 11)), "duration"},
		{flash(set("duration", 5.5)), "duration"},
		{flash(set("duration", "5")), "duration"},
		{flash(set("model_params", "multi")), "model_params"},
		{flash(set("model_params", object{"shot_type": "double"})), "model_params.shot_type"},
		{flash(set("generate_audio", "no")), "generate_audio"},
		{relay27(set("prompt", nil)), "prompt"},
		{relay27(set("negative_prompt", 5)), "negative_prompt"},
		{relay27(set("video_urls", nil)), "image_urls"},
		{relay27(set("video_urls", nil), set("image_start", aPicture)), "image_urls"},
		{relay27(set("image_urls", times(5, aPicture))), "image_urls"},
		{relay27(set("image_urls", array{"a.png"})), "image_urls[0]"},
		{relay27(set("image_start", "data:image/png;base64,AA==")), "image_start"},
		{relay27(set("duration", 11)), "duration"},
		{relay27(set("video_urls", nil), set("image_urls", array{aPicture}), set("duration", 16)), "duration"},
		{relay27(set("seed", 0)), "seed"},
		{relay27(set("seed", 2147483648)), "seed"},
		{relay27(set("prompt_extend", "yes")), "prompt_extend"},
		{relay27(set("audio_urls", times(6, aVoice))), "audio_urls"},
		{relay27(set("audio_urls", array{"https://media.test/a.ogg"})), "audio_urls[0]"},
		{relay27(set("model_params", object{"voice_bindings": array{}})), "model_params.voice_bindings"},
		{relay27(set("model_params", object{"voice_bindings": object{"video01": aVoice}})), "model_params.voice_bindings.video01"},
		{relay27(set("model_params", object{"voice_bindings": object{"Video1": aVoice}})), "model_params.voice_bindings.Video1"},
		{relay27(set("model_params", object{"voice_bindings": object{"video2": aVoice}})), "model_params.voice_bindings.video2"},
		{relay27(set("model_params", object{"voice_bindings": object{"image1": aVoice}})), "model_params.voice_bindings.image1"},
		{relay27(set("model_params", object{"voice_bindings": object{"video1": "https://media.test/a.ogg"}})), "model_params.voice_bindings.video1"},
	} {
		t.Run(at.param, func(t *testing.T) {
			c := *c
			c.t = t
			c.order(at.order).denied(400, "invalid_request", "invalid_request_error", at.param)
		})
	}
	require.Zero(t, c.tasks())
	for _, body := range []string{``, `[]`, `null`, `{} {}`, `{"model":`} {
		c.send("POST", relayPath, []byte(body), headers{"Content-Type": "application/json"}).denied(400, "invalid_request", "invalid_request_error", "")
	}
	c.send("POST", relayPath, encode(t, flash()), headers{"Content-Type": "text/plain"}).denied(400, "invalid_request", "invalid_request_error", "")
}

func TestWhatTheRelayTakes(t *testing.T) {
	c := relay(t, simulator.Options{})
	for i, order := range []object{
		flash(set("prompt", strings.Repeat("舞", 1500)), set("video_urls", times(3, aClip)), set("quality", "1080p"), set("aspect_ratio", "3:4"),
			set("duration", 10), set("model_params", object{"shot_type": "multi"}), set("generate_audio", false), set("callback_url", "https://example.com/hook")),
		flash(set("quality", nil), set("model_params", object{"shot_type": nil})),
		relay26(set("duration", 2)),
		relay27(set("prompt", strings.Repeat("a", 9000)), set("negative_prompt", strings.Repeat("b", 900)), set("image_urls", times(4, aPicture)),
			set("image_start", aPicture), set("duration", 10), set("seed", 2147483647), set("prompt_extend", true),
			set("model_params", object{"voice_bindings": object{"video1": aVoice, "image4": "https://media.test/a.wav"}})),
		relay27(set("video_urls", nil), set("image_urls", times(5, aPicture)), set("duration", 15), set("audio_urls", times(5, aVoice))),
		relay27(set("audio_urls", times(9, "no address")), set("model_params", object{"voice_bindings": object{}})), // bindings outrank them

		// Fields that a model has not got are ignored, whatever is in them.
		flash(set("seed", "x"), set("negative_prompt", 5), set("prompt_extend", 5), set("image_urls", "x"), set("watermark", 5), set("size", 5), set("none", object{})),
		relay26(set("generate_audio", "x")),
		relay27(set("generate_audio", "x"), set("model_params", object{"shot_type": "x"})),
	} {
		require.Equal(t, 200, c.order(order).status, "order %d", i)
	}
}

func TestThePromptOfRelayed27IsCutWithoutAWord(t *testing.T) {
	c := relay(t, simulator.Options{})
	c.ordered(relay27(set("prompt", strings.Repeat("é", 5001))))
	require.Equal(t, strings.Repeat("é", 5000), c.observed()[0].(object)["prompt"])
}

func TestWhereTheRelayDoesNotCallBack(t *testing.T) {
	c := relay(t, simulator.Options{})
	for _, address := range []string{
		"http://example.com/hook", "ftp://example.com", "example.com/hook", "", "https://", "https:///hook", "https://127.0.0.1/hook", "https://127.1.2.3:8443/hook",
		"https://10.0.0.1/hook", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://169.254.169.254/", "https://0.0.0.0/",
		"https://[::1]/", "https://[fd00::1]/", "https://[fe80::1]/", "https://[::ffff:10.0.0.1]/", "https://[::]/",
		"https://localhost/", "https://LocalHost:8443/", "https://a.localhost/", "https://localhost./", "https://example.com/" + strings.Repeat("a", 2029),
	} {
		t.Run(fmt.Sprintf("%.40s", address), func(t *testing.T) {
			c := *c
			c.t = t
			c.order(flash(set("callback_url", address))).denied(400, "invalid_request", "invalid_request_error", "callback_url")
		})
	}
	require.Zero(t, c.tasks())
	for _, address := range []string{"https://example.com/" + strings.Repeat("a", 2028), "https://172.32.0.1/", "https://8.8.8.8:8443/hook?a=b"} {
		require.Equal(t, 200, c.order(flash(set("callback_url", address))).status, address)
	}
}
