package media

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clips is the folder that make-clips.sh fills.
const clips = "../../testdata/media"

// probed is what ffprobe says of a clip.
type probed struct {
	File          string
	Duration      float64 // seconds
	Width, Height int     // of the coded picture
	Rotation      int     // degrees
}

func readClip(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(clips, name))
	require.NoError(t, err)
	return data
}

func readProbed(t testing.TB) []probed {
	t.Helper()
	var all []probed
	require.NoError(t, json.Unmarshal(readClip(t, "clips.json"), &all))
	return all
}

// foreign are the files that are recognised as another format, and not measured.
var foreign = map[string]Info{
	"refused.3gp":   {Format: "3gp", Kind: Video},
	"cover-art.m4a": {Format: "m4a", Kind: Audio},
	"sound.m4a":     {Format: "m4a", Kind: Audio},
}

func requireAgreement(t *testing.T, want probed) {
	t.Helper()
	data := readClip(t, want.File)
	got, err := measureMP4(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	if info, ok := foreign[want.File]; ok {
		require.Equal(t, info, got)
		return
	}
	require.Equal(t, strings.TrimPrefix(filepath.Ext(want.File), "."), got.Format)
	require.InDelta(t, want.Duration, got.Length.Seconds(), 0.002, "length")
	require.Zero(t, got.Length%time.Millisecond)
	if want.Rotation%180 != 0 {
		want.Width, want.Height = want.Height, want.Width
	}
	require.Equal(t, want.Width, got.Width, "width")
	require.Equal(t, want.Height, got.Height, "height")
	kind := Video
	if want.Width == 0 {
		kind = Audio
	}
	require.Equal(t, kind, got.Kind)
}

// isClip leaves out the files of the folder that are of quite another kind.
func isClip(name string) bool {
	return slices.Contains([]string{".mp4", ".mov", ".m4a", ".3gp"}, filepath.Ext(name))
}

func TestClipsAgreeWithFFprobe(t *testing.T) {
	all := readProbed(t)
	require.Greater(t, len(all), 60)
	for _, want := range all {
		if isClip(want.File) {
			t.Run(want.File, func(t *testing.T) { requireAgreement(t, want) })
		}
	}
}

// The table is what some ffprobe said once; here is what the one of this machine says.
func TestClipsAgreeWithThisFFprobe(t *testing.T) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "ffprobe is missing")
		t.Skip("no ffprobe here")
	}
	for _, table := range readProbed(t) {
		if !isClip(table.File) {
			continue
		}
		t.Run(table.File, func(t *testing.T) {
			t.Parallel()
			requireAgreement(t, probe(t, ffprobe, table.File))
		})
	}
}

func probe(t *testing.T, ffprobe, name string) probed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), ffprobe, "-loglevel", "error", "-of", "json",
		"-show_entries", "format=duration:stream=codec_type,width,height:stream_disposition=attached_pic:stream_side_data=rotation",
		filepath.Join(clips, name)).Output()
	require.NoError(t, err)
	var said struct {
		Streams []struct {
			Type        string `json:"codec_type"`
			Width       int
			Height      int
			Disposition struct {
				Attached int `json:"attached_pic"`
			}
			SideData []struct{ Rotation int } `json:"side_data_list"`
		}
		Format struct{ Duration string }
	}
	require.NoError(t, json.Unmarshal(out, &said))
	p := probed{File: name}
	p.Duration, err = strconv.ParseFloat(said.Format.Duration, 64)
	require.NoError(t, err)
	for _, s := range said.Streams {
		if s.Type == "video" && s.Disposition.Attached == 0 {
			p.Width, p.Height = s.Width, s.Height
			for _, d := range s.SideData {
				p.Rotation += d.Rotation
			}
			break
		}
	}
	return p
}
