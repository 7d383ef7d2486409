package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	relayFlash = "wan2.6-reference-video-flash"
	relay26    = "wan2.6-reference-video"
	relay27    = "wan2.7-reference-video"

	maxNegative    = 500 // characters
	maxVoices      = 5
	maxRelaySeed   = 2147483647
	maxCallbackURL = 2048 // characters
)

func relayModels() []model {
	wan26 := family{promptLimit: 1500, maxSeconds: 10, usage: order.relayUsage26}
	wan27 := family{promptLimit: 5000, maxSeconds: 15, clipSide: 4096, usage: order.relayUsage27}
	return []model{
		{relay27, wan27, 120 * time.Second, 12 * time.Second},
		{relay26, wan26, 90 * time.Second, 8 * time.Second},
		{relayFlash, wan26, 60 * time.Second, 6 * time.Second},
	}
}

// fieldProblem is what is wrong with an order, and where.
type fieldProblem struct{ param, message string }

// fieldReader reads the fields of one JSON object and keeps the first problem of the order. null is as good as absent.
type fieldReader struct {
	prefix string // of the names, in what is told
	fields map[string]any
	first  **fieldProblem
}

func (r fieldReader) fail(name, format string, values ...any) {
	if *r.first == nil {
		*r.first = &fieldProblem{r.prefix + name, fmt.Sprintf(format, values...)}
	}
}

func (r fieldReader) has(name string) bool { return r.fields[name] != nil }

func (r fieldReader) text(name string) string {
	text, ok := r.fields[name].(string)
	if !ok && r.has(name) {
		r.fail(name, "%s%s must be a string", r.prefix, name)
	}
	return text
}

// oneOf returns the first word where there is none.
func (r fieldReader) oneOf(name string, words ...string) string {
	if !r.has(name) {
		return words[0]
	}
	word := r.text(name)
	if !slices.Contains(words, word) {
		r.fail(name, "%s%s must be one of %s", r.prefix, name, strings.Join(words, ", "))
		return words[0]
	}
	return word
}

func (r fieldReader) flag(name string, fallback bool) bool {
	on, ok := r.fields[name].(bool)
	if !ok && r.has(name) {
		r.fail(name, "%s%s must be a boolean", r.prefix, name)
	}
	return on || (fallback && !r.has(name))
}

func (r fieldReader) integer(name string, fallback, low, high int) int {
	if !r.has(name) {
		return fallback
	}
	number, _ := r.fields[name].(json.Number)
	value, err := strconv.Atoi(number.String())
	if err != nil || value < low || value > high {
		r.fail(name, "Invalid %s parameter: it must be an integer from %d to %d", name, low, high)
		return fallback
	}
	return value
}

func (r fieldReader) object(name string) fieldReader {
	fields, ok := r.fields[name].(map[string]any)
	if !ok && r.has(name) {
		r.fail(name, "%s%s must be an object", r.prefix, name)
	}
	return fieldReader{r.prefix + name + ".", fields, r.first}
}

// addresses reads an array of http and https addresses.
func (r fieldReader) addresses(name string) []string {
	items, ok := r.fields[name].([]any)
	if !ok && r.has(name) {
		r.fail(name, "%s%s must be an array", r.prefix, name)
	}
	var found []string
	for i, item := range items {
		address, _ := item.(string)
		r.checkAddress(fmt.Sprintf("%s[%d]", name, i), address)
		found = append(found, address)
	}
	return found
}

func (r fieldReader) checkAddress(name, address string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		r.fail(name, "%s%s must be an http or https URL", r.prefix, name)
	}
}

func (r fieldReader) checkVoice(name, address string) {
	r.checkAddress(name, address)
	switch extension(address) {
	case "", ".wav", ".mp3":
	default:
		r.fail(name, "%s%s must be wav or mp3", r.prefix, name)
	}
}

// parseRelayed reads the JSON object of an order. Its numbers stay as written.
func (s *Server) parseRelayed(c *call) *refusal {
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.UseNumber()
	isJSON := strings.HasPrefix(strings.ToLower(c.r.Header.Get("Content-Type")), "application/json")
	if err := decoder.Decode(&c.order); !isJSON || err != nil || c.order == nil || decoder.More() {
		return &refusal{http.StatusBadRequest, "invalid_request", "Invalid request body: a JSON object is expected"}
	}
	c.prompt, _ = c.order["prompt"].(string)
	return nil
}

// readRelayed reads an order and tells the first thing wrong with it. What becomes of fields that a model has not got is not
// documented; here they are ignored.
func readRelayed(fields map[string]any, insideToo bool) (order, *fieldProblem) {
	var first *fieldProblem
	r := fieldReader{fields: fields, first: &first}
	name := r.text("model")
	models := relayModels()
	i := slices.IndexFunc(models, func(m model) bool { return m.name == name })
	if i < 0 {
		r.fail("model", "Invalid model parameter: %q is no model of this endpoint", name)
		return order{}, first
	}
	o := order{model: models[i], prompt: r.text("prompt")}
	if o.prompt == "" {
		r.fail("prompt", "prompt is required")
	}
	if o.callback = r.text("callback_url"); r.has("callback_url") {
		if wrong := checkCallbackURL(o.callback, insideToo); wrong != "" {
			r.fail("callback_url", "Invalid callback_url: %s", wrong)
		}
	}
	if name == relay27 {
		r.read27(&o)
	} else {
		r.read26(&o)
	}
	return o, first
}

// relaySizes are the pixels of each quality and aspect ratio. The pages tell those of wan2.7 only; wan2.6 makes what the same
// model makes elsewhere.
func relaySizes(o order, quality string) dimensions {
	if o.model.name == relay27 {
		return sizes27()[strings.ToUpper(quality)][o.ratio]
	}
	return map[string]map[string]dimensions{
		"720p": {
			"16:9": {720, 1280, 720}, "9:16": {720, 720, 1280}, "1:1": {720, 960, 960}, "4:3": {720, 1088, 832}, "3:4": {720, 832, 1088},
		},
		"1080p": {
			"16:9": {1080, 1920, 1080}, "9:16": {1080, 1080, 1920}, "1:1": {1080, 1440, 1440},
			"4:3": {1080, 1632, 1248}, "3:4": {1080, 1248, 1632},
		},
	}[quality][o.ratio]
}

func (r fieldReader) readSize(o *order) {
	o.ratio = r.oneOf("aspect_ratio", "16:9", "9:16", "1:1", "4:3", "3:4")
	d := relaySizes(*o, r.oneOf("quality", "720p", "1080p"))
	o.tier, o.width, o.height = d.tier, d.width, d.height
}

// read26 is for "wan2.6-reference-video" and its flash. A prompt that is too long is refused there, for nothing says that it is
// cut. No default of duration is written; 5 is the example.
func (r fieldReader) read26(o *order) {
	if len([]rune(o.prompt)) > o.model.family.promptLimit {
		r.fail("prompt", "prompt must be at most %d characters", o.model.family.promptLimit)
	}
	videos := r.addresses("video_urls")
	if n := len(videos); n < 1 || n > maxVideos26 {
		r.fail("video_urls", "video_urls must have 1 to %d items", maxVideos26)
	}
	for _, address := range videos {
		o.references = append(o.references, reference{kind: videoKind, url: address, shortest: shortestVideo26})
	}
	r.readSize(o)
	o.seconds = r.integer("duration", defaultSeconds, minSeconds, o.model.family.maxSeconds)
	r.object("model_params").oneOf("shot_type", "single", "multi")
	if o.model.name == relayFlash { // the other one has no such field
		o.silent = !r.flag("generate_audio", true)
	}
}

// read27 is for "wan2.7-reference-video".
func (r fieldReader) read27(o *order) {
	o.prompt = cut(o.prompt, o.model.family.promptLimit)
	_ = cut(r.text("negative_prompt"), maxNegative)
	videos, images := r.addresses("video_urls"), r.addresses("image_urls")
	switch n := len(videos) + len(images); {
	case n == 0:
		r.fail("image_urls", "at least one of image_urls and video_urls is required")
	case n > maxReferences:
		r.fail("image_urls", "image_urls and video_urls must have at most %d items together", maxReferences)
	}
	for _, address := range videos {
		o.references = append(o.references, reference{kind: videoKind, url: address, shortest: shortestVideo})
	}
	for _, address := range images {
		o.references = append(o.references, reference{kind: imageKind, url: address})
	}
	if frame := r.text("image_start"); r.has("image_start") {
		r.checkAddress("image_start", frame)
		o.references = append(o.references, reference{kind: frameKind, url: frame})
	}
	r.readVoices(map[string]int{"image": len(images), "video": len(videos)})
	r.readSize(o)
	longest := o.model.family.maxSeconds
	if len(videos) > 0 {
		longest = maxSecondsWithVideo
	}
	o.seconds = r.integer("duration", defaultSeconds, minSeconds, longest)
	r.integer("seed", 1, 1, maxRelaySeed)
	r.flag("prompt_extend", false)
}

var bindingKey = lazily(`^(image|video)([1-9][0-9]*)$`)

// readVoices takes voice_bindings, which outrank audio_urls. Limits of length and size are not known.
func (r fieldReader) readVoices(count map[string]int) {
	bindings := r.object("model_params").object("voice_bindings")
	if bindings.fields == nil {
		voices := r.addresses("audio_urls")
		for i, voice := range voices {
			r.checkVoice(fmt.Sprintf("audio_urls[%d]", i), voice)
		}
		if len(voices) > maxVoices {
			r.fail("audio_urls", "audio_urls must have at most %d items", maxVoices)
		}
		return
	}
	if len(bindings.fields) > maxVoices {
		r.fail("model_params.voice_bindings", "voice_bindings must have at most %d items", maxVoices)
	}
	for _, key := range slices.Sorted(maps.Keys(bindings.fields)) {
		found := bindingKey().FindStringSubmatch(key)
		if found == nil {
			bindings.fail(key, "voice_bindings: %s is neither image{N} nor video{N}", key)
			continue
		}
		if n, err := strconv.Atoi(found[2]); err != nil || n > count[found[1]] {
			bindings.fail(key, "voice_bindings: there is no %s %s", found[1], found[2])
		}
		bindings.checkVoice(key, bindings.text(key))
	}
}
