package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/serve"
)

// hostile is one request as it goes over the wire. ADDR stands for the server's address, PORT for its port.
type hostile struct {
	name string
	raw  string
	want []int  // any of them; 0: cut without an answer
	says string // what the answer has to hold
}

const (
	ann   = "Authorization: Bearer ann"
	plain = "Content-Type: application/json"
)

// wireRequest writes a POST /mcp with the right Host and token, unless lines name others. A line "-Name" leaves one out.
func wireRequest(line, body string, lines ...string) string {
	headers := []string{"Host: ADDR", ann, plain, fmt.Sprintf("Content-Length: %d", len(body))}
	var own []string
	for _, l := range lines {
		name := strings.ToLower(strings.TrimPrefix(strings.SplitN(l, ":", 2)[0], "-"))
		kept := headers[:0:0]
		for _, h := range headers {
			if !strings.HasPrefix(strings.ToLower(h), name+":") {
				kept = append(kept, h)
			}
		}
		headers = kept
		if !strings.HasPrefix(l, "-") {
			own = append(own, l)
		}
	}
	return line + " HTTP/1.1\r\n" + strings.Join(append(own, headers...), "\r\n") + "\r\n\r\n" + body
}

func hostileRows() []hostile {
	var rows []hostile
	add := func(want int, name, raw string) {
		rows = append(rows, hostile{name: name, raw: raw, want: []int{want}})
	}
	call := rpc("count")
	send := func(want int, name string, lines ...string) {
		add(want, name, wireRequest("POST /mcp", call, lines...))
	}

	for _, host := range []string{
		"evil.example", "evil.example:PORT", "127.0.0.1.evil.example", "localhost.evil.example", "localhost.", "LOCALHOST.", "127.0.0.1.:PORT",
		"user@127.0.0.1:PORT", "127.0.0.1:PORT@evil.example", "[::ffff:127.0.0.1]:PORT", "[::ffff:7f00:1]", "0.0.0.0:PORT", "[::]:PORT", "2130706433",
		"0x7f000001", "017700000001", "127.1", "127.0.0.2", "127.0.0.01", "[::1", "[::1%25lo]", "[127.0.0.1]", "localhost:", "localhost:0", "localhost:99999", "localhost:8o",
		"127.0.0.1:1:2", "10.0.0.1", "allowed.example.evil", "ported.example:444", "169.254.169.254",
	} {
		rows = append(rows, hostile{name: "Host " + host, raw: wireRequest("POST /mcp", call, "Host: "+host), want: []int{403, 400}})
	}
	add(403, "absolute form", wireRequest("POST http://evil.example/mcp", call))
	add(403, "absolute form with own Host", wireRequest("POST http://evil.example:80/mcp", call, "Host: ADDR"))
	add(400, "two Host headers", wireRequest("POST /mcp", call, "Host: ADDR\r\nHost: evil.example"))
	add(400, "no Host", wireRequest("POST /mcp", call, "-Host"))
	add(403, "no Host in HTTP/1.0", strings.Replace(wireRequest("POST /mcp", call, "-Host"), "HTTP/1.1", "HTTP/1.0", 1))
	add(403, "empty Host", wireRequest("POST /mcp", call, "Host: "))
	add(403, "foreign Host on /healthz", "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	add(403, "foreign Host on /sse", "GET /sse HTTP/1.1\r\nHost: evil.example\r\n"+ann+"\r\n\r\n")

	for _, origin := range []string{
		"https://evil.example", "http://evil.example", "null", "", "http://localhost:1", "http://127.0.0.1", "https://ADDR", "http://ADDR/", "http://ADDR.evil.example",
		"http://user@ADDR", "HTTP://ADDR", "ws://ADDR", "file://", "chrome-extension://abcdef", "https://friend.example:444", "http://friend.example", "https://friend.example.", "https://evil.friend.example",
		"https://friend.example/", "https://friend.example, https://evil.example", "http://0.0.0.0:PORT", "http://[::ffff:127.0.0.1]:PORT", "*", "about:blank", "data:",
	} {
		send(403, "Origin "+origin, "Origin: "+origin)
	}
	send(403, "two Origins", "Origin: https://friend.example\r\nOrigin: https://evil.example")
	send(403, "cross-site without Origin", "Sec-Fetch-Site: cross-site")
	send(403, "another port of this machine", "Sec-Fetch-Site: same-site")
	send(403, "cross-site navigation to a tool", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate")
	send(403, "unknown site", "Sec-Fetch-Site: moon")
	add(403, "picture of the page", "GET / HTTP/1.1\r\nHost: ADDR\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n")
	add(403, "page in a frame", "GET / HTTP/1.1\r\nHost: ADDR\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n\r\n")
	add(403, "foreign event stream", "GET /sse HTTP/1.1\r\nHost: ADDR\r\n"+ann+"\r\nOrigin: https://evil.example\r\n\r\n")
	add(403, "event stream without Origin", "GET /sse HTTP/1.1\r\nHost: ADDR\r\n"+ann+"\r\nSec-Fetch-Site: cross-site\r\n\r\n")
	add(403, "foreign preflight", "OPTIONS /mcp HTTP/1.1\r\nHost: ADDR\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n")

	for _, kind := range []string{
		"text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json-rpc", "application/jsonx",
		"text/json", "text/plain; application/json", "application/json, text/plain", "", "application/json;;", "*/*",
	} {
		send(415, "type "+kind, "Content-Type: "+kind)
	}
	send(415, "no type", "-Content-Type")
	send(415, "two types", "Content-Type: text/plain\r\nContent-Type: application/json")
	send(415, "packed", "Content-Encoding: gzip")
	send(406, "takes pictures only", "Accept: image/png")
	send(406, "takes no streams", "Accept: application/json")
	send(406, "refuses JSON", "Accept: application/json;q=0, text/event-stream")

	send(401, "no token", "-Authorization")
	for _, value := range []string{
		"", "Bearer", "Bearer ", "bearer", "Basic YW5uOmFubg==", "Bearer wrong", "Bearer ann bob", "Bearer ann,", "ann", "Bearer\tann", "Token ann", "Bearer Bearer ann", "Bearer ann\x01",
	} {
		rows = append(rows, hostile{name: fmt.Sprintf("Authorization %q", value), raw: wireRequest("POST /mcp", call, "Authorization: "+value), want: []int{401, 400}})
	}
	send(400, "two tokens", "Authorization: Bearer ann\r\nAuthorization: Bearer bob")
	add(400, "token in the query", wireRequest("POST /mcp?access_token=ann", call, "-Authorization"))
	add(400, "token in the query by another name", wireRequest("POST /mcp?token=ann&authorization=Bearer%20ann", call, "-Authorization"))
	add(401, "token in a cookie", wireRequest("POST /mcp", call, "-Authorization", "Cookie: r2v=ann; __Host-r2v=ann"))
	add(400, "token in the query as well", wireRequest("POST /mcp?access_token=ann", call))
	send(403, "reader of metrics", "Authorization: Bearer reader")

	send(404, "forged session", "Mcp-Session-Id: mcp-session-6e6d3b5c-4c29-4c0c-8f9c-0d5c4c1f2b1a")
	send(404, "session of nonsense", "Mcp-Session-Id: ../../etc/passwd")
	add(404, "message without session", wireRequest("POST /message", call))
	add(404, "message to a forged session", wireRequest("POST /message?sessionId=6e6d3b5c-4c29-4c0c-8f9c-0d5c4c1f2b1a", call))
	add(404, "message to two sessions", wireRequest("POST /message?sessionId=a&sessionId=b", call))
	add(401, "message without token", wireRequest("POST /message?sessionId=a", call, "-Authorization"))
	add(405, "reading messages", "GET /message?sessionId=a HTTP/1.1\r\nHost: ADDR\r\n"+ann+"\r\n\r\n")

	for _, path := range []string{
		"//mcp", "/mcp/", "/mcp//", "/./mcp", "/x/../mcp", "/mcp/../metrics", "/%6dcp", "/mcp%2f", "/mcp%00", "/MCP", "/mcp;x", "/mcp.json", "/.", "/..", "/../mcp", "\\mcp", "/mcp\\",
		"/healthz/../mcp", "/clips/../mcp", "/clips/%2e%2e/mcp", "/clips/..%2fmcp", "/clips/", "/debug/pprof/", "/debug/vars", "/.env", "/.git/config", "/.well-known/oauth-protected-resource/../../mcp", "*", "mcp",
	} {
		rows = append(rows, hostile{name: "path " + path, raw: wireRequest("POST "+path, call), want: []int{404, 400}})
	}
	for _, method := range []string{"GET", "HEAD", "DELETE", "PUT", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "post", "Post"} {
		add(405, "method "+method, wireRequest(method+" /mcp", call))
	}
	rows = append(rows, hostile{name: "method CONNECT", raw: wireRequest("CONNECT ADDR", call), want: []int{404}})
	add(404, "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: ADDR\r\n\r\n")
	add(405, "posting to the page", wireRequest("POST /", call))
	add(405, "posting to a clip", wireRequest("POST /clips/a.mp4", call))
	add(405, "posting to metrics", wireRequest("POST /metrics", call))
	add(405, "posting to /sse", wireRequest("POST /sse", call))
	add(403, "metrics for a caller", "GET /metrics HTTP/1.1\r\nHost: ADDR\r\n"+ann+"\r\n\r\n")
	add(401, "metrics for anybody", "GET /metrics HTTP/1.1\r\nHost: ADDR\r\n\r\n")

	add(413, "giant by its length", wireRequest("POST /mcp", "", "Content-Length: 999999999999"))
	add(413, "giant in chunks", wireRequest("POST /mcp", chunks(strings.Repeat(" ", 1<<16), 40)+"0\r\n\r\n", "-Content-Length", "Transfer-Encoding: chunked"))
	add(413, "never ending", wireRequest("POST /mcp", chunks(strings.Repeat("[", 1<<16), 40), "-Content-Length", "Transfer-Encoding: chunked"))
	add(400, "negative length", wireRequest("POST /mcp", call, "Content-Length: -1"))
	add(400, "two lengths", wireRequest("POST /mcp", call, "Content-Length: 5\r\nContent-Length: 50"))
	add(400, "length with a sign", wireRequest("POST /mcp", call, "Content-Length: +5"))
	smuggled := "0\r\n\r\n" + wireRequest("POST /mcp", call, "Host: evil.example")
	add(400, "length and chunks", wireRequest("POST /mcp", smuggled, "Transfer-Encoding: chunked"))
	add(501, "chunks by another name", wireRequest("POST /mcp", smuggled, "Transfer-Encoding: xchunked"))
	rows = append(rows, hostile{name: "chunks twice", raw: wireRequest("POST /mcp", smuggled, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), want: []int{400, 501}})
	add(400, "space before the colon", wireRequest("POST /mcp", smuggled, "Transfer-Encoding : chunked"))
	add(400, "folded header", wireRequest("POST /mcp", call, "X-A: b\r\n c: d\r\n\x00"))
	add(400, "broken chunk", wireRequest("POST /mcp", "zz\r\n", "-Content-Length", "Transfer-Encoding: chunked"))
	add(431, "huge header", wireRequest("POST /mcp", call, "X-Big: "+strings.Repeat("a", 64<<10)))
	add(431, "many headers", wireRequest("POST /mcp", call, strings.Repeat("X-Many: a\r\n", 8000)+"X-Last: a"))
	add(400, "NUL in a header", wireRequest("POST /mcp", call, "X-Nul: a\x00b"))
	add(400, "NUL in the path", wireRequest("POST /m\x00cp", call))
	add(417, "expects the impossible", wireRequest("POST /mcp", call, "Expect: more"))
	rows = append(rows,
		hostile{name: "HTTP/2 without asking", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: []int{403, 400, 505, 0}},
		hostile{name: "TLS to a plain port", raw: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", want: []int{400, 0}},
		hostile{name: "HTTP/3.0", raw: strings.Replace(wireRequest("POST /mcp", call), "HTTP/1.1", "HTTP/3.0", 1), want: []int{505, 400}},
		hostile{name: "HTTP/0.9", raw: "GET /mcp\r\n\r\n", want: []int{400, 0}})
	return append(append(rows, bodyRows()...), protocolRows()...)
}

func bodyRows() []hostile {
	var rows []hostile
	call := rpc("count")
	for name, body := range map[string]string{
		"no body": "", "space": "   ", "half": `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{`, "text after it": call + "x", "two messages": call + call,
		"batch": "[" + call + "]", "empty batch": "[]", "batch behind space": "\n\t [" + call + "]", "string": `"tools/call"`, "number": "1", "null": "null",
		"invalid UTF-8": strings.Replace(call, "count", "count\xff", 1), "UTF-16": "\xff\xfe{\x00}\x00", "BOM": "\xef\xbb\xbf" + call,
		"method twice":              `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"count"}}`,
		"method in two cases":       `{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"count"}}`,
		"method twice, escaped":     `{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call","params":{"name":"count"}}`,
		"name twice":                `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"other","name":"count"}}`,
		"argument twice":            `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"a":1,"a":2}}}`,
		"nested arrays":             strings.Repeat("[", 1<<20),
		"nested objects":            strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		"nested arguments":          `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}}`,
		"NUL in the JSON":           strings.Replace(call, "count", "co\x00unt", 1),
		"params of the wrong shape": `{"jsonrpc":"2.0","id":1,"method":7,"params":[]}`,
	} {
		rows = append(rows, hostile{name: "body: " + name, raw: wireRequest("POST /mcp", body), want: []int{400}})
	}
	return rows
}

func protocolRows() []hostile {
	var rows []hostile
	send := func(code, name, body string, lines ...string) {
		rows = append(rows, hostile{"protocol: " + name, wireRequest("POST /mcp", body, lines...), []int{400}, code})
	}
	const version, method, tool = "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: count"
	modern := modernRPC("count")
	send("-32020", "modern without headers", modern)
	send("-32020", "modern without Mcp-Method", modern, version, tool)
	send("-32020", "modern without Mcp-Name", modern, version, method)
	send("-32020", "modern with another method", modern, version, "Mcp-Method: ping", tool)
	send("-32020", "modern with another name", modern, version, method, "Mcp-Name: other")
	send("-32602", "modern header, legacy body", rpc("count"), version, method, tool)
	send("-32020", "legacy header, modern body", modern, "Mcp-Protocol-Version: 2025-11-25", method, tool)
	send("-32022", "version of the future", strings.Replace(modern, "2026-07-28", "2099-01-01", 1), "Mcp-Protocol-Version: 2099-01-01", method, tool)
	send("-32602", "version of nonsense", rpc("count"), "Mcp-Protocol-Version: banana")
	send("-32020", "Last-Event-ID", modern, version, method, tool, "Last-Event-ID: 1")
	send("-32602", "modern without capabilities", strings.Replace(modern, `,"io.modelcontextprotocol/clientCapabilities":{}`, "", 1), version, method, tool)
	return rows
}

func chunks(data string, n int) string {
	return strings.Repeat(fmt.Sprintf("%x\r\n%s\r\n", len(data), data), n)
}

// exchange sends bytes as they are and reads the status of each answer.
func exchange(t *testing.T, address, raw string) (status int, header http.Header, body string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	raw = strings.NewReplacer("ADDR", address, "PORT", port).Replace(raw)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(conn, raw) // the server may close before the end
	}()
	defer func() { conn.Close(); <-sent }()
	request, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: request})
	if err != nil {
		return 0, nil, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text)
}

func TestHostileRequestsReachNoTool(t *testing.T) {
	d, a := newDesk(), &fakeAuth{}
	answer := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
	}
	srv := start(t, serve.Options{
		Server: d.tools, Auth: a.require, MaxBody: 2 << 20, Page: answer("page"), Metrics: answer("metrics"), WellKnown: answer("{}"),
		Hosts: []string{"allowed.example", "ported.example:443"}, Origins: []string{"https://friend.example", "null", "*"},
	})
	rows := hostileRows()
	require.GreaterOrEqual(t, len(rows), 110)
	for _, row := range rows {
		status, header, body := exchange(t, srv.address, row.raw)
		require.Contains(t, row.want, status, "%s: %s", row.name, body)
		require.Contains(t, body, row.says, row.name)
		require.Zero(t, d.calls.Load(), row.name)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), row.name)
		require.Empty(t, header.Get("Location"), row.name)
		require.NotContains(t, body, "evil", row.name)
		if status == http.StatusMethodNotAllowed {
			require.NotEmpty(t, header.Get("Allow"), row.name)
		}
	}

	call, modern := rpc("count"), modernRPC("count")
	controls := map[string]string{
		"as it is":             wireRequest("POST /mcp", call),
		"localhost":            wireRequest("POST /mcp", call, "Host: LocalHost:PORT"),
		"::1":                  wireRequest("POST /mcp", call, "Host: [::1]:PORT"),
		"allowed name":         wireRequest("POST /mcp", call, "Host: Allowed.example:8443"),
		"allowed port":         wireRequest("POST /mcp", call, "Host: ported.example"),
		"own origin":           wireRequest("POST /mcp", call, "Origin: http://ADDR"),
		"friend":               wireRequest("POST /mcp", call, "Origin: https://friend.example", "Sec-Fetch-Site: cross-site"),
		"charset":              wireRequest("POST /mcp", call, "Content-Type: Application/JSON; charset=utf-8"),
		"accepts both":         wireRequest("POST /mcp", call, "Accept: application/json;q=0.9, text/event-stream"),
		"curl":                 wireRequest("POST /mcp", call, "Accept: */*"),
		"modern":               wireRequest("POST /mcp", modern, "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: count"),
		"modern, old session":  wireRequest("POST /mcp", modern, "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: count", "Mcp-Session-Id: x"),
		"legacy with version":  wireRequest("POST /mcp", call, "Mcp-Protocol-Version: 2025-11-25"),
		"absolute form":        wireRequest("POST http://ADDR/mcp", call),
		"chunked":              wireRequest("POST /mcp", chunks(call, 1)+"0\r\n\r\n", "-Content-Length", "Transfer-Encoding: chunked"),
		"a megabyte of spaces": wireRequest("POST /mcp", call+strings.Repeat(" ", 1<<20)),
	}
	for name, raw := range controls {
		status, header, body := exchange(t, srv.address, raw)
		require.Equal(t, http.StatusOK, status, "%s: %s", name, body)
		require.Equal(t, "caller ann", textOf(t, body), name)
		require.Equal(t, "no-store", header.Get("Cache-Control"), name)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), name)
		require.Empty(t, header.Get("Mcp-Session-Id"), name)
	}
	require.EqualValues(t, len(controls), d.calls.Load(), "the counter counts")

	require.Less(t, srv.stop(), 2*time.Second)
	require.Eventually(t, func() bool { return atWork() == "" }, 5*time.Second, 5*time.Millisecond, "nobody is left behind: %s", lazy(atWork))
	t.Logf("%d hostile requests", len(rows))
}

// atWork tells the goroutines that serve.
func atWork() string {
	stacks := make([]byte, 1<<20)
	var found []string
	for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "net/http.(*conn)") || strings.Contains(stack, "mark3labs/mcp-go") || strings.Contains(stack, "serve.(*") {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

// lazy is written out only when it is needed.
type lazy func() string

func (l lazy) String() string { return l() }
