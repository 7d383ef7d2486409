package dashscope

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"r2v-mcp/testdata"
)

// FuzzDecodeAnswer sends arbitrary answers through the decoding of every call: nothing panics, every error keeps its status
// and is fit to be shown, and a success has what it must have.
func FuzzDecodeAnswer(f *testing.F) {
	statusInName := regexp.MustCompile(`-([1-5][0-9][0-9])-?[a-z.]`)
	err := fs.WalkDir(testdata.FS, "dashscope", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := testdata.FS.ReadFile(path)
		status := 200
		if m := statusInName.FindStringSubmatch(path); m != nil {
			status, _ = strconv.Atoi(m[1])
		}
		f.Add(status, body)
		return err
	})
	require.NoError(f, err)
	f.Add(200, []byte(`{"output":{"task_id":"a","Task_ID":"b","task_id":"c"},"usage":{"duration":1e99,"SR":"720"}}`))
	f.Add(429, []byte("{\"error\":{\"code\":429,\"message\":\"sk-fuzz-key\u202e\\u0000\"}}"))
	c, err := New(Config{BaseURL: "https://example.com/api/v1", APIKey: "sk-fuzz-key"})
	require.NoError(f, err)
	req, err := c.request(context.Background(), call{method: http.MethodGet, path: "/tasks/t"})
	require.NoError(f, err)

	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r, failure := c.exchange("fuzz", &lane{transport: canned{status, body}}, req, &delivery{})
		require.Nil(t, failure)
		a, failure := c.accept("fuzz", r)
		if failure != nil {
			requirePresentable(t, status, failure)
			return
		}
		created, err := c.created(a)
		requireEither(t, status, err, func() bool { return created.ID != "" })
		got, err := c.got(a)
		requireEither(t, status, err, func() bool { return got.ID != "" && got.Status != "" })
		list, err := c.listed(a)
		requireEither(t, status, err, func() bool {
			for _, row := range list.Tasks {
				if _, err := row.Created.MarshalJSON(); err != nil || row.ID == "" {
					return false
				}
			}
			return true
		})
	})
}

// canned is a transport that always gives the same answer.
type canned struct {
	status int
	body   []byte
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	header := http.Header{"X-Request-Id": {string(c.body)}}
	return &http.Response{StatusCode: c.status, Header: header, Body: io.NopCloser(bytes.NewReader(c.body))}, nil
}

func requireEither(t *testing.T, status int, err error, complete func() bool) {
	t.Helper()
	if err == nil {
		require.True(t, complete())
		return
	}
	var e *Error
	require.ErrorAs(t, err, &e)
	requirePresentable(t, status, e)
}

func requirePresentable(t *testing.T, status int, e *Error) {
	t.Helper()
	require.Equal(t, status, e.StatusCode)
	require.NotEqual(t, FateNotSent, e.Fate(), "an answer came")
	require.LessOrEqual(t, utf8.RuneCountInString(e.Message), maxMessage+1)
	require.LessOrEqual(t, utf8.RuneCountInString(e.Error()), 2*maxMessage)
	require.NotContains(t, e.Error(), "sk-fuzz-key")
	hidden := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
	require.False(t, strings.ContainsFunc(e.Error(), hidden), "%q", e.Error())
}
