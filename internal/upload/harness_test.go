package upload_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
	"r2v-mcp/testdata"
)

const model = "wan2.7-r2v"

// line carries requests to a handler without a socket, as fast as it is said to be in a synctest bubble's time.
type line struct {
	handler http.Handler
	pace    int          // bytes a second; 0 is any number
	fails   atomic.Int32 // so many uploads more break off half way
	refuses atomic.Int32 // so many more are refused, since their policy has expired
	most    atomic.Int32 // uploads at a time
	now     atomic.Int32
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/upload" {
		l.most.Store(max(l.most.Load(), l.now.Add(1)))
		defer l.now.Add(-1)
		body := slow{r, l.pace}
		if l.fails.Add(-1) >= 0 {
			_, _ = io.CopyN(io.Discard, body, r.ContentLength/2)
			return nil, errors.New("connection reset by peer")
		}
		whole, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		if int64(len(whole)) != r.ContentLength {
			return nil, io.ErrUnexpectedEOF
		}
		r.Body = io.NopCloser(bytes.NewReader(whole))
		if l.refuses.Add(-1) >= 0 {
			text, err := testdata.FS.ReadFile("dashscope/upload-refused-403-policy-expired.xml")
			return &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(bytes.NewReader(text))}, err
		}
	}
	return simulatortest.Transport(l.handler).RoundTrip(r)
}

// slow reads a request's content as a slow line takes it.
type slow struct {
	r    *http.Request
	pace int
}

func (s slow) Read(p []byte) (int, error) {
	if err := s.r.Context().Err(); err != nil {
		return 0, err
	}
	if s.pace > 0 {
		p = p[:min(len(p), s.pace/10+1)]
		<-time.After(100 * time.Millisecond)
	}
	return s.r.Body.Read(p)
}

// bench is a process that brings files to a simulator.
type bench struct {
	*upload.Uploads
	t      *testing.T
	sim    *simulator.Server
	line   *line
	ledger *ledger.Ledger
}

func newBench(t *testing.T, pace int) *bench {
	t.Helper()
	sim := simulator.New(simulator.Options{})
	b := &bench{t: t, sim: sim, line: &line{handler: sim, pace: pace}}
	b.ledger = ledger.New(ledger.Options{Path: filepath.Join(t.TempDir(), "ledger.db"), Upstream: "simulator", Account: "ours"})
	b.Uploads = &upload.Uploads{Provider: b.provider(), Ledger: b.ledger}
	t.Cleanup(func() {
		b.Drain()
		require.NoError(t, b.ledger.Close())
	})
	return b
}

func (b *bench) provider() *provider.DashScope {
	client, err := dashscope.New(dashscope.Config{BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test", HTTPClient: &http.Client{Transport: b.line}})
	require.NoError(b.t, err)
	catalogue, err := video.BuiltIn()
	require.NoError(b.t, err)
	return provider.NewDashScope(client, catalogue)
}

// beside is another process on the same ledger.
func (b *bench) beside() *upload.Uploads {
	return &upload.Uploads{Provider: b.provider(), Ledger: b.ledger}
}

func (b *bench) counted(call string) int {
	b.t.Helper()
	return simulatortest.Counters(b.t, b.sim)[call]
}

// picture is a PNG of 640 by 480 as far as its header tells, and of as many bytes as wanted.
func picture(size int, seed uint64) []byte {
	head := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x02\x80\x00\x00\x01\xe0\x08\x02\x00\x00\x00"
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(b) // never fails
	copy(b, head)
	return b
}

type opened struct{ *bytes.Reader }

func (opened) Close() error { return nil }

func file(content []byte) upload.File {
	sum := sha256.Sum256(content)
	return upload.File{
		Name: "a.png", ContentType: "image/png", Size: int64(len(content)), Sum: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) { return opened{bytes.NewReader(content)}, nil },
	}
}

// failure takes an error for what every error is, and looks that it says that nothing was bought.
func failure(t *testing.T, err error) *video.Error {
	t.Helper()
	var e *video.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, video.NotCharged, e.Charged)
	require.NotEmpty(t, e.Advice)
	return e
}

// capitals gives a sum in capitals, as some tools print it.
func capitals(f upload.File) upload.File {
	f.Sum = strings.ToUpper(f.Sum)
	return f
}
