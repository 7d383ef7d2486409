package media_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/media"
)

// padded is a file of size bytes that begins with content: then come zeros, or nothing at all, as if the size were a lie.
type padded struct {
	content []byte
	size    int64
	zeros   bool
}

func (f padded) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(f.content)) {
		n = copy(p, f.content[off:])
	}
	if f.zeros && off+int64(n) < f.size {
		m := int(min(int64(len(p)), f.size-off))
		clear(p[n:m])
		n = m
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Whatever a picture or a sound holds and however long it says it is, it takes few reads, little memory and no time.
func FuzzPicturesAndSounds(f *testing.F) {
	for _, file := range picturesTruth(f) {
		content, err := os.ReadFile(filepath.Join(mediaFolder, file.File))
		require.NoError(f, err)
		f.Add(content, uint32(0), false)
		f.Add(content[:min(len(content), 600)], uint32(1<<32-1), true)
	}
	f.Fuzz(func(t *testing.T, content []byte, more uint32, zeros bool) {
		if len(content) >= 8 && slices.Contains([]string{"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "sidx", "moof"}, string(content[4:8])) {
			t.Skip("clips are fuzzed on their own")
		}
		size := int64(len(content)) + int64(more)
		var file counting
		var got media.Info
		var err error
		took, allocated := time.Duration(1<<62), uint64(1<<62)
		for try := 0; try < 3 && (took > 50*time.Millisecond || allocated > 1<<20); try++ { // others use this machine too
			file = counting{ReaderAt: padded{content, size, zeros}}
			before, start := allocatedBytes(), time.Now()
			got, err = media.Measure(&file, size)
			took, allocated = min(took, time.Since(start)), min(allocated, allocatedBytes()-before)
		}
		require.Less(t, took, 50*time.Millisecond)
		require.Less(t, allocated, uint64(1<<20)) // the limit is 64 MB
		require.LessOrEqual(t, file.reads, 400)
		require.LessOrEqual(t, file.bytes, int64(3<<20))
		cut := more > 0 && !zeros // and of any format
		require.True(t, err == nil || got.Format != "" || cut)
		requireSane(t, got, err, size)
	})
}

func allocatedBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func requireSane(t *testing.T, got media.Info, err error, size int64) {
	t.Helper()
	if err != nil {
		require.NotEqual(t, errors.Is(err, media.ErrBroken), errors.Is(err, media.ErrBudget), "%v", err)
		require.Equal(t, media.Info{Format: got.Format, Kind: got.Kind}, got)
		return
	}
	require.Contains(t, []media.Kind{media.Image, media.Video, media.Audio, ""}, got.Kind)
	require.GreaterOrEqual(t, got.Length, time.Duration(0))
	require.Zero(t, got.Length%time.Millisecond)
	isPicture := slices.Contains([]string{"jpeg", "png", "bmp", "webp"}, got.Format)
	require.Equal(t, got.Width > 0, got.Height > 0)
	require.True(t, isPicture || got.Width == 0)
	require.True(t, !isPicture || got.Format == "jpeg" || got.Width > 0)
	require.GreaterOrEqual(t, min(got.Width, got.Height), 0)
	require.True(t, isPicture || !got.Alpha)
	require.True(t, got.Length == 0 || got.Format == "wav" || got.Format == "mp3")
	if got.Format == "mp3" { // the fewest bytes that a second takes: 8 kbit/s
		require.LessOrEqual(t, got.Length, time.Duration(size+1)*time.Second/1000+time.Second)
	}
}

// A picture's header may lie behind much else: what is between is not read, and reads that are far apart are few.
func TestWhatIsBeforeAHeaderIsNotRead(t *testing.T) {
	segment := append([]byte("\xff\xe2\xff\xff"), make([]byte, 0xfffd)...)
	text := append([]byte("\x00\x10\x00\x00tEXt"), make([]byte, 1<<20+4)...)
	tag := append([]byte("ID3\x04\x00\x00\x01\x00\x00\x00"), make([]byte, 1<<21)...)
	tests := []struct {
		name    string
		content []byte
		reads   int
		want    media.Info
	}{
		{"JPEG with a long profile", slices.Concat([]byte(jpegStart), bytes.Repeat(segment, 8), []byte("\xff\xcd\x00\x0b\x0c\x00\x03\x00\x05\x01\x01\x11\x00")), 9,
			media.Info{Format: "jpeg", Kind: media.Image, Width: 5, Height: 3}},
		{"PNG with a long text", slices.Concat([]byte(pngStart+ihdr), text, []byte("\x00\x00\x00\x02tRNSxxxxxx")), 2,
			media.Info{Format: "png", Kind: media.Image, Width: 1, Height: 2, Alpha: true}},
		{"MP3 with a large cover", slices.Concat(tag, []byte(counted(1000, 0)), bytes.Repeat([]byte(frame(9, "")), 1000)), 2,
			media.Info{Format: "mp3", Kind: media.Audio, Length: 26122 * time.Millisecond}},
		{"WEBP with a long profile", slices.Concat([]byte("RIFFxxxxWEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x02\x00\x00ICCP\x01\x00\x10\x00"), make([]byte, 1<<20+2), []byte("VP8L\x05\x00\x00\x00\x2f\x04\x80\x00\x10x")), 2,
			media.Info{Format: "webp", Kind: media.Image, Width: 5, Height: 3, Alpha: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := counting{ReaderAt: bytes.NewReader(test.content)}
			got, err := media.Measure(&file, int64(len(test.content)))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.LessOrEqual(t, file.reads, test.reads)
		})
	}
}
