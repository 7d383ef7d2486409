package clips_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/simulator/clip"
	"r2v-mcp/internal/video"
)

// download is a server's answer: its bytes, and how many it has announced, below 0 for none.
type download struct {
	body      io.Reader
	announced int64
}

func (d download) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(d.body), ContentLength: d.announced}, nil
}

// saveIn saves a download in a folder.
func saveIn(t *testing.T, dir, name string, d download) (video.Clip, error) {
	t.Helper()
	return clips.Folder{Dir: dir, Client: &http.Client{Transport: d}}.Save(t.Context(), name, "https://results.example/a.mp4?Signature=secret")
}

func wholeClip(t *testing.T) []byte {
	t.Helper()
	content, err := clip.Bytes(clip.Spec{Width: 640, Height: 360, Duration: 2500 * time.Millisecond})
	require.NoError(t, err)
	return content
}

func all(content []byte) download { return download{bytes.NewReader(content), int64(len(content))} }

func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 300, 300))))
	return b.Bytes()
}

// names are what a folder holds.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestAWholeClipIsSavedOnce(t *testing.T) {
	dir, content := filepath.Join(t.TempDir(), "a", "b"), wholeClip(t)
	for _, d := range []download{all(content), {iotest.ErrReader(errors.New("it is not asked for again")), -1}} {
		got, err := saveIn(t, dir, "r2v-x", d)
		require.NoError(t, err)
		require.Equal(t, video.Clip{Path: filepath.Join(dir, "r2v-x.mp4"), Length: 2500 * time.Millisecond}, got)
		kept, err := os.ReadFile(got.Path)
		require.NoError(t, err)
		require.Equal(t, content, kept)
		require.Equal(t, []string{"r2v-x.mp4"}, names(t, dir))
	}
	info, err := os.Stat(filepath.Join(dir, "r2v-x.mp4"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestWhatIsNoWholeClipLeavesNothing(t *testing.T) {
	content := wholeClip(t)
	n := int64(len(content))
	for name, tt := range map[string]struct {
		download
		want string
	}{
		"nothing":                            {all(nil), "no MP4 file"},
		"half of it":                         {all(content[:n/2]), "no whole MP4 file"},
		"one byte less":                      {all(content[:n-1]), "no whole MP4 file"},
		"its last bytes":                     {all(content[n/2:]), "no MP4 file"},
		"no index":                           {all(append(append([]byte{}, content[:32]...), 0, 0, 0, 16, 'm', 'd', 'a', 't', 0, 0, 0, 0, 0, 0, 0, 0)), "no whole MP4 file"},
		"an error page":                      {all([]byte("<html><body>Gone</body></html>")), "no MP4 file (html)"},
		"a picture":                          {all(picture(t)), "no MP4 file (png)"},
		"a clip of another format":           {all(bytes.Replace(content, content[8:12], []byte("qt  "), 1)), "no MP4 file (mov)"},
		"zeros":                              {all(make([]byte, 5000)), "no MP4 file (of no known format)"},
		"less than was announced":            {download{bytes.NewReader(content), n + 1}, "were announced"},
		"more than was announced":            {download{bytes.NewReader(content), n - 1}, "were announced"},
		"more than any clip has":             {download{bytes.NewReader(content), 1 << 40}, "larger than any"},
		"a connection that breaks off":       {download{io.MultiReader(bytes.NewReader(content[:n/2]), iotest.ErrReader(io.ErrUnexpectedEOF)), n}, "download stopped after"},
		"a connection that breaks off early": {download{iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(content))), -1}, "download stopped after 1 bytes"},
		"an untold end in the middle":        {download{bytes.NewReader(content[:n-10]), -1}, "no whole MP4 file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := saveIn(t, dir, "r2v-x", tt.download)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "R2V_SAVE_DIR", "the folder is not to blame")
			require.NotContains(t, err.Error(), "secret")
			require.Empty(t, names(t, dir))
		})
	}
}

func TestABrokenFileOfItsNameIsReplaced(t *testing.T) {
	dir, content := t.TempDir(), wholeClip(t)
	path := filepath.Join(dir, "r2v-x.mp4")
	require.NoError(t, os.WriteFile(path, content[:len(content)/2], 0o600))
	_, err := saveIn(t, dir, "r2v-x", all(content))
	require.NoError(t, err)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, content, kept)
}

func TestNothingIsReadOrWrittenOutsideTheFolder(t *testing.T) {
	content := wholeClip(t)
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/tmp/x", "../../etc/x", "x/../../y", `..\x`, "a\x00b"} {
		home := t.TempDir()
		dir := filepath.Join(home, "in", "videos")
		_, err := saveIn(t, dir, name, all(content))
		if err == nil {
			require.Len(t, names(t, dir), 1, "%q is a name like any other", name)
		}
		require.Subset(t, []string{"in"}, names(t, home), name)
		if _, err := os.Stat(filepath.Join(home, "in")); err == nil {
			require.Equal(t, []string{"videos"}, names(t, filepath.Join(home, "in")), name)
		}
	}
	for what, target := range map[string]string{"a file": "precious", "another's whole clip": "clip.mp4", "a file that is not there": "nothing", "a folder": "."} {
		t.Run("a link to "+what, func(t *testing.T) {
			out, dir := t.TempDir(), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(out, "precious"), []byte("precious"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(out, "clip.mp4"), append(content[:len(content):len(content)], 0, 0, 0, 8, 'f', 'r', 'e', 'e'), 0o600))
			path := filepath.Join(dir, "r2v-x.mp4")
			require.NoError(t, os.Symlink(filepath.Join(out, target), path))
			_, err := saveIn(t, dir, "r2v-x", all(content))
			require.NoError(t, err)
			info, err := os.Lstat(path)
			require.NoError(t, err)
			require.True(t, info.Mode().IsRegular(), "the link is replaced, not followed")
			require.EqualValues(t, len(content), info.Size())
			require.Equal(t, []string{"clip.mp4", "precious"}, names(t, out))
			kept, err := os.ReadFile(filepath.Join(out, "precious"))
			require.NoError(t, err)
			require.Equal(t, "precious", string(kept))
		})
	}
}

func TestWhatAKilledProcessLeftIsSweptAfterAnHour(t *testing.T) {
	out, dir := t.TempDir(), t.TempDir()
	target, old := filepath.Join(out, "precious"), time.Now().Add(-2*time.Hour)
	for _, name := range []string{target, filepath.Join(dir, ".r2v-a.mp4-X.part"), filepath.Join(dir, ".r2v-b.mp4-X.part"), filepath.Join(dir, "mine.part"), filepath.Join(dir, ".mine")} {
		require.NoError(t, os.WriteFile(name, []byte("half"), 0o600))
		if filepath.Base(name) != ".r2v-b.mp4-X.part" { // it is being written
			require.NoError(t, os.Chtimes(name, old, old))
		}
	}
	require.NoError(t, os.Symlink(target, filepath.Join(dir, ".r2v-c.mp4-X.part")))
	_, err := saveIn(t, dir, "r2v-x", all(wholeClip(t)))
	require.NoError(t, err)
	require.FileExists(t, target)
	require.NotContains(t, names(t, dir), ".r2v-a.mp4-X.part")
	require.Subset(t, names(t, dir), []string{".mine", ".r2v-b.mp4-X.part", "mine.part", "r2v-x.mp4"})
}

// meanwhile does something once when half of a download was read.
type meanwhile struct {
	io.Reader
	do func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return m.Reader.Read(p)
}

func TestAFolderThatGoesDuringADownloadIsToldAndMadeAnew(t *testing.T) {
	content := wholeClip(t)
	for what, take := range map[string]func(t *testing.T, dir string){
		"deleted": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
		"moved":   func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir, dir+"-old")) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "videos")
			half := len(content) / 2
			rest := &meanwhile{bytes.NewReader(content[half:]), func() { take(t, dir) }}
			_, err := saveIn(t, dir, "r2v-x", download{io.MultiReader(bytes.NewReader(content[:half]), rest), -1})
			require.ErrorContains(t, err, dir+" is gone")
			require.ErrorContains(t, err, "the next try makes it anew")
			require.NoDirExists(t, dir)
			got, err := saveIn(t, dir, "r2v-x", all(content))
			require.NoError(t, err)
			require.FileExists(t, got.Path)
		})
	}
}

func TestAFolderOfAClipsNameIsToldByItsOwnName(t *testing.T) {
	content := wholeClip(t)
	for when, early := range map[string]bool{"before the download": true, "during it": false} {
		t.Run(when, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "r2v-x.mp4")
			take := func() { require.NoError(t, os.MkdirAll(filepath.Join(path, "sub"), 0o700)) }
			body := &meanwhile{bytes.NewReader(content), take}
			if early {
				take()
				body = &meanwhile{bytes.NewReader(content), func() { t.Error("what cannot be saved is not downloaded") }}
			}
			_, err := saveIn(t, dir, "r2v-x", download{body, -1})
			require.ErrorContains(t, err, path+" is a folder")
			require.ErrorContains(t, err, "move it away, or set R2V_SAVE_DIR to another folder")
			require.NotContains(t, err.Error(), "is no folder")
			require.DirExists(t, filepath.Join(path, "sub"), "it is somebody's")
			require.Equal(t, []string{"r2v-x.mp4"}, names(t, dir))

			require.NoError(t, os.RemoveAll(path))
			_, err = saveIn(t, dir, "r2v-x", all(content))
			require.NoError(t, err)
		})
	}
}

func TestWhoEndsADownloadLeavesNothing(t *testing.T) {
	dir, content := t.TempDir(), wholeClip(t)
	ctx, cancel := context.WithCancel(t.Context())
	body := &meanwhile{bytes.NewReader(content), func() {
		require.Len(t, names(t, dir), 1, "it is being written")
		cancel()
	}}
	f := clips.Folder{Dir: dir, Client: &http.Client{Transport: download{io.MultiReader(body, iotest.ErrReader(context.Canceled)), -1}}}
	_, err := f.Save(ctx, "r2v-x", "https://results.example/a.mp4")
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, names(t, dir))
}

func TestAFileThatIsGoneIsNoticed(t *testing.T) {
	dir := t.TempDir()
	clip, err := saveIn(t, dir, "r2v-x", all(wholeClip(t)))
	require.NoError(t, err)
	f := clips.Folder{Dir: dir}
	require.NoError(t, f.Look(clip.Path))
	require.NoError(t, os.Remove(clip.Path))
	require.ErrorIs(t, f.Look(clip.Path), fs.ErrNotExist)
	require.NoError(t, os.Mkdir(clip.Path, 0o700))
	require.ErrorIs(t, f.Look(clip.Path), fs.ErrNotExist)
	require.NoError(t, os.RemoveAll(dir))
	require.ErrorIs(t, f.Look(clip.Path), fs.ErrNotExist)
	elsewhere := clips.Folder{Dir: t.TempDir()}.Look(clip.Path)
	require.ErrorContains(t, elsewhere, "R2V_SAVE_DIR")
	require.NotErrorIs(t, elsewhere, fs.ErrNotExist)
}
