package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// problem is what is wrong with an order or how a task failed, in the service's words.
type problem struct {
	code, message string
	after         time.Duration // how long the task runs until it shows; 0 is as long as any
	cancels       bool          // the provider itself cancels the task
}

func invalid(format string, values ...any) *problem {
	return &problem{code: "InvalidParameter", message: fmt.Sprintf(format, values...)}
}

// model is one of the service's names and how long its tasks take ("1-5 minutes"; the rest is our choice).
type model struct {
	name      string
	family    family
	base      time.Duration
	perSecond time.Duration // of output
}

// family is what models of one generation have in common.
type family struct {
	refusesAtOnce bool
	imagesDivide  bool // the images count for how much of each video is billed
	promptLimit   int  // characters; what is over is cut without a word
	maxSeconds    int
	clipSide      int // the longest side of a reference video, in pixels; 0 where none is documented
	read          func(input, parameters *orderReader, o *order)
	usage         func(o order, in, out millis) any
}

func models() []model {
	// "Wan - reference-to-video (2.6)" and "Wan - reference-to-video API reference"
	wan26 := family{true, true, 1500, 10, 0, readWan26, order.usage26}
	wan27 := family{false, false, 5000, 15, 4096, readWan27, order.usage27}
	return []model{
		{"wan2.7-r2v", wan27, 120 * time.Second, 12 * time.Second},
		{"wan2.7-r2v-2026-06-12", wan27, 120 * time.Second, 12 * time.Second},
		{"wan2.6-r2v", wan26, 90 * time.Second, 8 * time.Second},
		{flashModel, wan26, 60 * time.Second, 6 * time.Second},
	}
}

func modelNamed(name string) (model, bool) {
	for _, m := range models() {
		if m.name == name {
			return m, true
		}
	}
	return model{}, false
}

func orderedModel(fields map[string]any) (model, *problem) {
	name, _ := fields["model"].(string)
	if name == "" {
		return model{}, &problem{code: "BadRequest.EmptyModel", message: `Required parameter "model" missing from request.`}
	}
	m, ok := modelNamed(name)
	if !ok {
		return model{}, invalid("Model not exist.")
	}
	return m, nil
}

// order is a request as the service understood it.
type order struct {
	model         model
	prompt        string // cut to the limit
	references    []reference
	width, height int
	tier          int // 720 or 1080
	ratio         string
	seconds       int

	// Of the relay alone.
	silent   bool   // ordered without sound
	callback string // where the end is to be told
}

// checkingTime is how long a task runs that fails on its parameters or its media.
const checkingTime = 2 * time.Second

func (o order) runningTime() time.Duration {
	return o.model.base + time.Duration(o.seconds)*o.model.perSecond
}

// readOrder reads an order and tells the first thing wrong with it. Fields it does not know are ignored, for the
// official SDKs send some of their own.
func readOrder(m model, fields map[string]any) (order, *problem) {
	o := order{model: m}
	var first *problem
	input := orderReader{path: "input", problem: &first}
	if input.fields, _ = fields["input"].(map[string]any); input.fields == nil {
		input.fail(invalid("Field required: input"))
	}
	parameters := orderReader{path: "parameters", problem: &first}
	parameters.fields, _ = fields["parameters"].(map[string]any)
	if given := fields["parameters"]; given != nil && parameters.fields == nil {
		parameters.fail(invalid("Input should be a valid dictionary: parameters"))
	}

	input.require("prompt")
	o.prompt = cut(input.text("prompt"), m.family.promptLimit)
	input.text("negative_prompt")
	parameters.flag("watermark")
	parameters.integer("seed", 0, 0, 2147483647)
	m.family.read(&input, &parameters, &o)
	return o, first
}

// cut keeps the first limit characters; a CJK character, a letter and a punctuation mark each count as one.
func cut(text string, limit int) string {
	if characters := []rune(text); len(characters) > limit {
		return string(characters[:limit])
	}
	return text
}

// orderReader reads the fields of one JSON object and keeps the first problem. null is as good as absent.
type orderReader struct {
	path    string
	fields  map[string]any
	problem **problem
}

func (r *orderReader) fail(p *problem) {
	if *r.problem == nil {
		*r.problem = p
	}
}

func (r *orderReader) require(name string) {
	if v := r.fields[name]; v == nil || v == "" {
		r.fail(invalid("Field required: %s.%s", r.path, name))
	}
}

func (r *orderReader) text(name string) string {
	text, ok := r.fields[name].(string)
	if !ok && r.fields[name] != nil {
		r.fail(invalid("Input should be a valid string: %s.%s", r.path, name))
	}
	return text
}

func (r *orderReader) oneOf(name string, fallback string, words ...string) string {
	word := r.text(name)
	if r.fields[name] == nil {
		return fallback
	}
	if !slices.Contains(words, word) {
		quoted := make([]string, len(words))
		for i := range words {
			quoted[i] = "'" + words[i] + "'"
		}
		r.fail(invalid("Input should be %s: %s.%s", strings.Join(quoted, ", "), r.path, name))
	}
	return word
}

func (r *orderReader) flag(name string) {
	if _, ok := r.fields[name].(bool); !ok && r.fields[name] != nil {
		r.fail(invalid("Input should be a valid boolean: %s.%s", r.path, name))
	}
}

func (r *orderReader) integer(name string, fallback, low, high int) int {
	if r.fields[name] == nil {
		return fallback
	}
	number, _ := r.fields[name].(json.Number)
	value, err := strconv.Atoi(number.String())
	if err != nil {
		r.fail(invalid("Input should be a valid integer: %s.%s", r.path, name))
	} else if value < low || value > high {
		r.fail(invalid("Range of %s should be [%d, %d]", name, low, high))
	}
	return value
}

// list returns a field that must be an array, and whether it is there.
func (r *orderReader) list(name string) ([]any, bool) {
	if r.fields[name] == nil {
		return nil, false
	}
	items, ok := r.fields[name].([]any)
	if !ok {
		r.fail(invalid("Input should be a valid list: %s.%s", r.path, name))
	}
	return items, true
}
