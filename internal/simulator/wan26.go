package simulator

import "fmt"

// What "Wan - reference-to-video (2.6)" says of reference_urls and parameters.

const (
	maxReferences   = 5
	maxVideos26     = 3
	minSeconds      = 2
	defaultSeconds  = 5
	defaultSize26   = "1920*1080"
	flashModel      = "wan2.6-r2v-flash"
	shortestVideo   = 1000 // ms
	shortestVideo26 = 2000 // ms, of the deprecated reference_video_urls
)

type dimensions struct {
	tier, width, height int
}

// sizes26 are the only values of size.
func sizes26() map[string]dimensions {
	return map[string]dimensions{
		"1280*720": {720, 1280, 720}, "720*1280": {720, 720, 1280}, "960*960": {720, 960, 960},
		"1088*832": {720, 1088, 832}, "832*1088": {720, 832, 1088},
		"1920*1080": {1080, 1920, 1080}, "1080*1920": {1080, 1080, 1920}, "1440*1440": {1080, 1440, 1440},
		"1632*1248": {1080, 1632, 1248}, "1248*1632": {1080, 1248, 1632},
	}
}

func readWan26(input, parameters *orderReader, o *order) {
	readReferences26(input, o)
	size := parameters.text("size")
	if parameters.fields["size"] == nil {
		size = defaultSize26
	}
	d, ok := sizes26()[size]
	if !ok {
		parameters.fail(invalid("The size is not match %s", size))
	}
	o.tier, o.width, o.height = d.tier, d.width, d.height
	o.seconds = parameters.integer("duration", defaultSeconds, minSeconds, o.model.family.maxSeconds)
	parameters.oneOf("shot_type", "single", "single", "multi")
	if o.model.name == flashModel { // the other one has no such field
		parameters.flag("audio")
	}
}

func readReferences26(input *orderReader, o *order) {
	shortest := shortestVideo
	addresses, given := input.list("reference_urls")
	if !given {
		if addresses, given = input.list("reference_video_urls"); given {
			shortest = shortestVideo26
		}
	}
	videos := 0
	for i, item := range addresses {
		address, ok := item.(string)
		if !ok {
			input.fail(invalid("Input should be a valid string: input.reference_urls[%d]", i))
		}
		input.check(address, "http", "https")
		ref := reference{kind: imageKind, url: address, shortest: shortest}
		if shortest == shortestVideo26 || isVideo(address) {
			ref.kind = videoKind
			videos++
		}
		o.references = append(o.references, ref)
	}
	switch {
	case !given || len(addresses) == 0:
		input.fail(invalid("Field required: input.reference_urls"))
	case videos > maxVideos26:
		input.fail(invalid("%s", tooMany("videos", maxVideos26)))
	case len(addresses) > maxReferences:
		input.fail(invalid("%s", tooMany("images and videos", maxReferences)))
	}
}

func tooMany(what string, limit int) string {
	return fmt.Sprintf("The number of reference %s should not be greater than %d", what, limit)
}
