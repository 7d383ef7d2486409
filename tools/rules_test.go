package tools_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	picture = "https://media.example/girl.png"
	clip8   = "https://media.example/dancer-8s.mp4"
)

func refs(urls ...any) []any {
	var out []any
	for _, u := range urls {
		if s, ok := u.(string); ok {
			u = map[string]any{"url": s}
		}
		out = append(out, u)
	}
	return out
}

func ref(url, kind string, more ...any) map[string]any {
	r := map[string]any{"url": url}
	if kind != "" {
		r["type"] = kind
	}
	for i := 0; i+1 < len(more); i += 2 {
		r[more[i].(string)] = more[i+1]
	}
	return r
}

// wan27 and wan26 are requests with nothing wrong; the tests break one rule at a time.
func wan27(change arguments) arguments {
	a := arguments{"model": "wan2.7-r2v", "prompt": "Image 1 waves", "references": refs(picture)}
	maps.Copy(a, change)
	return a
}

func wan26(change arguments) arguments {
	a := arguments{"model": "wan2.6-r2v", "prompt": "character1 waves", "references": refs(picture)}
	maps.Copy(a, change)
	return a
}

// Every rule of the catalogue, broken through an MCP client: the refusal names the field, what is wrong and what is
// allowed; nothing is charged and nothing reaches the service.
func TestEveryRuleIsToldBeforeAnythingIsSpent(t *testing.T) {
	w := newWorld(t, options{region: "singapore"})
	many := func(n int, url string) []any {
		var out []any
		for range n {
			out = append(out, ref(url, ""))
		}
		return out
	}
	for _, tt := range []struct {
		rule    string
		request arguments
		field   string
		wrong   string
		allowed string
	}{
		{"unknown model", wan27(arguments{"model": "wan9-r2v"}), "model", `"wan9-r2v"`, "wan2.7-r2v, wan2.7-r2v-2026-06-12, wan2.6-r2v, wan2.6-r2v-flash"},
		{"prompt missing", wan27(arguments{"prompt": nil}), "prompt", "missing", "1 to 5000 characters"},
		{"prompt blank", wan26(arguments{"prompt": " \n\t"}), "prompt", "blank", "1 to 1500 characters"},
		{"prompt too long on wan2.7", wan27(arguments{"prompt": "Image 1" + strings.Repeat("好", 4994)}), "prompt", "5001 characters", "at most 5000"},
		{"prompt too long on wan2.6", wan26(arguments{"prompt": "character1" + strings.Repeat("é", 1491)}), "prompt", "1501 characters", "at most 1500"},
		{"negative prompt too long", wan27(arguments{"negative_prompt": strings.Repeat("x", 501)}), "negative_prompt", "501 characters", "at most 500"},
		{"negative prompt too long on wan2.6", wan26(arguments{"negative_prompt": strings.Repeat("x", 501)}), "negative_prompt", "501 characters", "at most 500"},
		{"control character in the prompt", wan27(arguments{"prompt": "Image 1 \x00waves"}), "prompt", "character 9 (U+0000)", "without control characters"},
		{"no references", wan27(arguments{"references": refs()}), "references", "there is none", "1 to 5"},
		{"references left out", wan27(arguments{"references": nil}), "references", "there is none", "1 to 5"},
		{"a first frame alone", wan27(arguments{"references": refs(ref(picture, "first_frame"))}), "references", "first frame alone", "1 to 5"},
		{"six references", wan27(arguments{"references": many(6, picture)}), "references", "6 images and videos", "1 to 5"},
		{"a hundred references", wan27(arguments{"references": many(100, picture)}), "references", "there are 100", "1 to 5"},
		{"six references on wan2.6", wan26(arguments{"references": many(6, picture)}), "references", "there are 6", "1 to 5"},
		{"ten thousand references", wan27(arguments{"references": many(10000, picture)}), "references", "there are 10000", "at most 100"},
		{"four clips on wan2.6", wan26(arguments{"references": many(4, clip8)}), "references", "4 videos", "at most 3 of them videos"},
		{"two first frames", wan27(arguments{"references": refs(picture, ref(picture, "first_frame"), ref(picture, "first_frame"))}), "references", "2 first frames", "at most 1 first frame"},
		{"first frame on wan2.6", wan26(arguments{"references": refs(picture, ref(picture, "first_frame"))}), "references[1].type", "takes no first frame", "use wan2.7-r2v"},
		{"a kind that does not exist", wan27(arguments{"references": refs(ref(picture, "audio"))}), "references[0].type", `"audio"`, "image, video or first_frame"},
		{"a kind that the url does not tell", wan27(arguments{"references": refs("https://media.example/stream?id=7")}), "references[0].type", "does not tell", "image, video or first_frame"},
		{"an image as a clip", wan27(arguments{"references": refs(ref(picture, "video"))}), "references[0].url", ".png", "mp4, mov"},
		{"a clip as an image", wan26(arguments{"references": refs(ref(clip8, "image"))}), "references[0].url", ".mp4", "jpeg, jpg, png, bmp, webp"},
		{"a picture format that is not taken", wan27(arguments{"references": refs(ref("https://media.example/a.gif", "image"))}), "references[0].url", ".gif", "jpeg, jpg, png, bmp, webp"},
		{"a clip format that is not taken", wan26(arguments{"references": refs(ref("https://media.example/a.mkv", "video"))}), "references[0].url", ".mkv", "mp4, mov"},
		{"a clip that is too short", wan27(arguments{"references": refs(ref(clip8, "", "duration_seconds", 0.9)), "prompt": "Video 1"}), "references[0].duration_seconds", "0.9 seconds", "1 to 30 seconds"},
		{"a clip that is too long", wan26(arguments{"references": refs(ref(clip8, "", "duration_seconds", 30.01))}), "references[0].duration_seconds", "30.01 seconds", "1 to 30 seconds"},
		{"a picture with a length", wan27(arguments{"references": refs(ref(picture, "", "duration_seconds", 3))}), "references[0].duration_seconds", "no length", "leave it out"},
		{"a voice on wan2.6", wan26(arguments{"references": refs(ref(clip8, "", "voice_url", "https://media.example/v.mp3"))}), "references[0].voice_url", "takes no voice", "wan2.7-r2v takes a voice_url"},
		{"a voice on a first frame", wan27(arguments{"references": refs(picture, ref(picture, "first_frame", "voice_url", "https://media.example/v.mp3"))}), "references[1].voice_url", "no voice", "image or video"},
		{"a voice format that is not taken", wan27(arguments{"references": refs(ref(picture, "", "voice_url", "https://media.example/v.ogg"))}), "references[0].voice_url", ".ogg", "wav, mp3"},
		{"oss on wan2.6", wan26(arguments{"references": refs("oss://dashscope-instant/a/b.png")}), "references[0].url", `"oss"`, "http://, https://"},
		{"data on wan2.6", wan26(arguments{"references": refs("data:image/png;base64,AAAA")}), "references[0].url", `"data"`, "http://, https://"},
		{"data for a clip", wan27(arguments{"references": refs(ref("data:video/mp4;base64,AAAA", "video"))}), "references[0].url", `"data"`, "http://, https://, oss://"},
		{"data that is no picture", wan27(arguments{"references": refs(ref("data:text/html;base64,AAAA", "image"))}), "references[0].url", "no image", "data:image/TYPE;base64"},
		{"data that is broken", wan27(arguments{"references": refs(ref("data:image/png;base64,@@@@", "image"))}), "references[0].url", "base64 is broken", "valid base64"},
		{"resolution", wan27(arguments{"resolution": "480P"}), "resolution", `"480P"`, "720P, 1080P"},
		{"ratio", wan26(arguments{"ratio": "21:9"}), "ratio", `"21:9"`, "16:9, 9:16, 1:1, 4:3, 3:4"},
		{"too short", wan27(arguments{"duration": 1}), "duration", "1 seconds", "2 to 15 seconds"},
		{"zero seconds", wan27(arguments{"duration": 0}), "duration", "0 seconds", "2 or more"},
		{"negative seconds", wan27(arguments{"duration": -5}), "duration", "-5 seconds", "2 to 15"},
		{"too long", wan27(arguments{"duration": 16}), "duration", "16 seconds without a reference video", "2 to 15 seconds"},
		{"too long with a clip", wan27(arguments{"duration": 11, "references": refs(clip8), "prompt": "Video 1"}), "duration", "11 seconds with a reference video", "2 to 10 seconds"},
		{"too long on wan2.6", wan26(arguments{"duration": 11}), "duration", "11 seconds", "2 to 10 seconds"},
		{"a fraction of a second", wan27(arguments{"duration": 5.5}), "duration", "5.5 is no whole number", "a whole number"},
		{"shot_type on wan2.7", wan27(arguments{"shot_type": "multi"}), "shot_type", "has no shot_type", "describe the shots in the prompt"},
		{"shot_type unknown", wan26(arguments{"shot_type": "triple"}), "shot_type", `"triple"`, "single, multi"},
		{"audio on wan2.7", wan27(arguments{"audio": false}), "audio", "has no audio", "wan2.6-r2v-flash can be silent"},
		{"audio on wan2.6-r2v", wan26(arguments{"audio": true}), "audio", "has no audio", "wan2.6-r2v-flash"},
		{"prompt_extend on wan2.6", wan26(arguments{"prompt_extend": true}), "prompt_extend", "has no prompt_extend", "leave it out"},
		{"prompt_extend on flash", wan26(arguments{"model": "wan2.6-r2v-flash", "prompt_extend": true}), "prompt_extend", "has no prompt_extend", "leave it out"},
		{"seed below", wan27(arguments{"seed": -1}), "seed", "-1", "0 to 2147483647"},
		{"seed above", wan26(arguments{"seed": int64(2147483648)}), "seed", "2147483648", "0 to 2147483647"},
		{"a reference that is not there", wan27(arguments{"prompt": "Image 1 looks at Image 2"}), "prompt", "names Image 2", "Image 1"},
		{"a clip that is not there", wan27(arguments{"prompt": "Image 1 looks at Video 1"}), "prompt", "names Video 1", "Image 1"},
		{"a Chinese name that is not there", wan27(arguments{"prompt": "图1看着视频2"}), "prompt", "names Video 2", "Image 1"},
		{"a character that is not there", wan26(arguments{"prompt": "Character1 looks at character3"}), "prompt", "names character3", "character1"},
		{"character zero", wan26(arguments{"prompt": "character0 and character1"}), "prompt", "names character0", "character1"},
		{"wan2.6's names on wan2.7", wan27(arguments{"prompt": "character1 waves, Image 1 too"}), "prompt", "which means nothing to wan2.7-r2v", "Image 1"},
		{"wan2.7's names on wan2.6", wan26(arguments{"prompt": "Image 1 waves to character1"}), "prompt", "which means nothing to wan2.6-r2v", "character1"},
		{"max_cost", wan27(arguments{"max_cost": 0.01}), "max_cost", "up to 0.75 USD, more than 0.01", "0.75 or more"},
		{"max_cost negative", wan27(arguments{"max_cost": -1}), "max_cost", "-1 is negative", "0 or more"},
		{"a first frame that is a video", wan27(arguments{"references": refs(picture, ref(clip8, "first_frame"))}), "references[1].url", ".mp4 is not taken", "png"},
		{"a form of media that nobody takes", wan27(arguments{"references": refs("https://media.example/a.heic")}), "references[0].url", ".heic is not taken", "jpeg, jpg, png, bmp, webp, mp4, mov"},
		{"an address of this network", wan27(arguments{"references": refs("https://nas.local/a.png")}), "references[0].url", "reached from this network only", "from the internet"},
		{"an address without https", wan27(arguments{"references": refs("media.example/a.png")}), "references[0].url", "did you mean https://media.example/a.png?", "https://"},
		{"bytes that are not UTF-8", wan27(arguments{"prompt": "Image 1 \ufffd"}), "prompt", "character 9 (U+FFFD) is no text", "valid UTF-8"},
		{"the snapshot's durations", wan27(arguments{"model": "wan2.7-r2v-2026-06-12", "duration": 16}), "duration", "16 seconds", "2 to 15"},
		{"flash's durations", wan26(arguments{"model": "wan2.6-r2v-flash", "duration": 11}), "duration", "11 seconds", "2 to 10"},
		{"a long idempotency_key", wan27(arguments{"idempotency_key": strings.Repeat("k", 256)}), "idempotency_key", "too long", "1 to 255"},
		{"idempotency_key", wan27(arguments{"idempotency_key": "a b"}), "idempotency_key", "blanks", "visible ASCII"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := w.on(t)
			text := w.refusal("generate_r2v", tt.request)
			require.Contains(t, text, "\n- "+tt.field+": ")
			require.Contains(t, text, tt.wrong)
			require.Contains(t, text, tt.allowed)

			estimate := w.answer("estimate_cost", tt.request)
			if tt.wrong == "missing" || tt.wrong == "blank" {
				return // a price can be asked for before there is a prompt
			}
			require.Contains(t, fmt.Sprint(estimate["problems"]), tt.wrong, "an estimate finds the same")
		})
	}
}

func TestModelsThatARegionHasNot(t *testing.T) {
	w := newWorld(t, options{region: "virginia"})
	for _, request := range []arguments{wan27(nil), wan26(arguments{"model": "wan2.6-r2v-flash"})} {
		text := w.refusal("generate_r2v", request)
		require.Contains(t, text, "is not sold in virginia")
		require.Contains(t, text, "allowed: in virginia: wan2.6-r2v")
	}
}

// What the sources contradict each other about, and what only may be a mistake, is told and not refused.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, region string
		request      arguments
		want         string
	}{
		{"a reference never named", "simulator", wan27(arguments{"prompt": "somebody waves"}), "never names Image 1"},
		{"the second reference never named", "simulator", wan26(arguments{"references": refs(picture, clip8)}), "never names character2"},
		{"ratio beside a first frame", "simulator", wan27(arguments{"ratio": "1:1", "references": refs(picture, ref(picture, "first_frame"))}), "ratio 1:1 is ignored"},
		{"a loose name without a reference", "simulator", wan27(arguments{"prompt": "Image 1 looks at image 2"}), "means to name Image 2"},
		{"virginia's durations", "virginia", wan26(arguments{"duration": 7, "references": refs(clip8)}), "only 5 or 10 seconds"},
		{"virginia's references", "virginia", wan26(arguments{"duration": 5}), "takes only reference videos, not references of type image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, options{region: tt.region})
			answer := w.answer("estimate_cost", tt.request)
			require.Empty(t, answer["problems"])
			require.Contains(t, fmt.Sprint(answer["warnings"]), tt.want)
		})
	}
}

func TestNoWarningsWithoutCause(t *testing.T) {
	w := newWorld(t, options{})
	for name, request := range map[string]arguments{
		"wan2.7":                      wan27(nil),
		"wan2.6":                      wan26(nil),
		"the single reference":        wan27(arguments{"prompt": "The reference image, Korean webtoon style"}),
		"Chinese names":               wan27(arguments{"prompt": "图1和视频1跳舞", "references": refs(picture, clip8)}),
		"a first frame needs no name": wan27(arguments{"references": refs(picture, ref("https://media.example/scene.webp", "first_frame"))}),
		"a capital character":         wan26(arguments{"prompt": "Character1对character2说话", "references": refs(picture, clip8)}),
	} {
		t.Run(name, func(t *testing.T) {
			w := w.on(t)
			answer := w.answer("estimate_cost", request)
			require.Empty(t, answer["problems"])
			require.Empty(t, answer["warnings"])
		})
	}
}

// Prose is not taken for names, and names are found in the ways people write them.
func TestNamesInPrompts(t *testing.T) {
	two := refs(picture, "https://media.example/boy.png")
	for _, tt := range []struct {
		model, prompt     string
		problem, warnings string
	}{
		{"wan2.7-r2v", "图1和图2生成一个视频10秒", "", ""},
		{"wan2.7-r2v", "图1和图2,视频16:9,视频1080P,短视频15秒,视频2倍速播放", "", ""},
		{"wan2.7-r2v", "图1和图2在地图3前,构图3分法,意图4", "", ""},
		{"wan2.7-r2v", "Video 5 seconds. Image 1 and Image 2 dance, Video 16:9, Image 3D", "", ""},
		{"wan2.7-r2v", "Images 1 and 2 dance in a music video 2024", "", ""},
		{"wan2.7-r2v", "Image 1 & 2; then image 1", "", ""},
		{"wan2.7-r2v", "图１、2跳舞", "", ""},
		{"wan2.7-r2v", "图1和图2,视频一开始,她走进房间,影片一直很安静,视频一共五秒", "", ""},
		{"wan2.7-r2v", "图一和图二的房间,图三角形", "", ""},
		{"wan2.7-r2v", "Image 1 and Image 2 walk. Image 100% sharp, Video 50% slower, Video 360° panorama, Video 24 frames per second", "", ""},
		{"wan2.6-r2v", "character1和character2,参考图一样的衣服,图一片漆黑,视频一开始", "", ""},
		{"wan2.7-r2v", "圖一和圖二跳舞", "", ""},
		{"wan2.7-r2v", "Image\u00a01 and Image  2 and Image #1", "", ""},
		{"wan2.7-r2v", `Image 1 reads "Image 3" to Image 2`, "", "means to name Image 3"},
		{"wan2.7-r2v", "Image 1 and Image 2 and image 3", "", "means to name Image 3"},
		{"wan2.7-r2v", "Image 1 and Image 2 and Image 3 walk", "names Image 3", ""},
		{"wan2.7-r2v", "图1和图2和图3", "names Image 3", ""},
		{"wan2.7-r2v", "圖1、圖2與視頻1", "names Video 1", ""},
		{"wan2.7-r2v", "Image 1 and Image 2 in a scene, character 3 years later", "", ""},
		{"wan2.6-r2v", "character1 and character2, a character 3 meters tall", "", ""},
		{"wan2.6-r2v", "character1 and character2 walk. Video 5 seconds, 地图1, Video 2024 retrospective", "", ""},
		{"wan2.6-r2v", `character1 and character2: "I am character9"`, "", "means to name character9"},
		{"wan2.6-r2v", "Characters 1 and 2 walk", "", ""},
		{"wan2.6-r2v", "character1 and character2 and character3", "names character3", ""},
	} {
		t.Run(tt.model+" "+tt.prompt, func(t *testing.T) {
			w := newWorld(t, options{})
			answer := w.answer("estimate_cost", arguments{"model": tt.model, "prompt": tt.prompt, "references": two})
			for said, want := range map[string]string{"problems": tt.problem, "warnings": tt.warnings} {
				if want == "" {
					require.Empty(t, answer[said])
				} else {
					require.Contains(t, fmt.Sprint(answer[said]), want)
				}
			}
		})
	}
}

func TestWordsInAnyCase(t *testing.T) {
	w := newWorld(t, options{})
	want := fmt.Sprint(w.answer("estimate_cost", wan27(arguments{"resolution": "720P", "references": refs(ref(picture, "image"))})))
	for _, change := range []arguments{
		{"resolution": "720p", "references": refs(ref(picture, "Image"))},
		{"resolution": " 720P ", "model": "Wan2.7-R2V", "references": refs(ref(picture, "reference_image"))},
	} {
		require.Equal(t, want, fmt.Sprint(w.answer("estimate_cost", wan27(change))))
	}
}

func TestAllIsToldAlthoughTheModelIsUnknown(t *testing.T) {
	w := newWorld(t, options{})
	text := w.refusal("generate_r2v", arguments{"model": "wan2.6-flash", "prompt": "", "duration": 99, "resolution": "4K", "ratio": "21:9", "references": refs("ftp://media.example/a")})
	for _, want := range []string{`"wan2.6-flash" is not a model known here; did you mean wan2.6-r2v?`, "\n- prompt: ", "\n- duration: ", "\n- resolution: ", "\n- ratio: ", "\n- references[0].url: "} {
		require.Contains(t, text, want)
	}
}

func TestDidYouMean(t *testing.T) {
	w := newWorld(t, options{})
	for wrong, right := range map[string]string{
		"duration_seconds": "duration", "negativePrompt": "negative_prompt", "promt": "prompt", "refs": "references", "maxCost": "max_cost",
		"reference_images": "references", "idempotencyKey": "idempotency_key", "aspect_ratio": "ratio",
	} {
		require.Contains(t, w.refusal("generate_r2v", wan27(arguments{wrong: 1})), wrong+": there is no such argument; did you mean "+right+"?")
	}
}

// Where a model is sold has nothing to do with a resolution that nobody makes.
func TestUnknownResolutionIsNoUnknownRegion(t *testing.T) {
	for region, want := range map[string]int{"simulator": 1, "singapore": 1, "virginia": 2} {
		e := newWorld(t, options{region: region}).answer("estimate_cost", wan27(arguments{"resolution": "4K"}))
		require.Len(t, e["problems"], want, "%s: %v", region, e["problems"])
		require.Equal(t, "resolution", path(e["problems"].([]any)[0], "field"))
		if want > 1 {
			require.Contains(t, path(e["problems"].([]any)[1], "problem"), "wan2.7-r2v is not sold in virginia")
		}
	}
}
