package egress_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
)

// pattern is a file of any length in which each byte tells its place.
type pattern struct{ size int64 }

func (p pattern) ReadAt(b []byte, off int64) (int, error) {
	n := int(max(min(int64(len(b)), p.size-off), 0))
	for i := range n {
		at := off + int64(i)
		b[i] = byte(at ^ at>>8 ^ at>>16)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (p pattern) bytes(off, n int64) []byte {
	b := make([]byte, n)
	m, _ := p.ReadAt(b, off)
	return b[:m]
}

func (p pattern) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"one"`)
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), io.NewSectionReader(p, 0, p.size))
}

const kb, mb = 1 << 10, 1 << 20

// metered is a file, and what it has cost so far.
type metered struct {
	*egress.File
	requests, bytes atomic.Int64 // each hop of a redirect is a request; of bodies, what was taken counts
}

// over counts what goes through a transport.
func (m *metered) over(way http.RoundTripper) http.RoundTripper {
	return inMemory(func(r *http.Request) (*http.Response, error) {
		m.requests.Add(1)
		resp, err := way.RoundTrip(r)
		if err == nil {
			resp.Body = meteredBody{resp.Body, &m.bytes}
		}
		return resp, err
	})
}

type meteredBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// site serves a handler, and opens files of it.
func site(t *testing.T, h http.HandlerFunc) func(egress.Limits) (*metered, error) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	door := newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}}.With(nil, 200*time.Millisecond))
	return func(l egress.Limits) (*metered, error) {
		m := &metered{}
		f, err := egress.Open(t.Context(), &http.Client{Transport: m.over(door.Transport), CheckRedirect: door.CheckRedirect}, server.URL+"/clip.mp4?Signature=secret", l)
		if err != nil {
			require.NotContains(t, err.Error(), "secret")
		}
		if f == nil {
			return nil, err
		}
		t.Cleanup(func() { f.Close() })
		m.File = f
		return m, err
	}
}

func readAt(f io.ReaderAt, off, n int64) ([]byte, error) {
	b := make([]byte, n)
	m, err := f.ReadAt(b, off)
	return b[:m], err
}

func TestHeadAndTailOfALargeFileAreCheap(t *testing.T) {
	p := pattern{100 * mb}
	f, err := site(t, p.serve)(egress.Limits{})
	require.NoError(t, err)
	require.EqualValues(t, 100*mb, f.Size())
	got, err := readAt(f, 0, 64*kb)
	require.NoError(t, err)
	require.Equal(t, p.bytes(0, 64*kb), got)
	for range 3 { // the second time it is there
		got, err = readAt(f, 100*mb-40*kb-7, 40*kb)
		require.NoError(t, err)
		require.Equal(t, p.bytes(100*mb-40*kb-7, 40*kb), got)
	}
	require.EqualValues(t, 2, f.requests.Load())
	require.Less(t, f.bytes.Load(), int64(300*kb))
}

func TestAnyReadIsWhatTheFileHolds(t *testing.T) {
	for _, size := range []int64{1, 999, 64 * kb, 64*kb + 1, 300*kb + 77} {
		for _, h := range []http.HandlerFunc{pattern{size}.serve, ignoring(pattern{size}, true), ignoring(pattern{size}, false)} {
			p := pattern{size}
			f, err := site(t, h)(egress.Limits{Requests: 1000, Bytes: mb})
			require.NoError(t, err)
			for range 60 {
				off, n := rand.Int64N(size+10), rand.Int64N(100*kb)
				got, err := readAt(f, off, n)
				want := make([]byte, n)
				m, wantErr := p.ReadAt(want, off)
				require.Equal(t, want[:m], got, "%d of %d at %d", n, size, off)
				if n > 0 {
					require.Equal(t, wantErr, err, "%d of %d at %d", n, size, off)
				}
			}
			if f.Size() >= 0 {
				require.Equal(t, size, f.Size())
			}
			require.LessOrEqual(t, f.bytes.Load(), size+64*kb)
			require.NoError(t, f.Err())
		}
	}
}

func TestReadsThatGoOnFetchMoreAtOnce(t *testing.T) {
	f, err := site(t, pattern{mb}.serve)(egress.Limits{Bytes: 2 * mb, Requests: 9})
	require.NoError(t, err)
	all, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	require.NoError(t, err)
	require.Equal(t, pattern{mb}.bytes(0, mb), all)
	require.EqualValues(t, 6, f.requests.Load()) // 64, 128, and four of 256 KB at the most
	require.EqualValues(t, mb, f.bytes.Load())
}

func TestNothingIsFetchedAheadThatTheLimitHasNoRoomFor(t *testing.T) {
	f, err := site(t, pattern{mb}.serve)(egress.Limits{Bytes: 256 * kb})
	require.NoError(t, err)
	for i := range int64(4) {
		_, err = readAt(f, i*64*kb, 64*kb)
		require.NoError(t, err)
	}
	require.EqualValues(t, 256*kb, f.bytes.Load())
	require.EqualValues(t, 3, f.requests.Load()) // 64, 128, and not 256
}

func TestMissingNeighboursAreFetchedTogether(t *testing.T) {
	var asked []string
	f, err := site(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Range"))
		pattern{mb}.serve(w, r)
	})(egress.Limits{})
	require.NoError(t, err)
	_, err = readAt(f, 300*kb, 10) // block 4
	require.NoError(t, err)
	_, err = readAt(f, 190*kb, 250*kb) // blocks 2, 3, 5 and 6
	require.NoError(t, err)
	require.Equal(t, []string{"bytes=0-65535", "bytes=262144-327679", "bytes=131072-262143", "bytes=327680-458751"}, asked)
}

const (
	tooCostly = "127.0.0.1 has a file that takes more requests or bytes to read than are spent on it"
	tooFar    = "127.0.0.1 sends its file only from the beginning, and not so much of it is read"
)

func TestLimitsHold(t *testing.T) {
	open := site(t, pattern{mb}.serve)
	f, err := open(egress.Limits{Requests: 2})
	require.NoError(t, err)
	_, err = readAt(f, 500*kb, 1)
	require.NoError(t, err)
	_, err = readAt(f, 900*kb, 1)
	require.EqualError(t, err, tooCostly)
	require.Equal(t, err, f.Err())
	require.EqualValues(t, 2, f.requests.Load())
	_, err = readAt(f, 500*kb, 1) // what is there stays there
	require.NoError(t, err)

	f, err = open(egress.Limits{Bytes: 200 * kb})
	require.NoError(t, err)
	_, err = readAt(f, 500*kb, 200*kb)
	require.EqualError(t, err, tooCostly)
	require.LessOrEqual(t, f.bytes.Load(), int64(200*kb))
	_, dead := egress.Dead(err)
	require.False(t, dead)
	f, err = open(egress.Limits{Bytes: 1000})
	require.NoError(t, err)
	got, err := readAt(f, 0, 1000)
	require.NoError(t, err)
	require.Len(t, got, 1000)
	require.EqualValues(t, 1000, f.bytes.Load())
}

// ignoring is a server that does not know ranges, and tells the length or does not.
func ignoring(p pattern, tells bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")
		if tells {
			w.Header().Set("Content-Length", strconv.FormatInt(p.size, 10))
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		_, _ = io.Copy(w, io.NewSectionReader(p, 0, p.size))
	}
}

func TestServersWithoutRangesAreReadAsFarAsNeeded(t *testing.T) {
	for _, tells := range []bool{true, false} {
		p := pattern{50 * mb}
		f, err := site(t, ignoring(p, tells))(egress.Limits{Bytes: 256 * kb})
		require.NoError(t, err)
		require.Zero(t, f.bytes.Load(), "nothing is read before it is asked for")
		require.Equal(t, tells, f.Size() == p.size)
		require.Equal(t, tells, f.Validator() != "")
		got, err := readAt(f, 10*kb, 10*kb)
		require.NoError(t, err)
		require.Equal(t, p.bytes(10*kb, 10*kb), got)
		require.EqualValues(t, 20*kb, f.bytes.Load())
		_, err = readAt(f, 40*mb, 10)
		require.EqualError(t, err, tooFar)
		require.EqualValues(t, 20*kb, f.bytes.Load(), "nothing is read in vain")
		got, err = readAt(f, 250*kb, 10*kb)
		require.EqualError(t, err, tooFar)
		require.Equal(t, p.bytes(250*kb, 6*kb), got)
		require.EqualValues(t, 256*kb, f.bytes.Load())
		require.EqualValues(t, 1, f.requests.Load())
	}
}

func TestEmptyFiles(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"range refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
		"range told": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes */0")
			w.WriteHeader(416)
		},
		"range ignored":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") },
		"http's servers": pattern{0}.serve,
	} {
		f, err := site(t, h)(egress.Limits{})
		require.NoError(t, err, name)
		require.Zero(t, f.Size(), name)
		_, err = readAt(f, 0, 1)
		require.Equal(t, io.EOF, err, name)
	}
}

func TestKnownFilesCostOneRequest(t *testing.T) {
	var count atomic.Int32
	etag, modified := `"one"`, time.Unix(1_700_000_000, 0)
	open := site(t, func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		if etag == `"unasked"` {
			r.Header.Del("If-None-Match")
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(make([]byte, 100*kb)))
	})
	for _, etag = range []string{`"one"`, `W/"one"`, "", `"unasked"`} {
		f, err := open(egress.Limits{})
		require.NoError(t, err)
		known := f.Validator()
		require.NotEmpty(t, known)
		before := count.Load()
		f, err = open(egress.Limits{Known: known})
		require.ErrorIs(t, err, egress.ErrUnchanged, etag)
		require.Equal(t, known, f.Validator())
		require.EqualValues(t, 100*kb, f.Size())
		require.Zero(t, f.bytes.Load())
		require.Equal(t, before+1, count.Load())
		_, err = readAt(f, 0, 1)
		require.ErrorIs(t, err, egress.ErrUnchanged)
	}
	etag = `"one"`
	f, err := open(egress.Limits{})
	require.NoError(t, err)
	known := f.Validator()
	modified, etag = modified.Add(time.Minute), `"unasked"`
	f, err = open(egress.Limits{})
	require.NoError(t, err)
	modified = modified.Add(time.Minute)
	_, err = open(egress.Limits{Known: f.Validator()})
	require.ErrorIs(t, err, egress.ErrUnchanged, "another machine's date")
	for _, other := range []string{`"two"`, ""} {
		etag = other
		modified = modified.Add(time.Hour)
		f, err = open(egress.Limits{Known: known})
		require.NoError(t, err)
		require.NotEqual(t, known, f.Validator())
		got, err := readAt(f, 99*kb, kb)
		require.NoError(t, err)
		require.Len(t, got, kb)
	}
	for _, rubbish := range []string{"x", "%zz", "size=1", "etag=%22one%22"} {
		_, err = open(egress.Limits{Known: rubbish})
		require.NoError(t, err)
	}
	tells := true
	open = site(t, func(w http.ResponseWriter, r *http.Request) { ignoring(pattern{kb}, tells)(w, r) })
	f, err = open(egress.Limits{})
	require.NoError(t, err)
	tells = false
	_, err = open(egress.Limits{Known: f.Validator()})
	require.NoError(t, err, "a date alone tells too little")
}

func TestLaterPartsGoWhereTheFirstWasLedTo(t *testing.T) {
	var first atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(pattern{mb}.serve))
	defer target.Close()
	f, err := site(t, func(w http.ResponseWriter, r *http.Request) {
		first.Add(1)
		http.Redirect(w, r, target.URL+"/other", http.StatusFound)
	})(egress.Limits{})
	require.NoError(t, err)
	_, err = readAt(f, 900*kb, 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, first.Load())
	require.EqualValues(t, 3, f.requests.Load())
}

func TestClosedFilesAndEndedContexts(t *testing.T) {
	f, err := site(t, pattern{mb}.serve)(egress.Limits{})
	require.NoError(t, err)
	_, err = f.ReadAt(nil, -1)
	require.Error(t, err)
	require.NoError(t, f.Close())
	_, err = readAt(f, 0, 1)
	require.Error(t, err)
	require.EqualValues(t, mb, f.Size())

	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = egress.Open(ctx, newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}}), slow.URL, egress.Limits{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "127.0.0.1 did not answer in time")
	_, dead := egress.Dead(err)
	require.False(t, dead)
}
