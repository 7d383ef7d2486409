package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"r2v-mcp/internal/auth"
)

// streamable serves /mcp, for both protocol eras and without sessions: any replica answers any message.
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
// https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
func (s *surface) streamable(w http.ResponseWriter, r *http.Request) {
	if !accepts(r, "application/json") || !accepts(r, "text/event-stream") {
		refuse(w, r, http.StatusNotAcceptable, "the Accept header has to list both application/json and text/event-stream")
		return
	}
	modern := mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
	if r.Header.Get("Mcp-Session-Id") != "" && !modern {
		refuse(w, r, http.StatusNotFound, "there is no such session: this server gives none. Send initialize again, and no Mcp-Session-Id")
		return
	}
	m, held, ok := s.readMessage(w, r)
	if !ok {
		return
	}
	defer held.release()
	if out := outermost(w); out != nil {
		out.mcp = true
	}
	call := r.WithContext(context.WithValue(r.Context(), lifeKey{}, s.life))
	switch {
	case s.plain.answer(w, call, m):
	case cancels(m.body):
		w.WriteHeader(http.StatusAccepted)
	case modern && r.Header.Get(mcp.HeaderMethod) == string(mcp.MethodSubscriptionsListen):
		s.keep(w, r, s.mcp)
	default:
		s.mcp.ServeHTTP(w, call)
	}
}

// message serves /message, where the messages of /sse come.
func (s *surface) message(w http.ResponseWriter, r *http.Request) {
	var st *stream
	if ids := r.URL.Query()["sessionId"]; len(ids) == 1 {
		st = s.book.find(ids[0], auth.From(r.Context()))
	}
	if st == nil {
		refuse(w, r, http.StatusNotFound, "there is no such session: it lasts as long as its stream. Open /sse again")
		return
	}
	m, held, ok := s.readMessage(w, r)
	if !ok {
		return
	}
	st.touch()
	st.calls.Add(1) // before its client hears that the message was taken
	ctx := context.WithoutCancel(context.WithValue(r.Context(), lifeKey{}, &st.life))
	go func() {
		defer st.life.leave()
		defer held.release()
		if answer := s.handle(s.Server.WithContext(ctx, st.session), m.body); answer != nil {
			st.out.event(answer)
		}
	}()
	w.WriteHeader(http.StatusAccepted)
}

// handle has a message answered by the library; nothing is the answer to a notification. Without headers in the context, the message
// alone says its era.
func (s *surface) handle(ctx context.Context, body []byte) (answer []byte) {
	defer func() {
		if recover() != nil {
			s.Logger.Error("a handler panicked", "at", panicked())
			answer = nil
		}
	}()
	said := s.Server.HandleMessage(ctx, body)
	if said == nil {
		return nil
	}
	answer, err := json.Marshal(said)
	if err != nil {
		s.Logger.Error("an answer could not be written as JSON", "err", err)
	}
	return answer
}

// readMessage reads a body whole and looks at its form; otherwise it answers, and ok is false. The request has the same body
// again. What the message holds is released when it is answered.
func (s *surface) readMessage(w http.ResponseWriter, r *http.Request) (m message, held *hold, ok bool) {
	if !isJSON(r.Header) {
		refuse(w, r, http.StatusUnsupportedMediaType, "the Content-Type has to be application/json, without a Content-Encoding")
		return message{}, nil, false
	}
	var body []byte
	err := error(&http.MaxBytesError{Limit: s.MaxBody})
	if r.ContentLength <= s.MaxBody {
		body, held, err = s.memory.read(r.Body, r.ContentLength, s.MaxBody, auth.From(r.Context()).Name)
	}
	if err != nil {
		status, text := unread(err)
		if errors.Is(err, errLarge) || errors.Is(err, errMemory) {
			w.Header().Set("Retry-After", memoryRetry)
			_, _ = io.Copy(io.Discard, r.Body) // who writes first and reads then is to read this answer too
		}
		refuse(w, r, status, text)
		return message{}, nil, false
	}
	if m, err = checkMessage(body); err != nil {
		held.release()
		refuseMessage(w, err)
		return message{}, nil, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return m, held, true
}

func unread(err error) (status int, text string) {
	switch {
	case errors.Is(err, errLarge):
		return http.StatusTooManyRequests, err.Error()
	case errors.Is(err, errMemory):
		return http.StatusServiceUnavailable, err.Error()
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, "the body is larger than " + count(tooLarge.Limit) + ": nothing was done or charged. Give files as links"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout, "the body came too slowly: nothing was done or charged"
	}
	return http.StatusBadRequest, "the body could not be read to its end: nothing was done or charged"
}

// refuseMessage answers in the protocol's own form. There is no id: the message may have none, or several.
func refuseMessage(w http.ResponseWriter, err error) {
	code := mcp.INVALID_REQUEST
	if errors.Is(err, errNoJSON) {
		code = mcp.PARSE_ERROR
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"jsonrpc": mcp.JSONRPC_VERSION, "error": map[string]any{"code": code, "message": err.Error()},
	})
}

func isJSON(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 || (h.Get("Content-Encoding") != "" && h.Get("Content-Encoding") != "identity") {
		return false
	}
	if types[0] == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(types[0])
	return err == nil && kind == "application/json"
}

// accepts tells whether an answer of a kind may be sent; whoever says nothing takes anything.
func accepts(r *http.Request, kind string) bool {
	sent := r.Header.Values("Accept")
	if len(sent) == 0 {
		return true
	}
	for _, line := range sent {
		for part := range strings.SplitSeq(line, ",") {
			name, more, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			group, _, _ := strings.Cut(kind, "/")
			if (name == kind || name == "*/*" || name == group+"/*") && !zero(more) {
				return true
			}
		}
	}
	return false
}

// zero tells whether a quality of nothing is given, which is a refusal.
func zero(parameters string) bool {
	value, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameters), " ", ""), "q=0")
	return ok && strings.Trim(value, ".0") == ""
}
