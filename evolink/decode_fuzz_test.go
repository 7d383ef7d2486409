package evolink

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
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
	err := fs.WalkDir(testdata.FS, "evolink", func(path string, d fs.DirEntry, err error) error {
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
	f.Add(200, []byte(`{"id":"t","ID":"b","status":"completed","results":"https://a/b","usage":{"credits_used":1e99},"created":"9999-12-31T23:59:59-12:00"}`))
	f.Add(200, []byte(`{"data":[{"id":"t","status":7,"created_at":"1e9","error":"x"}]}`))
	f.Add(429, []byte("{\"error\":{\"code\":429,\"message\":\"sk-evo-fuzz\u202e\\u0000\"}}"))
	c, err := New(Config{BaseURL: "https://example.com", APIKey: "sk-evo-fuzz"})
	require.NoError(f, err)
	req, err := c.request(context.Background(), c.api, call{method: http.MethodGet, path: "/v1/tasks/t"})
	require.NoError(f, err)

	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r, failure := c.exchange("fuzz", &lane{transport: canned{status, body}}, req, &delivery{})
		require.Nil(t, failure)
		a, failure := c.accept("fuzz", c.api, r)
		if failure != nil {
			requirePresentable(t, status, failure)
			return
		}
		created, err := c.created(a)
		requireEither(t, status, err, func() bool { return created.ID != "" })
		got, err := c.got(a, "t")
		requireEither(t, status, err, func() bool { return got.ID == "t" && got.Status != "" })
		list, err := c.listed(a)
		requireEither(t, status, err, func() bool {
			for _, row := range list.Tasks {
				if _, err := row.Created.MarshalJSON(); err != nil || row.ID == "" {
					return false
				}
			}
			return true
		})
		batch, err := c.batch(a)
		requireEither(t, status, err, func() bool {
			return !slices.ContainsFunc(batch, func(task *Task) bool { return task.ID == "" || len(task.Results) > maxResults })
		})
		credits, err := c.credited(a)
		requireEither(t, status, err, func() bool { return credits.Account != credits.Key || credits.Key != CreditLine{} })
		file, err := c.stored(a)
		requireEither(t, status, err, func() bool { return strings.HasPrefix(file.URL, "http") && file.Size >= 0 })
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
	require.NotContains(t, e.Error(), "sk-evo-fuzz")
	hidden := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
	require.False(t, strings.ContainsFunc(e.Error(), hidden), "%q", e.Error())
}
