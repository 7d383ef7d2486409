package clips_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
)

// patchy is a storage on a real socket that gives answers of its own where a test wants it to. It checks no signature.
type patchy struct {
	mu      sync.Mutex
	objects map[string]http.Header // what was sent with each
	content map[string][]byte
	asked   map[string]int // requests by method
	odd     func(w http.ResponseWriter, r *http.Request, nth int) (answered bool)
}

func (p *patchy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.Method]++
	nth := p.asked[r.Method]
	p.mu.Unlock()
	if p.odd != nil && p.odd(w, r, nth) {
		return
	}
	if r.Method == http.MethodPut {
		p.take(w, r)
		return
	}
	p.mu.Lock()
	header, content := p.objects[r.URL.Path], p.content[r.URL.Path]
	p.mu.Unlock()
	if header == nil {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	for name := range header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			w.Header().Set(name, header.Get(name))
		}
	}
	http.ServeContent(w, r, "x.mp4", time.Time{}, bytes.NewReader(content))
}

func (p *patchy) take(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(content)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil || int64(len(content)) != r.ContentLength:
		refuse(w, http.StatusBadRequest, "IncompleteBody")
	case r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]):
		refuse(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	case r.Header.Get("If-None-Match") == "*" && p.objects[r.URL.Path] != nil:
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	default:
		p.objects[r.URL.Path], p.content[r.URL.Path] = r.Header.Clone(), content
	}
}

func (p *patchy) count(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[method]
}

// refuse answers as S3 does, with texts that repeat what was sent.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><AWSAccessKeyId>%s</AWSAccessKeyId><StringToSign>canary</StringToSign></Error>`, code, keySecret, keyID)
}

// onPatchy makes a bucket on a storage that is odd.
func onPatchy(t *testing.T, from http.RoundTripper, odd func(w http.ResponseWriter, r *http.Request, nth int) bool) (*patchy, *clips.Bucket) {
	t.Helper()
	p := &patchy{objects: map[string]http.Header{}, content: map[string][]byte{}, asked: map[string]int{}, odd: odd}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, bucketAt(t, "s3://clips/team?endpoint="+server.URL, from)
}

// onPut answers the first requests of PUT with a code.
func onPut(times, status int, code string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, nth int) bool {
		if r.Method != http.MethodPut || nth > times {
			return false
		}
		refuse(w, status, code)
		return true
	}
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	content := wholeClip(t)
	for what, tt := range map[string]struct {
		odd  func(http.ResponseWriter, *http.Request, int) bool
		puts int
	}{
		"busy":                     {onPut(3, http.StatusServiceUnavailable, "SlowDown"), 4},
		"too often":                {onPut(1, http.StatusTooManyRequests, ""), 2},
		"a fault of its own":       {onPut(2, http.StatusInternalServerError, "InternalError"), 3},
		"lost on the way":          {onPut(1, http.StatusBadRequest, "XAmzContentSHA256Mismatch"), 2},
		"another writer at once":   {onPut(1, http.StatusConflict, "ConditionalRequestConflict"), 2},
		"conditions are not known": {onPut(1, http.StatusNotImplemented, "NotImplemented"), 2},
		"looking is not allowed": {func(w http.ResponseWriter, r *http.Request, nth int) bool {
			return r.Method == http.MethodGet && denied(w)
		}, 1},
		"a connection that is shut": {func(_ http.ResponseWriter, r *http.Request, nth int) bool {
			return r.Method == http.MethodPut && nth == 1 && shut()
		}, 2},
		"a look that is shut": {func(_ http.ResponseWriter, r *http.Request, nth int) bool { return nth == 1 && shut() }, 2},
	} {
		t.Run(what, func(t *testing.T) {
			p, b := onPatchy(t, &source{content: content}, tt.odd)
			got, err := b.Save(t.Context(), "r2v-x", resultLink)
			require.NoError(t, err)
			require.Equal(t, "s3://clips/team/r2v-x.mp4", got.Path)
			require.Equal(t, tt.puts, p.count(http.MethodPut))
			require.Equal(t, map[string][]byte{"/clips/team/r2v-x.mp4": content}, p.content)
			header := p.objects["/clips/team/r2v-x.mp4"]
			require.Equal(t, "video/mp4", header.Get("Content-Type"))
			require.Equal(t, "2500", header.Get("X-Amz-Meta-R2v-Milliseconds"))
			require.Empty(t, names(t, b.Spool))
		})
	}
}

func denied(w http.ResponseWriter) bool { refuse(w, http.StatusForbidden, "AccessDenied"); return true }
func shut() bool                        { panic(http.ErrAbortHandler) }

// A put whose answer was lost has happened.
func TestAnAnswerThatIsLostMakesNoSecondClip(t *testing.T) {
	content := wholeClip(t)
	var p *patchy
	p, b := onPatchy(t, &source{content: content}, func(w http.ResponseWriter, r *http.Request, nth int) bool {
		if r.Method == http.MethodPut && nth == 1 {
			p.take(w, r)
			return shut()
		}
		return false
	})
	got, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	require.Equal(t, 2500*time.Millisecond, got.Length)
	require.Equal(t, map[string][]byte{"/clips/team/r2v-x.mp4": content}, p.content)
}

func TestARefusalIsToldWithWhatToDo(t *testing.T) {
	for code, tt := range map[string]struct {
		status int
		want   string
		puts   int
	}{
		"AccessDenied":         {http.StatusForbidden, "allow it s3:PutObject and s3:GetObject there, or correct R2V_SAVE_URL", 1},
		"NoSuchBucket":         {http.StatusNotFound, "there is no bucket clips at 127.0.0.1", 1},
		"RequestTimeTooSkewed": {http.StatusForbidden, "more than 15 minutes apart", 1},
		"ExpiredToken":         {http.StatusBadRequest, "AWS_SESSION_TOKEN", 1},
		"QuotaExceeded":        {http.StatusForbidden, "has no room left", 1},
		"XMinioStorageFull":    {http.StatusInsufficientStorage, "has no room left", 1},
		"SlowDown":             {http.StatusServiceUnavailable, "has too much to do (HTTP 503 SlowDown): it is tried again", 4},
		"InternalError":        {http.StatusInternalServerError, "has trouble of its own", 4},
		"Odd.Code":             {http.StatusBadRequest, "(HTTP 400 Odd.Code)", 1},
		"<b>what</b>":          {http.StatusBadRequest, "(HTTP 400):", 1},
	} {
		t.Run(code, func(t *testing.T) {
			p, b := onPatchy(t, &source{content: wholeClip(t)}, onPut(99, tt.status, code))
			_, err := b.Save(t.Context(), "r2v-x", resultLink)
			require.ErrorContains(t, err, tt.want)
			keyless(t, err.Error())
			require.Equal(t, tt.puts, p.count(http.MethodPut))
			require.Empty(t, p.content)
			require.Empty(t, names(t, b.Spool))
		})
	}
}

func TestAnswersThatAreNoneAreNotBelieved(t *testing.T) {
	content := wholeClip(t)
	for what, tt := range map[string]struct {
		odd  func(w http.ResponseWriter, r *http.Request, nth int) bool
		want string
	}{
		"200 with an error in it": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Method == http.MethodPut {
				io.Copy(io.Discard, r.Body)
				refuse(w, http.StatusOK, "InternalError")
			}
			return r.Method == http.MethodPut
		}, "has said that it took the clip, and does not have it"},
		"200 for everything": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, "<html>Welcome</html>")
			return true
		}, "has taken the clip of"},
		"no end of a refusal": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.WriteHeader(http.StatusBadRequest)
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte(keySecret), 1000)); err != nil {
					break
				}
			}
			return true
		}, "(HTTP 400)"},
		"a request that is led on": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}, "sends requests for this bucket elsewhere"},
		"a clip that it takes too slowly": {func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Method == http.MethodPut {
				<-time.After(700 * time.Millisecond) // its context lives as long as the body is not read
				shut()
			}
			return r.Method == http.MethodPut
		}, "it has stopped taking the clip"},
	} {
		t.Run(what, func(t *testing.T) {
			big := append(bytes.Clone(content), box(16<<20)...) // more than fits into the buffers of a socket
			_, b := onPatchy(t, &source{content: big}, tt.odd)
			b.Hurry(time.Millisecond, 200*time.Millisecond)
			require.NoError(t, os.MkdirAll(b.Spool, 0o700))
			_, err := b.Save(t.Context(), "r2v-x", resultLink)
			require.ErrorContains(t, err, tt.want)
			keyless(t, err.Error())
			require.Empty(t, names(t, b.Spool))
		})
	}
}

// box is a part of an MP4 file that nobody looks into.
func box(size int) []byte {
	b := make([]byte, size)
	b[0], b[1], b[2], b[3] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	copy(b[4:], "free")
	return b
}

func TestAStorageThatIsInOrderIsNoTrouble(t *testing.T) {
	require.NoError(t, startS3(t).bucket(t, &source{}).Check(t.Context()))
	_, b := onPatchy(t, &source{}, func(w http.ResponseWriter, _ *http.Request, _ int) bool { return denied(w) })
	require.NoError(t, b.Check(t.Context()), "who may only write is not told what is there")
}

func TestAStorageThatIsNotThereIsTold(t *testing.T) {
	from := &source{content: wholeClip(t)}
	_, b := onPatchy(t, from, func(http.ResponseWriter, *http.Request, int) bool { return shut() })
	_, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.ErrorContains(t, err, "gives no answer")
	require.ErrorContains(t, err, "correct the endpoint in R2V_SAVE_URL")
	require.Zero(t, from.count())

	ctx, cancel := context.WithCancel(t.Context())
	p, b := onPatchy(t, from, func(http.ResponseWriter, *http.Request, int) bool { cancel(); return shut() })
	_, err = b.Save(ctx, "r2v-x", resultLink)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "R2V_SAVE_URL", "who ends it knows why")
	require.Equal(t, 1, p.count(http.MethodGet))
}

func TestPartsThatAreWrongAreNotPassedOn(t *testing.T) {
	content := wholeClip(t)
	for what, tt := range map[string]struct {
		odd  func(w http.ResponseWriter, r *http.Request, nth int) bool
		want string
	}{
		"another part": {func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth > 2 {
				r.Header.Set("Range", "bytes=1-")
			}
			return false
		}, "another part of the clip"},
		"the whole": {func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth > 2 {
				r.Header.Del("Range")
			}
			return false
		}, "another part of the clip"},
		"half of a part": {func(w http.ResponseWriter, r *http.Request, nth int) bool {
			if nth <= 2 {
				return false
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[:100])
			w.(http.Flusher).Flush()
			return shut()
		}, "unexpected EOF"},
		"a refusal": {func(w http.ResponseWriter, r *http.Request, nth int) bool { return nth > 2 && denied(w) }, "s3:GetObject"},
		"nothing":   {func(w http.ResponseWriter, r *http.Request, nth int) bool { return nth > 2 && shut() }, "gives no answer"},
	} {
		t.Run(what, func(t *testing.T) {
			p, b := onPatchy(t, &source{content: content}, nil)
			got, err := b.Save(t.Context(), "r2v-x", resultLink)
			require.NoError(t, err)
			p.odd = func(w http.ResponseWriter, r *http.Request, nth int) bool {
				return r.Method == http.MethodGet && tt.odd(w, r, nth)
			}
			clip, _, err := b.Open(t.Context(), got.Path)
			require.NoError(t, err)
			defer clip.Close()
			_, err = io.ReadAll(clip)
			require.ErrorContains(t, err, tt.want)
			keyless(t, err.Error())
		})
	}
}

func TestWhatIsLargerThanAStepIsReadInSteps(t *testing.T) {
	big := append(wholeClip(t), box(9<<20)...)
	copy(big[len(big)-5:], "end.")
	p, b := onPatchy(t, &source{content: big}, nil)
	got, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	clip, _, err := b.Open(t.Context(), got.Path)
	require.NoError(t, err)
	defer clip.Close()
	read, err := io.ReadAll(clip)
	require.NoError(t, err)
	require.True(t, bytes.Equal(big, read))
	require.Equal(t, 2+3, p.count(http.MethodGet), "one look by each of Save and Open, three steps of 4 MB")
}

func TestAKilledProcessLeavesNoSpoolForLong(t *testing.T) {
	_, b := onPatchy(t, &source{content: wholeClip(t)}, nil)
	require.NoError(t, os.MkdirAll(b.Spool, 0o700))
	old := time.Now().Add(-2 * time.Hour)
	left := b.Spool + "/.r2v-a.mp4-X.part"
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	require.NoError(t, os.Chtimes(left, old, old))
	_, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	require.Empty(t, names(t, b.Spool))
}
