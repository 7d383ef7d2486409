package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// plain answers calls of tools that are of a form known here to the last member, and leaves all else to the library, which
// reads each message seven times and holds a session, three goroutines and a deep stack for each call that waits. The library's
// types read and write here as well, so the answers are the library's to the byte. The tools ask the client for nothing.
type plain struct {
	tools map[string]server.ToolHandlerFunc // with all that is wrapped round them
	about json.RawMessage                   // what an answer of the modern era says of the server
}

// newPlain wraps the tools of a server, for itself and for the library.
func newPlain(s *server.MCPServer, wrap server.ToolHandlerMiddleware) *plain {
	p := &plain{tools: map[string]server.ToolHandlerFunc{}, about: aboutServer(s)}
	for name, tool := range s.ListTools() {
		tool.Handler = wrap(tool.Handler)
		s.AddTools(*tool)
		p.tools[name] = tool.Handler
	}
	return p
}

// aboutServer asks the server what it says of itself, which is the library's to word.
func aboutServer(s *server.MCPServer) json.RawMessage {
	const ask = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"` + mcp.ProtocolVersion20260728 +
		`","` + mcp.MetaKeyClientCapabilities + `":{}}}}`
	var answer struct {
		Result struct {
			Meta json.RawMessage `json:"_meta"`
		} `json:"result"`
	}
	if text, err := json.Marshal(s.HandleMessage(context.Background(), json.RawMessage(ask))); err == nil {
		_ = json.Unmarshal(text, &answer) // without it, modern calls are the library's
	}
	return answer.Result.Meta
}

// plainCall is all that a plain call may have.
type plainCall struct {
	JSONRPC string `json:"jsonrpc"`
	ID      any    `json:"id"`
	Method  string `json:"method"`
	Params  struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		Meta      *mcp.Meta       `json:"_meta"`
	} `json:"params"`
	arguments map[string]any
}

// answer answers a message that has passed [checkMessage], if it is a plain call; otherwise nothing has been done.
func (p *plain) answer(w http.ResponseWriter, r *http.Request, m message) bool {
	c, ok := p.read(r.Header, m)
	if !ok {
		return false
	}
	result, err := p.tools[c.Params.Name](r.Context(), mcp.CallToolRequest{
		Request: mcp.Request{Method: c.Method}, Header: r.Header,
		Params: mcp.CallToolParams{Name: c.Params.Name, Arguments: c.arguments, RawArguments: c.Params.Arguments, Meta: c.Params.Meta},
	})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p.message(c, result, err)) // whoever is gone needs none
	return true
}

// read reports whether a message is a plain call of one of the tools. The arguments may be long, and are read where they are.
func (p *plain) read(h http.Header, m message) (*plainCall, bool) {
	c := &plainCall{}
	rest := m.body
	if m.end > 0 {
		rest = slices.Concat(m.body[:m.begin], []byte("0"), m.body[m.end:])
	}
	strict := json.NewDecoder(bytes.NewReader(rest))
	strict.DisallowUnknownFields()
	if strict.Decode(c) != nil || c.JSONRPC != mcp.JSONRPC_VERSION || c.Method != string(mcp.MethodToolsCall) || p.tools[c.Params.Name] == nil {
		return nil, false
	}
	switch c.ID.(type) {
	case string, float64:
	default:
		return nil, false
	}
	if h["Mcp-Session-Id"] != nil || h["Last-Event-Id"] != nil || !c.legacy(h) && (p.about == nil || !c.modern(h)) {
		return nil, false
	}
	if m.end > 0 {
		c.Params.Arguments = m.body[m.begin:m.end:m.end]
		return c, json.Unmarshal(c.Params.Arguments, &c.arguments) == nil && c.arguments != nil
	}
	return c, true
}

// legacy reports whether a call is plain in the protocols that begin with a handshake.
func (c *plainCall) legacy(h http.Header) bool {
	versions := h[http.CanonicalHeaderKey(mcp.HeaderProtocolVersion)]
	return c.Params.Meta == nil && (versions == nil || len(versions) == 1 && mcp.IsValidProtocolVersion(versions[0]) && !mcp.IsModernProtocol(versions[0]))
}

// modern reports whether a call is plain in the protocol that has no handshake, and says the same in its headers.
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
func (c *plainCall) modern(h http.Header) bool {
	meta := c.Params.Meta
	if meta == nil || meta.ProgressToken != nil || meta.ProtocolVersion() != mcp.ProtocolVersion20260728 || meta.ClientCapabilities() == nil {
		return false
	}
	for key := range meta.AdditionalFields {
		if key != mcp.MetaKeyProtocolVersion && key != mcp.MetaKeyClientCapabilities && key != mcp.MetaKeyClientInfo {
			return false
		}
	}
	for name, want := range map[string]string{mcp.HeaderProtocolVersion: mcp.ProtocolVersion20260728, mcp.HeaderMethod: c.Method, mcp.HeaderName: c.Params.Name} {
		if values := h[http.CanonicalHeaderKey(name)]; len(values) != 1 || values[0] != want {
			return false
		}
	}
	return true
}

// plainResult is a tool's answer with its members in the library's order.
type plainResult struct {
	Meta       json.RawMessage `json:"_meta,omitempty"`
	Content    []mcp.Content   `json:"content"`
	IsError    bool            `json:"isError,omitempty"`
	Type       mcp.ResultType  `json:"resultType,omitempty"`
	Structured any             `json:"structuredContent,omitempty"`
}

func (p *plain) message(c *plainCall, result *mcp.CallToolResult, err error) mcp.JSONRPCMessage {
	id := mcp.NewRequestId(c.ID)
	if err != nil {
		return mcp.JSONRPCError{JSONRPC: mcp.JSONRPC_VERSION, ID: id, Error: mcp.NewJSONRPCErrorDetails(mcp.INTERNAL_ERROR, err.Error(), nil)}
	}
	out := plainResult{Content: result.Content, IsError: result.IsError, Structured: result.StructuredContent}
	if c.Params.Meta != nil {
		out.Meta, out.Type = p.about, mcp.ResultTypeComplete
	}
	return mcp.NewJSONRPCResultResponse(id, out)
}

// cancels reports whether a message takes back a call. Without sessions the library finds that call by the id that its client
// has given it, whoever the client is. Over HTTP a call is taken back by hanging up.
func cancels(body []byte) bool {
	var m struct {
		ID     any    `json:"id"`
		Method string `json:"method"`
	}
	return json.Unmarshal(body, &m) == nil && m.ID == nil && m.Method == string(mcp.MethodNotificationCancelled)
}
