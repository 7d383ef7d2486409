package page

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

var (
	update = flag.Bool("update", false, "take docs/task-page.png anew")
	looks  = flag.String("looks", "", "a folder to write pictures of the page into, to be looked at")
)

// example is a day of somebody's work: what the picture in the documentation shows. Its clip, testdata/clip.mp4, was drawn with
// ffmpeg's geq and drawbox filters: H.264, 640 by 360 pixels, 4 seconds.
func example() *books {
	fox := made("r2v_7kq2m4xw5d3hbn6tjcyr", "testdata/clip.mp4")
	fox.Request.Prompt = "Character1 walks along the harbour at first light, stops, and looks out at the boats while the sun comes up behind the lighthouse. Slow dolly in, warm haze."
	fox.CreatedAt, fox.SubmittedAt, fox.EndedAt = noon.Add(-26*time.Minute), noon.Add(-26*time.Minute), noon.Add(-24*time.Minute-18*time.Second)
	fox.Estimate, fox.Billed = cost("0.5", "1"), bill("0.75")

	boat := running("r2v_q5n3c7vhx2b6wd4mtzka", 48*time.Second)
	boat.Request.Prompt = "Image 1 and Image 2 play chess in a quiet café; rain runs down the window, and the waiter brings two cups of tea."
	boat.Request.Resolution, boat.Request.Duration, boat.Estimate = "1080P", 10, cost("1.5", "1.5")

	queue := running("r2v_z4t6b2khm7x3nq5wcvjd", 12*time.Second)
	queue.Status, queue.CreatedAt = video.Pending, noon.Add(-12*time.Second)
	queue.Request.Prompt, queue.Request.Ratio = "The paper boat of Image 1 sails down a gutter after the storm, seen from very close to the water.", "9:16"
	queue.Estimate = cost("0.5", "0.5")

	refused := running("r2v_m3w7x5qtd2c6hk4bznva", 2*time.Hour)
	refused.Status, refused.EndedAt, refused.Request.Model, refused.Request.Duration = video.Failed, refused.SubmittedAt.Add(9*time.Second), "wan2.6-r2v", 5
	refused.Request.Prompt = "character1 dances on the roof of a tram while the whole street claps along."
	refused.Failure = &video.Failure{Code: "InvalidURL.Timeout", Message: "The reference video could not be downloaded in time.",
		Advice: "Nothing was charged. Give a reference that the service can read: a public address, in an accepted format and size.", Retryable: true}
	return &books{
		tasks:  map[string][]video.Task{"anna": owned("anna", queue, boat, fox, refused)},
		budget: &video.Budget{PerDay: money("20"), Used: money("6.25"), Left: money("13.75"), Currency: "USD", ResetsAt: noon.Add(12 * time.Hour)},
	}
}

func exampleOptions() Options {
	o := options(example())
	o.Usual = func(context.Context, string) (time.Duration, time.Duration, error) {
		return 70 * time.Second, 2 * time.Minute, nil
	}
	return o
}

// picture makes the documentation's picture, and pictures of the other looks, to be looked at:
//
//	go test ./internal/page -run TestInChromium/picture -update
//	go test ./internal/page -run TestInChromium/picture -looks FOLDER
//
// Without either it makes sure that dark and light differ.
func picture(in tabs, t *testing.T) {
	b := open(in, t, handler(t, exampleOptions()), "status of 401", "status of 404", "status of 410")
	b.size(1200, 900)
	b.prefers("prefers-color-scheme", "light", "prefers-reduced-motion", "reduce") // a picture of what moves is another one each time
	b.as(annasToken)
	if !*update && *looks == "" {
		b.size(320, 640)
		light := b.glance()
		b.prefers("prefers-color-scheme", "dark", "prefers-reduced-motion", "reduce")
		require.False(t, bytes.Equal(light, b.glance()), "dark looks like light")
		return
	}
	b.until(`[...document.querySelectorAll("video")].every((v) => v.readyState >= 2)`)
	b.do(chromedp.WaitVisible(chromedp.CSS("video")))
	eval[bool](b, `new Promise((resolve) => setTimeout(() => resolve(true), 1500))`) // the player's sign of loading fades out
	light := b.picture()
	if *update {
		small := paletted(t, light)
		require.Less(t, len(small), 150_000, "bytes of the picture")
		require.NoError(t, os.WriteFile("../../docs/task-page.png", small, 0o644))
	}
	b.prefers("prefers-color-scheme", "dark", "prefers-reduced-motion", "reduce")
	dark := b.picture()
	require.False(t, bytes.Equal(light, dark), "dark looks like light")
	if *looks == "" {
		return
	}
	b.save("light.png", light)
	b.save("dark.png", dark)
	b.size(390, 844)
	b.save("phone-dark.png", b.picture())
	b.prefers("prefers-color-scheme", "light")
	b.size(320, 640)
	b.save("phone.png", b.picture())
	b.do(chromedp.Click(chromedp.CSS("form.who button")), chromedp.WaitVisible(chromedp.CSS("#token")))
	b.save("sign-in-phone.png", b.picture())
	b.size(1200, 800)
	b.signIn("wrong")
	b.save("wrong-token.png", b.picture())
	b.unsaved(t)
}

// unsaved pictures what can become of a clip that is not, or no more, saved, and the page between another site and a clip.
func (b *tab) unsaved(t *testing.T) {
	books := twoPeople()
	full := func(t *video.Task) {
		t.SavedTo, t.SaveError = "", "/srv/clips has no room left: 12 MB are free, and the clip has 31 MB"
	}
	books.tasks["anna"] = append(books.tasks["anna"], owned("anna", with(made("r2v_retried", ""), full), with(made("r2v_late", ""), func(t *video.Task) {
		full(t)
		t.EndedAt = noon.Add(-25 * time.Hour)
	}))...)
	books.change("anna", "r2v_a", func(t *video.Task) { t.SavedTo = "/nowhere/at.all" })
	h := handler(t, options(books))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/between" {
			between := body(t, ask(h, http.MethodGet, "/clips/r2v_a.mp4", "", browsing("cross-site")))
			w.Write([]byte(strings.Replace(between, "http-equiv", "name", 1))) // it stays
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	other := &tab{T: t, viewer: b.viewer, url: server.URL}
	other.as(annasToken)
	other.until(`!document.querySelector("video")`)
	b.save("unsaved.png", other.picture())
	other.size(320, 640)
	b.save("unsaved-phone.png", other.picture())
	other.visit("/clips/r2v_a.mp4")
	b.save("gone.png", other.picture())
	other.size(800, 600)
	other.visit("/between")
	b.save("between.png", other.picture())
	other.do(chromedp.Navigate("about:blank")) // nothing is asked for when the server is gone
}

// paletted keeps the 256 commonest colours of a picture: the page has few, and the file is half as large.
func paletted(t *testing.T, picture []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	count := map[color.Color]int{}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			count[from.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] })
	to := image.NewPaletted(from.Bounds(), color.Palette(colours[:min(256, len(colours))]))
	nearest := map[color.Color]uint8{}
	for c := range count {
		nearest[c] = uint8(to.Palette.Index(c))
	}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			to.SetColorIndex(x, y, nearest[from.At(x, y)])
		}
	}
	var small bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, to))
	return small.Bytes()
}

func (b *tab) save(name string, picture []byte) {
	b.Helper()
	require.NoError(b, os.WriteFile(*looks+"/"+name, picture, 0o644))
}
