package video_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func builtIn(t *testing.T) *video.Catalogue {
	t.Helper()
	c, err := video.BuiltIn()
	require.NoError(t, err)
	return c
}

// The built-in catalogue is read in two steps: as a file, all of it is held against the rules.
func TestTheBuiltInCatalogueIsWhole(t *testing.T) {
	text, err := os.ReadFile("catalogue.json")
	require.NoError(t, err)
	c, err := video.ParseCatalogue(text)
	require.NoError(t, err)
	require.Equal(t, c.Providers(), builtIn(t).Providers())
	for _, provider := range c.Providers() {
		require.Equal(t, c.For(provider).Models, builtIn(t).For(provider).Models)
		require.Equal(t, c.For(provider).Prices, builtIn(t).For(provider).Prices)
	}
}

func TestModelsAndWhereTheyAreSold(t *testing.T) {
	c := builtIn(t)
	require.Equal(t, []string{"wan2.7-r2v", "wan2.7-r2v-2026-06-12", "wan2.6-r2v", "wan2.6-r2v-flash"}, c.ModelNames())
	require.Equal(t, []string{"wan2.6-r2v"}, c.ModelsIn("virginia"))
	for _, region := range []string{"singapore", "beijing", "simulator"} {
		require.Equal(t, c.ModelNames(), c.ModelsIn(region), region)
	}
	require.Empty(t, c.ModelsIn("mars"))
}

// A dated snapshot is one entry: it takes everything from its main line, its price too.
func TestSnapshotIsLikeItsMainLine(t *testing.T) {
	c := builtIn(t)
	main, snapshot := c.Model("wan2.7-r2v"), c.Model("wan2.7-r2v-2026-06-12")
	require.Equal(t, main.Sizes, snapshot.Sizes)
	require.Equal(t, c.Price("beijing", main, "720P", nil).PerSecond, c.Price("beijing", snapshot, "720P", nil).PerSecond)
	require.Nil(t, c.Price("virginia", c.Model("wan2.6-r2v-flash"), "720P", new(bool)), "a model with prices of its own is sold only where it has one")
}

func TestPricesOfTheList(t *testing.T) {
	c := builtIn(t)
	yes, no := true, false
	for _, tt := range []struct {
		region, model, resolution string
		audio                     *bool
		price                     string
	}{
		{"beijing", "wan2.7-r2v", "720P", nil, "0.6"}, {"beijing", "wan2.7-r2v", "1080P", nil, "1"},
		{"beijing", "wan2.6-r2v-flash", "720P", &yes, "0.3"}, {"beijing", "wan2.6-r2v-flash", "1080P", &no, "0.25"},
		{"virginia", "wan2.6-r2v", "1080P", nil, "1"},
		{"singapore", "wan2.7-r2v", "720P", nil, "0.1"}, {"singapore", "wan2.6-r2v-flash", "1080P", &no, "0.0375"},
		{"simulator", "wan2.6-r2v", "1080P", nil, "0.15"},
	} {
		p := c.Price(tt.region, c.Model(tt.model), tt.resolution, tt.audio)
		require.NotNil(t, p, tt)
		require.Equal(t, tt.price, p.PerSecond.String(), tt)
		require.Equal(t, c.Region(tt.region).Currency, p.Currency)
	}
}

func TestSizesThatDifferBetweenFamilies(t *testing.T) {
	c := builtIn(t)
	for model, sizes := range map[string][]string{
		"wan2.7-r2v":       {"1104*832", "832*1104", "1648*1248", "1248*1648"},
		"wan2.6-r2v":       {"1088*832", "832*1088", "1632*1248", "1248*1632"},
		"wan2.6-r2v-flash": {"1088*832", "832*1088", "1632*1248", "1248*1632"},
	} {
		m := c.Model(model)
		made := []string{m.Size("720P", "4:3"), m.Size("720P", "3:4"), m.Size("1080P", "4:3"), m.Size("1080P", "3:4")}
		require.Equal(t, sizes, made, model)
		require.Equal(t, "1920*1080", m.Size("1080P", ""))
		require.Equal(t, "960*960", m.Size("720P", "1:1"))
	}
}

// Too large to be sent through a client in a test's time.
func TestImageAbove20MBIsRefused(t *testing.T) {
	r := builtIn(t).Check(video.Request{Prompt: "Image 1", References: []video.Reference{{URL: "data:image/png;base64," + strings.Repeat("AAAA", 7_000_000)}}}, "beijing")
	require.Len(t, r.Problems, 1)
	require.Equal(t, "references[0].url: the image has 21000000 bytes; allowed: at most 20 MB", r.Problems[0].String())
	r = builtIn(t).Check(video.Request{Prompt: "Image 1", References: []video.Reference{{URL: "data:image/png;base64," + strings.Repeat("AAAA", 6_990_506)}}}, "beijing")
	require.Empty(t, r.Problems, "20 MB are 20,971,520 bytes")
}

// A catalogue that leads nowhere is refused when it is read, not when somebody pays.
func TestBrokenCataloguesAreRefused(t *testing.T) {
	text, err := os.ReadFile("catalogue.json")
	require.NoError(t, err)
	for name, tt := range map[string]struct{ old, new, want string }{
		"cut short":                    {`"other_media"`, "", "read catalogue"},
		"an unknown field":             {`"date"`, `"dat"`, "dat"},
		"an unknown field in a model":  {`"prompt_characters": 5000`, `"prompt_chars": 5000`, "prompt_chars"},
		"like nothing":                 {`"like": "wan2.7-r2v"`, `"like": "wan8"`, `"wan8" names no earlier model`},
		"a doubled model":              {`"name": "wan2.7-r2v-2026-06-12"`, `"name": "wan2.7-r2v"`, "doubled"},
		"no such default model":        {`"default_model": "wan2.7-r2v"`, `"default_model": "wan8"`, "wan8"},
		"a price for nobody":           {`"region": "beijing", "model": "wan2.7-r2v"`, `"region": "mars", "model": "wan2.7-r2v"`, "in mars"},
		"a price given twice":          {`"resolution": "1080P", "per_second": "1", "as_of": "2026-04", "source": "price-list"},`, `"resolution": "720P", "per_second": "1", "as_of": "2026-04", "source": "price-list"},`, "given twice"},
		"a price of zero":              {`"per_second": "0.6"`, `"per_second": "0"`, "no amount above 0"},
		"a price without a source":     {`"source": "price-list"`, `"source": "hearsay"`, "is not among the sources"},
		"a wire form that is not ours": {`"wire": "media"`, `"wire": "post"`, "wire"},
		"a ratio without a size":       {`"9:16": "720*1280", `, ``, "has no size"},
		"a region without a currency":  {`{"name": "virginia", "currency": "CNY"}`, `{"name": "virginia", "currency": ""}`, "currency"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(string(text), tt.old, tt.new, 1)
			require.NotEqual(t, string(text), broken)
			_, err := video.ParseCatalogue([]byte(broken))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestFingerprintIsOfWhatWouldBeBought(t *testing.T) {
	c := builtIn(t)
	base := video.Request{Prompt: "Video 1", References: []video.Reference{{URL: "https://media.example/a.mp4"}}}
	print := func(change func(*video.Request)) string {
		text, err := json.Marshal(base)
		require.NoError(t, err)
		var r video.Request
		require.NoError(t, json.Unmarshal(text, &r))
		change(&r)
		return c.Check(r, "beijing").Fingerprint()
	}
	same := print(func(*video.Request) {})
	length, seed, yes := decimal.NewFromInt(8), int64(1), true
	require.Equal(t, same, print(func(r *video.Request) { r.Resolution, r.Duration, r.Model = "1080P", 5, "wan2.7-r2v" }))
	no, extend := false, true
	require.Equal(t, same, print(func(r *video.Request) {
		r.Ratio, r.Watermark, r.PromptExtend, r.Prompt = "16:9", &no, &extend, " Video 1\n"
	}))
	require.Equal(t, same, print(func(r *video.Request) { r.References[0].Seconds, r.References[0].Kind = &length, video.Video }))
	for name, change := range map[string]func(*video.Request){
		"prompt": func(r *video.Request) { r.Prompt += "!" }, "seed": func(r *video.Request) { r.Seed = &seed },
		"ratio": func(r *video.Request) { r.Ratio = "1:1" }, "model": func(r *video.Request) { r.Model = "wan2.6-r2v" },
		"watermark": func(r *video.Request) { r.Watermark = &yes }, "reference": func(r *video.Request) { r.References[0].URL += "?" },
		"voice": func(r *video.Request) { r.References[0].VoiceURL = "https://media.example/v.mp3" },
	} {
		require.NotEqual(t, same, print(change), name)
	}
}

// Check is given whatever a caller writes. It must not panic, and its findings must stay readable.
func FuzzCheck(f *testing.F) {
	c, err := video.BuiltIn()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("wan2.7-r2v", "Image 1 图2 character3", "https://media.example/a.png", "image", "1:1", 5)
	f.Add("wan2.6-r2v", "character99999999999", "data:image/png;base64,AAAA", "", "", -1)
	f.Add("", "", "oss://a b", "video", "16:9", 1<<30)
	f.Fuzz(func(t *testing.T, model, prompt, url, kind, ratio string, duration int) {
		r := c.Check(video.Request{Model: model, Prompt: prompt, Ratio: ratio, Duration: duration,
			References: []video.Reference{{URL: url, Kind: video.Kind(kind), VoiceURL: url}}}, "beijing")
		for _, p := range r.Problems {
			if p.Field == "" || p.Allowed == "" || len(p.Wrong) > 1000 {
				t.Fatalf("a problem must be short and complete: %+v", p)
			}
		}
	})
}
