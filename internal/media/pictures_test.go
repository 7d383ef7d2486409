package media_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	Counted       bool // the frames were counted: ffprobe alone guesses by the bit rate
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

func TestPicturesAndSoundsAgreeWithProgramsHere(t *testing.T) {
	if _, err := exec.LookPath("ffprobe"); err != nil {
		require.Empty(t, os.Getenv("CI"), "ffprobe is needed here")
		t.Skip("ffprobe is not installed")
	}
	for _, want := range picturesTruth(t) {
		t.Run(want.File, func(t *testing.T) {
			t.Parallel()
			switch {
			case want.Width > 0 && want.File != "animated.webp": // whose sides are 0 to some versions
				got := measureFile(t, want.File)
				said := probe(t, want.File, "stream=width,height")
				if want.Turned {
					got.Width, got.Height = got.Height, got.Width
				}
				require.Equal(t, []string{strconv.Itoa(got.Width), strconv.Itoa(got.Height)}, said[:2])
			case want.Seconds > 0:
				said := probe(t, want.File, "format=duration")
				if want.Counted {
					said = probe(t, want.File, "packet=duration_time")
				}
				seconds := 0.0
				for _, s := range said {
					part, err := strconv.ParseFloat(s, 64)
					require.NoError(t, err)
					seconds += part
				}
				require.InDelta(t, seconds, measureFile(t, want.File).Length.Seconds(), 0.01)
			}
		})
	}
}

func probe(t *testing.T, name, what string) []string {
	t.Helper()
	args := []string{"-v", "error", "-of", "default=nw=1:nk=1", "-show_entries", what, filepath.Join(mediaFolder, name)}
	out, err := exec.CommandContext(t.Context(), "ffprobe", args...).Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}
