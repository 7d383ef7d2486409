package media_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/media"
)

const (
	jpegStart = "\xff\xd8\xff\xe0\x00\x04JF"
	pngStart  = "\x89PNG\r\n\x1a\n"
	ihdr      = "\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x02\x08\x02\x00\x00\x00CRC!"
	wavFormat = "fmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
)

func TestBrokenFilesAreToldByName(t *testing.T) {
	bmp := func(header, width, height uint32) string {
		b := append([]byte("BM"), make([]byte, 52)...)
		binary.LittleEndian.PutUint32(b[14:], header)
		binary.LittleEndian.PutUint32(b[18:], width)
		binary.LittleEndian.PutUint32(b[22:], height)
		return string(b)
	}
	webp := func(chunk string) string { return "RIFF\x00\x01\x00\x00WEBP" + chunk + "\x0a\x00\x00\x00" }
	tests := []struct{ name, content, format, says string }{
		{"JPEG without a width", jpegStart + "\xff\xc0\x00\x0b\x08\x00\x10\x00\x00\x01\x01\x11\x00", "jpeg", "0 x 16 pixels"},
		{"JPEG that ends at once", jpegStart + "\xff\xd9", "jpeg", "before a frame header"},
		{"JPEG that scans at once", jpegStart + "\xff\xda\x00\x08", "jpeg", "before a frame header"},
		{"JPEG segment shorter than itself", jpegStart + "\xff\xe2\x00\x01xx", "jpeg", "says 1 bytes"},
		{"JPEG segment past the end", jpegStart + "\xff\xe2\xff\xffxx", "jpeg", "cut off"},
		{"PNG without a header", pngStart + "\x00\x00\x00\x0dIDATxxxxxxxxxxxxxxxxx", "png", "no header"},
		{"PNG of no pixels", pngStart + strings.Replace(ihdr, "\x02\x08", "\x00\x08", 1) + "\x00\x00\x00\x01IDAT", "png", "1 x 0 pixels"},
		{"PNG of too many", pngStart + strings.Replace(ihdr, "R\x00", "R\x80", 1), "png", "2147483649 x 2 pixels"},
		{"PNG of an unknown colour type", pngStart + strings.Replace(ihdr, "\x08\x02", "\x08\x05", 1), "png", "colour type 5"},
		{"PNG without pixels", pngStart + ihdr + "\x00\x00\x00\x00IEND", "png", "without pixels"},
		{"PNG chunk of 4 GB", pngStart + ihdr + "\xff\xff\xff\xfftEXt", "png", "no PNG chunk at 33"},
		{"PNG chunk past the end", pngStart + ihdr + "\x7f\xff\xff\xfftEXt", "png", "cut off"},
		{"PNG chunk of no letters", pngStart + ihdr + "\x00\x00\x00\x00t\x00Xt", "png", "no PNG chunk at 33"},
		{"BMP of no width", bmp(40, 0, 5), "bmp", "0 x 5"},
		{"BMP of negative width", bmp(40, 1<<32-3, 5), "bmp", "-3 x 5"},
		{"BMP of the lowest height", bmp(40, 1, 1<<31), "bmp", "height of -2147483648"},
		{"BMP of 1987 without height", bmp(12, 7, 0), "bmp", "7 x 0"},
		{"BMP that is cut off", bmp(124, 1, 1)[:30], "bmp", "cut off"},
		{"WEBP of no chunk that tells", webp("ALPH") + "xxxxxxxxxxxx", "webp", "none that tells"},
		{"WEBP that begins in between", webp("VP8 ") + "\x01\x00\x00\x9d\x01\x2a\x01\x00\x01\x00", "webp", "key frame"},
		{"WEBP of no pixels", webp("VP8 ") + "\x00\x00\x00\x9d\x01\x2a\x00\x40\x01\x40", "webp", "0 x 1"},
		{"WEBP without its signature", webp("VP8L") + "\x2exxxxxxxxx", "webp", "signature"},
		{"WEBP with nothing behind its flags", webp("VP8X") + "\x00\x00\x00\x00\x01\x00\x00\x01\x00\x00", "webp", "cut off"},
		{"WAV of no channels", "RIFFxxxxWAVE" + strings.Replace(wavFormat, "\x01\x00\x01", "\x01\x00\x00", 1) + "data\x02\x00\x00\x00ab", "wav", "0 channels"},
		{"WAV without a format", "RIFFxxxxWAVEdata\x02\x00\x00\x00ab", "wav", "0 channels"},
		{"WAV without samples", "RIFFxxxxWAVE" + wavFormat, "wav", "cut off"},
		{"WAV of silence without length", "RIFFxxxxWAVE" + wavFormat + "data\x00\x00\x00\x00", "wav", "no sound"},
		{"WAV that is cut off", "RIFFxxxxWAVE" + wavFormat + "data\x00\x01\x00\x00ab", "wav", "hold 256 bytes of sound, and ends after 2"},
		{"WAV with a short format", "RIFFxxxxWAVEfmt \x02\x00\x00\x00ab", "wav", "chunk at 12 has 2 bytes"},
		{"WAV chunk of 4 GB", "RIFFxxxxWAVELIST\xff\xff\xff\xff", "wav", "cut off"},
		{"RF64 of more bytes than there are numbers", "RF64\xff\xff\xff\xffWAVEds64\x10\x00\x00\x00xxxxxxxx\xff\xff\xff\xff\xff\xff\xff\xff" + wavFormat + "data\xff\xff\xff\xff", "wav", "cut off"},
		{"MP3 that is all tag", "ID3\x04\x00\x00\x00\x00\x00\x05hello", "mp3", "no frame"},
		{"MP3 whose tag goes past the end", "ID3\x04\x00\x00\x7f\x7f\x7f\x7fhello", "mp3", "cut off"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := measureText(test.content)
			require.ErrorIs(t, err, media.ErrBroken)
			require.ErrorContains(t, err, test.says)
			require.Equal(t, test.format, got.Format)
			require.Zero(t, got.Width+got.Height+int(got.Length))
		})
	}
}

// Nobody can tell of a file that is not read to what matters whether it is broken; what it is can be told all the same.
func TestFileThatTakesTooMuchReadingIsNotCalledBroken(t *testing.T) {
	tests := []struct {
		name, content string
		says          string
		want          media.Info
	}{
		{"JPEG of a million segments", jpegStart + strings.Repeat("\xff\xfe\x00\x02", 1e6), "more parts", media.Info{Format: "jpeg", Kind: media.Image}},
		{"JPEG of filling", jpegStart + strings.Repeat("\xff", 4e6), "more parts", media.Info{Format: "jpeg", Kind: media.Image}},
		{"PNG of a million chunks", pngStart + ihdr + strings.Repeat("\x00\x00\x00\x00tEXtcrc!", 1e6), "more parts", media.Info{Format: "png", Kind: media.Image}},
		{"WEBP of a million chunks", "RIFFxxxxWEBPVP8X\x0a\x00\x00\x00" + strings.Repeat("\x00", 10) + strings.Repeat("EXIF\x00\x00\x00\x00", 1e6), "more parts", media.Info{Format: "webp", Kind: media.Image}},
		{"WAV of a million chunks", "RIFFxxxxWAVE" + wavFormat + strings.Repeat("LIST\x00\x00\x00\x00", 1e6), "more parts", media.Info{Format: "wav", Kind: media.Audio}},
		{"MP3 of a million tags", strings.Repeat("ID3\x04\x00\x00\x00\x00\x00\x00", 1e6), "more parts", media.Info{Format: "mp3", Kind: media.Audio}},
		{"MP3 of two frames and a million tags", counted(0, 0) + frame(9, "") + strings.Repeat("ID3\x04\x00\x00\x00\x00\x00\x00", 1e6), "more parts", media.Info{Format: "mp3", Kind: media.Audio}},
		{"MP4 of a million boxes", "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + strings.Repeat("\x00\x00\x00\x08free", 1e6), "more than 50000 boxes", media.Info{Format: "mp4", Kind: media.Video}},
		{"MOV of a million boxes", strings.Repeat("\x00\x00\x00\x08wide", 1e6), "more than 50000 boxes", media.Info{Format: "mov", Kind: media.Video}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := measureText(test.content)
			require.ErrorIs(t, err, media.ErrBudget)
			require.NotErrorIs(t, err, media.ErrBroken)
			require.ErrorContains(t, err, test.says)
			require.Equal(t, test.want, got)
		})
	}
}

// Wherever a picture ends before its size was told, it is broken; it is never taken for something else, or measured wrong.
func TestFileThatIsCutOffIsBrokenOrMeasuredRight(t *testing.T) {
	for _, want := range picturesTruth(t) {
		if want.Width == 0 {
			continue
		}
		whole, err := os.ReadFile(filepath.Join(mediaFolder, want.File))
		require.NoError(t, err)
		for n := 18; n < min(len(whole), 300); n++ {
			got, err := media.Measure(bytes.NewReader(whole[:n]), int64(n))
			require.Equal(t, want.Format, got.Format)
			if err == nil {
				require.Equal(t, []int{want.Width, want.Height}, []int{got.Width, got.Height})
				continue
			}
			require.ErrorIs(t, err, media.ErrBroken, "%s of %d bytes", want.File, n)
		}
		_, err = media.Measure(bytes.NewReader(whole[:18]), int64(len(whole)))
		require.ErrorIs(t, err, media.ErrBroken, "the file is shorter than was said")
	}
}

type failing struct {
	io.ReaderAt
	from int64 // what fails
}

var errLine = errors.New("the line went dead")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.from {
		return 0, errLine
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestReadersOwnErrorIsNoBrokenFile(t *testing.T) {
	tag := "ID3\x04\x00\x00\x00\x02\x00\x00" + strings.Repeat("x", 256<<7)
	for name, content := range map[string]string{
		"jpeg": jpegStart + strings.Repeat("\xff\xfe\x40\x00"+strings.Repeat("x", 0x3ffe), 3),
		"png":  pngStart + ihdr + "\x00\x00\xff\x00tEXt" + strings.Repeat("x", 0xff20),
		"mp3":  tag + tag,
	} {
		for _, from := range []int64{0, 9000} {
			_, err := media.Measure(failing{strings.NewReader(content), from}, int64(len(content)))
			require.ErrorIs(t, err, errLine, name)
			require.NotErrorIs(t, err, media.ErrBroken, name)
		}
	}
}
