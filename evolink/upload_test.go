package evolink_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

func file(content string) evolink.File {
	return evolink.File{Name: "a.png", Size: int64(len(content)), Content: strings.NewReader(content)}
}

// uploads are the calls that take a file's content.
func uploads(c *evolink.Client) map[string]func(context.Context, evolink.File) (*evolink.UploadedFile, error) {
	return map[string]func(context.Context, evolink.File) (*evolink.UploadedFile, error){
		"stream": c.UploadStream, "base64": c.UploadBase64,
	}
}

func TestUploadStreamSendsTheForm(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "upload-accepted.json"), header: map[string]string{"X-Request-Id": "r-1"}}))
	stored, err := c.UploadStream(t.Context(), evolink.File{
		Name: "猫 1.png", ContentType: "image/png", Size: 5, Content: strings.NewReader("bytes"),
	})
	require.NoError(t, err)
	require.Equal(t, &evolink.UploadedFile{
		ID: "file_abc123", URL: "https://files.evolink.ai/avatars/avatar.png", Size: 2048, ContentType: "image/png",
		Expires: time.Date(2025, 10, 11, 16, 0, 0, 0, time.UTC), RequestID: "r-1",
	}, stored)

	body := u.bodies()[0]
	boundary := strings.TrimPrefix(strings.SplitN(body, "\r\n", 2)[0], "--")
	requireHeads(t, u, c, fmt.Sprintf(`POST /gateway/api/v1/files/upload/stream HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-evo-canary-0123456789abcdef
Content-Length: %d
Content-Type: multipart/form-data; boundary=%s
User-Agent: r2v-mcp

`, len(body), boundary))
	require.Equal(t, strings.ReplaceAll(`--B
Content-Disposition: form-data; name="file_name"

猫 1.png
--B
Content-Disposition: form-data; name="file"; filename="猫 1.png"
Content-Type: image/png

bytes
--B--
`, "\n", "\r\n"), strings.ReplaceAll(body, boundary, "B"))
}

func TestUploadBase64SendsTheWholeFileAtEveryLength(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 24<<10 - 1, 24 << 10, 24<<10 + 1, 100_003} {
		content := bytes.Repeat([]byte{0xff, 0, 'a', '"'}, size/4+1)[:size]
		for _, kind := range []string{"", "image/png"} {
			c, u := serve(t, answer(reply{status: 200, body: text(t, "upload-accepted.json")}))
			_, err := c.UploadBase64(t.Context(), evolink.File{
				Name: `"猫".png`, ContentType: kind, Size: int64(size), Content: iotest.HalfReader(bytes.NewReader(content)),
			})
			require.NoError(t, err)
			var sent map[string]string
			require.NoError(t, json.Unmarshal([]byte(u.bodies()[0]), &sent))
			want := base64.StdEncoding.EncodeToString(content)
			if kind != "" {
				want = "data:image/png;base64," + want
			}
			require.Equal(t, map[string]string{"file_name": `"猫".png`, "base64_data": want}, sent)
			require.Contains(t, u.requests()[0], "POST /gateway/api/v1/files/upload/base64 HTTP/1.1\n")
			require.Contains(t, u.requests()[0], fmt.Sprintf("\nContent-Length: %d\nContent-Type: application/json\n", len(u.bodies()[0])))
		}
	}
}

func TestUploadURLSendsTheAddress(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "upload-accepted.json")}))
	for name, want := range map[string]string{
		"":      `{"file_url":"https://example.com/a.mp4?x=1&y=2"}`,
		"a.mp4": `{"file_url":"https://example.com/a.mp4?x=1&y=2","file_name":"a.mp4"}`,
	} {
		stored, err := c.UploadURL(t.Context(), "https://example.com/a.mp4?x=1&y=2", name)
		require.NoError(t, err)
		require.Equal(t, "file_abc123", stored.ID)
		bodies := u.bodies()
		require.Equal(t, want, bodies[len(bodies)-1])
	}
	require.Contains(t, u.requests()[0], "POST /gateway/api/v1/files/upload/url HTTP/1.1\n")
	for _, address := range []string{"", "a.mp4", "ftp://example.com/a", "https://user:pw@example.com/a", "https://", "https://example.com/\n"} {
		_, err := c.UploadURL(t.Context(), address, "")
		require.Equal(t, evolink.FateNotSent, failure(t, err).Fate(), address)
	}
	_, err := c.UploadURL(t.Context(), "https://example.com/a", "../a")
	require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
	require.Len(t, u.requests(), 2)
}

// EvoLink's own client looks at the flag apart from the status.
func TestSuccessFalseIsARefusalWhateverTheStatus(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		code   string
	}{
		{200, text(t, "upload-refused-200.json"), "400"},
		{200, `{"success":"false","code":"quota_exceeded","msg":"unsupported file type","data":{"file_url":"https://example.com/a"}}`, "quota_exceeded"},
		{400, text(t, "upload-refused-200.json"), "400"},
	} {
		c, u := serve(t, answer(reply{status: test.status, body: test.body}))
		for name, upload := range uploads(c) {
			_, err := upload(t.Context(), file("bytes"))
			e := failure(t, err)
			require.Equal(t, evolink.FateRefused, e.Fate(), name)
			require.Equal(t, test.code, e.Code)
			require.Equal(t, "unsupported file type", e.Message)
			require.Equal(t, test.status, e.StatusCode)
			require.False(t, e.Transient())
		}
		_, err := c.UploadURL(t.Context(), "https://example.com/a", "")
		require.Equal(t, evolink.FateRefused, failure(t, err).Fate())
		require.Len(t, u.requests(), 3)
	}
}

func TestAnAnswerWithoutAnAddressIsNoUpload(t *testing.T) {
	for _, body := range []string{`{}`, `{"success":true}`, `{"success":true,"data":{"file_id":"f"}}`, `{"data":{"file_url":"javascript:x"}}`, `{"data":[]}`, `hello`} {
		c, _ := serve(t, answer(reply{status: 200, body: body}))
		_, err := c.UploadStream(t.Context(), file("bytes"))
		require.Equal(t, evolink.FateUnknown, failure(t, err).Fate(), body)
		require.Equal(t, 200, failure(t, err).StatusCode)
	}
	c, _ := serve(t, answer(reply{status: 200, body: `{"data":{"file_url":"https://example.com/a","file_size":"7","expires_at":1757169743}}`}))
	stored, err := c.UploadStream(t.Context(), file("bytes"))
	require.NoError(t, err)
	require.Equal(t, &evolink.UploadedFile{URL: "https://example.com/a", Size: 7, Expires: time.Unix(1757169743, 0).UTC()}, stored)
}

func TestUploadsAreOneAttempt(t *testing.T) {
	for _, handler := range []http.HandlerFunc{
		answer(reply{status: 503}), answer(reply{status: 429, body: text(t, "throttled-429-rate-limit.json")}), hangUp,
	} {
		c, u := serve(t, handler)
		for _, upload := range uploads(c) {
			_, err := upload(t.Context(), file("bytes"))
			failure(t, err)
		}
		require.Len(t, u.requests(), 2)
	}
}

func TestUploadRefusesWhatCannotWorkBeforeARequest(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200}))
	for says, spoil := range map[string]func(*evolink.File){
		"file name":                   func(f *evolink.File) { f.Name = "../a.png" },
		"the file name":               func(f *evolink.File) { f.Name = "" },
		"the file name must":          func(f *evolink.File) { f.Name = "a\r\nb" },
		"size is not given":           func(f *evolink.File) { f.Size = 0 },
		"empty":                       func(f *evolink.File) { f.Content = nil },
		"content type":                func(f *evolink.File) { f.ContentType = "image/png\r\nX: y" },
		"content type must":           func(f *evolink.File) { f.ContentType = "png" },
		"content type must be plain,": func(f *evolink.File) { f.ContentType = `a/b","x":"` },
	} {
		for name, upload := range uploads(c) {
			f := file("bytes")
			spoil(&f)
			_, err := upload(t.Context(), f)
			require.Equal(t, evolink.FateNotSent, failure(t, err).Fate(), name)
			require.ErrorContains(t, err, says)
		}
	}
	require.Empty(t, u.requests())
}

// A file that is shorter or longer than announced must not be stored as if it were whole.
func TestContentOfAnotherSizeThanGivenNeverArrivesAsAWholeBody(t *testing.T) {
	for _, size := range []int64{1, 4, 6, 100_000} {
		var whole atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err == nil {
				whole.Add(1)
			}
			io.WriteString(w, text(t, "upload-accepted.json"))
		}))
		c := newClient(t, evolink.Config{BaseURL: server.URL})
		for name, upload := range uploads(c) {
			f := file("bytes")
			f.Size = size
			_, err := upload(t.Context(), f)
			require.ErrorContains(t, err, "bytes than its size says", "%s %d", name, size)
		}
		server.Close()
		require.Zero(t, whole.Load(), size)
	}
}

func TestAReaderThatFailsIsNamed(t *testing.T) {
	broken := errors.New("the disk is gone")
	for name, upload := range uploads(func() *evolink.Client { c, _ := serve(t, answer(reply{status: 200})); return c }()) {
		f := file("bytes")
		f.Content = io.MultiReader(strings.NewReader("by"), iotest.ErrReader(broken))
		_, err := upload(t.Context(), f)
		failure(t, err)
		require.ErrorIs(t, err, broken, name)
	}
}

// late is a reader that tells when it is read after its owner has it back.
type late struct {
	r        io.Reader
	returned atomic.Bool
	misread  atomic.Bool
}

func (l *late) Read(p []byte) (int, error) {
	if l.returned.Load() {
		l.misread.Store(true)
	}
	return l.r.Read(p)
}

// The service may answer while the body is still being written.
func TestContentIsNotReadAfterTheUploadHasReturned(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		w.(http.Flusher).Flush()
	}))
	defer server.Close()
	c := newClient(t, evolink.Config{BaseURL: server.URL})
	for _, upload := range uploads(c) {
		for range 20 {
			l := &late{r: zeros{}}
			_, err := upload(t.Context(), evolink.File{Name: "a.mp4", Size: 1 << 30, Content: l})
			l.returned.Store(true)
			failure(t, err)
			server.CloseClientConnections()
			require.False(t, l.misread.Load())
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A large file passes through in pieces.
func TestContentIsNotHeldInMemory(t *testing.T) {
	var most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		most.Store(n)
		io.WriteString(w, text(t, "upload-accepted.json"))
	}))
	defer server.Close()
	c := newClient(t, evolink.Config{BaseURL: server.URL})
	const size = 32 << 20
	for name, upload := range uploads(c) {
		pieces := &largest{r: io.LimitReader(zeros{}, size)}
		_, err := upload(t.Context(), evolink.File{Name: "a.mp4", Size: size, Content: pieces})
		require.NoError(t, err)
		require.Greater(t, most.Load(), int64(size), name)
		require.LessOrEqual(t, pieces.most, 64<<10, "read at once: "+strconv.Itoa(pieces.most))
	}
}

// largest notes the largest piece that was asked for.
type largest struct {
	r    io.Reader
	most int
}

func (l *largest) Read(p []byte) (int, error) {
	l.most = max(l.most, len(p))
	return l.r.Read(p)
}
