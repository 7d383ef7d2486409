package clips_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/video"
)

// stored is what a folder and a bucket have in common.
type stored interface {
	Save(ctx context.Context, name, address string) (video.Clip, error)
	Open(ctx context.Context, savedTo string) (io.ReadSeekCloser, time.Time, error)
}

// shelf is one of them, and the ways to look behind it.
type shelf struct {
	stored
	path  func(name string) string // of a clip, on the disk
	told  func(name string) string // where Save says that it is
	names func() []string          // of all that is there, and on the way there
}

// shelves makes one of each, with clips from a source.
func shelves(t *testing.T) map[string]func(t *testing.T, from http.RoundTripper) shelf {
	t.Helper()
	return map[string]func(t *testing.T, from http.RoundTripper) shelf{
		"folder": func(t *testing.T, from http.RoundTripper) shelf {
			dir := t.TempDir()
			path := func(name string) string { return filepath.Join(dir, name+".mp4") }
			return shelf{clips.Folder{Dir: dir, Client: &http.Client{Transport: from}}, path, path, func() []string { return names(t, dir) }}
		},
		"bucket": func(t *testing.T, from http.RoundTripper) shelf {
			server := startS3(t)
			b := server.bucket(t, from)
			require.NoError(t, os.MkdirAll(b.Spool, 0o700))
			require.NoError(t, os.MkdirAll(filepath.Dir(server.object(b, "x")), 0o700))
			return shelf{
				b, func(name string) string { return server.object(b, name) },
				func(name string) string { return "s3://" + b.Place.Bucket + "/team/clips/" + name + ".mp4" },
				func() []string {
					list := names(t, b.Spool)
					for _, name := range server.objects(t, b) {
						list = append(list, filepath.Base(name))
					}
					return list
				},
			}
		},
	}
}

func TestStoredOnceWholeAndFoundAgain(t *testing.T) {
	content := wholeClip(t)
	for kind, shelve := range shelves(t) {
		t.Run(kind, func(t *testing.T) {
			from := &source{content: content}
			s := shelve(t, from)
			for range 2 { // as after a kill between the last byte and the record
				got, err := s.Save(t.Context(), "r2v-x", resultLink)
				require.NoError(t, err)
				require.Equal(t, video.Clip{Path: s.told("r2v-x"), Length: 2500 * time.Millisecond}, got)
				kept, err := os.ReadFile(s.path("r2v-x"))
				require.NoError(t, err)
				require.Equal(t, content, kept)
				require.Equal(t, []string{"r2v-x.mp4"}, s.names())
			}
			require.Equal(t, 1, from.count(), "it is downloaded once")
		})
	}
}

func TestStoredNothingThatIsNotWhole(t *testing.T) {
	content := wholeClip(t)
	n := int64(len(content))
	for kind, shelve := range shelves(t) {
		for name, d := range map[string]download{
			"nothing":                 all(nil),
			"one byte less":           all(content[:n-1]),
			"an error page":           all([]byte("<html><body>Gone</body></html>")),
			"less than was announced": {bytes.NewReader(content), n + 1},
			"a broken connection":     {io.MultiReader(bytes.NewReader(content[:n/2]), iotest.ErrReader(io.ErrUnexpectedEOF)), n},
		} {
			t.Run(kind+" and "+name, func(t *testing.T) {
				s := shelve(t, d)
				_, err := s.Save(t.Context(), "r2v-x", resultLink)
				require.ErrorContains(t, err, "download")
				require.NotContains(t, err.Error(), "secret")
				require.Empty(t, s.names())
			})
		}
	}
}

func TestStoredInPlaceOfABrokenOne(t *testing.T) {
	content := wholeClip(t)
	for kind, shelve := range shelves(t) {
		for name, broken := range map[string][]byte{"half": content[:len(content)/2], "empty": {}} {
			t.Run(kind+" and "+name, func(t *testing.T) {
				s := shelve(t, &source{content: content})
				require.NoError(t, os.WriteFile(s.path("r2v-x"), broken, 0o600))
				_, err := s.Save(t.Context(), "r2v-x", resultLink)
				require.NoError(t, err)
				kept, err := os.ReadFile(s.path("r2v-x"))
				require.NoError(t, err)
				require.Equal(t, content, kept)
			})
		}
	}
}

func TestStoredByManyAtOnceIsOne(t *testing.T) {
	content := wholeClip(t)
	for kind, shelve := range shelves(t) {
		t.Run(kind, func(t *testing.T) {
			s := shelve(t, &source{content: content})
			var savers sync.WaitGroup
			for range 8 {
				savers.Go(func() {
					got, err := s.Save(t.Context(), "r2v-x", resultLink)
					if err != nil || got.Path != s.told("r2v-x") || got.Length != 2500*time.Millisecond {
						t.Errorf("saved %v: %v", got, err)
					}
				})
			}
			savers.Wait()
			kept, err := os.ReadFile(s.path("r2v-x"))
			require.NoError(t, err)
			require.Equal(t, content, kept)
			require.Equal(t, []string{"r2v-x.mp4"}, s.names())
		})
	}
}

func TestStoredClipsAreReadInParts(t *testing.T) {
	content := wholeClip(t)
	n := len(content)
	for kind, shelve := range shelves(t) {
		t.Run(kind, func(t *testing.T) {
			s := shelve(t, &source{content: content})
			before := time.Now().Add(-2 * time.Second)
			got, err := s.Save(t.Context(), "r2v-x", resultLink)
			require.NoError(t, err)
			for _, tt := range []struct {
				ranged string
				status int
				want   []byte
			}{
				{"", http.StatusOK, content},
				{"bytes=0-0", http.StatusPartialContent, content[:1]},
				{"bytes=100-299", http.StatusPartialContent, content[100:300]},
				{"bytes=-7", http.StatusPartialContent, content[n-7:]},
				{"bytes=500-", http.StatusPartialContent, content[500:]},
				{"bytes=9999999-", http.StatusRequestedRangeNotSatisfiable, nil},
			} {
				clip, saved, err := s.Open(t.Context(), got.Path)
				require.NoError(t, err)
				require.WithinRange(t, saved, before, time.Now().Add(2*time.Second))
				w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
				if tt.ranged != "" {
					r.Header.Set("Range", tt.ranged)
				}
				http.ServeContent(w, r, "clip.mp4", saved, clip)
				require.Equal(t, tt.status, w.Code, tt.ranged)
				if tt.want != nil {
					require.Equal(t, tt.want, w.Body.Bytes(), tt.ranged)
				}
				require.NoError(t, clip.Close())
				_, err = clip.Read(make([]byte, 1))
				require.ErrorIs(t, err, os.ErrClosed)
			}
			clip, _, err := s.Open(t.Context(), got.Path)
			require.NoError(t, err)
			defer clip.Close()
			require.NoError(t, iotest.TestReader(clip, content))
		})
	}
}

func TestStoredElsewhereIsNotRead(t *testing.T) {
	for kind, shelve := range shelves(t) {
		t.Run(kind, func(t *testing.T) {
			s := shelve(t, &source{content: wholeClip(t)})
			got, err := s.Save(t.Context(), "r2v-x", resultLink)
			require.NoError(t, err)
			base := got.Path[:len(got.Path)-len("/r2v-x.mp4")]
			for _, path := range []string{
				"", "r2v-x.mp4", "/etc/passwd", "/tmp/r2v-x.mp4", base, base + "/", base + "/sub/r2v-x.mp4", base + "2/r2v-x.mp4", base + "/../../x/r2v-x.mp4",
				base + "/r2v-x", "s3://another/team/clips/r2v-x.mp4", "s3://b/r2v-x.mp4?versionId=1", "https://results.example/r2v-x.mp4",
			} {
				_, _, err := s.Open(t.Context(), path)
				require.ErrorContains(t, err, "R2V_SAVE_", path)
				require.ErrorContains(t, err, "not read from there", path)
			}
			_, _, err = s.Open(t.Context(), s.told("r2v-gone"))
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

func TestStoredUnderPlainNamesOnly(t *testing.T) {
	for kind, shelve := range shelves(t) {
		t.Run(kind, func(t *testing.T) {
			from := &source{content: wholeClip(t)}
			s := shelve(t, from)
			for _, name := range []string{"", "..", "../x", "a/b", "/tmp/x", "a\x00b/"} {
				if kind == "folder" && name == ".." {
					continue // "...mp4" is a name like any other of a file
				}
				_, err := s.Save(t.Context(), name, resultLink)
				require.ErrorContains(t, err, "is no name of a clip", name)
			}
			require.Zero(t, from.count())
			require.Empty(t, s.names())
		})
	}
}
