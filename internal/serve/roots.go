package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// rootsLimit is how long a client may take to name its roots.
const rootsLimit = 2 * time.Second

// rootsWriter makes the question of [ClientRoots] understood by all clients from protocol 2026-07-28 on: the library leaves
// its empty params out, and the official SDK's client fails on that.
type rootsWriter struct{ io.Writer }

// Write takes whole messages. Quotes inside a JSON string are escaped, so nothing but the question itself is ever changed.
func (w rootsWriter) Write(message []byte) (int, error) {
	full := bytes.ReplaceAll(message, []byte(`{"method":"roots/list"}`), []byte(`{"method":"roots/list","params":{}}`))
	if _, err := w.Writer.Write(full); err != nil {
		return 0, err
	}
	return len(message), nil
}

// rootsKey names the question in an answer that asks for input, and marks the call that is made again with the reply.
const rootsKey = "roots"

// ErrRootsAsked is the error of a call that has to end, without effect, because the client is asked for its roots first.
// Whatever the tool answers is replaced by the question, and the client calls again with the reply.
var ErrRootsAsked = errors.New("the client is asked for its roots, and calls again")

// ClientRoots returns a function that tells a client's roots: the folders on this machine in which its user works. It is
// to be called inside a tool call, with that call's context, before anything is done that is not to be done twice. The
// server has one client, on stdio; it must not be serving yet.
//
// folders are paths, made of the roots that are file: URIs; the others are left out. declared is false for a client that
// did not declare the capability. A client of the protocols with a session is asked once, whoever calls meanwhile, and again
// after it said that its roots have changed. It has two seconds to answer; when it did not, or answered with an error, all
// who wait get an error, and the next call asks again: it may have been asking its user. From protocol 2026-07-28 on a server
// asks nothing of itself: the error is [ErrRootsAsked] at first, the call's context is cancelled, and the client is asked in
// each call.
// https://modelcontextprotocol.io/specification/2025-11-25/client/roots
func ClientRoots(s *server.MCPServer) func(ctx context.Context) (folders []string, declared bool, err error) {
	r := &roots{server: s}
	s.Use(withRoots)
	forget := func(context.Context, mcp.JSONRPCNotification) { r.forget() }
	s.AddNotificationHandler(mcp.MethodNotificationRootsListChanged, forget)
	s.AddNotificationHandler("notifications/initialized", forget) // it may be another client's
	return r.list
}

// roots remembers what the client of a session answered; that it did not is forgotten at once.
type roots struct {
	server *server.MCPServer
	mu     sync.Mutex
	asked  *question
}

// question is put to the client. What it holds may be read when done is closed.
type question struct {
	done    chan struct{}
	folders []string
	err     error
}

func (r *roots) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = nil
}

// forgetIf forgets a question, unless another one was put since.
func (r *roots) forgetIf(q *question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == q {
		r.asked = nil
	}
}

func (r *roots) list(ctx context.Context) (folders []string, declared bool, err error) {
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		if info.ClientCapabilities == nil || info.ClientCapabilities.Roots == nil {
			return nil, false, nil
		}
		folders, err = retried(ctx)
		return folders, true, err
	}
	session, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo)
	if !ok || session.GetClientCapabilities().Roots == nil {
		return nil, false, nil
	}
	q := r.ask(ctx)
	select {
	case <-q.done:
		return q.folders, true, q.err
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
}

// ask puts the question, unless it is being put or was answered. It goes on when the call that began it is given up: others
// wait too.
func (r *roots) ask(ctx context.Context) *question {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked != nil {
		return r.asked
	}
	q := &question{done: make(chan struct{})}
	r.asked = q
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rootsLimit)
	answered := make(chan question, 1)
	go func() {
		result, err := r.server.RequestRoots(ctx, mcp.ListRootsRequest{})
		if err != nil {
			answered <- question{err: fmt.Errorf("ask the client for its roots: %w", err)}
			return
		}
		answered <- question{folders: foldersOf(result)}
	}()
	go func() {
		defer cancel()
		defer close(q.done)
		select {
		case a := <-answered:
			q.folders, q.err = a.folders, a.err
		case <-ctx.Done(): // even a client that reads nothing any more holds up nobody
			q.err = ctx.Err()
		}
		if errors.Is(q.err, context.DeadlineExceeded) {
			q.err = fmt.Errorf("the client did not tell its roots within %v", rootsLimit)
		}
		if q.err != nil {
			r.forgetIf(q)
		}
	}()
	return q
}

// call is what one tool call carries of the exchange about roots that protocol 2026-07-28 makes of two calls.
type call struct {
	params mcp.MultiRoundTripParams
	ask    context.CancelCauseFunc
}

type callKey struct{}

// withRoots turns the answer of a call that needs the client's roots into the question for them.
func withRoots(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		result, err := next(context.WithValue(ctx, callKey{}, call{request.Params.MultiRoundTripParams, cancel}), request)
		if errors.Is(context.Cause(ctx), ErrRootsAsked) {
			return server.NewInputRequestBuilder(rootsKey).Roots(rootsKey).ToolResult(), nil
		}
		return result, err
	}
}

// retried reads the roots that came with a call which is made again, and asks for them in a first one.
func retried(ctx context.Context) ([]string, error) {
	c, ok := ctx.Value(callKey{}).(call)
	switch {
	case !ok:
		return nil, errors.New("roots are asked for inside a tool call only")
	case len(c.params.InputResponses) == 0 && c.params.RequestState == "":
		c.ask(ErrRootsAsked)
		return nil, ErrRootsAsked
	}
	result := server.RootsResponse(c.params.InputResponses, rootsKey)
	if result == nil || result.Roots == nil { // asking again would go in circles
		return nil, errors.New("the client called again without its roots")
	}
	return foldersOf(result), nil
}

func foldersOf(result *mcp.ListRootsResult) []string {
	var out []string
	for _, root := range result.Roots {
		if folder := folderOf(root.URI, runtime.GOOS == "windows"); folder != "" {
			out = append(out, folder)
		}
	}
	return out
}

// folderOf makes a path of a file: URI on this machine, and nothing of others.
func folderOf(uri string, windows bool) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || (u.Host != "" && !strings.EqualFold(u.Host, "localhost")) || strings.ContainsRune(u.Path, 0) {
		return ""
	}
	path := u.Path
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	if !windows {
		return filepath.Clean(path)
	}
	if len(path) < 3 || path[2] != ':' {
		return ""
	}
	path = strings.TrimRight(strings.ReplaceAll(path[1:], "/", `\`), `\`)
	if len(path) == 2 {
		path += `\` // a drive's root, and not its working folder
	}
	return path
}
