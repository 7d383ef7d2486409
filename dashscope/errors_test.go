package dashscope_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

// stated is the part of an error that comes from the answer.
type stated struct {
	status                   int
	code, message, requestID string
}

func TestErrorsKeepWhatTheAnswerSays(t *testing.T) {
	id := func(value string) map[string]string { return map[string]string{"X-Request-ID": value} }
	tests := map[string]struct {
		answer reply
		want   stated
	}{
		"flat": {reply{401, text(t, "create-refused-401-no-key.json"), id("header")},
			stated{401, "InvalidApiKey", "No API-key provided.", "7438d53d-6eb8-4596-8835-xxxxxx"}},
		"nested": {reply{401, text(t, "refused-401-compatible-mode.json"), nil},
			stated{401, "invalid_api_key", "Incorrect API key provided.", "0d7e2f5b-8c11-9a7c-b0f0-xxxxxx"}},
		"nested with a number": {reply{400, `{"error":{"code":1003,"message":"no"}}`, id("header")},
			stated{400, "1003", "no", "header"}},
		"nested with a type only": {reply{400, `{"error":{"code":null,"type":"invalid_request_error","message":"no"}}`, nil},
			stated{400, "invalid_request_error", "no", ""}},
		"error as a text": {reply{404, `{"status":404,"error":"Not Found"}`, nil}, stated{404, "", "Not Found", ""}},
		"msg":             {reply{400, `{"code":"InvalidParameter","msg":"no such size"}`, nil}, stated{400, "InvalidParameter", "no such size", ""}},
		"html":            {reply{404, text(t, "bad-gateway-502.html"), id("header")}, stated{404, "", "502 Bad Gateway", "header"}},
		"html without a title": {reply{404, `<html><style>p{}</style><body><h1>Oh&nbsp;no</h1><p>a &lt; b<script>x</script></body>`, nil},
			stated{404, "", "Oh no a < b", ""}},
		"xml":               {reply{403, text(t, "upload-refused-403-policy-expired.xml"), nil}, stated{403, "AccessDenied", "Invalid according to Policy: Policy expired.", "66A0F1B2C3D4E5F6A7B8C9D0"}},
		"text":              {reply{404, "404 page\nnot found\n", nil}, stated{404, "", "404 page not found", ""}},
		"empty":             {reply{404, "", id("header")}, stated{404, "", "", "header"}},
		"truncated json":    {reply{404, `{"code":"Inval`, nil}, stated{404, "", `{"code":"Inval`, ""}},
		"another object":    {reply{404, `{"detail":"gone"}`, nil}, stated{404, "", `{"detail":"gone"}`, ""}},
		"an array":          {reply{404, `["gone"]`, nil}, stated{404, "", `["gone"]`, ""}},
		"invisible letters": {reply{400, "{\"code\":\"A\\u0000B\",\"message\":\"a\\u202eb\\u200b\\u001b[31m\\nc\\u2028 \xff\"}", nil}, stated{400, "AB", "ab[31m c \uFFFD", ""}},
		"success as html":   {reply{200, "<title>Log in</title>", nil}, stated{200, "", "Log in", ""}},
		"success as null":   {reply{200, "null", nil}, stated{200, "", "null", ""}},
		"success, empty":    {reply{200, "", nil}, stated{200, "", "", ""}},
		"success, no task":  {reply{200, `{"request_id":"r","output":{}}`, nil}, stated{200, "", "", "r"}},
		"success with code": {reply{200, `{"code":"Throttling","message":"slow"}`, nil}, stated{200, "Throttling", "slow", ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, u := serve(t, answer(test.answer))
			_, err := c.GetTask(t.Context(), "t")
			e := failure(t, err)
			require.Equal(t, test.want, stated{e.StatusCode, e.Code, e.Message, e.RequestID})
			require.Equal(t, "get task", e.Op)
			require.Equal(t, "simulator", e.Region)
			require.Contains(t, err.Error(), fmt.Sprintf("get task: HTTP %d", test.want.status))
			for _, part := range []string{e.Code, e.Message, e.RequestID} {
				require.Contains(t, err.Error(), part)
			}
			require.Len(t, u.requests(), 1)
		})
	}
}

func TestAnUnauthorizedErrorNamesRegionAndHost(t *testing.T) {
	c, u := serve(t, answer(reply{status: 401, body: text(t, "create-refused-401-bad-key.json")}))
	_, err := c.CreateVideo(t.Context(), video())
	e := failure(t, err)
	require.True(t, e.Unauthorized())
	require.Equal(t, "create video: HTTP 401 InvalidApiKey: Invalid API-key provided. (request b6a4a0c2-3d1f-9e0b-8a55-xxxxxx)"+
		"; asked "+e.Host+", region simulator; a key of another region is refused exactly like this", err.Error())
	require.Contains(t, u.requests()[0], "Host: "+e.Host+"\n")
}

func TestLongUpstreamTextIsCut(t *testing.T) {
	long := strings.Repeat("漢", 2000)
	for name, body := range map[string]string{
		"json": `{"code":"` + long + `","message":"` + long + `","request_id":"` + long + `"}`,
		"html": `<p>` + long, "text": long, "title": "<title>" + long + "</title>",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 400, body: body}))
			_, err := c.GetTask(t.Context(), "t")
			e := failure(t, err)
			require.LessOrEqual(t, utf8.RuneCountInString(e.Message), 501)
			require.LessOrEqual(t, utf8.RuneCountInString(e.Code), 101)
			require.LessOrEqual(t, utf8.RuneCountInString(e.RequestID), 101)
			require.LessOrEqual(t, utf8.RuneCountInString(err.Error()), 1000)
			require.True(t, utf8.ValidString(err.Error()))
		})
	}
}

func TestAnOverlongAnswerIsAnErrorWithItsStatus(t *testing.T) {
	task := `{"output":{"task_id":"t","task_status":"RUNNING"},"padding":"%s"}%s`
	for _, body := range []string{
		fmt.Sprintf(task, strings.Repeat("x", 1<<20), ""),
		fmt.Sprintf(task, "", strings.Repeat(" ", 1<<20)),
	} {
		for _, status := range []int{200, 404} {
			c, u := serve(t, answer(reply{status: status, body: body}))
			_, err := c.GetTask(t.Context(), "t")
			require.Equal(t, status, failure(t, err).StatusCode)
			require.ErrorContains(t, err, "longer than 1 MiB")
			require.Len(t, u.requests(), 1)
		}
	}
}

func TestTheKeyIsInNoText(t *testing.T) {
	quoted := strings.ReplaceAll(key, "canary", `\u0063anary`)
	for name, body := range map[string]string{
		"json":      fmt.Sprintf(`{"code":"%[1]s","message":"key %[1]s%[1]s is wrong","request_id":"%[1]s"}`, key),
		"escaped":   fmt.Sprintf(`{"code":"%[1]s","message":"key %[1]s","request_id":"%[1]s"}`, quoted),
		"nested":    fmt.Sprintf(`{"error":{"code":"%[1]s","message":"%[1]s"}}`, key),
		"split":     fmt.Sprintf(`{"message":"%s"}`, strings.ReplaceAll(key, "canary", `can\u200bary`)),
		"html":      fmt.Sprintf(`<title>Bearer %s</title>`, strings.ReplaceAll(key, "-", "&#45;")),
		"text":      "Authorization: Bearer " + key,
		"truncated": `{"message":"` + key,
		"cut":       strings.Repeat("x", 490) + key,
		"failed":    fmt.Sprintf(`{"output":{"task_id":"t","task_status":"FAILED","code":"%[1]s","message":"%[1]s"}}`, key),
	} {
		for _, status := range []int{200, 303, 401, 404} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				c, _ := serve(t, answer(reply{status, body, map[string]string{"X-Request-ID": key, "Location": "https://example.com/" + key}}))
				task, err := c.GetTask(t.Context(), "t")
				if err == nil {
					require.NotContains(t, fmt.Sprintf("%+v", *task), "canary")
					return
				}
				requireNoKey(t, err)
			})
		}
	}
}

func TestTheKeyIsInNoTransportError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 "+key+" OK\r\n\r\n")
			conn.Close()
		}
	}()
	c := newClient(t, dashscope.Config{BaseURL: "http://" + listener.Addr().String()})
	_, err = c.CreateVideo(t.Context(), video())
	requireNoKey(t, err)
	require.ErrorContains(t, err, "[API key]")
	require.Equal(t, dashscope.FateUnknown, failure(t, err).Fate())
}

func requireNoKey(t *testing.T, err error) {
	t.Helper()
	failure(t, err)
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s"} {
			require.NotContains(t, fmt.Sprintf(verb, err), "canary")
		}
	}
}

func TestRedirectsAreNeverFollowed(t *testing.T) {
	elsewhere, stranger := serve(t, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
	fates := map[int]dashscope.Fate{
		301: dashscope.FateRefused, 307: dashscope.FateRefused, 308: dashscope.FateRefused,
		300: dashscope.FateUnknown, 302: dashscope.FateUnknown, 303: dashscope.FateUnknown, 304: dashscope.FateUnknown,
	}
	for status, fate := range fates {
		t.Run(http.StatusText(status), func(t *testing.T) {
			for _, to := range []string{address(elsewhere), "://not an address", ""} {
				c, u := serve(t, answer(reply{status: status, header: map[string]string{"Location": to}}))
				calls := map[string]func(context.Context) error{
					"create": func(ctx context.Context) error { _, err := c.CreateVideo(ctx, video()); return err },
					"get":    func(ctx context.Context) error { _, err := c.GetTask(ctx, "t"); return err },
					"cancel": func(ctx context.Context) error { return c.CancelTask(ctx, "t") },
					"policy": func(ctx context.Context) error { _, err := c.UploadPolicy(ctx, "m"); return err },
				}
				for _, call := range calls {
					err := call(t.Context())
					require.Equal(t, status, failure(t, err).StatusCode)
					require.Equal(t, fate, failure(t, err).Fate())
					require.ErrorContains(t, err, "redirects are not followed")
				}
				require.Len(t, u.requests(), len(calls))
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
	c = newClient(t, dashscope.Config{BaseURL: address(c), HTTPClient: &theirs})
	_, err := c.CreateVideo(t.Context(), video())
	require.Equal(t, 307, failure(t, err).StatusCode)
	require.Len(t, u.requests(), 1)
	require.Same(t, before.Transport, theirs.Transport)
	require.NotNil(t, theirs.CheckRedirect)
	require.False(t, transport.DisableKeepAlives)
}
