package media_test

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/media"
)

// frame is a frame of MPEG 1 layer III at 44.1 kHz, of which each is 1152 samples.
func frame(index byte, content string) string {
	rates := []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	b := make([]byte, 144*rates[index]*1000/44100)
	copy(b, content)
	copy(b, []byte{0xff, 0xfb, index << 4, 0x40})
	return string(b)
}

// counted is a frame that says how many frames of how many bytes follow.
func counted(frames, length uint32) string {
	b := make([]byte, 52)
	copy(b[36:], "Xing\x00\x00\x00\x03")
	binary.BigEndian.PutUint32(b[44:], frames)
	binary.BigEndian.PutUint32(b[48:], length)
	return frame(9, string(b))
}

func TestLengthOfMP3(t *testing.T) {
	frames := func(n int) time.Duration { return time.Duration(n*1152) * time.Second / 44100 }
	hundred := strings.Repeat(frame(9, ""), 100)
	vbri := make([]byte, 54)
	copy(vbri[36:], "VBRI")
	binary.BigEndian.PutUint32(vbri[46:], 417*51)
	binary.BigEndian.PutUint32(vbri[50:], 50)
	tests := []struct {
		name, content string
		want          time.Duration
	}{
		{"frames without any header are counted", hundred, frames(100)},
		{"each at its own rate", strings.Repeat(frame(1, "")+frame(14, "")+frame(5, ""), 20), frames(60)},
		{"told frames are believed", counted(100, 101*417) + hundred, frames(100)},
		{"and without their bytes", counted(99, 0) + hundred, frames(99)},
		{"Fraunhofer's header too", frame(9, string(vbri)) + hundred[:50*417], frames(50)},
		{"joined sounds are counted", counted(40, 41*417) + hundred, frames(100)},
		{"of a header that is off by a tenth nothing is believed", counted(90, 90*417) + hundred, frames(100)},
		{"a cut sound too", counted(400, 401*417) + hundred, frames(100)},
		{"more frames than bytes are not believed", counted(1<<32-1, 0) + hundred, frames(100)},
		{"a tag between is no sound", hundred + "ID3\x03\x00\x00\x00\x00\x00\x04abcd" + hundred, frames(200)},
		{"nor is an old one", hundred + "TAG" + strings.Repeat("\x00", 125) + hundred, frames(200)},
		{"nor is rubbish", hundred + strings.Repeat("\xff\x00", 99) + hundred, frames(200)},
		{"a last frame that is cut off is not counted", hundred + frame(9, "")[:300], frames(100)},
		{"the rest of a frame before it is passed over", strings.Repeat("\x55", 333) + hundred, frames(100)},
		{"one frame before a tag is enough", frame(9, "") + "TAG" + strings.Repeat("\x00", 125), frames(1)},
		{"one frame is enough behind a tag", "ID3\x04\x00\x00\x00\x00\x00\x01x" + frame(9, ""), frames(1)},
		{"room behind a tag is passed over", "ID3\x04\x00\x00\x00\x00\x00\x01x" + strings.Repeat("\x00", 2000) + hundred, frames(100)},
		{"frames of another rate last as long as they do", hundred + strings.Repeat("\xff\xfb\x94\x40"+strings.Repeat("\x00", 380), 147), frames(100) + 147*24*time.Millisecond},
		{"a free format has no told length", strings.Repeat(frame(9, "")[:2]+"\x00\x40"+strings.Repeat("\x22", 300), 20), 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := measureText(test.content)
			require.NoError(t, err)
			require.Equal(t, media.Info{Format: "mp3", Kind: media.Audio, Length: test.want.Truncate(time.Millisecond)}, got)
		})
	}
}

// An hour without a count of its frames is not read through, and it is told at a constant rate as exactly as a short one.
func TestLongMP3IsNotReadThrough(t *testing.T) {
	const frames = 137813 // an hour
	sound := counting{ReaderAt: strings.NewReader(strings.Repeat(frame(9, ""), frames))}
	got, err := media.Measure(&sound, frames*417)
	require.NoError(t, err)
	require.Equal(t, (time.Duration(frames*1152) * time.Second / 44100).Truncate(time.Millisecond), got.Length)
	require.Less(t, sound.bytes, int64(500_000))
	require.Less(t, sound.furthest, int64(500_000), "it is read from the start alone")
}

func TestLengthOfWAV(t *testing.T) {
	wav := func(data string, n int) string {
		return "RIFFxxxxWAVE" + wavFormat + "data" + data + strings.Repeat("\x01\x00", n)
	}
	long := func(data string) string {
		return "RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00xxxxxxxx" + data + "\x00\x00\x00\x00xxxxxxxx\x00\x00\x00\x00" + wavFormat + "data\xff\xff\xff\xff" + strings.Repeat("\x01\x00", 8000)
	}
	extensible := "fmt \x28\x00\x00\x00\xfe\xff\x01\x00\x40\x1f\x00\x00\x01\x00\x00\x00\x02\x00\x10\x00\x16\x00\x10\x00\x04\x00\x00\x00\x01" + strings.Repeat("\x00", 15)
	law := strings.NewReplacer("\x01\x00\x01", "\x31\x00\x01", "\x80\x3e", "\x40\x06").Replace(wavFormat) // GSM at 1600 bytes a second
	tests := []struct {
		name, content string
		want          time.Duration
	}{
		{"a second of 8000 samples", wav("\x80\x3e\x00\x00", 8000), time.Second},
		{"what follows is not counted", wav("\x80\x3e\x00\x00", 9000), time.Second},
		{"cut to milliseconds", wav("\x8f\x3e\x00\x00", 8008), time.Second},
		{"not rounded up", wav("\x7e\x3e\x00\x00", 8000), 999 * time.Millisecond},
		{"samples of 12 bits take 16", strings.Replace(wav("\x80\x3e\x00\x00", 8000), "\x02\x00\x10", "\x02\x00\x0c", 1), time.Second},
		{"an extended format names the real one, whatever its byte rate", "RIFFxxxxWAVE" + extensible + "data\x80\x3e\x00\x00" + strings.Repeat("x", 16000), time.Second},
		{"a stream with no size", wav("\x00\x00\x00\x00", 8000), time.Second},
		{"a stream of 4 GB", wav("\xff\xff\xff\xff", 8000), time.Second},
		{"a stream of 4 GB less a header", wav("\xdb\xff\xff\xff", 8000), time.Second},
		{"a stream of 2 GB", wav("\xff\xff\xff\x7f", 8000), time.Second},
		{"a stream of 2 GB less a header", wav("\xdb\xff\xff\x7f", 8000), time.Second},
		{"a size that counts the header", wav("\xac\x3e\x00\x00", 8000), time.Second},
		{"sizes of 64 bits", long("\x80\x3e\x00\x00"), time.Second},
		{"sizes of 64 bits that are smaller", long("\x40\x1f\x00\x00"), time.Second / 2},
		{"compressed without a fact: by its byte rate", "RIFFxxxxWAVE" + law + "data\x40\x06\x00\x00" + strings.Repeat("x", 1600), time.Second},
		{"compressed in a stream", "RIFFxxxxWAVE" + law + "fact\x04\x00\x00\x00\xff\xff\xff\xffdata\xff\xff\xff\xff" + strings.Repeat("x", 1600), time.Second},
		{"compressed with one", "RIFFxxxxWAVE" + law + "fact\x04\x00\x00\x00\xa0\x0f\x00\x00data\x40\x06\x00\x00" + strings.Repeat("x", 1600), time.Second / 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := measureText(test.content)
			require.NoError(t, err)
			require.Equal(t, media.Info{Format: "wav", Kind: media.Audio, Length: test.want}, got)
		})
	}
}

// 4 GB of sound at one sample a second would be longer than a time.Duration is: it is a lie.
func TestLengthThatNoSoundHasIsBroken(t *testing.T) {
	const size = 9 << 30
	head := "RF64\xff\xff\xff\xffWAVEds64\x10\x00\x00\x00xxxxxxxx\x00\x00\x00\x00\x02\x00\x00\x00" +
		"fmt \x10\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x08\x00data\xff\xff\xff\xff"
	_, err := media.Measure(padded{[]byte(head), size, true}, size)
	require.ErrorIs(t, err, media.ErrBroken)
	require.ErrorContains(t, err, "8589934592 samples at 1 a second")
}

// counting counts what is asked of a reader.
type counting struct {
	io.ReaderAt
	reads           int
	bytes, furthest int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	c.bytes += int64(len(p))
	c.furthest = max(c.furthest, off+int64(len(p)))
	return c.ReaderAt.ReadAt(p, off)
}
