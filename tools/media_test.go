package tools_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/local"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/clip"
)

// files is a web server with real media: those of testdata, and those that a test puts there.
type files struct {
	*httptest.Server
	dir string
}

func newFiles(t *testing.T) *files {
	t.Helper()
	f := &files{dir: t.TempDir()}
	mux := http.NewServeMux()
	mux.Handle("/media/", http.StripPrefix("/media/", http.FileServer(http.Dir("../testdata/media"))))
	mux.Handle("/", http.FileServer(http.Dir(f.dir)))
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// put makes a file of the server, and of the folder behind it.
func (f *files) put(t *testing.T, name string, content []byte) (address, path string) {
	t.Helper()
	path = filepath.Join(f.dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return f.URL + "/" + name, path
}

func aClip(t *testing.T, seconds string) []byte {
	t.Helper()
	ms := decimal.RequireFromString(seconds).Shift(3).IntPart()
	content, err := clip.Bytes(clip.Spec{Width: 320, Height: 240, Duration: time.Duration(ms) * time.Millisecond})
	require.NoError(t, err)
	return content
}

func aPicture(t *testing.T, width, height int, ground color.Color) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, ground)
		}
	}
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, img))
	return out.Bytes()
}

// looking is a world that looks at what requests refer to, on loopback as well, and may read files of some folders.
func looking(t *testing.T, o options, folders ...string) *world {
	t.Helper()
	anywhere, err := egress.NewClient(egress.Settings{Allow: []string{"127.0.0.0/8"}})
	require.NoError(t, err)
	sim := simulator.New(simulator.Options{Speed: 2000, APIKey: simulatedKey, Client: anywhere})
	var bodies bodies
	o.handler = refusingPath(o.refuse, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		bodies.note(r)
		sim.ServeHTTP(rw, r)
	}))
	o.looks = anywhere
	o.folders = func(context.Context) local.Folders {
		return local.Folders{Roots: folders, None: "the test gives none"}
	}
	w := newWorld(t, o)
	w.bodies = bodies.all
	return w
}

// bodies are the orders that reached the service, as they were written.
type bodies struct {
	mu   sync.Mutex
	sent []string
}

func (b *bodies) note(r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/video-synthesis") {
		return
	}
	body, _ := io.ReadAll(r.Body) // what breaks off, the simulator tells
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, string(body))
}

func (b *bodies) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}

func TestAllThatIsWrongWithTheFilesIsOneRefusal(t *testing.T) {
	f := newFiles(t)
	w := looking(t, options{})
	transparent, _ := f.put(t, "hat.png", aPicture(t, 300, 300, color.NRGBA{200, 0, 0, 100}))
	long, _ := f.put(t, "long.mp4", aClip(t, "31"))
	small, _ := f.put(t, "small.png", aPicture(t, 200, 400, color.Black))
	text := w.refusal("generate_r2v", wan27(arguments{
		"prompt": "Image 1, Image 2 and Image 3 meet Video 1", "references": refs(transparent, long, small, f.URL+"/gone.png"),
	}))
	require.Contains(t, text, "4 problem(s)")
	require.Contains(t, text, "references[0].url: the png has transparency")
	require.Contains(t, text, "references[1].url: it is 31 s long; allowed: 1 to 30 seconds")
	require.Contains(t, text, "references[2].url: it has 200 x 400 pixels; allowed: sides of 240 to 8000 pixels")
	require.Contains(t, text, "references[3].url: 127.0.0.1 answers with HTTP 404")
	require.Contains(t, text, "charged: no")
	require.Zero(t, w.created())
}

func TestEveryDocumentedLimitOfAFileIsHeld(t *testing.T) {
	f := newFiles(t)
	w := looking(t, options{})
	put := func(name string, content []byte) string { address, _ := f.put(t, name, content); return address }
	padded := func(content []byte, size int) []byte { return append(content, make([]byte, size-len(content))...) }
	voice := func(name string) any {
		return arguments{"url": put("face.png", aPicture(t, 300, 300, color.White)), "voice_url": f.URL + "/media/" + name}
	}
	for _, tt := range []struct {
		name      string
		reference any
		says      string
	}{
		{"a format that is not taken", f.URL + "/media/animated.gif", "the file is gif, which wan2.7-r2v does not take as a reference of type image"},
		{"a format that the name hides", put("a.png", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;")), "the file is gif"},
		{"a page instead of a picture", put("page.png", []byte("<!DOCTYPE html><html><body>Sign in</body></html>")), "it leads to a web page, not to a file"},
		{"nothing known", put("noise.jpg", bytes.Repeat([]byte{7, 130}, 500)), "the file is of a format that is not known here"},
		{"a clip that is called an image", ref(put("c.mp4", aClip(t, "2")), "image"), "it is to be a reference of type image, and the file is a video (mp4); allowed: type video"},
		{"a picture that is called a video", ref(put("p.png", aPicture(t, 300, 300, color.White)), "video"), "it is to be a reference of type video, and the file is an image (png); allowed: type image"},
		{"a gif that is called a video", ref(f.URL+"/media/animated.gif", "video"), "the file is gif, which wan2.7-r2v does not take as a reference of type video; allowed: mp4, mov"},
		{"a file that is empty", put("empty.png", nil), "the file is empty"},
		{"a length that contradicts a clip that is refused", ref(put("long.mp4", aClip(t, "31")), "", "duration_seconds", 30), "it is 31 s long"},
		{"a clip that is too short", put("short.mp4", aClip(t, "0.9")), "it is 0.9 s long"},
		{"a panorama", put("wide.png", aPicture(t, 2400, 290, color.White)), "at most 8 times the shorter"},
		{"a picture that is too large", put("large.png", aPicture(t, 8001, 1200, color.White)), "it has 8001 x 1200 pixels; allowed: sides of 240 to 8000"},
		{"a picture of too many bytes", put("heavy.png", padded(aPicture(t, 300, 300, color.White), 20<<20+1)), "at most 20 MB"},
		{"half a clip", put("half.mp4", aClip(t, "2")[:1500]), "broken"},
		{"a voice that is a picture", voice("baseline.jpg"), "references[0].voice_url: the file is jpeg, which wan2.7-r2v does not take as a voice; allowed: wav, mp3"},
		{"a voice in another format", voice("free.flac"), "voice_url: the file is flac"},
		{"a length that contradicts", ref(put("three.mp4", aClip(t, "3.2")), "", "duration_seconds", 8), "references[0].duration_seconds: 8 s are given, and the clip is 3.2 s long; allowed: 3.2, or leave it out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := w.on(t)
			text := w.refusal("generate_r2v", wan27(arguments{"prompt": "they dance", "references": []any{tt.reference}}))
			require.Contains(t, text, tt.says)
			require.Contains(t, text, "Refused before anything was sent: 1 problem(s).")
			estimate, isError := w.call("estimate_cost", wan27(arguments{"prompt": "they dance", "references": []any{tt.reference}}))
			require.False(t, isError)
			require.Len(t, decode(t, estimate)["problems"], 1, "the estimate says the same: %s", estimate)
		})
	}
}

func TestARoundedLengthIsNoContradiction(t *testing.T) {
	f := newFiles(t)
	w := looking(t, options{})
	address, _ := f.put(t, "a.mp4", aClip(t, "3.24"))
	for _, given := range []any{3, "3.2", 3.24, 4} {
		answer := w.answer("estimate_cost", wan27(arguments{"prompt": "Video 1 dances", "references": refs(ref(address, "", "duration_seconds", given))}))
		require.Empty(t, answer["problems"])
		require.Equal(t, json.Number("3.24"), path(answer, "billable_seconds", "input", "high"), "what is measured is billed")
		reference, _ := answer["references"].([]any)[0].(map[string]any)
		require.Equal(t, "measured", reference["length_known"])
		require.Equal(t, json.Number("3.24"), reference["length_seconds"])
	}
}

func TestWhatCouldNotBeLookedAtIsAWarningAndWidensThePrice(t *testing.T) {
	w := looking(t, options{})
	troubled := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(troubled.Close)
	answer := w.answer("estimate_cost", wan27(arguments{"prompt": "Video 1 dances", "references": refs(troubled.URL + "/a.mp4")}))
	require.Empty(t, answer["problems"])
	require.Contains(t, fmt.Sprint(answer["warnings"]), "references[0].url: it is not fully checked, since 127.0.0.1 answers with HTTP 502")
	require.Contains(t, fmt.Sprint(answer["warnings"]), "the price is a range")
	require.NotEqual(t, path(answer, "cost", "low"), path(answer, "cost", "high"))
	require.Equal(t, "PENDING", w.answer("generate_r2v", wan27(arguments{"prompt": "Video 1 dances", "references": refs(troubled.URL + "/a.mp4")}))["status"])
}

func TestTheContentTellsWhatTheAddressDoesNot(t *testing.T) {
	f := newFiles(t)
	w := looking(t, options{})
	clip, _ := f.put(t, "download", aClip(t, "2"))
	picture, _ := f.put(t, "get.php", aPicture(t, 300, 300, color.White))
	answer := w.answer("estimate_cost", wan27(arguments{"prompt": "Image 1 meets Video 1", "references": refs(clip, picture)}))
	require.Empty(t, answer["problems"])
	require.Empty(t, answer["warnings"])
	require.Equal(t, path(answer, "cost", "low"), path(answer, "cost", "high"))
}

func TestAnAddressIsTakenOutOfTheTextAroundIt(t *testing.T) {
	f := newFiles(t)
	w := looking(t, options{})
	address, _ := f.put(t, "girl.png", aPicture(t, 300, 300, color.White))
	for _, given := range []string{" " + address + "\n", "`" + address + "`", "<" + address + ">", `"` + address + `"`, "![a girl](" + address + ")", "[girl](<" + address + ">)"} {
		answer := w.answer("estimate_cost", wan27(arguments{"prompt": "Image 1 waves", "references": refs(given)}))
		require.Empty(t, answer["problems"], given)
	}
}

func TestAFileThatIsMendedIsTakenAtOnce(t *testing.T) {
	f := newFiles(t)
	w := looking(t, options{})
	address, _ := f.put(t, "girl.png", aPicture(t, 200, 200, color.White))
	request := wan27(arguments{"prompt": "Image 1 waves", "references": refs(address)})
	require.Contains(t, w.refusal("generate_r2v", request), "200 x 200")
	f.put(t, "girl.png", aPicture(t, 400, 400, color.White))
	require.Empty(t, w.answer("estimate_cost", request)["problems"])
}

func TestALengthThatIsGivenForWhatCannotBeMeasuredIsSaidToBeTaken(t *testing.T) {
	w := looking(t, options{})
	answer := w.answer("estimate_cost", wan27(arguments{"prompt": "Video 1 dances", "references": refs(ref("oss://dashscope-instant/a.mp4", "", "duration_seconds", 3))}))
	require.Equal(t, path(answer, "cost", "low"), path(answer, "cost", "high"))
	require.Contains(t, fmt.Sprint(answer["warnings"]), "only the service can read oss:// addresses; its length is taken to be the 3 s that are given")
	unknown := w.answer("estimate_cost", wan27(arguments{"prompt": "they dance", "references": refs("oss://dashscope-instant/a")}))
	require.Contains(t, fmt.Sprint(unknown["problems"]), "and the file could not be looked at: only the service can read oss:// addresses")
}

func TestALinkThatHasDiedDoesNotHideWhatItBought(t *testing.T) {
	f := newFiles(t)
	ledger := filepath.Join(t.TempDir(), "ledger.db")
	w := looking(t, options{ledgerPath: ledger})
	address, path := f.put(t, "a", aPicture(t, 300, 300, color.White))
	request := wan27(arguments{"prompt": "Image 1 waves", "references": refs(address), "idempotency_key": "k"})
	bought := w.answer("generate_r2v", request)
	require.NoError(t, os.Remove(path))
	again := looking(t, options{ledgerPath: ledger}) // a process that has not seen the file
	replayed := again.answer("generate_r2v", request)
	require.Equal(t, bought["task_id"], replayed["task_id"])
	require.Equal(t, true, replayed["replayed"])
	require.Contains(t, fmt.Sprint(replayed["warnings"]), "now it would be refused: references[0].url: 127.0.0.1 answers with HTTP 404")
	require.Equal(t, 1, w.created())
}

// What looking tells may change from one call to the next, and with it what a reference is taken for; the request does not.
func TestARequestIsTheSameWhetherOrNotItsFilesWereSeen(t *testing.T) {
	picture, troubled := aPicture(t, 300, 300, color.White), atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if troubled.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = rw.Write(picture)
	}))
	t.Cleanup(server.Close)
	ledger := filepath.Join(t.TempDir(), "ledger.db")
	for _, request := range []arguments{
		{"prompt": "they dance", "references": refs(server.URL + "/clip.mp4")},
		{"prompt": "they dance on", "references": refs(server.URL + "/clip.mp4"), "idempotency_key": "k"},
	} {
		troubled.Store(false)
		bought := looking(t, options{ledgerPath: ledger}).answer("generate_r2v", request)
		troubled.Store(true)
		again := looking(t, options{ledgerPath: ledger}).answer("generate_r2v", request) // a process that has seen nothing
		require.Equal(t, bought["task_id"], again["task_id"])
		require.Equal(t, true, again["replayed"])
	}
}

// The service's bill, by the simulator's own reading of the files, is the estimate to the last digit.
func TestTheEstimateOfRealClipsIsTheBill(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	clips, pictures := acceptedMedia(t)
	for i := range 20 {
		name := fmt.Sprintf("made-%d.mp4", i)
		f.put(t, name, aClip(t, decimal.New(rand.Int64N(29_000)+1000, -3).String()))
		clips = append(clips, name)
	}
	worlds := make([]*world, 8) // each with an account of its own: one may buy four a second
	for i := range worlds {
		worlds[i] = looking(t, options{poll: time.Second})
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	type bought struct {
		*world
		id, estimated any
	}
	var all []bought
	for i := range 200 {
		w, request := worlds[i%len(worlds)], randomRequest(draw, f.URL, clips, pictures)
		estimate := w.answer("estimate_cost", request)
		require.Empty(t, estimate["problems"], "%v", request)
		require.Equal(t, path(estimate, "cost", "low"), path(estimate, "cost", "high"), "%v", request)
		all = append(all, bought{w, w.answer("generate_r2v", request)["task_id"], path(estimate, "cost", "high")})
	}
	for _, b := range all {
		task := b.answer("get_task", arguments{"task_id": b.id, "wait_seconds": 30})
		require.Equal(t, "SUCCEEDED", task["status"], "%v", task)
		require.Equal(t, b.estimated, path(task, "cost", "billed"), "%v", task)
	}
}

// acceptedMedia lists the files of testdata that every model takes.
func acceptedMedia(t *testing.T) (clips, pictures []string) {
	t.Helper()
	w := looking(t, options{})
	f := newFiles(t)
	entries, err := os.ReadDir("../testdata/media")
	require.NoError(t, err)
	for _, e := range entries {
		kind := map[string]string{".mp4": "video", ".mov": "video", ".png": "image", ".jpg": "image", ".bmp": "image", ".webp": "image"}[filepath.Ext(e.Name())]
		// Fragments whose tracks begin at different times: the simulator adds up each track, and does not see the gap that ffprobe counts.
		apart := []string{"frag-delay-moov.mp4", "frag-every-frame-sound.mp4", "cmaf-negative-offsets.mp4"}
		if kind == "" || slices.Contains(apart, e.Name()) {
			continue
		}
		answer := w.answer("estimate_cost", wan27(arguments{"prompt": "they dance", "references": refs(ref(f.URL+"/media/"+e.Name(), kind))}))
		switch {
		case len(answer["problems"].([]any)) > 0 || path(answer, "cost", "low") != path(answer, "cost", "high"):
		case kind == "video":
			clips = append(clips, "media/"+e.Name())
		default:
			pictures = append(pictures, "media/"+e.Name())
		}
	}
	t.Logf("%d clips and %d pictures", len(clips), len(pictures))
	require.Greater(t, len(clips), 20)
	require.Greater(t, len(pictures), 10)
	return clips, pictures
}

func randomRequest(draw *rand.Rand, base string, clips, pictures []string) arguments {
	models := []string{"wan2.7-r2v", "wan2.6-r2v", "wan2.6-r2v-flash"}
	model := models[draw.IntN(len(models))]
	mostClips := map[bool]int{true: 5, false: 3}[model == "wan2.7-r2v"]
	var references []any
	for range draw.IntN(5) + 1 {
		name := pictures[draw.IntN(len(pictures))]
		if mostClips > 0 && draw.IntN(3) > 0 {
			name, mostClips = clips[draw.IntN(len(clips))], mostClips-1
		}
		references = append(references, base+"/"+name+fmt.Sprintf("?draw=%d", draw.Int())) // each a request of its own
	}
	request := arguments{
		"model": model, "prompt": fmt.Sprintf("they dance %d", draw.Int()), "references": references,
		"resolution": []string{"720P", "1080P"}[draw.IntN(2)], "duration": draw.IntN(9) + 2,
	}
	if strings.HasSuffix(model, "flash") {
		request["audio"] = draw.IntN(2) == 0
	}
	return request
}

func TestAListThatIsRefusedAsAWholeIsNotLookedAt(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	w := looking(t, options{})
	var many []any
	for i := range 7 {
		many = append(many, fmt.Sprintf("%s/%d.png", server.URL, i))
	}
	w.refusal("generate_r2v", wan27(arguments{"prompt": "they dance", "references": many}))
	require.Zero(t, asked.Load())
}
