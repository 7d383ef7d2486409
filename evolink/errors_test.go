package evolink_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
)

// stated is the part of an error that comes from the answer.
type stated struct {
	status                                      int
	code, message, kind, param, suggestion, rID string
}

func TestErrorsKeepWhatTheAnswerSays(t *testing.T) {
	id := func(name, value string) map[string]string { return map[string]string{name: value} }
	const invalid = "invalid_request_error"
	tests := map[string]struct {
		answer reply
		want   stated
	}{
		"documented": {reply{400, text(t, "refused-400-invalid-request.json"), id("X-Request-ID", "header")},
			stated{400, "invalid_request", "Invalid duration parameter", invalid, "duration", "", "header"}},
		"older, with a number": {reply{400, text(t, "refused-400-integer-code.json"), id("X-Oneapi-Request-Id", "oneapi")},
			stated{400, "400", "Invalid duration parameter", invalid, "duration", "", "oneapi"}},
		"with a suggestion": {reply{502, text(t, "failed-502-upstream-error.json"), nil},
			stated{502, "502", "Upstream error, try different model", "upstream_error", "", "try different model", ""}},
		"request id in the body": {reply{400, `{"error":{"code":"a","request_id":"inner"}}`, id("X-Request-ID", "header")}, stated{400, "a", "", "", "", "", "inner"}},
		"request id beside it":   {reply{400, `{"error":{"code":"a"},"request_id":7}`, nil}, stated{400, "a", "", "", "", "", "7"}},
		"nulls":                  {reply{400, `{"error":{"code":null,"message":"no","type":null,"param":null}}`, nil}, stated{400, "", "no", "", "", "", ""}},
		"flat":                   {reply{400, `{"success":false,"code":413,"msg":"too large"}`, nil}, stated{400, "413", "too large", "", "", "", ""}},
		"error as a text":        {reply{404, `{"error":"Not Found"}`, nil}, stated{404, "", "Not Found", "", "", "", ""}},
		"html":                   {reply{404, text(t, "bad-gateway-502.html"), nil}, stated{404, "", "502 Bad Gateway", "", "", "", ""}},
		"html without a title":   {reply{404, `<html><style>p{}</style><body><h1>Oh&nbsp;no</h1><p>a &lt; b<script>x</script></body>`, nil}, stated{404, "", "Oh no a < b", "", "", "", ""}},
		"text":                   {reply{404, "404 page\nnot found\n", nil}, stated{404, "", "404 page not found", "", "", "", ""}},
		"empty":                  {reply{404, "", nil}, stated{404, "", "", "", "", "", ""}},
		"truncated json":         {reply{404, `{"error":{"co`, nil}, stated{404, "", `{"error":{"co`, "", "", "", ""}},
		"another object":         {reply{404, `{"detail":"gone"}`, nil}, stated{404, "", `{"detail":"gone"}`, "", "", "", ""}},
		"an array":               {reply{404, `["gone"]`, nil}, stated{404, "", `["gone"]`, "", "", "", ""}},
		"invisible letters":      {reply{400, "{\"error\":{\"code\":\"A\\u0000B\",\"message\":\"a\\u202eb\\u200b\\u001b[31m\\nc\\u2028 \xff\",\"param\":\"x\\ny\"}}", nil}, stated{400, "AB", "ab[31m c \uFFFD", "", "x y", "", ""}},
		"success as html":        {reply{200, "<title>Log in</title>", nil}, stated{200, "", "Log in", "", "", "", ""}},
		"success as null":        {reply{200, "null", nil}, stated{200, "", "null", "", "", "", ""}},
		"success, empty":         {reply{200, "", nil}, stated{200, "", "", "", "", "", ""}},
		"success, no task":       {reply{200, `{"request_id":"r"}`, nil}, stated{200, "", "", "", "", "", "r"}},
		"success with an error":  {reply{200, `{"error":{"code":"internal_error","message":"slow"}}`, nil}, stated{200, "internal_error", "slow", "", "", "", ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, u := serve(t, answer(test.answer))
			_, err := c.GetTask(t.Context(), "t")
			e := failure(t, err)
			require.Equal(t, test.want, stated{e.StatusCode, e.Code, e.Message, e.Type, e.Param, e.FallbackSuggestion, e.RequestID})
			require.Equal(t, "get task", e.Op)
			require.Contains(t, u.requests()[0], "Host: "+e.Host+"\n")
			require.Contains(t, err.Error(), fmt.Sprintf("get task: HTTP %d", test.want.status))
			for _, part := range []string{e.Code, e.Message, e.Param, e.RequestID} {
				require.Contains(t, err.Error(), part)
			}
			require.Len(t, u.requests(), 1)
		})
	}
}

func TestAnUnauthorizedErrorNamesTheHost(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 401, body: text(t, "refused-401-unauthorized.json")}))
	_, err := create(t.Context(), c)
	e := failure(t, err)
	require.True(t, e.Unauthorized())
	require.Equal(t, "create video: HTTP 401 unauthorized: Invalid API key; asked "+e.Host, err.Error())

	for body, want := range map[string]bool{
		`{"success":false,"code":401,"msg":"bad key"}`: true, `{"success":false,"code":"401","msg":"bad key"}`: true,
		`{"success":false,"code":400,"msg":"bad file"}`: false, `{"success":true,"code":401}`: false,
	} {
		c, _ := serve(t, answer(reply{status: 200, body: body}))
		_, err := c.UploadStream(t.Context(), file("bytes"))
		require.Equal(t, want, failure(t, err).Unauthorized(), body)
	}
}

func TestLongUpstreamTextIsCut(t *testing.T) {
	long := strings.Repeat("漢", 2000)
	for name, body := range map[string]string{
		"json": `{"error":{"code":"` + long + `","message":"` + long + `","type":"` + long + `","param":"` + long + `","fallback_suggestion":"` + long + `"},"request_id":"` + long + `"}`,
		"html": `<p>` + long, "text": long, "title": "<title>" + long + "</title>",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, answer(reply{status: 400, body: body}))
			_, err := c.GetTask(t.Context(), "t")
			e := failure(t, err)
			require.LessOrEqual(t, utf8.RuneCountInString(e.Message), 501)
			require.LessOrEqual(t, utf8.RuneCountInString(e.FallbackSuggestion), 501)
			for _, s := range []string{e.Code, e.Type, e.Param, e.RequestID} {
				require.LessOrEqual(t, utf8.RuneCountInString(s), 101)
			}
			require.LessOrEqual(t, utf8.RuneCountInString(err.Error()), 1000)
			require.True(t, utf8.ValidString(err.Error()))
		})
	}
}

func TestAnOverlongAnswerIsAnErrorWithItsStatus(t *testing.T) {
	task := `{"id":"t","status":"processing","padding":"%s"}%s`
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
		"flat":      fmt.Sprintf(`{"success":false,"code":"%[1]s","msg":"key %[1]s%[1]s is wrong","request_id":"%[1]s"}`, key),
		"escaped":   fmt.Sprintf(`{"error":{"code":"%[1]s","message":"key %[1]s","request_id":"%[1]s"}}`, quoted),
		"nested":    fmt.Sprintf(`{"error":{"code":"%[1]s","message":"%[1]s","type":"%[1]s","param":"%[1]s","fallback_suggestion":"%[1]s"}}`, key),
		"split":     fmt.Sprintf(`{"error":{"message":"%s"}}`, strings.ReplaceAll(key, "canary", `can\u200bary`)),
		"html":      fmt.Sprintf(`<title>Bearer %s</title>`, strings.ReplaceAll(key, "-", "&#45;")),
		"text":      "Authorization: Bearer " + key,
		"truncated": `{"message":"` + key,
		"cut":       strings.Repeat("x", 490) + key,
		"failed":    fmt.Sprintf(`{"id":"t-1","status":"failed","model":"%[1]s","error":{"code":"%[1]s","message":"%[1]s","suggestion":"%[1]s"},"results":["https://a/%[1]s"]}`, key),
		"stored":    fmt.Sprintf(`{"data":{"file_id":"%[1]s","file_url":"https://a/b","mime_type":"%[1]s"}}`, key),
	} {
		for _, status := range []int{200, 303, 401, 404} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				c, _ := serve(t, answer(reply{status, body, map[string]string{"X-Request-ID": key, "Location": "https://example.com/" + key}}))
				task, err := c.GetTask(t.Context(), "t-1")
				if err == nil {
					require.NotContains(t, fmt.Sprintf("%+v %+v", *task, task.Error), "canary")
				} else {
					requireNoKey(t, err)
				}
				stored, err := c.UploadStream(t.Context(), file("bytes"))
				if err == nil {
					require.NotContains(t, fmt.Sprintf("%+v", *stored), "canary")
				} else {
					requireNoKey(t, err)
				}
				if _, err := create(t.Context(), c); err != nil {
					requireNoKey(t, err)
				}
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
	c := newClient(t, evolink.Config{BaseURL: "http://" + listener.Addr().String()})
	_, err = create(t.Context(), c)
	requireNoKey(t, err)
	require.ErrorContains(t, err, "[API key]")
	require.Equal(t, evolink.FateUnknown, failure(t, err).Fate())
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
