package simulator_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// usageOf runs an order to its end and returns the usage as it is written.
func usageOf(t *testing.T, order object) (usage string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		id := c.task(order)
		time.Sleep(time.Hour)
		answer := c.read("/api/v1/tasks/" + id)
		require.Equal(t, "SUCCEEDED", answer.at("output", "task_status"), "%s", answer.body)
		_, usage, _ = strings.Cut(string(answer.body), `"usage":`)
		usage = strings.TrimSuffix(usage, "}")
	})
	return usage
}

func clips(seconds ...string) array {
	var list array
	for _, s := range seconds {
		list = append(list, "https://a.test/clip-"+s+"s.mp4")
	}
	return list
}

func as27(videos, images array) change {
	var list array
	for _, address := range videos {
		list = append(list, medium("reference_video", address.(string)))
	}
	for _, address := range images {
		list = append(list, medium("reference_image", address.(string)))
	}
	return set("input.media", list)
}

func TestUsageIsBilledByTheTable(t *testing.T) {
	pictures := func(n int) array { return urls(n, "https://a.test/%d.png") }
	frame := array{medium("first_frame", "https://a.test/f.png"), medium("reference_video", "https://a.test/clip-9s.mp4")}
	for name, at := range map[string]struct {
		order object
		usage string
	}{
		"2.7, 5 images, 10 s": {wan27(as27(nil, pictures(5)), set("parameters.duration", 10)),
			`{"duration":10,"input_video_duration":0,"output_video_duration":10,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"2.7, videos of 8 and 2 s, 3 images, 5 s": {wan27(as27(clips("8", "2"), pictures(3))),
			`{"duration":9.5,"input_video_duration":4.5,"output_video_duration":5,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"2.6, the same references": {wan26(set("input.reference_urls", append(clips("8", "2"), pictures(3)...))),
			`{"duration":7.0,"size":"1280*720","input_video_duration":2,"output_video_duration":5,"video_count":1,"SR":720}`},
		"2.7, 3 videos of 10 s, 10 s": {wan27(as27(clips("10", "10", "10"), nil), set("parameters.duration", 10)),
			`{"duration":14.95,"input_video_duration":4.95,"output_video_duration":10,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"flash, silent, a video of 10 s, 5 s": {wan26(set("input.reference_urls", clips("10")), set("parameters.audio", false)),
			`{"duration":10.0,"size":"1280*720","input_video_duration":5,"output_video_duration":5,"video_count":1,"SR":720}`},
		"the guide's 2 videos and an image": {wan27(as27(clips("9", "9"), pictures(1))),
			`{"duration":10,"input_video_duration":5,"output_video_duration":5,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"2.7, 4 videos": {wan27(as27(clips("9", "9", "9", "1"), nil)),
			`{"duration":9.75,"input_video_duration":4.75,"output_video_duration":5,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"2.7, 5 videos": {wan27(as27(clips("9", "9", "9", "9", "9"), nil)),
			`{"duration":10,"input_video_duration":5,"output_video_duration":5,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"2.6, 3 of which 1 video": {wan26(set("input.reference_urls", append(clips("9"), pictures(2)...))),
			`{"duration":6.65,"size":"1280*720","input_video_duration":1.65,"output_video_duration":5,"video_count":1,"SR":720}`},
		"2.6, images only": {wan26(set("input.reference_urls", pictures(2))),
			`{"duration":5.0,"size":"1280*720","input_video_duration":0,"output_video_duration":5,"video_count":1,"SR":720}`},
		"a first frame does not count": {wan27(set("input.media", frame)),
			`{"duration":10,"input_video_duration":5,"output_video_duration":5,"video_count":1,"SR":720,"ratio":"16:9"}`},
		"defaults of 2.6": {wan26(set("parameters", nil), set("input.reference_urls", pictures(1))),
			`{"duration":5.0,"size":"1920*1080","input_video_duration":0,"output_video_duration":5,"video_count":1,"SR":1080}`},
		"defaults of 2.7": {wan27(set("parameters", nil), as27(nil, pictures(1))),
			`{"duration":5,"input_video_duration":0,"output_video_duration":5,"video_count":1,"SR":1080,"ratio":"16:9"}`},
		"the deprecated list is of videos": {wan26(set("input.reference_urls", nil), set("input.reference_video_urls", array{"https://a.test/a", "https://a.test/b"})),
			`{"duration":10.0,"size":"1280*720","input_video_duration":5,"output_video_duration":5,"video_count":1,"SR":720}`},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, at.usage, usageOf(t, at.order)) })
	}
}

func TestAVideoIsAsLongAsItsAddressSays(t *testing.T) {
	for address, input := range map[string]string{
		"https://a.test/dancer-3s.mp4":               "3",
		"https://a.test/dancer_3s.mp4?token=1":       "3",
		"https://a.test/3s.mp4":                      "3",
		"https://a.test/x-2.5s.mp4":                  "2.5",
		"https://a.test/x-2.125s.mp4":                "2.125",
		"https://a.test/x.mp4?seconds=4":             "4",
		"https://a.test/x-1s.mp4?seconds=4.25":       "4.25",
		"https://a.test/x.mp4#seconds=1.5":           "1.5",
		"https://a.test/x-8s.mp4":                    "5", // cut
		"https://a.test/x.mp4":                       "5", // assumed
		"https://a.test/x-2s/film.mp4":               "5",
		"https://a.test/cats.mp4":                    "5",
		"https://a.test/x.mp4?seconds=many":          "5",
		"http://simulator.test/samples/dance-4s.mp4": "4",
	} {
		t.Run(address, func(t *testing.T) {
			usage := usageOf(t, wan27(set("input.media", array{medium("reference_video", address)})))
			require.Contains(t, usage, `"input_video_duration":`+input+`,`)
		})
	}
}
