package evolink_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

func TestNewTakesOnlyAddressesThatTheKeyMayBeSentTo(t *testing.T) {
	tests := map[string]string{ // address to what the error says; "" means accepted
		"https://api.evolink.ai":                 "",
		"https://api.evolink.ai/":                "",
		"HTTPS://gateway.example.com:8443/relay": "",
		"http://127.0.0.1:8790":                  "",
		"http://127.9.9.9":                       "",
		"http://[::1]:8790":                      "",
		"http://localhost":                       "",
		"api.evolink.ai":                         "absolute",
		"/v1":                                    "absolute",
		"https:///v1":                            "absolute",
		"https:example.com":                      "absolute",
		"https://exa mple.com":                   "absolute",
		"ftp://example.com":                      "scheme",
		"http://api.evolink.ai":                  "must be https",
		"http://127.0.0.1.example.com/":          "must be https",
		"http://localhost.example.com/":          "must be https",
		"http://10.0.0.1":                        "must be https",
		"https://user:secret@example.com":        "user name",
		"https://example.com?key=secret":         "query",
		"https://example.com?":                   "query",
		"https://example.com#secret":             "fragment",
		"https://api.evolink.ai/v1":              "/v1",
		"https://api.evolink.ai/v1/":             "/v1",
	}
	for address, problem := range tests {
		t.Run(address, func(t *testing.T) {
			_, err := evolink.New(evolink.Config{BaseURL: address, APIKey: key})
			_, files := evolink.New(evolink.Config{FilesURL: address, APIKey: key})
			if problem == "" {
				require.NoError(t, err)
				require.NoError(t, files)
				return
			}
			require.ErrorContains(t, err, "base URL: ")
			require.ErrorContains(t, err, problem)
			require.NotContains(t, err.Error(), "secret")
			require.ErrorContains(t, files, "files URL: ")
			require.ErrorContains(t, files, problem)
		})
	}
}

func TestNewRefusesWhatWouldBreakAHeader(t *testing.T) {
	good := evolink.Config{APIKey: key, UserAgent: "r2v-mcp/1.0 (test)"}
	_, err := evolink.New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*evolink.Config){
		"API key: missing":     func(c *evolink.Config) { c.APIKey = "" },
		"API key: holds":       func(c *evolink.Config) { c.APIKey += "\n" },
		"API key: holds white": func(c *evolink.Config) { c.APIKey = " " + c.APIKey },
		"user agent: holds":    func(c *evolink.Config) { c.UserAgent = "a\r\nX-Other: b" },
	} {
		cfg := good
		spoil(&cfg)
		_, err := evolink.New(cfg)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestTheKeyIsInNoDescription(t *testing.T) {
	cfg := evolink.Config{BaseURL: "https://example.com", APIKey: key}
	c, err := evolink.New(cfg)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb+verb+verb, cfg, &cfg, c), "canary")
	}
}

// The key must not go past a gateway to the public host of files, nor files of the public service to the wrong host.
func TestFilesGoWhereTheBaseSaysUnlessToldOtherwise(t *testing.T) {
	for _, test := range []struct{ base, files, api, store string }{
		{"", "", "api.evolink.ai", "files-api.evolink.ai"},
		{"https://API.evolink.ai/", "", "API.evolink.ai", "files-api.evolink.ai"},
		{"https://gateway.example.com", "", "gateway.example.com", "gateway.example.com"},
		{"https://gateway.example.com", "https://files.example.com", "gateway.example.com", "files.example.com"},
		{"", "https://files.example.com", "api.evolink.ai", "files.example.com"},
	} {
		var asked []string
		note := roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			require.Equal(t, "Bearer "+key, r.Header.Get("Authorization"))
			return nil, http.ErrNotSupported
		})
		c := newClient(t, evolink.Config{BaseURL: test.base, FilesURL: test.files, HTTPClient: &http.Client{Transport: note}})
		_, err := create(t.Context(), c)
		require.Equal(t, test.api, failure(t, err).Host)
		_, err = c.UploadStream(t.Context(), file("bytes"))
		require.Equal(t, test.store, failure(t, err).Host)
		_, err = c.UploadURL(t.Context(), "https://example.com/a.mp4", "")
		require.Equal(t, test.store, failure(t, err).Host)
		require.Equal(t, []string{test.api, test.store, test.store}, asked)
	}
}

func TestABaseWithASlashAtTheEndIsTheSame(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "task-processing.json")}))
	add := func(_ context.Context, h http.Header) {
		h.Set("Traceparent", "00-1-1-01")
		h.Set("Authorization", "overwritten")
	}
	c = newClient(t, evolink.Config{BaseURL: address(c) + "/", UserAgent: "me/2", AddHeader: add})
	_, err := c.GetTask(t.Context(), taskID)
	require.NoError(t, err)
	requireHeads(t, u, c, `GET /gateway/v1/tasks/task-unified-1757169743-7cvnl5zw HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-evo-canary-0123456789abcdef
Traceparent: 00-1-1-01
User-Agent: me/2

`)
}

func TestTheCallersTimeoutHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := roundTripper(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		c := newClient(t, evolink.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: deaf, Timeout: 3 * time.Second}})
		for _, call := range []func() error{
			func() error { _, err := create(t.Context(), c); return err },
			func() error { _, err := c.UploadStream(t.Context(), file("bytes")); return err },
		} {
			began := time.Now()
			require.Equal(t, evolink.FateUnknown, failure(t, call()).Fate())
			require.Equal(t, 3*time.Second, time.Since(began))
		}
	})
}

// calls are all calls of the API, each of another task.
func calls(c *evolink.Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"create":  func(ctx context.Context) error { _, err := create(ctx, c); return err },
		"get":     func(ctx context.Context) error { _, err := c.GetTask(ctx, "t-1"); return err },
		"batch":   func(ctx context.Context) error { _, err := c.BatchTasks(ctx, []string{"t-2", "t-3"}); return err },
		"list":    func(ctx context.Context) error { _, err := c.ListTasks(ctx, evolink.ListTasksRequest{}); return err },
		"credits": func(ctx context.Context) error { _, err := c.Credits(ctx); return err },
		"stream":  func(ctx context.Context) error { _, err := c.UploadStream(ctx, file("bytes")); return err },
		"base64":  func(ctx context.Context) error { _, err := c.UploadBase64(ctx, file("bytes")); return err },
		"url":     func(ctx context.Context) error { _, err := c.UploadURL(ctx, "https://example.com/a", ""); return err },
	}
}

func TestRedirectsAreNeverFollowed(t *testing.T) {
	elsewhere, stranger := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	fates := map[int]evolink.Fate{
		301: evolink.FateRefused, 307: evolink.FateRefused, 308: evolink.FateRefused,
		300: evolink.FateUnknown, 302: evolink.FateUnknown, 303: evolink.FateUnknown, 304: evolink.FateUnknown,
	}
	for status, fate := range fates {
		t.Run(http.StatusText(status), func(t *testing.T) {
			for _, to := range []string{address(elsewhere), "://not an address", ""} {
				c, u := serve(t, answer(reply{status: status, header: map[string]string{"Location": to}}))
				all := calls(c)
				for name, call := range all {
					err := call(t.Context())
					require.Equal(t, status, failure(t, err).StatusCode, name)
					require.Equal(t, fate, failure(t, err).Fate(), name)
					require.ErrorContains(t, err, "redirects are not followed")
				}
				require.Len(t, u.requests(), len(all))
			}
		})
	}
	require.Empty(t, stranger.requests())
}

func TestTheCallersClientIsNotChangedAndDoesNotFollowRedirects(t *testing.T) {
	c, u := serve(t, answer(reply{status: 307, header: map[string]string{"Location": "/elsewhere"}}))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	theirs := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	before := theirs
	c = newClient(t, evolink.Config{BaseURL: address(c), HTTPClient: &theirs})
	_, err := create(t.Context(), c)
	require.Equal(t, 307, failure(t, err).StatusCode)
	require.Len(t, u.requests(), 1)
	require.Same(t, before.Transport, theirs.Transport)
	require.NotNil(t, theirs.CheckRedirect)
	require.False(t, transport.DisableKeepAlives)
}

// A call whose context has ended sends nothing, and says so.
func TestAContextThatEndedBeforeIsNotSent(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c := newClient(t, evolink.Config{BaseURL: server.URL})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(c) {
		err := call(ctx)
		require.Equal(t, evolink.FateNotSent, failure(t, err).Fate(), name)
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorContains(t, err, "before anything was sent", name)
	}
}
