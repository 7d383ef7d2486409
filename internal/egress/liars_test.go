package egress_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
)

// part answers with a part, whatever it is.
func part(contentRange string, header map[string]string, body int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentRange != "" {
			w.Header().Set("Content-Range", contentRange)
		}
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(http.StatusPartialContent)
		w.(http.Flusher).Flush() // chunked, where no length is set
		_, _ = w.Write(make([]byte, body))
	}
}

func TestAnswersThatContradictThemselvesAreNotRead(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no Content-Range":         part("", nil, 64*kb),
		"no range in it":           part("bytes */100", nil, 100),
		"no length in it":          part("bytes 0-65535/*", nil, 64*kb),
		"another beginning":        part("bytes 1-65535/100000", nil, 64*kb-1),
		"another end":              part("bytes 0-65536/100000", nil, 64*kb+1),
		"less than asked":          part("bytes 0-99/100000", nil, 100),
		"an end before beginning":  part("bytes 5-0/100000", nil, 0),
		"an end after the file's":  part("bytes 0-65535/100", nil, 64*kb),
		"negative":                 part("bytes -5-65535/100000", nil, 64*kb),
		"beyond all numbers":       part("bytes 0-65535/99999999999999999999", nil, 64*kb),
		"another unit":             part("seconds 0-65535/100000", nil, 64*kb),
		"more than it says":        part("bytes 0-99/100", nil, 101),
		"another Content-Length":   part("bytes 0-65535/100000", map[string]string{"Content-Length": "7"}, 7),
		"several parts":            part("bytes 0-99/100", map[string]string{"Content-Type": "multipart/byteranges; boundary=a"}, 100),
		"several parts, unspoiled": part("", map[string]string{"Content-Type": "Multipart/ByteRanges; boundary=a"}, 100),
		"compressed":               part("bytes 0-99/100", map[string]string{"Content-Encoding": "gzip"}, 100),
		"compressed, whole": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "a")
		},
		"refused, although full": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes */9")
			w.WriteHeader(416)
		},
		"unchanged, unasked": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
	} {
		f, err := site(t, h)(egress.Limits{})
		require.Error(t, err, name)
		require.Nil(t, f)
		require.True(t, strings.HasPrefix(err.Error(), "127.0.0.1 "), "%s: %v", name, err)
		_, dead := egress.Dead(err)
		require.False(t, dead, name)
	}
}

func TestBodiesThatEndEarly(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"part, chunked":     part("bytes 0-65535/100000", nil, 1000),
		"part, with length": part("bytes 0-65535/100000", map[string]string{"Content-Length": "65536"}, 1000),
		"whole": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 1000))
		},
	} {
		f, err := site(t, h)(egress.Limits{})
		require.NoError(t, err, name)
		require.EqualValues(t, 100000, f.Size())
		got, err := readAt(f, 990, 10)
		require.NoError(t, err, name)
		require.Len(t, got, 10)
		for range 2 {
			got, err = readAt(f, 992, 16)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
			require.Len(t, got, 8, name)
		}
		_, err = readAt(f, 90000, 10)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		require.ErrorIs(t, f.Err(), io.ErrUnexpectedEOF, name)
		_, dead := egress.Dead(err)
		require.False(t, dead)
	}
}

type inMemory func(*http.Request) (*http.Response, error)

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) { return m(r) }

func TestAShortBodyIsNoticedWhoeverCarriesIt(t *testing.T) {
	client := &http.Client{Transport: inMemory(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, ContentLength: 100, Body: io.NopCloser(strings.NewReader("short"))}, nil
	})}
	f, err := egress.Open(t.Context(), client, "https://media.example", egress.Limits{})
	require.NoError(t, err)
	defer f.Close()
	got, err := readAt(f, 0, 20)
	require.Equal(t, "short", string(got))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestFilesThatChangeInBetweenAreNotMixed(t *testing.T) {
	type answer struct {
		etag, modified string
		size           int64
		whole          bool
	}
	old := answer{`"one"`, "Tue, 14 Nov 2023 22:13:20 GMT", mb, false}
	weak := answer{`W/"one"`, old.modified, mb, false}
	undated := answer{size: mb}
	for name, c := range map[string]struct {
		before, after answer
		changed       bool
	}{
		"the same":                {old, old, false},
		"less said, all the same": {old, answer{size: mb}, false},
		"another machine's date":  {old, answer{old.etag, "Wed, 15 Nov 2023 22:13:20 GMT", mb, false}, false},
		"ETag":                    {old, answer{`"two"`, old.modified, mb, false}, true},
		"weak ETag":               {weak, answer{`W/"two"`, old.modified, mb, false}, true},
		"date":                    {answer{modified: old.modified, size: mb}, answer{modified: "Wed, 15 Nov 2023 22:13:20 GMT", size: mb}, true},
		"length":                  {undated, answer{size: mb + 1}, true},
		"shrunk":                  {undated, answer{size: 100}, true},
		"whole, as If-Range has":  {old, answer{`"two"`, old.modified, mb, true}, true},
		"whole, shorter":          {undated, answer{size: 100, whole: true}, true},
	} {
		first := true
		f, err := site(t, func(w http.ResponseWriter, r *http.Request) {
			now := c.after
			if first {
				now, first = c.before, false
			} else if strings.HasPrefix(c.before.etag, `"`) != (r.Header.Get("If-Range") == c.before.etag && c.before.etag != "") {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			for name, value := range map[string]string{"ETag": now.etag, "Last-Modified": now.modified} {
				if value != "" {
					w.Header().Set(name, value)
				}
			}
			r.Header.Del("If-Range")
			if now.whole {
				r.Header.Del("Range")
			}
			http.ServeContent(w, r, "a.mp4", time.Time{}, io.NewSectionReader(pattern{now.size}, 0, now.size))
		})(egress.Limits{})
		require.NoError(t, err, name)
		got, err := readAt(f, 60*kb, 10*kb)
		if !c.changed {
			require.NoError(t, err, name)
			require.Equal(t, pattern{mb}.bytes(60*kb, 10*kb), got, name)
			continue
		}
		require.EqualError(t, err, "127.0.0.1 has another file than a moment ago", name)
		require.Len(t, got, 4*kb, name) // of the old file
		_, err = readAt(f, 900*kb, 1)
		require.EqualError(t, err, "127.0.0.1 has another file than a moment ago", name)
		require.EqualValues(t, 2, f.requests.Load(), name)
	}
}

func TestServersThatForgetRangesAreGivenUp(t *testing.T) {
	first := true
	f, err := site(t, func(w http.ResponseWriter, r *http.Request) {
		if !first {
			r.Header.Del("Range")
		}
		first = false
		pattern{mb}.serve(w, r)
	})(egress.Limits{})
	require.NoError(t, err)
	_, err = readAt(f, 900*kb, 1)
	require.EqualError(t, err, "127.0.0.1 no longer sends parts of its file")
	require.Less(t, f.bytes.Load(), int64(100*kb))
}

func TestBodiesWithoutEndAndWithoutLife(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32*kb)); err != nil {
				return
			}
		}
	}
	f, err := site(t, endless)(egress.Limits{Bytes: 500_000})
	require.NoError(t, err)
	_, err = readAt(f, 0, mb)
	require.EqualError(t, err, tooFar)
	require.EqualValues(t, 500_000, f.bytes.Load())

	silent := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, 100))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	f, err = site(t, silent)(egress.Limits{})
	require.NoError(t, err)
	got, err := readAt(f, 0, 200)
	require.EqualError(t, err, "127.0.0.1 stopped sending")
	require.Len(t, got, 100)
	_, dead := egress.Dead(err)
	require.False(t, dead)

	_, err = site(t, func(w http.ResponseWriter, r *http.Request) { // of which not even the head comes
		w.Header().Set("Content-Range", "bytes 0-65535/100000")
		w.WriteHeader(http.StatusPartialContent)
		silent(w, r)
	})(egress.Limits{})
	require.NoError(t, err)

	slow := func(w http.ResponseWriter, _ *http.Request) { // three times as long as a body may be silent
		for range 30 {
			<-time.After(20 * time.Millisecond)
			_, _ = w.Write([]byte("a"))
			w.(http.Flusher).Flush()
		}
	}
	f, err = site(t, slow)(egress.Limits{})
	require.NoError(t, err)
	<-time.After(300 * time.Millisecond) // who reads may take their time as well
	got, err = readAt(f, 0, 31)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 30)
}

// raw serves texts as they are, each on a connection of its own.
func raw(t *testing.T, answer func(n int) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, answer(n))
			}
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/path?Signature=secret"
}

func TestOldAndOddServers(t *testing.T) {
	door := newDoor(t, egress.Settings{Allow: []string{"127.0.0.1"}})
	address := raw(t, func(int) string { return "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("a", 5000) })
	f, err := egress.Open(t.Context(), door, address, egress.Limits{})
	require.NoError(t, err)
	require.EqualValues(t, -1, f.Size())
	require.Empty(t, f.Validator())
	got, err := readAt(f, 4000, 2000)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 1000)
	require.EqualValues(t, 5000, f.Size())
	for says, text := range map[string]string{
		"127.0.0.1 broke off":                               "",
		"127.0.0.1 gives no answer that can be read":        "SSH-2.0-OpenSSH_9 secret\r\n",
		"127.0.0.1 leads on to what is no address":          "HTTP/1.1 302 Found\r\nLocation: http://secret:x/%zz\r\nContent-Length: 0\r\n\r\n",
		"127.0.0.1 answers with HTTP 302: which is no file": "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
		"127.0.0.1 answers with HTTP 204: which is no file": "HTTP/1.1 204 None\r\n\r\n",
	} {
		_, err := egress.Open(t.Context(), door, raw(t, func(int) string { return text }), egress.Limits{})
		require.EqualError(t, err, says)
		_, err = get(t, door, raw(t, func(int) string { return text }))
		if says == "127.0.0.1 leads on to what is no address" {
			require.NotContains(t, strings.ReplaceAll(err.Error(), "Signature=secret", ""), "secret")
		}
	}
	long := raw(t, func(int) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-A: %s\r\n\r\n", strings.Repeat("a", 65*kb)) })
	_, err = egress.Open(t.Context(), door, long, egress.Limits{})
	require.EqualError(t, err, "127.0.0.1 gives no answer that can be read")
}
