package simulator_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/clip"
)

// box writes an MP4 box of whatever is given: text, bytes, and numbers at their size.
func box(name string, inside ...any) []byte {
	var b bytes.Buffer
	for _, v := range inside {
		if text, ok := v.(string); ok {
			v = []byte(text)
		}
		if err := binary.Write(&b, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+b.Len())), name...), b.Bytes()...)
}

func zeros(n int) []byte { return make([]byte, n) }

type u32 = uint32

const unknown32 = u32(0xffffffff)

func mvhd(scale, length u32) []byte {
	return box("mvhd", u32(0), zeros(8), scale, length, zeros(80))
}

func mvhd64(scale u32, length uint64) []byte {
	return box("mvhd", u32(1<<24), zeros(16), scale, length, zeros(80))
}

// trak is a track of 640 by 360, with a scale of its own.
func trak(id u32, kind string, scale u32) []byte {
	return box("trak",
		box("tkhd", u32(0), zeros(8), id, zeros(4), u32(0), zeros(16), u32(1<<16), zeros(32), u32(640<<16), u32(360<<16)),
		box("mdia", box("mdhd", u32(0), zeros(8), scale, u32(0), zeros(4)), box("hdlr", u32(0), u32(0), kind, zeros(13))))
}

func mvex(inside ...any) []byte { return box("mvex", inside...) }

func trex(id, duration u32) []byte { return box("trex", u32(0), id, u32(1), duration, u32(0), u32(0)) }

func moof(trafs ...any) []byte { return box("moof", trafs...) }

func sidx(id, scale u32, entries ...u32) []byte {
	inside := []any{u32(0), id, scale, u32(7), u32(9), u32(len(entries))}
	for _, ticks := range entries {
		inside = append(inside, u32(1000), ticks, u32(0))
	}
	return box("sidx", inside...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// films are clips of every way to tell their length, and how much of it is billed.
func films() map[string]struct {
	content []byte
	seconds string
} {
	ftyp, mdat := box("ftyp", "isom", u32(0)), box("mdat", zeros(100))
	video, sound := trak(2, "vide", 12800), trak(1, "soun", 48000)
	fragmented := func(extends []byte) []byte { return join(ftyp, box("moov", mvhd(1000, 0), sound, video, extends)) }
	timed := box("traf", box("tfhd", u32(0), u32(2)), box("trun", u32(0x705), u32(2), u32(0), u32(0),
		u32(6400), u32(10), u32(0), u32(12800), u32(10), u32(0)))
	byRun := box("traf", box("tfhd", u32(8|1|2), u32(2), zeros(8), u32(1), u32(512)), box("trun", u32(1), u32(10), u32(0)))
	usual := box("traf", box("tfhd", u32(0), u32(2)), box("trun", u32(0), u32(25)), box("trun", u32(0), u32(25)))
	other := box("traf", box("tfhd", u32(8), u32(1), u32(4800)), box("trun", u32(0), u32(9)))
	longer := box("traf", box("tfhd", u32(8), u32(1), u32(48000)), box("trun", u32(0), u32(3)))
	begun := trak(2, "vide", 12800)
	copy(begun[bytes.Index(begun, []byte("mdhd"))+4+16:], binary.BigEndian.AppendUint32(nil, 6400)) // half a second is in the index
	large := append(binary.BigEndian.AppendUint64([]byte{0, 0, 0, 1, 'm', 'd', 'a', 't'}, 16+100), zeros(100)...)
	return map[string]struct {
		content []byte
		seconds string
	}{
		"index first":                   {join(ftyp, box("moov", mvhd(600, 1500), video), mdat), "2.5"},
		"index last":                    {join(ftyp, mdat, box("moov", mvhd(600, 1500), video)), "2.5"},
		"index after a 64-bit box":      {join(ftyp, large, box("moov", mvhd(600, 1500), video)), "2.5"},
		"QuickTime without ftyp":        {join(box("wide"), box("moov", mvhd(600, 1500), video), mdat), "2.5"},
		"64-bit times":                  {join(ftyp, box("moov", mvhd64(90000, 207_000), video)), "2.3"},
		"parts of a millisecond":        {join(ftyp, box("moov", mvhd(30000, 70070), video)), "2.335"},
		"movie header before the rest":  {join(fragmented(mvex(box("mehd", u32(0), u32(4000)))), box("moov", mvhd(1, 1))), "4"},
		"announced":                     {fragmented(mvex(box("mehd", u32(0), u32(3210)))), "3.21"},
		"announced in 64 bits":          {fragmented(mvex(box("mehd", u32(1<<24), uint64(3210)))), "3.21"},
		"a header that does not know":   {join(ftyp, box("moov", mvhd(1000, unknown32), video, mvex(box("mehd", u32(0), u32(2000))))), "2"},
		"indexed":                       {join(fragmented(nil), sidx(2, 12800, 12800, 12800), sidx(1, 48000, 480000), sidx(2, 12800, 6400)), "2.5"},
		"indexed twice":                 {join(fragmented(nil), sidx(2, 1000, 1500), sidx(2, 1000, 1000)), "2.5"},
		"an index of indexes":           {join(fragmented(nil), box("sidx", u32(0), u32(2), u32(1000), zeros(8), u32(1), u32(1<<31), u32(2500), u32(0)), sidx(2, 1000, 2500)), "2.5"},
		"samples of their own lengths":  {join(fragmented(nil), moof(other, timed), mdat, moof(timed), mdat), "3"},
		"samples as their fragment has": {join(fragmented(nil), moof(byRun, other), moof(byRun), moof(byRun)), "1.2"},
		"a sound that is longer":        {join(fragmented(nil), moof(timed, longer)), "3"},
		"an index and fragments":        {join(ftyp, box("moov", mvhd(1000, 500), begun), moof(timed)), "2"},
		"samples as the track has":      {join(fragmented(mvex(trex(1, 1024), trex(2, 512))), moof(usual)), "2"},
	}
}

func TestAClipIsBilledByItsOwnLength(t *testing.T) {
	for name, at := range films() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{})
				address := c.uploaded("film-4s.mp4", at.content) // the name says nothing of what is in it
				answer := c.create(wan27(set("input.media", array{medium("reference_video", address)})), resolve())
				time.Sleep(time.Hour)
				task := c.read("/api/v1/tasks/" + answer.at("output", "task_id").(string))
				require.Contains(t, string(task.body), `"input_video_duration":`+at.seconds+`,`)
			})
		})
	}
}

func pngOf(width, height int, paint color.Color) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	img.Set(0, 0, paint)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func jpegOf(width, height int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func bmpOf(width, height int32) []byte {
	b := append([]byte("BM"), zeros(52)...)
	binary.LittleEndian.PutUint32(b[18:], uint32(width))
	binary.LittleEndian.PutUint32(b[22:], uint32(height))
	return b
}

func webpOf(kind string, at int, sides ...byte) []byte {
	b := append([]byte("RIFF\x00\x00\x00\x00WEBP"+kind), zeros(40)...)
	copy(b[at:], sides)
	return b
}

func filmOf(width, height, seconds int) []byte {
	content, err := clip.Bytes(clip.Spec{Width: width, Height: height, Duration: time.Duration(seconds) * time.Second})
	if err != nil {
		panic(err)
	}
	return content
}

// Files are looked at when the task begins, not when it is ordered.
func TestFilesThatBreakTheLimitsFailTheTask(t *testing.T) {
	const picture, film, frame = "reference_image", "reference_video", "first_frame"
	white := color.White
	palette := image.NewPaletted(image.Rect(0, 0, 300, 300), color.Palette{color.Transparent, color.White})
	var see bytes.Buffer
	require.NoError(t, png.Encode(&see, palette))
	for name, at := range map[string]struct {
		kind    string
		content []byte
		code    string
	}{
		"PNG":                   {picture, pngOf(240, 240, white), ""},
		"PNG too small":         {picture, pngOf(239, 300, white), "InvalidImage.ImageSize"},
		"PNG too large":         {picture, pngOf(240, 8001, white), "InvalidImage.ImageSize"},
		"PNG too long":          {frame, pngOf(240, 1921, white), "InvalidFile.AspectRatio"},
		"PNG as long as may be": {frame, pngOf(240, 1920, white), ""},
		"PNG with alpha":        {picture, pngOf(300, 300, color.Transparent), "InvalidImage.FileFormat"},
		"PNG, see-through":      {frame, see.Bytes(), "InvalidImage.FileFormat"},
		"JPEG":                  {picture, jpegOf(640, 480), ""},
		"JPEG too small":        {picture, jpegOf(640, 200), "InvalidImage.ImageSize"},
		"BMP":                   {frame, bmpOf(640, 480), ""},
		"BMP from the top":      {picture, bmpOf(640, -480), ""},
		"BMP too small":         {picture, bmpOf(640, -48), "InvalidImage.ImageSize"},
		"WEBP":                  {picture, webpOf("VP8 ", 26, 0x80, 0x02, 0xe0, 0x01), ""},
		"WEBP too small":        {picture, webpOf("VP8 ", 26, 0x80, 0x00, 0xe0, 0x01), "InvalidImage.ImageSize"},
		"WEBP, lossless":        {picture, webpOf("VP8L", 21, 0x7f, 0xc2, 0x77, 0x00), ""},
		"WEBP, extended":        {picture, webpOf("VP8X", 24, 0x7f, 0x02, 0x00, 0xdf, 0x01, 0x00), ""},
		"WEBP, too large":       {picture, webpOf("VP8X", 24, 0x7f, 0xff, 0x00, 0xdf, 0x01, 0x00), "InvalidImage.ImageSize"},
		"text as a picture":     {picture, []byte("picture"), "InvalidImage.FileFormat"},
		"GIF":                   {picture, append([]byte("GIF89a"), zeros(300)...), "InvalidImage.FileFormat"},
		"clip":                  {film, filmOf(320, 240, 1), ""},
		"clip too short":        {film, join(box("ftyp", "isom"), box("moov", mvhd(1000, 999), trak(1, "vide", 1))), "InvalidFile.Duration"},
		"clip too long":         {film, join(box("ftyp", "isom"), box("moov", mvhd(1000, 30001), trak(1, "vide", 1))), "InvalidFile.Duration"},
		"clip too small":        {film, filmOf(320, 160, 1), "InvalidFile.Resolution"},
		"clip without an index": {film, join(box("ftyp", "isom"), box("mdat", zeros(100))), "InvalidFile.Openerror"},
		"text as a clip":        {film, []byte("no film"), "InvalidFile.Openerror"},
		"picture as a clip":     {film, pngOf(300, 300, white), "InvalidFile.Openerror"},
		"clip as a picture":     {picture, filmOf(320, 240, 1), "InvalidImage.FileFormat"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t, simulator.Options{})
				list := array{medium(at.kind, c.uploaded("a", at.content))}
				if at.kind == frame {
					list = append(list, medium(picture, "https://a.test/a.png"))
				}
				answer := c.create(wan27(set("input.media", list)), resolve())
				require.Equal(t, 200, answer.status)
				time.Sleep(time.Hour)
				output := c.read("/api/v1/tasks/" + answer.at("output", "task_id").(string)).at("output").(object)
				if at.code == "" {
					require.Equal(t, "SUCCEEDED", output["task_status"], "%v", output)
					return
				}
				require.Equal(t, "FAILED", output["task_status"])
				require.Equal(t, at.code, output["code"])
				require.NotEmpty(t, output["message"])
			})
		})
	}
}

// What is damaged is refused like anything else, and harms nobody.
func TestDamagedFilesAreNoTrouble(t *testing.T) {
	c := memory(t, simulator.Options{Unthrottled: true})
	whole := map[string][]byte{"png": pngOf(300, 300, color.White), "jpeg": jpegOf(300, 300), "film": films()["samples of their own lengths"].content,
		"index": films()["indexed"].content, "webp": webpOf("VP8L", 21, 1, 2, 3, 4), "bmp": bmpOf(300, 300)}
	for name, content := range whole {
		for cut := 1; cut < min(len(content), 700); cut += 13 {
			spoiled := bytes.Clone(content)
			for i := cut; i < min(cut+4, len(spoiled)); i++ {
				spoiled[i] = 0xff
			}
			for i, damaged := range [][]byte{content[:cut], spoiled} {
				address := c.uploaded(fmt.Sprintf("%s-%d-%d", name, cut, i), damaged)
				for _, kind := range []string{"reference_video", "reference_image"} {
					require.Equal(t, 200, c.create(wan27(set("input.media", array{medium(kind, address)})), resolve()).status)
				}
			}
		}
	}
}
