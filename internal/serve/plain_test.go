package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/serve"
)

const plainMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}`

const (
	modernHeaders = "Mcp-Protocol-Version: 2026-07-28|Mcp-Method: tools/call|Mcp-Name: echo"
	echoCall      = `"name":"echo","arguments":{"text":"a <b> & \u2028 \"c\""}`
)

// way is what answers a message.
type way int

const (
	byLibrary way = iota
	byPlain
	refused // before either sees it
)

type plainCase struct {
	body    string
	headers string // Name: value, separated by |
	way     way
}

func toolCall(params string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{` + params + `}}`
}

func legacyCases() map[string]plainCase {
	call := toolCall(echoCall)
	edit := func(old, with string) string { return strings.Replace(call, old, with, 1) }
	return map[string]plainCase{
		"legacy":                          {call, "Mcp-Protocol-Version: 2025-11-25", byPlain},
		"legacy without a version":        {call, "", byPlain},
		"the oldest version":              {call, "Mcp-Protocol-Version: 2024-11-05", byPlain},
		"a version nobody knows":          {call, "Mcp-Protocol-Version: 1999-01-01", byLibrary},
		"two versions":                    {call, "Mcp-Protocol-Version: 2025-11-25|Mcp-Protocol-Version: 2025-06-18", byLibrary},
		"a progress token":                {toolCall(echoCall + `,"_meta":{"progressToken":1}`), "", byLibrary},
		"a trace":                         {toolCall(echoCall + `,"_meta":{"traceparent":"00-1"}`), "", byLibrary},
		"no _meta but the word":           {toolCall(echoCall + `,"_meta":null`), "", byPlain},
		"a refusal":                       {toolCall(`"name":"echo","arguments":{"text":"no"}`), "", byPlain},
		"an error":                        {toolCall(`"name":"echo","arguments":{"text":"fail"}`), "", byPlain},
		"a panic":                         {toolCall(`"name":"echo","arguments":{"text":"panic"}`), "", byPlain},
		"text alone":                      {toolCall(`"name":"echo","arguments":{"text":"only"}`), "", byPlain},
		"blanks everywhere":               {" { \"jsonrpc\" : \"2.0\" ,\n\t\"id\": \"a-1\" , \"params\" : { \"arguments\" : { \"text\" : \"x\" } , \"name\" : \"echo\" } , \"method\" : \"tools/call\" } \n", "", byPlain},
		"an id that is no whole number":   {edit("7", "7.25e3"), "", byPlain},
		"an id beyond what is exact":      {edit("7", "12345678901234567890123"), "", byPlain},
		"an id beyond all bounds":         {edit("7", "1e999"), "", byLibrary},
		"an id of null":                   {edit("7", "null"), "", byLibrary},
		"an id of another kind":           {edit("7", "[7]"), "", byLibrary},
		"an id with an escape":            {edit("7", `"\u0061<\u2028"`), "", byPlain},
		"a member in capitals":            {edit(`"id":7`, `"ID":7`), "", byPlain},
		"a member more":                   {edit(`"id":7`, `"id":7,"x":1`), "", byLibrary},
		"a result":                        {edit(`"id":7`, `"id":7,"result":{}`), "", byLibrary},
		"a task":                          {toolCall(echoCall + `,"task":{}`), "", byLibrary},
		"no arguments":                    {toolCall(`"name":"echo"`), "", byPlain},
		"arguments of null":               {toolCall(`"name":"echo","arguments":null`), "", byLibrary},
		"arguments of another kind":       {toolCall(`"name":"echo","arguments":[]`), "", byLibrary},
		"a number beyond all bounds":      {toolCall(`"name":"echo","arguments":{"text":"x","n":1e999}`), "", byLibrary},
		"a name with an escape":           {toolCall(`"name":"ech\u006f","arguments":{"text":"x"}`), "", byPlain},
		"an unknown tool":                 {toolCall(`"name":"other","arguments":{}`), "", byLibrary},
		"another method":                  {`{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, "", byLibrary},
		"a notification":                  {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, "", byLibrary},
		"a cancellation that is a call":   {`{"jsonrpc":"2.0","id":7,"method":"notifications/cancelled","params":{"requestId":1}}`, "", byLibrary},
		"another JSON-RPC":                {edit("2.0", "1.0"), "", byLibrary},
		"a stream to go on with":          {call, "Last-Event-Id: 3", byLibrary},
		"a character set":                 {call, "Content-Type: application/json; charset=utf-8", byPlain},
		"a doubled member":                {edit(`"id":7`, `"id":7,"id":8`), "", refused},
		"a member doubled in other signs": {toolCall(echoCall + `,"argument\u017f":{}`), "", refused},
		"broken JSON":                     {call[:40], "", refused},
		"a batch":                         {"[" + call + "]", "", refused},
		"a session":                       {call, "Mcp-Session-Id: x", refused},
		"text":                            {call, "Content-Type: text/plain", refused},
	}
}

func modernCases() map[string]plainCase {
	call := toolCall(echoCall + "," + plainMeta)
	edit := func(old, with string) string { return strings.Replace(call, old, with, 1) }
	without := func(header string) string { return strings.Replace(modernHeaders, header, "X-Not: ", 1) }
	return map[string]plainCase{
		"modern":                         {call, modernHeaders, byPlain},
		"modern with capabilities":       {edit(`{},`, `{"roots":{},"sampling":{}},`), modernHeaders, byPlain},
		"modern without a client's name": {edit(`,"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}`, ``), modernHeaders, byPlain},
		"modern, an odd client's name":   {edit(`{"name":"c","version":"1"}`, `7`), modernHeaders, byPlain},
		"modern, a refusal":              {toolCall(`"name":"echo","arguments":{"text":"no"},` + plainMeta), modernHeaders, byPlain},
		"modern, an error":               {toolCall(`"name":"echo","arguments":{"text":"fail"},` + plainMeta), modernHeaders, byPlain},
		"modern, text alone":             {toolCall(`"name":"echo","arguments":{"text":"only"},` + plainMeta), modernHeaders, byPlain},
		"modern, capabilities of 7":      {edit(`{},`, `7,`), modernHeaders, byLibrary},
		"modern, no capabilities":        {edit(`"io.modelcontextprotocol/clientCapabilities":{},`, ``), modernHeaders, byLibrary},
		"modern, a name in capitals":     {edit(`/protocolVersion`, `/PROTOCOLVERSION`), modernHeaders, byLibrary},
		"modern, a level of the log":     {edit(`{"io`, `{"io.modelcontextprotocol/logLevel":"debug","io`), modernHeaders, byLibrary},
		"modern with a progress token":   {edit(`{"io`, `{"progressToken":1,"io`), modernHeaders, byLibrary},
		"modern with a reply":            {edit(`"name":"echo"`, `"name":"echo","inputResponses":{}`), modernHeaders, byLibrary},
		"modern by its header alone":     {toolCall(echoCall), modernHeaders, byLibrary},
		"modern by its body alone":       {call, "", byLibrary},
		"modern, another header":         {call, strings.Replace(modernHeaders, "2026-07-28", "2025-11-25", 1), byLibrary},
		"modern, another body":           {edit("2026-07-28", "2025-11-25"), modernHeaders, byLibrary},
		"modern, another tool's name":    {call, strings.Replace(modernHeaders, "echo", "other", 1), byLibrary},
		"modern without a method":        {call, without("Mcp-Method: "), byLibrary},
		"modern without a name":          {call, without("Mcp-Name: "), byLibrary},
		"modern with a session":          {call, modernHeaders + "|Mcp-Session-Id: x", byLibrary},
		"modern, a stream to go on with": {call, modernHeaders + "|Last-Event-Id: 3", byLibrary},
	}
}

// echoTool gives back its arguments, and tells in plainly whether the library has not seen the call.
func echoTool(calls, plainly *atomic.Int32) server.ServerTool {
	return server.ServerTool{
		Tool: mcp.Tool{Name: "echo", RawInputSchema: json.RawMessage(`{"type":"object"}`)},
		Handler: func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			calls.Add(1)
			if server.ServerFromContext(ctx) == nil {
				plainly.Add(1)
			}
			switch text, _ := req.GetArguments()["text"].(string); text {
			case "no":
				return mcp.NewToolResultError("no <way>"), nil
			case "only":
				return mcp.NewToolResultText("text <&> alone"), nil
			case "fail":
				return nil, errors.New("it <failed>")
			case "panic":
				panic("secret words")
			}
			said := string(req.Params.RawArguments) + " " + req.Method + " " + req.Params.Name + " " + req.Header.Get("Mcp-Name")
			return &mcp.CallToolResult{Content: []mcp.Content{mcp.NewTextContent(said)}, StructuredContent: json.RawMessage(`{ "t" : "<&>" }`)}, nil
		},
	}
}

func TestPlainAnswersAreTheLibrarys(t *testing.T) {
	t.Parallel()
	var calls, plainly atomic.Int32
	tools := serve.NewServer("1", "", []server.ServerTool{echoTool(&calls, &plainly)})
	ours := start(t, serve.Options{Server: tools})
	library := httptest.NewServer(server.NewStreamableHTTPServer(tools, server.WithStateLess(true), server.WithDisableStreaming(true)))
	t.Cleanup(library.Close)
	for _, cases := range []map[string]plainCase{legacyCases(), modernCases()} {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				calls.Store(0)
				plainly.Store(0)
				status, kind, body := c.send(t, "http://"+ours.address+"/mcp")
				require.Equal(t, c.way == byPlain, plainly.Load() == 1)
				if c.way == refused {
					require.Zero(t, calls.Load())
					require.GreaterOrEqual(t, status, http.StatusBadRequest)
					return
				}
				ran := calls.Load()
				if strings.Contains(c.body, `"panic"`) {
					require.JSONEq(t, `{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"the tool failed; it is not the caller's fault"}}`, body)
					return
				}
				theirStatus, theirKind, theirBody := c.send(t, library.URL)
				require.Equal(t, theirStatus, status)
				require.Equal(t, theirKind, kind)
				require.Equal(t, theirBody, body)
				require.Equal(t, calls.Load(), 2*ran)
			})
		}
	}
}

// request makes the request that a case describes.
func (c plainCase) request(t *testing.T, url string, headers ...string) *http.Request {
	t.Helper()
	r := post(t, url, c.body, append(headers, "Accept: application/json, text/event-stream")...)
	for line := range strings.SplitSeq(c.headers, "|") {
		if name, value, found := strings.Cut(line, ": "); found {
			if name == "Content-Type" {
				r.Header.Del(name)
			}
			r.Header.Add(name, value)
		}
	}
	return r
}

func (c plainCase) send(t *testing.T, url string) (status int, kind, body string) {
	t.Helper()
	resp, body := do(t, newClient(t), c.request(t, url))
	return resp.StatusCode, resp.Header.Get("Content-Type"), body
}

// cancelling are messages that take back the call 1, as the library reads them.
func cancelling() map[string]plainCase {
	const cancelled = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	modern := strings.Replace(cancelled, `"requestId"`, plainMeta+`,"requestId"`, 1)
	return map[string]plainCase{
		"legacy":            {cancelled, "", byLibrary},
		"modern":            {modern, "Mcp-Protocol-Version: 2026-07-28|Mcp-Method: notifications/cancelled", byLibrary},
		"said to listen":    {modern, "Mcp-Protocol-Version: 2026-07-28|Mcp-Method: subscriptions/listen", byLibrary},
		"in capitals":       {strings.Replace(cancelled, "method", "METHOD", 1), "", byLibrary},
		"with an id null":   {strings.Replace(cancelled, `"method"`, `"id":null,"method"`, 1), "", byLibrary},
		"with an escape":    {strings.Replace(cancelled, "cancelled", `cancell\u0065d`, 1), "", byLibrary},
		"with more members": {strings.Replace(cancelled, `"method"`, `"x":1,"method"`, 1), "", byLibrary},
	}
}

// waits are calls that wait, by what answers them.
func waits() map[string]string {
	return map[string]string{
		"plain":   rpc("wait"),
		"library": strings.Replace(rpc("wait"), `"name"`, `"_meta":{"progressToken":1},"name"`, 1),
	}
}

// calling makes a call, and tells its answer when there is one.
func calling(client *http.Client, r *http.Request) <-chan string {
	answered := make(chan string, 1)
	go func() {
		defer close(answered)
		resp, err := client.Do(r)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answered <- string(text)
	}()
	return answered
}

func TestNobodyTakesBackAnothersCall(t *testing.T) {
	for kind, wait := range waits() {
		for name, c := range cancelling() {
			t.Run(kind+", "+name, func(t *testing.T) {
				d := newDesk()
				bubble(t, serve.Options{Server: d.tools, Auth: (&fakeAuth{}).require}, func(t *testing.T, p *pipes) {
					hers, his := p.client(t), p.client(t)
					answered := calling(hers, post(t, "http://srv/mcp", wait, ann))
					require.Equal(t, "ann", <-d.waiting)
					resp, _ := do(t, his, c.request(t, "http://srv/mcp", "Authorization: Bearer bob"))
					require.Equal(t, http.StatusAccepted, resp.StatusCode)
					synctest.Wait()
					require.Empty(t, d.ended)
					require.Empty(t, answered)
				})
				require.Equal(t, "ann", <-d.ended, "it ends with the server")
			})
		}
	}
}

func TestAStreamTakesBackItsOwnCallsOnly(t *testing.T) {
	d := newDesk()
	bubble(t, serve.Options{Server: d.tools, Auth: (&fakeAuth{}).require}, func(t *testing.T, p *pipes) {
		const cancelled = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
		client := p.client(t)
		hers, his := listen(t, client, "http://srv", "ann"), listen(t, client, "http://srv", "bob")
		do(t, client, post(t, hers.message, rpc("wait"), ann))
		require.Equal(t, "ann", <-d.waiting)
		resp, _ := do(t, client, post(t, his.message, cancelled, "Authorization: Bearer bob"))
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		synctest.Wait()
		require.Empty(t, d.ended)
		do(t, client, post(t, hers.message, cancelled, ann))
		require.Equal(t, "ann", <-d.ended)
		hers.response.Body.Close()
		his.response.Body.Close()
	})
}

func TestAStoppingServerAnswersWhoWaitsEitherWay(t *testing.T) {
	t.Parallel()
	for kind, wait := range waits() {
		t.Run(kind, func(t *testing.T) {
			d := newDesk()
			srv := start(t, serve.Options{Server: d.tools})
			answered := calling(newClient(t), post(t, "http://"+srv.address+"/mcp", wait))
			<-d.waiting
			srv.stop()
			require.Equal(t, "state so far, because the server is stopping", textOf(t, <-answered))
		})
	}
}
