package video_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func seconds(s string) *decimal.Decimal { d := decimal.RequireFromString(s); return &d }

// checked is what is wrong with one reference of which this was seen.
func checked(t *testing.T, model, region string, ref video.Reference) *video.Report {
	t.Helper()
	c, err := video.BuiltIn()
	require.NoError(t, err)
	return c.Check(video.Request{Model: model, Prompt: "they dance", Resolution: "720P", References: []video.Reference{ref}}, region)
}

func picture(change func(*video.Medium)) video.Reference {
	m := &video.Medium{Kind: "image", Format: "jpeg", Bytes: 1000, Width: 300, Height: 300}
	change(m)
	return video.Reference{URL: "https://media.example/a", Medium: m}
}

func film(change func(*video.Medium)) video.Reference {
	m := &video.Medium{Kind: "video", Format: "mp4", Bytes: 1000, Width: 300, Height: 300, Seconds: seconds("5")}
	change(m)
	return video.Reference{URL: "https://media.example/a", Medium: m}
}

// What is documented is taken to its edge, and not beyond.
func TestTheLimitsOfFilesAreExact(t *testing.T) {
	given := func(ref video.Reference, s string) video.Reference { ref.Seconds = seconds(s); return ref }
	for _, tt := range []struct {
		name      string
		good, bad video.Reference
	}{
		{"bytes of a picture", picture(func(m *video.Medium) { m.Bytes = 20 << 20 }), picture(func(m *video.Medium) { m.Bytes = 20<<20 + 1 })},
		{"bytes of a clip", film(func(m *video.Medium) { m.Bytes = 100 << 20 }), film(func(m *video.Medium) { m.Bytes = 100<<20 + 1 })},
		{"short side", picture(func(m *video.Medium) { m.Width = 240 }), picture(func(m *video.Medium) { m.Width = 239 })},
		{"long side of a picture", picture(func(m *video.Medium) { m.Width, m.Height = 8000, 1000 }), picture(func(m *video.Medium) { m.Width, m.Height = 8001, 1001 })},
		{"long side of a clip", film(func(m *video.Medium) { m.Height, m.Width = 4096, 1000 }), film(func(m *video.Medium) { m.Height, m.Width = 4097, 1000 })},
		{"ratio", picture(func(m *video.Medium) { m.Width, m.Height = 2400, 300 }), picture(func(m *video.Medium) { m.Width, m.Height = 300, 2401 })},
		{"shortest clip", film(func(m *video.Medium) { m.Seconds = seconds("1") }), film(func(m *video.Medium) { m.Seconds = seconds("0.999") })},
		{"longest clip", film(func(m *video.Medium) { m.Seconds = seconds("30") }), film(func(m *video.Medium) { m.Seconds = seconds("30.001") })},
		{"transparency", picture(func(m *video.Medium) { m.Format, m.Alpha = "webp", true }), picture(func(m *video.Medium) { m.Format, m.Alpha = "png", true })},
		{"a given length in whole seconds", given(film(func(m *video.Medium) { m.Seconds = seconds("5.999") }), "5"), given(film(func(m *video.Medium) { m.Seconds = seconds("6") }), "5")},
		{"a given length in tenths", given(film(func(m *video.Medium) { m.Seconds = seconds("3.249") }), "3.2"), given(film(func(m *video.Medium) { m.Seconds = seconds("3.3") }), "3.2")},
		{"a given length with an exponent", given(film(func(m *video.Medium) { m.Seconds = seconds("10.9") }), "1e1"), given(film(func(m *video.Medium) { m.Seconds = seconds("12") }), "1e1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Empty(t, checked(t, "wan2.7-r2v", "simulator", tt.good).Problems)
			require.Len(t, checked(t, "wan2.7-r2v", "simulator", tt.bad).Problems, 1)
		})
	}
}

func TestSidesThatAreNotKnownBreakNoLimit(t *testing.T) {
	require.Empty(t, checked(t, "wan2.7-r2v", "simulator", picture(func(m *video.Medium) { m.Width, m.Height = 0, 0 })).Problems)
}

// Where uploads are not documented a small picture goes inside the request, and nothing else does.
func TestOnlySmallPicturesGoInsideTheRequest(t *testing.T) {
	here := func(ref video.Reference) video.Reference { ref.URL, ref.Medium.Local = "a.jpg", true; return ref }
	for _, tt := range []struct {
		name, region string
		ref          video.Reference
		inline       bool
		warns        bool
	}{
		{"a small picture", "singapore", picture(func(m *video.Medium) { m.Bytes = 4 << 20 }), true, false},
		{"a larger one", "singapore", picture(func(m *video.Medium) { m.Bytes = 4<<20 + 1 }), false, true},
		{"a clip", "singapore", film(func(*video.Medium) {}), false, true},
		{"a small picture where uploads are documented", "beijing", picture(func(*video.Medium) {}), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := checked(t, "wan2.7-r2v", tt.region, here(tt.ref))
			require.Empty(t, r.Problems)
			require.Equal(t, []bool{tt.inline}, r.Inline)
			require.Equal(t, tt.warns, strings.Contains(strings.Join(r.Warnings, ";"), "the file is uploaded, which the service documents for beijing alone"))
		})
	}
}

func TestAllThatIsWrongWithALocalFileIsToldWhoeverTakesIt(t *testing.T) {
	ref := picture(func(m *video.Medium) { m.Local, m.Width, m.Format, m.Alpha = true, 200, "png", true })
	ref.URL = "a.png"
	require.Len(t, checked(t, "wan2.6-r2v", "simulator", ref).Problems, 3, "no uploads, too small, transparent")
	virginia := checked(t, "wan2.6-r2v", "virginia", ref).Problems[0]
	require.NotContains(t, virginia.Allowed, "uploaded to", "no model there takes files")
}
