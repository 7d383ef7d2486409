package simulator

import "fmt"

// What "Wan - reference-to-video API reference" says of wan2.7's media and parameters.

const maxSecondsWithVideo = 10

// sizes27 are the pixels of each resolution and ratio.
func sizes27() map[string]map[string]dimensions {
	return map[string]map[string]dimensions{
		"720P": {
			"16:9": {720, 1280, 720}, "9:16": {720, 720, 1280}, "1:1": {720, 960, 960},
			"4:3": {720, 1104, 832}, "3:4": {720, 832, 1104},
		},
		"1080P": {
			"16:9": {1080, 1920, 1080}, "9:16": {1080, 1080, 1920}, "1:1": {1080, 1440, 1440},
			"4:3": {1080, 1648, 1248}, "3:4": {1080, 1248, 1648},
		},
	}
}

func readWan27(input, parameters *orderReader, o *order) {
	videos := readMedia(input, o)
	resolution := parameters.oneOf("resolution", "1080P", "720P", "1080P")
	// With a first frame the ratio is ignored and the output only near the frame's; the default's size serves.
	o.ratio = parameters.oneOf("ratio", "16:9", "16:9", "9:16", "1:1", "4:3", "3:4")
	d := sizes27()[resolution][o.ratio]
	o.tier, o.width, o.height = d.tier, d.width, d.height
	longest := o.model.family.maxSeconds
	if videos > 0 {
		longest = maxSecondsWithVideo
	}
	o.seconds = parameters.integer("duration", defaultSeconds, minSeconds, longest)
	parameters.flag("prompt_extend")
}

// readMedia returns the number of reference videos.
func readMedia(input *orderReader, o *order) int {
	items, given := input.list("media")
	if !given || len(items) == 0 {
		input.fail(invalid("Field required: input.media"))
	}
	count := make(map[kind]int)
	for i, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			input.fail(invalid("Input should be a valid dictionary: input.media[%d]", i))
		}
		element := orderReader{path: fmt.Sprintf("input.media[%d]", i), fields: fields, problem: input.problem}
		ref := element.medium()
		count[ref.kind]++
		o.references = append(o.references, ref)
	}
	switch {
	case count[frameKind] > 1:
		input.fail(invalid("The number of first_frame should not be greater than 1"))
	case count[imageKind]+count[videoKind] == 0:
		input.fail(invalid("At least one reference_image or reference_video is required: input.media"))
	case count[imageKind]+count[videoKind] > maxReferences:
		input.fail(invalid("%s", tooMany("images and videos", maxReferences)))
	}
	return count[videoKind]
}

func (r *orderReader) medium() reference {
	r.require("type")
	r.require("url")
	ref := reference{
		kind:     kind(r.oneOf("type", "", string(imageKind), string(videoKind), string(frameKind))),
		url:      r.text("url"),
		voice:    r.text("reference_voice"),
		shortest: shortestVideo,
	}
	if ref.kind == videoKind {
		r.check(ref.url, "http", "https", "oss")
	} else {
		r.check(ref.url, "http", "https", "oss", "data")
	}
	if ref.voice == "" {
		return ref
	}
	if ref.kind == frameKind {
		r.fail(invalid("reference_voice is only supported with reference_image or reference_video: %s", r.path))
	}
	r.check(ref.voice, "http", "https", "oss")
	r.checkVoice(ref.voice)
	return ref
}
