package dashscope_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestBaseURLsOfTheDocumentedRegions(t *testing.T) {
	for region, want := range map[string]string{
		"singapore": "https://dashscope-intl.aliyuncs.com/api/v1",
		"virginia":  "https://dashscope-us.aliyuncs.com/api/v1",
		"beijing":   "https://dashscope.aliyuncs.com/api/v1",
	} {
		got, ok := dashscope.BaseURL(region)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	_, ok := dashscope.BaseURL("atlantis")
	require.False(t, ok)
}

func TestNewTakesOnlyABaseURLThatTheKeyMayBeSentTo(t *testing.T) {
	tests := map[string]string{ // address to what the error says; "" means accepted
		"https://dashscope-intl.aliyuncs.com/api/v1":              "",
		"https://dashscope-intl.aliyuncs.com/api/v1/":             "",
		"HTTPS://ws.ap-southeast-1.maas.aliyuncs.com:8443/api/v1": "",
		"https://example.com":                                     "",
		"http://127.0.0.1:8790/api/v1":                            "",
		"http://127.9.9.9/api/v1":                                 "",
		"http://[::1]:8790/api/v1":                                "",
		"http://localhost/api/v1":                                 "",
		"":                                                        "missing",
		"dashscope.aliyuncs.com/api/v1":                           "absolute",
		"/api/v1":                                                 "absolute",
		"https:///api/v1":                                         "absolute",
		"https:example.com":                                       "absolute",
		"https://exa mple.com":                                    "absolute",
		"ftp://example.com/api/v1":                                "scheme",
		"http://dashscope.aliyuncs.com/api/v1":                    "must be https",
		"http://127.0.0.1.example.com/":                           "must be https",
		"http://localhost.example.com/":                           "must be https",
		"http://10.0.0.1/api/v1":                                  "must be https",
		"https://user:secret@example.com/api/v1":                  "user name",
		"https://example.com/api/v1?key=secret":                   "query",
		"https://example.com/api/v1?":                             "query",
		"https://example.com/api/v1#secret":                       "fragment",
	}
	for address, problem := range tests {
		t.Run(address, func(t *testing.T) {
			_, err := dashscope.New(dashscope.Config{BaseURL: address, APIKey: key})
			if problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "base URL: ")
			require.ErrorContains(t, err, problem)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestNewRefusesWhatWouldBreakAHeader(t *testing.T) {
	good := dashscope.Config{BaseURL: "https://example.com/api/v1", APIKey: key, Workspace: "ws-1", UserAgent: "r2v-mcp/1.0 (test)"}
	_, err := dashscope.New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*dashscope.Config){
		"API key: missing":     func(c *dashscope.Config) { c.APIKey = "" },
		"API key: holds":       func(c *dashscope.Config) { c.APIKey += "\n" },
		"API key: holds white": func(c *dashscope.Config) { c.APIKey = " " + c.APIKey },
		"workspace: holds":     func(c *dashscope.Config) { c.Workspace = "a\r\nX-Other: b" },
		"user agent: holds":    func(c *dashscope.Config) { c.UserAgent = "a\r\nX-Other: b" },
	} {
		cfg := good
		spoil(&cfg)
		_, err := dashscope.New(cfg)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestTheKeyIsInNoDescription(t *testing.T) {
	cfg := dashscope.Config{BaseURL: "https://example.com/api/v1", APIKey: key}
	c, err := dashscope.New(cfg)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb+verb+verb, cfg, &cfg, c), "canary")
	}
}

func TestABaseWithASlashAtTheEndIsTheSame(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "task-running.json")}))
	c = newClient(t, dashscope.Config{BaseURL: address(c) + "/", Workspace: "ws-1", UserAgent: "me/2"})
	_, err := c.GetTask(t.Context(), "t")
	require.NoError(t, err)
	requireHeads(t, u, c, `GET /gateway/api/v1/tasks/t HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-canary-0123456789abcdef
User-Agent: me/2
X-Dashscope-Workspace: ws-1

`)
}

func TestTheRegionOfASharedHostIsKnown(t *testing.T) {
	unauthorized := &clocked{status: 401, body: text(t, "create-refused-401-bad-key.json")}
	for base, region := range map[string]string{
		"https://dashscope-intl.aliyuncs.com/api/v1": "singapore",
		"https://DashScope.aliyuncs.com/api/v1/":     "beijing",
		"https://gateway.example.com/api/v1":         "",
	} {
		c, err := dashscope.New(dashscope.Config{BaseURL: base, APIKey: key, HTTPClient: &http.Client{Transport: unauthorized}})
		require.NoError(t, err)
		_, err = c.CreateVideo(t.Context(), video())
		require.Equal(t, region, failure(t, err).Region)
		require.Equal(t, region != "", strings.Contains(err.Error(), ", region "+region+";"))
	}
}

func TestTheCallersTimeoutHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := roundTripper(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		c := newClient(t, dashscope.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: deaf, Timeout: 3 * time.Second}})
		began := time.Now()
		_, err := c.CreateVideo(t.Context(), video())
		require.Equal(t, dashscope.FateUnknown, failure(t, err).Fate())
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}
