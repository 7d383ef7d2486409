package video_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func relay(t *testing.T) *video.Catalogue {
	t.Helper()
	c := builtIn(t).For("evolink")
	require.NotNil(t, c)
	return c
}

func TestEachProviderHasItsPartOfTheCatalogue(t *testing.T) {
	c := builtIn(t)
	require.Equal(t, []string{"dashscope", "evolink"}, c.Providers())
	require.Equal(t, c.ModelNames(), c.For("dashscope").ModelNames())
	require.Equal(t, c.ModelNames(), c.For("").ModelNames())
	require.Equal(t, []string{"singapore", "virginia", "beijing", "simulator"}, c.RegionNames())
	require.Nil(t, c.For("nobody"))

	r := c.For("evolink")
	require.Equal(t, []string{"wan2.7-r2v", "wan2.6-r2v", "wan2.6-r2v-flash"}, r.ModelNames())
	require.Equal(t, "wan2.7-r2v", r.DefaultModel)
	require.Equal(t, []string{"evolink", "evolink-simulator"}, r.RegionNames())
	require.Equal(t, c.ModelNames(), r.For("dashscope").ModelNames(), "each part leads to the others")
	for ours, theirs := range map[string]string{
		"wan2.7-r2v": "wan2.7-reference-video", "wan2.6-r2v": "wan2.6-reference-video", "wan2.6-r2v-flash": "wan2.6-reference-video-flash",
	} {
		require.Equal(t, theirs, r.Model(ours).UpstreamName)
		require.Equal(t, ours, c.Model(ours).UpstreamName)
	}
	require.Equal(t, "wan2.7-r2v-2026-06-12", c.Model("wan2.7-r2v-2026-06-12").UpstreamName)
}

func TestRelayPrices(t *testing.T) {
	c, yes, no := relay(t), true, false
	for _, name := range c.ModelNames() {
		m := c.Model(name)
		require.Nil(t, c.Price("evolink", m, "720P", m.AudioDefault), "no rate is known, and DashScope's is another's")
		require.Nil(t, c.Price("beijing", m, "720P", m.AudioDefault))
	}
	for _, tt := range []struct {
		model, resolution string
		audio             *bool
		price             string
	}{
		{"wan2.7-r2v", "720P", nil, "6.8"}, {"wan2.7-r2v", "1080P", nil, "10.2"}, {"wan2.6-r2v", "720P", nil, "6.8"}, {"wan2.6-r2v", "1080P", nil, "10.2"},
		{"wan2.6-r2v-flash", "720P", &yes, "3.4"}, {"wan2.6-r2v-flash", "1080P", &yes, "5.1"}, {"wan2.6-r2v-flash", "720P", &no, "1.7"}, {"wan2.6-r2v-flash", "1080P", &no, "2.55"},
	} {
		p := c.Price("evolink-simulator", c.Model(tt.model), tt.resolution, tt.audio)
		require.NotNil(t, p, tt)
		require.Equal(t, tt.price, p.PerSecond.String())
		require.Equal(t, "credits", p.Currency)
		require.Equal(t, "the built-in simulator; nothing is charged", c.SourceText(p))
	}
	require.Equal(t, c.ModelNames(), c.ModelsIn("evolink"), "where there is no price list, every model is sold")
}

// want is a request, and all that is wrong with it at the relay.
type want struct {
	name     string
	request  video.Request
	problems []string
	warnings []string
}

func (w want) hold(t *testing.T) {
	t.Helper()
	r := relay(t).Check(w.request, "evolink")
	problems := []string{}
	for _, p := range r.Problems {
		problems = append(problems, p.String())
	}
	require.Equal(t, append([]string{}, w.problems...), problems)
	require.Equal(t, w.warnings, r.Warnings)
	require.Nil(t, r.Price)
}

const filmed, portrait = "https://media.example/a.mp4", "https://media.example/a.png"

func references(urls ...string) []video.Reference {
	var out []video.Reference
	for _, url := range urls {
		out = append(out, video.Reference{URL: url})
	}
	return out
}

func TestWhatTheRelayTakesOfWan26(t *testing.T) {
	yes, no, seed := true, false, int64(5)
	const prompt = "character1 dances"
	for _, tt := range []want{
		{name: "a clip", request: video.Request{Prompt: prompt, References: references(filmed), Duration: 10, ShotType: "multi", Ratio: "3:4"}},
		{name: "an image", request: video.Request{Prompt: prompt, References: references(portrait)}, problems: []string{
			"references[0].type: wan2.6-r2v takes no images; allowed: video; at this service wan2.6 takes clips alone; wan2.7-r2v takes images"}},
		{name: "a first frame", request: video.Request{Prompt: prompt, References: append(references(filmed), video.Reference{URL: portrait, Kind: video.FirstFrame})}, problems: []string{
			"references[1].type: wan2.6-r2v takes no first frame; allowed: video; wan2.6 has no first frame; use wan2.7-r2v"}},
		{name: "four clips", request: video.Request{Prompt: "character1, character2, character3, character4", References: references(filmed, filmed, filmed, filmed)}, problems: []string{
			"references: there are 4 of them; allowed: 1 to 3 videos for wan2.6-r2v"}},
		{name: "a seed", request: video.Request{Prompt: prompt, References: references(filmed), Seed: &seed}, problems: []string{
			"seed: wan2.6-r2v has no seed; allowed: leave it out; use wan2.7-r2v for it"}},
		{name: "what is not wanted", request: video.Request{Prompt: prompt, References: references(filmed), NegativePrompt: strings.Repeat("x", 600)}, problems: []string{
			"negative_prompt: wan2.6-r2v has no negative_prompt; allowed: leave it out; say in the prompt what is not wanted, or use wan2.7-r2v"}},
		{name: "a watermark", request: video.Request{Prompt: prompt, References: references(filmed), Watermark: &no}, problems: []string{
			"watermark: wan2.6-r2v has no watermark; allowed: leave it out; this service has no such parameter"}},
		{name: "an extended prompt", request: video.Request{Prompt: prompt, References: references(filmed), PromptExtend: &yes}, problems: []string{
			"prompt_extend: wan2.6-r2v has no prompt_extend; allowed: leave it out; use wan2.7-r2v for it"}},
		{name: "a silent clip", request: video.Request{Prompt: prompt, References: references(filmed), Audio: &no}, problems: []string{
			"audio: wan2.6-r2v has no audio; allowed: leave it out; its clips always have sound; wan2.6-r2v-flash can be silent"}},
		{name: "a voice", request: video.Request{Prompt: prompt, References: []video.Reference{{URL: filmed, VoiceURL: "https://media.example/v.mp3"}}}, problems: []string{
			"references[0].voice_url: wan2.6-r2v takes no voice; allowed: leave it out; wan2.6 takes the voice from the reference clip itself; wan2.7-r2v takes a voice_url"}},
		{name: "11 s", request: video.Request{Prompt: prompt, References: references(filmed), Duration: 11}, problems: []string{
			"duration: wan2.6-r2v does not make 11 seconds; allowed: 2 to 10 seconds"}},
		{name: "no kind", request: video.Request{Prompt: prompt, References: references("https://media.example/get?1")}, problems: []string{
			"references[0].type: the url does not tell whether this is an image or a video; allowed: video"}},
		{name: "an uploaded file of another service", request: video.Request{Prompt: prompt, References: references("oss://dashscope-instant/a.mp4")}, problems: []string{
			`references[0].url: wan2.6-r2v does not take "oss" addresses here; allowed: an address that begins with http://, https://; or the path of a file on this computer`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.request.Model = "wan2.6-r2v"
			tt.hold(t)
		})
	}
	t.Run("the flash", func(t *testing.T) {
		r := relay(t).Check(video.Request{Model: "wan2.6-r2v-flash", Prompt: prompt, References: references(filmed)}, "evolink")
		require.Empty(t, r.Problems)
		require.True(t, *r.Request.Audio, "the relay's default")
		require.Equal(t, []any{"720P", "16:9", 5, true}, []any{r.Request.Resolution, r.Request.Ratio, r.Request.Duration, r.NoRate})
		r = relay(t).Check(video.Request{Model: "wan2.6-r2v-flash", Prompt: prompt, References: references(filmed), Audio: &no, Seed: &seed}, "evolink")
		require.Len(t, r.Problems, 1)
		require.Equal(t, "seed", r.Problems[0].Field)
	})
}

func TestWhatTheRelayTakesOfWan27(t *testing.T) {
	yes, zero, one, most := true, int64(0), int64(1), int64(2147483647)
	const unlimited = "references: no limit to the billed seconds of a reference video is documented for wan2.7-r2v here, so each is counted whole: the bill may be lower"
	for _, tt := range []want{
		{name: "pictures", request: video.Request{Prompt: "Image 1 and Image 2", References: references(portrait, portrait), Duration: 15, Seed: &one, PromptExtend: &yes, NegativePrompt: "rain"}},
		{name: "the highest seed", request: video.Request{Prompt: "Image 1", References: references(portrait), Seed: &most}},
		{name: "a clip", request: video.Request{Prompt: "Video 1", References: references(filmed), Duration: 10}, warnings: []string{unlimited}},
		{name: "a clip and 11 s", request: video.Request{Prompt: "Video 1", References: references(filmed), Duration: 11}, warnings: []string{unlimited}, problems: []string{
			"duration: wan2.7-r2v does not make 11 seconds with a reference video; allowed: 2 to 10 seconds"}},
		{name: "seed 0", request: video.Request{Prompt: "Image 1", References: references(portrait), Seed: &zero}, problems: []string{
			"seed: 0 is out of range; allowed: 1 to 2147483647"}},
		{name: "five and a first frame", request: video.Request{Prompt: "Image 1, Image 2, Image 3, Image 4, Image 5",
			References: append(references(portrait, portrait, portrait, portrait, portrait), video.Reference{URL: portrait, Kind: video.FirstFrame})}},
		{name: "six", request: video.Request{Prompt: "Image 1, Image 2, Image 3, Image 4, Image 5, Image 6", References: references(portrait, portrait, portrait, portrait, portrait, portrait)}, problems: []string{
			"references: there are 6 images and videos; allowed: 1 to 5 images and videos for wan2.7-r2v, and at most 1 first frame"}},
		{name: "a first frame alone", request: video.Request{Prompt: "It begins", References: []video.Reference{{URL: portrait, Kind: video.FirstFrame}}}, problems: []string{
			"references: a first frame alone is not enough; allowed: 1 to 5 images and videos for wan2.7-r2v, and at most 1 first frame"}},
		{name: "a watermark", request: video.Request{Prompt: "Image 1", References: references(portrait), Watermark: &yes}, problems: []string{
			"watermark: wan2.7-r2v has no watermark; allowed: leave it out; this service has no such parameter"}},
		{name: "shots", request: video.Request{Prompt: "Image 1", References: references(portrait), ShotType: "multi"}, problems: []string{
			`shot_type: wan2.7-r2v has no shot_type; allowed: leave it out; describe the shots in the prompt instead, e.g. "Shot 1 [0-3s]: wide shot ..."`}},
		{name: "a portrait inside the request", request: video.Request{Prompt: "Image 1", References: []video.Reference{{URL: "data:image/png;base64,AAAA", Kind: video.Image}}}, problems: []string{
			`references[0].url: wan2.7-r2v does not take "data" addresses here; allowed: an address that begins with http://, https://; or the path of a file on this computer`}},
	} {
		t.Run(tt.name, tt.hold)
	}
	text := relay(t).Model("wan2.7-r2v")
	require.False(t, *text.PromptExtendDefault)
}

// A prices file holds what an operator knows; all else stays as it is built in.
func TestPricesOfAnOperator(t *testing.T) {
	c, err := video.ParseOperators([]byte(`{"sources": {"invoice": {"title": "our invoice of May", "url": ""}}, "prices": [
		{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "6.5"},
		{"region": "evolink", "model": "wan2.6-r2v-flash", "resolution": "720P", "audio": false, "per_second": "1.6", "as_of": "2026-05", "source": "invoice"},
		{"region": "beijing", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "0.55", "source": "invoice", "as_of": "2026-05"},
		{"region": "beijing", "model": "wan2.6-r2v-flash", "resolution": "720P", "audio": true, "per_second": "0.25"}]}`))
	require.NoError(t, err)
	yes, no := true, false
	r := c.For("evolink")
	for _, tt := range []struct {
		c                         *video.Catalogue
		region, model, resolution string
		audio                     *bool
		price, source             string
	}{
		{r, "evolink", "wan2.7-r2v", "720P", nil, "6.5", "the operator's prices file"},
		{r, "evolink", "wan2.6-r2v-flash", "720P", &no, "1.6", "our invoice of May"},
		{r, "evolink-simulator", "wan2.7-r2v", "720P", nil, "6.8", "the built-in simulator; nothing is charged"},
		{c, "beijing", "wan2.7-r2v", "720P", nil, "0.55", "our invoice of May"},
		{c, "beijing", "wan2.7-r2v-2026-06-12", "720P", nil, "0.55", "our invoice of May"},
		{c, "beijing", "wan2.7-r2v", "1080P", nil, "1", "Model Studio price list, CNY, https://help.aliyun.com/zh/model-studio/model-pricing"},
		{c, "beijing", "wan2.6-r2v-flash", "720P", &yes, "0.25", "the operator's prices file"},
		{c, "beijing", "wan2.6-r2v-flash", "720P", &no, "0.15", "Model Studio price list, CNY, https://help.aliyun.com/zh/model-studio/model-pricing"},
	} {
		p := tt.c.Price(tt.region, tt.c.Model(tt.model), tt.resolution, tt.audio)
		require.NotNil(t, p, tt)
		require.Equal(t, []string{tt.price, tt.source}, []string{p.PerSecond.String(), tt.c.SourceText(p)}, tt.model)
	}
	require.Equal(t, r.ModelNames(), r.ModelsIn("evolink"), "a rate for one model takes no other off the shelf")
	require.Nil(t, r.Price("evolink", r.Model("wan2.7-r2v"), "1080P", nil))
	require.Nil(t, r.Price("evolink", r.Model("wan2.6-r2v-flash"), "720P", &yes))
	rest := r.Check(video.Request{Prompt: "Image 1", References: references(portrait), Resolution: "1080P"}, "evolink")
	require.Empty(t, rest.Problems)
	require.True(t, rest.NoRate)

	untouched, err := video.BuiltIn()
	require.NoError(t, err)
	require.Equal(t, "0.6", untouched.Price("beijing", untouched.Model("wan2.7-r2v"), "720P", nil).PerSecond.String())
}

func TestBrokenPricesFilesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"prices": [{"region": "mars", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "1"}]}`:                          "in mars: there is no such region",
		`{"prices": [{"region": "evolink", "model": "wan2.7-reference-video", "resolution": "720P", "per_second": "1"}]}`:           "there is no such model; there are wan2.7-r2v, wan2.6-r2v, wan2.6-r2v-flash",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v-2026-06-12", "resolution": "720P", "per_second": "1"}]}`:            "there is no such model",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720p", "per_second": "1"}]}`:                       "there is no such resolution; there are 720P, 1080P",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "audio": true, "per_second": "1"}]}`:        "the price would never apply",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "1e400"}]}`:                   "up to a million",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "1", "as_of": "yesterday"}]}`: `as_of "yesterday" is no date`,
		"{\"prices\": [\n{\"region\": \"evolink\"},\n]}":                                                                            "line 3: ",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "0"}]}`:                       "no amount above 0",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "1", "source": "hearsay"}]}`:  `source "hearsay" is not among the sources`,
		`{"prices": [{"region": "simulator", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "1"}]}`:                     "has the prices of singapore",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "persecond": "1"}]}`:                        "persecond",
		`{"models": [{"name": "x"}, {"name": "y", "like": "x", "": 1}]}`:                                                            "unknown field",
		`{"regions": [], "prices": []}`: "regions",
		`[]`:                            "read prices",
		`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "1"},
			{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "2"}]}`: "given twice",
	} {
		_, err := video.ParseOperators([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

// A local file is uploaded to each of the relay's models, and goes inside the request of none.
func TestLocalFilesAreUploadedToTheRelay(t *testing.T) {
	seen := &video.Medium{Kind: "video", Format: "mp4", Local: true, Bytes: 1000, Sum: "aa"}
	small := &video.Medium{Kind: "image", Format: "png", Local: true, Bytes: 1000, Width: 300, Height: 300, Sum: "bb"}
	for _, name := range relay(t).ModelNames() {
		prompt := map[bool]string{true: "Video 1", false: "character1"}[name == "wan2.7-r2v"]
		r := relay(t).Check(video.Request{Model: name, Prompt: prompt, References: []video.Reference{{URL: "/tmp/a.mp4", Medium: seen}}}, "evolink")
		require.Empty(t, r.Problems, name)
		require.Equal(t, []bool{false}, r.Inline)
	}
	r := relay(t).Check(video.Request{Prompt: "Image 1", References: []video.Reference{{URL: "/tmp/a.png", Medium: small}}}, "evolink")
	require.Empty(t, r.Problems)
	require.Empty(t, r.Warnings, "uploads are documented there")
	require.Equal(t, []bool{false}, r.Inline)
}
