package preflight_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/media"
	"r2v-mcp/internal/preflight"
	"r2v-mcp/internal/simulator/clip"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
)

// web is a real server, and what was asked of it.
type web struct {
	*httptest.Server
	requests, bytes atomic.Int64
}

// counted counts what a server sends.
type counted struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

func serve(t *testing.T, handler http.HandlerFunc) (*web, *preflight.Preflight) {
	t.Helper()
	w := &web{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		handler(counted{rw, &w.bytes}, r)
	}))
	t.Cleanup(w.Close)
	client, err := egress.NewClient(egress.Settings{Allow: []string{w.Listener.Addr().String()}})
	require.NoError(t, err)
	return w, &preflight.Preflight{Client: client}
}

func refs(addresses ...string) []video.Reference {
	var out []video.Reference
	for _, address := range addresses {
		out = append(out, video.Reference{URL: address})
	}
	return out
}

// look looks at one address.
func look(t *testing.T, p *preflight.Preflight, address string) *video.Medium {
	t.Helper()
	seen := p.Look(t.Context(), refs(address))[0].Medium
	require.NotNil(t, seen)
	return seen
}

func made(t *testing.T, length time.Duration) []byte {
	t.Helper()
	content, err := clip.Bytes(clip.Spec{Width: 640, Height: 360, Duration: length})
	require.NoError(t, err)
	return content
}

// indexLast is a clip whose pictures are padded to a size and come before its index, as cameras and encoders write them. It is a
// file with a hole.
func indexLast(t *testing.T, length time.Duration, size int64) *os.File {
	t.Helper()
	boxes := map[string][]byte{}
	for rest := made(t, length); len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		boxes[string(rest[4:8])] = rest[:n]
		rest = rest[n:]
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "index-last.mp4"))
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	pictures := size - int64(len(boxes["ftyp"])+len(boxes["moov"]))
	head := binary.BigEndian.AppendUint32(bytes.Clone(boxes["ftyp"]), uint32(pictures))
	_, err = file.Write(append(head, "mdat"...))
	require.NoError(t, err)
	_, err = file.WriteAt(boxes["moov"], size-int64(len(boxes["moov"])))
	require.NoError(t, err)
	return file
}

func TestAClipOf100MBWithItsIndexAtTheEndIsMeasuredWithAFewSmallRequests(t *testing.T) {
	const size = 100 << 20
	file := indexLast(t, 29_970*time.Millisecond, size)
	w, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "clip.mp4", time.Unix(1e9, 0), io.NewSectionReader(file, 0, size))
	})
	seen := look(t, p, w.URL+"/clip")
	require.Empty(t, seen.Wrong+seen.Unseen)
	require.Equal(t, "29.97", seen.Seconds.String())
	require.Equal(t, []int{640, 360, size}, []int{seen.Width, seen.Height, int(seen.Bytes)})
	t.Logf("%d requests, %d bytes", w.requests.Load(), w.bytes.Load())
	require.LessOrEqual(t, w.requests.Load(), int64(4))
	require.Less(t, w.bytes.Load(), int64(300_000))
}

func TestReferencesAreLookedAtSideBySide(t *testing.T) {
	file := indexLast(t, 8*time.Second, 5<<20)
	var addresses []string
	for range 5 { // each a server of its own, which answers every request after 200 ms
		w, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			<-time.After(200 * time.Millisecond)
			http.ServeContent(w, r, "clip.mp4", time.Unix(1e9, 0), io.NewSectionReader(file, 0, 5<<20))
		})
		addresses = append(addresses, w.URL)
	}
	client, err := egress.NewClient(egress.Settings{Allow: []string{"127.0.0.0/8"}})
	require.NoError(t, err)
	took := time.Hour
	for try := 0; try < 3 && took >= 700*time.Millisecond; try++ { // others use this machine too
		p := &preflight.Preflight{Client: client}
		start := time.Now()
		for _, ref := range p.Look(t.Context(), refs(addresses...)) {
			require.Empty(t, ref.Medium.Wrong+ref.Medium.Unseen)
			require.Equal(t, "8", ref.Medium.Seconds.String())
		}
		took = time.Since(start)
	}
	t.Log(took)
	require.Less(t, took, 700*time.Millisecond)
}

func TestWhatWasSeenForAnEstimateIsNotFetchedForThePurchase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, asked, sent := made(t, 8*time.Second), 0, 0
		p := &preflight.Preflight{Client: &http.Client{Transport: simulatortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(content)))
			http.ServeContent(w, r, "clip.mp4", time.Time{}, bytes.NewReader(content))
			sent += w.(*httptest.ResponseRecorder).Body.Len()
		}))}}
		const address = "https://media.example/clip.mp4"
		require.Equal(t, "8", look(t, p, address).Seconds.String())
		require.Equal(t, 1, asked)
		time.Sleep(4 * time.Minute)
		require.Equal(t, "8", look(t, p, address).Seconds.String())
		require.Equal(t, 1, asked, "not again")

		time.Sleep(2 * time.Minute)
		before := sent
		require.Equal(t, "8", look(t, p, address).Seconds.String())
		require.Equal(t, []int{2, before}, []int{asked, sent}, "asked whether it is still the same, and nothing else")

		content = made(t, 3*time.Second)
		time.Sleep(11 * time.Minute)
		require.Equal(t, "3", look(t, p, address).Seconds.String())
	})
}

// silent is a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAnAnswerIsThereInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &preflight.Preflight{Client: &http.Client{Transport: silent{}}}
		start := time.Now()
		seen := look(t, p, "https://media.example/a.png")
		require.Equal(t, 4*time.Second, time.Since(start))
		require.Empty(t, seen.Wrong)
		require.Equal(t, "media.example did not answer in time", seen.Unseen)
	})
}

func TestDeadAddressesAreWrongAndTroubleIsNot(t *testing.T) {
	w, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	})
	for _, code := range []int{400, 401, 403, 404, 410} {
		seen := look(t, p, fmt.Sprintf("%s/%d?Signature=secret", w.URL, code))
		require.Contains(t, seen.Wrong, fmt.Sprintf("HTTP %d", code))
		require.NotContains(t, seen.Wrong, "secret")
	}
	for _, code := range []int{405, 408, 425, 429, 451, 500, 502, 503} {
		seen := look(t, p, fmt.Sprintf("%s/%d", w.URL, code))
		require.Empty(t, seen.Wrong)
		require.Contains(t, seen.Unseen, fmt.Sprintf("HTTP %d", code))
	}
	require.Contains(t, look(t, p, "http://127.0.0.2:9/a.png").Wrong, "loopback")
	var err error
	p.Client, err = egress.NewClient(egress.Settings{Allow: []string{"127.0.0.1:1"}}) // where nobody listens
	require.NoError(t, err)
	require.Contains(t, look(t, p, "http://127.0.0.1:1/a.png").Wrong, "refuses connections")
}

// nowhere is a network without names.
type nowhere struct{}

func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}
}

func TestANameThatDoesNotExistTellsNothingWhereNoNamesAreFound(t *testing.T) {
	p := &preflight.Preflight{Client: &http.Client{Transport: nowhere{}}, Service: "127.0.0.1"}
	require.Contains(t, look(t, p, "https://media.example/a.png").Wrong, "media.example is a name that does not exist")
	p.Service = "service.invalid"
	seen := look(t, p, "https://media.example/a.png")
	require.Empty(t, seen.Wrong)
	require.Contains(t, seen.Unseen, "R2V_EGRESS_PROXY")
}

func TestWhatWasForgottenIsLookedAtAgain(t *testing.T) {
	content := made(t, 2*time.Second)
	w, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "clip.mp4", time.Unix(1e9, 0), bytes.NewReader(content))
	})
	require.Equal(t, "2", look(t, p, w.URL).Seconds.String())
	content = made(t, 3*time.Second)
	require.Equal(t, "2", look(t, p, w.URL).Seconds.String())
	p.Forget(w.URL)
	require.Equal(t, "3", look(t, p, w.URL).Seconds.String())
}

func TestFailuresAreNotRemembered(t *testing.T) {
	var mended atomic.Bool
	w, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !mended.Load() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "clip.mp4", time.Unix(1e9, 0), bytes.NewReader(made(t, 2*time.Second)))
	})
	require.NotEmpty(t, look(t, p, w.URL).Wrong)
	mended.Store(true)
	require.Equal(t, "2", look(t, p, w.URL).Seconds.String())
}

func TestAServerThatIgnoresRangesIsReadFromTheBeginning(t *testing.T) {
	content := made(t, 4*time.Second)
	w, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/last" {
			_, _ = io.Copy(w, io.NewSectionReader(indexLast(t, time.Second, 64<<20), 0, 64<<20))
			return
		}
		_, _ = w.Write(content)
	})
	first := look(t, p, w.URL+"/first")
	require.Empty(t, first.Wrong+first.Unseen)
	require.Equal(t, "4", first.Seconds.String())
	seen := look(t, p, w.URL+"/last")
	require.Empty(t, seen.Wrong)
	require.Contains(t, seen.Unseen, "only from the beginning")
	require.Less(t, w.bytes.Load(), int64(32<<20), "cut off; what is on its way is written as well")
}

func TestAPictureInsideTheRequestIsMeasured(t *testing.T) {
	content, err := os.ReadFile("../../testdata/media/16-bits-alpha.png")
	require.NoError(t, err)
	seen := look(t, &preflight.Preflight{}, "data:image/png;base64,"+base64.StdEncoding.EncodeToString(content))
	require.True(t, seen.Alpha)
	require.Equal(t, "png", seen.Format)
	require.EqualValues(t, len(content), seen.Bytes)

	for _, name := range []string{"baseline.jpg", "32-bits.bmp", "lossless.webp", "long-text.png", "long-comment.jpg"} {
		content, err := os.ReadFile("../../testdata/media/" + name)
		require.NoError(t, err)
		for extra := range 3 { // every padding
			content := append(content, make([]byte, extra)...)
			seen := look(t, &preflight.Preflight{}, "data:image/png;base64,"+base64.StdEncoding.EncodeToString(content))
			want, err := media.Measure(bytes.NewReader(content), int64(len(content)))
			require.NoError(t, err)
			require.Equal(t, []any{want.Format, want.Width, want.Height, int64(len(content)), ""}, []any{seen.Format, seen.Width, seen.Height, seen.Bytes, seen.Wrong})
		}
	}
	lines := base64.StdEncoding.EncodeToString(content)
	lines = lines[:76] + "\r\n" + lines[76:] + "\n"
	require.Equal(t, "png", look(t, &preflight.Preflight{}, "data:image/png;base64,"+lines).Format)
	for _, broken := range []string{"", "iVBO", "iVBORw0KGg.=", "iVBORw0KGgo...", "====", "a", "===", "ab="} {
		require.Empty(t, look(t, &preflight.Preflight{}, "data:image/png;base64,"+broken).Kind)
	}
}

func TestWhatCannotBeLookedAtIsLeftAlone(t *testing.T) {
	p := &preflight.Preflight{}
	require.Equal(t, video.Medium{Unseen: "only the service can read oss:// addresses"}, *look(t, p, "oss://bucket/a.mp4"))
	for _, address := range []string{"ftp://media.example/a.mp4", "", "a.png"} {
		require.Nil(t, p.Look(t.Context(), refs(address))[0].Medium, address)
	}
}

func TestAFileThatIsCutOnTheWayIsNoBrokenFile(t *testing.T) {
	content := made(t, 2*time.Second)
	w, p := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:len(content)/2])
	})
	seen := look(t, p, w.URL)
	require.Empty(t, seen.Wrong)
	require.Contains(t, seen.Unseen, "broke off")
}

func TestManyLookAtTheSameTime(t *testing.T) {
	content := made(t, 2*time.Second)
	w, p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "clip.mp4", time.Unix(1e9, 0), bytes.NewReader(content))
	})
	var looking sync.WaitGroup
	for i := range 300 { // more than are remembered
		looking.Go(func() {
			address := fmt.Sprintf("%s/%d", w.URL, i)
			for _, ref := range p.Look(t.Context(), refs(address, address)) {
				if ref.Medium.Seconds == nil || ref.Medium.Seconds.String() != "2" {
					t.Error(ref.Medium)
				}
			}
		})
	}
	looking.Wait()
}
