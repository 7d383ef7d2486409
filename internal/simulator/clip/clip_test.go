package clip

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/abema/go-mp4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// sizes are those the models deliver, and two of cheap inputs whose sides are not multiples of 16.
var sizes = [][2]int{
	{1280, 720}, {720, 1280}, {960, 960}, {1104, 832}, {832, 1104}, {1088, 832}, {832, 1088},
	{1920, 1080}, {1080, 1920}, {1440, 1440}, {1648, 1248}, {1248, 1648}, {1632, 1248}, {1248, 1632},
	{640, 360}, {242, 426},
}

var lengths = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 4950 * time.Millisecond}

func (s Spec) name() string {
	return fmt.Sprintf("%dx%d %v at %d fps", s.Width, s.Height, s.Duration, s.FPS)
}

func TestIndexTellsSizeAndLengthExactly(t *testing.T) {
	for _, size := range sizes {
		for _, length := range lengths {
			s := Spec{Width: size[0], Height: size[1], Duration: length}
			t.Run(s.name(), func(t *testing.T) { requireWholeFile(t, s, 30) })
		}
	}
}

func TestIndexIsRightForAnySpec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{
			Width:    2 * rapid.IntRange(4, 320).Draw(t, "half width"),
			Height:   2 * rapid.IntRange(4, 320).Draw(t, "half height"),
			Duration: time.Duration(rapid.IntRange(100, 60_000).Draw(t, "ms")) * time.Millisecond,
			FPS:      rapid.IntRange(1, 120).Draw(t, "fps"),
			Seed:     rapid.Uint64().Draw(t, "seed"),
		}
		requireWholeFile(t, s, s.FPS)
	})
}

// requireWholeFile makes the clip and checks its index against s and against the bytes it points to.
func requireWholeFile(t require.TestingT, s Spec, fps int) {
	file, err := Bytes(s)
	require.NoError(t, err)
	r := bytes.NewReader(file)
	info, err := mp4.Probe(r)
	require.NoError(t, err)
	require.True(t, info.FastStart)
	require.Len(t, info.Tracks, 1)
	track := info.Tracks[0]

	wantTicks := uint64(s.Duration.Milliseconds()) * uint64(track.Timescale) / 1000
	require.Equal(t, s.Duration, time.Duration(wantTicks)*time.Second/time.Duration(track.Timescale), "length must be a whole number of ticks")
	require.Equal(t, wantTicks, track.Duration)
	require.Equal(t, s.Duration, time.Duration(info.Duration)*time.Second/time.Duration(info.Timescale))
	require.Equal(t, mp4.CodecAVC1, track.Codec)
	require.Equal(t, [2]int{s.Width, s.Height}, [2]int{int(track.AVC.Width), int(track.AVC.Height)})

	require.Len(t, track.Samples, int((s.Duration*time.Duration(fps)+time.Second-1)/time.Second))
	require.Len(t, track.Chunks, 1)
	end, ticks := track.Chunks[0].DataOffset, uint64(0)
	for _, sample := range track.Samples {
		end += uint64(sample.Size)
		ticks += uint64(sample.TimeDelta)
	}
	require.Equal(t, track.Duration, ticks)
	require.Equal(t, uint64(len(file)), end, "the last sample must end with the file")
	requireKeyFrameEachSecond(t, r, track, fps)
}

func requireKeyFrameEachSecond(t require.TestingT, r *bytes.Reader, track *mp4.Track, fps int) {
	var want []int
	var wantIndex []uint32
	for i := 0; i < len(track.Samples); i += fps {
		want, wantIndex = append(want, i), append(wantIndex, uint32(i+1))
	}
	got, err := mp4.FindIDRFrames(r, track)
	require.NoError(t, err)
	require.Equal(t, want, got)

	boxes, err := mp4.ExtractBoxWithPayload(r, nil, mp4.BoxPath{
		mp4.BoxTypeMoov(), mp4.BoxTypeTrak(), mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl(), mp4.BoxTypeStss(),
	})
	require.NoError(t, err)
	require.Len(t, boxes, 1)
	require.Equal(t, wantIndex, boxes[0].Payload.(*mp4.Stss).SampleNumber)
}

func TestSpecOutOfRangeIsRefused(t *testing.T) {
	good := Spec{Width: 640, Height: 360, Duration: time.Second}
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"odd width":       {func(s *Spec) { s.Width = 641 }, "clip: size 641x360: both sides must be even and 8 to 4096 pixels"},
		"odd height":      {func(s *Spec) { s.Height = 361 }, "size 640x361"},
		"no size":         {func(s *Spec) { s.Width, s.Height = 0, 0 }, "size 0x0"},
		"too narrow":      {func(s *Spec) { s.Width = 6 }, "size 6x360"},
		"too high":        {func(s *Spec) { s.Height = 4098 }, "size 640x4098"},
		"no length":       {func(s *Spec) { s.Duration = 0 }, "clip: duration 0s: must be 100ms to 1m0s"},
		"too short":       {func(s *Spec) { s.Duration = 99 * time.Millisecond }, "duration 99ms"},
		"too long":        {func(s *Spec) { s.Duration = time.Minute + 1 }, "duration 1m0.000000001s"},
		"negative rate":   {func(s *Spec) { s.FPS = -1 }, "clip: -1 frames a second: must be 1 to 120"},
		"too high a rate": {func(s *Spec) { s.FPS = 121 }, "121 frames"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			c.change(&s)
			file, err := Bytes(s)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, file)
		})
	}
}

func TestEqualSpecsGiveEqualFiles(t *testing.T) {
	s := Spec{Width: 640, Height: 360, Duration: 10 * time.Second, Seed: 7}
	first, err := Bytes(s)
	require.NoError(t, err)
	second, err := Bytes(s)
	require.NoError(t, err)
	require.Equal(t, first, second)

	s.Seed = 8
	other, err := Bytes(s)
	require.NoError(t, err)
	require.NotEqual(t, first, other, "another seed must give other colours")
}

func TestClipIsSmall(t *testing.T) {
	file, err := Bytes(Spec{Width: 1920, Height: 1080, Duration: 15 * time.Second})
	require.NoError(t, err)
	require.Less(t, len(file), 200_000)
}

// A start code inside a NAL unit would cut it in two for players that look for them.
func TestNALUnitHoldsNoStartCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOf(rapid.SampledFrom([]byte{0, 0, 0, 1, 2, 3, 4, 255})).Draw(t, "payload")
		b := &bitWriter{}
		for _, c := range payload {
			b.u(8, uint32(c))
		}
		unit := b.nal(nalSlice)
		for _, code := range [][]byte{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}} {
			require.NotContains(t, string(unit), string(code))
		}
		unescaped := bytes.ReplaceAll(unit[1:], []byte{0, 0, 3}, []byte{0, 0})
		require.Equal(t, append(payload, 0x80), unescaped)
	})
}

func BenchmarkTenSecondsFullHD(b *testing.B) {
	for b.Loop() {
		if _, err := Bytes(Spec{Width: 1920, Height: 1080, Duration: 10 * time.Second}); err != nil {
			b.Fatal(err)
		}
	}
}
