package clip

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFFmpegDecodesEveryFrame(t *testing.T) {
	specs := []Spec{
		{Width: 8, Height: 8, Duration: 100 * time.Millisecond, FPS: 30},
		{Width: 4096, Height: 4096, Duration: 100 * time.Millisecond, FPS: 10},
		{Width: 4096, Height: 8, Duration: 1234 * time.Millisecond, FPS: 24},
		{Width: 16, Height: 4096, Duration: time.Second, FPS: 1},
	}
	for i, size := range sizes {
		specs = append(specs, Spec{Width: size[0], Height: size[1], Duration: 1100 * time.Millisecond, FPS: 30, Seed: uint64(i)})
	}
	for _, length := range lengths {
		specs = append(specs, Spec{Width: 242, Height: 426, Duration: length, FPS: 30})
	}
	for _, s := range specs {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			requireDecodes(t, s)
		})
	}
}

func requireDecodes(t *testing.T, s Spec) {
	file, err := Bytes(s)
	require.NoError(t, err)
	path := save(t, file)

	var got struct {
		Streams []struct {
			Profile      string `json:"profile"`
			Width        int    `json:"width"`
			Height       int    `json:"height"`
			PixelFormat  string `json:"pix_fmt"`
			Duration     string `json:"duration"`
			FramesInFile string `json:"nb_frames"`
			FramesRead   string `json:"nb_read_frames"`
		} `json:"streams"`
		Format struct {
			Duration string `json:"duration"`
		} `json:"format"`
	}
	out := run(t, "ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", path)
	require.NoError(t, json.Unmarshal(out, &got))
	require.Len(t, got.Streams, 1)
	stream := got.Streams[0]
	seconds := strconv.FormatFloat(s.Duration.Seconds(), 'f', 6, 64)
	frames := strconv.Itoa(int((s.Duration*time.Duration(s.FPS) + time.Second - 1) / time.Second))
	require.Equal(t, "Constrained Baseline", stream.Profile)
	require.Equal(t, "yuv420p", stream.PixelFormat)
	require.Equal(t, [2]int{s.Width, s.Height}, [2]int{stream.Width, stream.Height})
	require.Equal(t, seconds, stream.Duration)
	require.Equal(t, seconds, got.Format.Duration)
	require.Equal(t, frames, stream.FramesInFile)
	require.Equal(t, frames, stream.FramesRead)

	run(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-")
}

func TestEachSecondHasItsColourAndALongerBar(t *testing.T) {
	s := Spec{Width: 640, Height: 360, Duration: 4 * time.Second, FPS: 10, Seed: 3}
	file, err := Bytes(s)
	require.NoError(t, err)
	frames := decode(t, s, file)
	require.Len(t, frames, 40)

	type look struct {
		ground colour
		bar    int // width of the white in the lowest line
	}
	looks := make([]look, len(frames))
	for i, f := range frames {
		for x := 0; x < s.Width && f.at(x, s.Height-1) == (colour{235, 128, 128}); x++ {
			looks[i].bar++
		}
		looks[i].ground = f.at(0, 0)
		require.Equal(t, looks[i].ground, f.at(s.Width-1, s.Height/2), "the ground must be of one colour")
	}
	for i := range looks {
		second := i / s.FPS
		require.Equal(t, s.Width*(second+1)/4, looks[i].bar)
		require.Equal(t, looks[second*s.FPS], looks[i], "a second must look the same throughout")
		if second > 0 {
			require.NotEqual(t, looks[(second-1)*s.FPS].ground, looks[i].ground, "the next second must have another colour")
		}
	}
}

// Any colour beside any other: small, middling and large levels of either sign in all three planes.
func TestEveryColourIsDecodedExactly(t *testing.T) {
	s := Spec{Width: 630, Height: 470, Duration: 100 * time.Millisecond, FPS: 10}
	v := video{s, 40, 30}
	random := rand.New(rand.NewPCG(1, 2))
	var mosaic [30][40]colour
	for row := range mosaic {
		for column := range mosaic[row] {
			spread := 2 << random.IntN(7) // up to the full range, often less
			near := func() int { return 128 + random.IntN(2*spread) - spread }
			mosaic[row][column] = colour{near(), near() &^ 1, near() &^ 1}
		}
	}
	file := writeMP4(v, [][]byte{v.keyFrame(0, func(column, row int) colour { return mosaic[row][column] })})
	frames := decode(t, s, file)
	require.Len(t, frames, 1)
	for y := range s.Height {
		for x := range s.Width {
			if want, got := mosaic[y/16][x/16], frames[0].at(x, y); want != got {
				t.Fatalf("pixel %d,%d is %v, want %v", x, y, got, want)
			}
		}
	}
}

// frame is a decoded picture in planar 4:2:0.
type frame struct {
	width, height int
	planes        []byte
}

func (f frame) at(x, y int) colour {
	luma, chroma := f.width*f.height, f.width*f.height/4
	i := luma + y/2*(f.width/2) + x/2
	return colour{int(f.planes[y*f.width+x]), int(f.planes[i]), int(f.planes[i+chroma])}
}

func decode(t *testing.T, s Spec, file []byte) []frame {
	t.Helper()
	raw := run(t, "ffmpeg", "-v", "error", "-xerror", "-i", save(t, file), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	size := s.Width * s.Height * 3 / 2
	require.Zero(t, len(raw)%size)
	var frames []frame
	for ; len(raw) > 0; raw = raw[size:] {
		frames = append(frames, frame{s.Width, s.Height, raw[:size]})
	}
	return frames
}

func save(t *testing.T, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	require.NoError(t, os.WriteFile(path, file, 0o600))
	return path
}

// run returns what the program prints, and fails the test if it complains of anything. Where it is not installed the
// test is skipped, but not in CI, where nobody would notice.
func run(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s must be installed in CI: %v", program, err)
		}
		t.Skipf("%s is not installed, so no clip is decoded here", program)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	require.Empty(t, complaints.String())
	require.NoError(t, err)
	return out.Bytes()
}
