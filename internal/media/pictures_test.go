package media_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/media"
)

const mediaFolder = "../../testdata/media"

// truth is what ffprobe and ImageMagick say of a file: testdata/media/make-pictures.sh writes it.
type truth struct {
	File, Format  string
	Kind          media.Kind
	Width, Height int
	Alpha         bool
	Turned        bool // an orientation swaps the sides, which ffprobe does not
	Seconds       float64
}

func picturesTruth(t testing.TB) []truth {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(mediaFolder, "pictures.json"))
	require.NoError(t, err)
	var all []truth
	require.NoError(t, json.Unmarshal(b, &all))
	return all
}

func measureFile(t testing.TB, name string) media.Info {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(mediaFolder, name))
	require.NoError(t, err)
	i, err := media.Measure(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return i
}

func TestPicturesAndSoundsAreMeasuredAsTheyAre(t *testing.T) {
	all := picturesTruth(t)
	require.Greater(t, len(all), 60)
	for _, want := range all {
		t.Run(want.File, func(t *testing.T) {
			got := measureFile(t, want.File)
			require.InDelta(t, want.Seconds, got.Length.Seconds(), 0.01)
			require.Zero(t, got.Length%time.Millisecond)
			got.Length = 0
			require.Equal(t, media.Info{Format: want.Format, Kind: want.Kind, Width: want.Width, Height: want.Height, Alpha: want.Alpha}, got)
		})
	}
}

// The table is what some programs said once; here is what the ffmpeg of this machine says.
func TestPicturesAndSoundsAgreeWithProgramsHere(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		require.Empty(t, os.Getenv("CI"), "ffmpeg is needed here")
		t.Skip("ffmpeg is not installed")
	}
	asked := slices.DeleteFunc(picturesTruth(t), func(f truth) bool {
		return f.Width == 0 && f.Seconds == 0 || f.File == "animated.webp" // whose sides are 0 to some versions
	})
	require.Greater(t, len(asked), 50)
	said := describe(t, asked)
	for n, want := range asked {
		t.Run(want.File, func(t *testing.T) {
			got := measureFile(t, want.File)
			if want.Turned {
				got.Width, got.Height = got.Height, got.Width
			}
			if want.Width > 0 {
				require.Equal(t, fmt.Sprintf("%dx%d", got.Width, got.Height), said[n].sides)
			} else {
				require.InDelta(t, said[n].seconds, got.Length.Seconds(), 0.01)
			}
		})
	}
}

// description is what ffmpeg says of a file.
type description struct {
	sides     string // of a picture, such as 640x480
	clockTick float64
	seconds   float64 // of all its packets together
}

// describe asks one ffmpeg about all files, since starting it takes longer than all that it does: each file becomes a stream
// of a list of packets, which begins with the streams' properties.
func describe(t *testing.T, files []truth) []description {
	t.Helper()
	args, streams := []string{"-nostdin", "-v", "error"}, []string{}
	for n, f := range files {
		args = append(args, "-i", filepath.Join(mediaFolder, f.File))
		kind := map[bool]string{true: "v", false: "a"}[f.Width > 0]
		streams = append(streams, "-map", fmt.Sprintf("%d:%s:0", n, kind))
	}
	args = append(append(args, streams...), "-c", "copy", "-f", "framecrc", "-")
	list, err := exec.CommandContext(t.Context(), "ffmpeg", args...).Output()
	require.NoError(t, err)
	all := make([]description, len(files))
	for line := range strings.Lines(string(list)) {
		readLine(t, line, all)
	}
	return all
}

// readLine reads "#name stream: value", or a packet: its stream, two times, its length in ticks of the stream's clock, and more.
func readLine(t *testing.T, line string, all []description) {
	t.Helper()
	name, value, isProperty := strings.Cut(strings.TrimSpace(line), ": ")
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' })
	var n, ticks, over int
	switch {
	case strings.HasPrefix(line, "#tb"):
		scan(t, name, "#tb %d", &n)
		scan(t, value, "%d/%d", &ticks, &over)
		all[n].clockTick = float64(ticks) / float64(over)
	case strings.HasPrefix(line, "#dimensions"):
		scan(t, name, "#dimensions %d", &n)
		all[n].sides = value
	case !isProperty && !strings.HasPrefix(line, "#"):
		scan(t, fields[0]+" "+fields[3], "%d %d", &n, &ticks)
		all[n].seconds += float64(ticks) * all[n].clockTick
	}
}

func scan(t *testing.T, text, format string, into ...any) {
	t.Helper()
	_, err := fmt.Sscanf(text, format, into...)
	require.NoError(t, err, text)
}
