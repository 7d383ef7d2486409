package page

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func TestAClipIsItsOwnersAndComesInParts(t *testing.T) {
	h := handler(t, options(twoPeople()))
	want, err := os.ReadFile(goodClip)
	require.NoError(t, err)

	whole := ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, nil)
	require.Equal(t, http.StatusOK, whole.StatusCode)
	require.Equal(t, string(want), body(t, whole))
	require.Equal(t, "video/mp4", whole.Header.Get("Content-Type"))
	require.Equal(t, `inline; filename="r2v_a.mp4"`, whole.Header.Get("Content-Disposition"))
	require.Equal(t, "private, no-cache", whole.Header.Get("Cache-Control"))
	require.Equal(t, "Cookie, Authorization", whole.Header.Get("Vary"))
	require.Equal(t, "bytes", whole.Header.Get("Accept-Ranges"))

	part := ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, map[string]string{"Range": "bytes=10-19"})
	require.Equal(t, http.StatusPartialContent, part.StatusCode)
	require.Equal(t, string(want[10:20]), body(t, part))
	beyond := ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, map[string]string{"Range": "bytes=99999999-"})
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, beyond.StatusCode)

	many := ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, map[string]string{"Range": "bytes=0-0,2-2,4-4"})
	require.Equal(t, http.StatusOK, many.StatusCode, "a storage would be asked for each of them")
	require.Equal(t, string(want), body(t, many))

	head := ask(h, http.MethodHead, "/clips/r2v_a.mp4", annasToken, nil)
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Equal(t, int64(len(want)), head.ContentLength)
	require.Empty(t, body(t, head))

	again := map[string]string{"If-None-Match": whole.Header.Get("ETag")}
	require.Equal(t, http.StatusNotModified, ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, again).StatusCode)
	require.Equal(t, http.StatusUnauthorized, ask(h, http.MethodGet, "/clips/r2v_a.mp4", "", again).StatusCode, "who has signed out gets nothing, kept or not")
}

// TestWhatIsNotOnesOwnDoesNotExist compares whole answers: nobody can tell another's clip from one that there never was.
func TestWhatIsNotOnesOwnDoesNotExist(t *testing.T) {
	h := handler(t, options(twoPeople()))
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		missing := ask(h, method, "/clips/r2v_never.mp4", annasToken, nil)
		require.Equal(t, http.StatusNotFound, missing.StatusCode)
		text := body(t, missing)
		for _, name := range []string{"r2v_b.mp4", "r2v_a", "r2v_a.mp3", "r2v_a.mp4.mp4", ".mp4", "..mp4", "%2e%2e%2fr2v_a.mp4", "r2v_a%00.mp4", "r2v%20a.mp4", "r2v_ä.mp4",
			strings.Repeat("a", 129) + ".mp4", "p-r2v_b.mp4", "r2v_a.mp4%2f"} {
			got := ask(h, method, "/clips/"+name, annasToken, nil)
			require.Equal(t, http.StatusNotFound, got.StatusCode, name)
			require.Equal(t, missing.Header, got.Header, name)
			require.Equal(t, text, body(t, got), name)
		}
	}
}

// TestTheOwnerIsLookedAtTwice is for a lookup that does not look at the owner.
func TestTheOwnerIsLookedAtTwice(t *testing.T) {
	b := twoPeople()
	b.tasks["ben"] = append(b.tasks["ben"], b.tasks["anna"][0])
	require.Equal(t, http.StatusNotFound, ask(handler(t, options(b)), http.MethodGet, "/clips/r2v_a.mp4", bensToken, nil).StatusCode)
}

func TestAClipThatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*books, *Options)
		want   int
		says   string
	}{
		"not saved": {func(b *books, _ *Options) { b.tasks["anna"][0].SavedTo = "" }, 404, "not saved here"},
		"deleted":   {func(b *books, _ *Options) { b.tasks["anna"][0].SavedTo = "/nowhere/at.all" }, 410, "was saved, and its file is gone"},
		"the storage is away": {func(_ *books, o *Options) {
			o.Clip = func(context.Context, *video.Task) (io.ReadSeekCloser, time.Time, error) {
				return nil, time.Time{}, errors.New("dial tcp 10.0.0.1:9000: refused")
			}
		}, 503, "saved, and cannot be read now"},
		"nothing is ever saved": {func(_ *books, o *Options) { o.Clip = nil }, 404, "not saved here"},
		"no ledger": {func(b *books, _ *Options) {
			b.broken = &video.Error{Failure: video.Failure{Code: "LedgerUnavailable", Message: "/var/lib/secret"}}
		}, 503, "cannot be read now"},
		"a ledger's own word for no": {func(b *books, _ *Options) { b.broken = errors.New("no such task") }, 404, "no such clip"},
	} {
		t.Run(name, func(t *testing.T) {
			b := twoPeople()
			o := options(b)
			c.change(b, &o)
			resp := ask(handler(t, o), http.MethodGet, "/clips/r2v_a.mp4", annasToken, nil)
			require.Equal(t, c.want, resp.StatusCode)
			text := body(t, resp)
			require.Contains(t, text, c.says)
			require.NotContains(t, text, "/")
			require.NotContains(t, text, "10.0.0.1")
			require.Equal(t, c.want == 503, resp.Header.Get("Retry-After") != "")
		})
	}
}
