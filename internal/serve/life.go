package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// life is what calls depend on besides their requests: the server, or the stream that takes their answers. When its context
// ends, the call's does, with the same cause, and the call answers with what it has. The request's own context goes on
// meanwhile: the library throws the answer away when that has ended.
type life struct {
	ctx    context.Context
	logger *slog.Logger
	calls  atomic.Int64
	left   chan struct{} // told when the last call or message under way has ended; nil: nobody waits
}

type lifeKey struct{}

// hang is the middleware of tool calls that ties them to their life.
func hang(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, request mcp.CallToolRequest) (result *mcp.CallToolResult, err error) {
		l, ok := ctx.Value(lifeKey{}).(*life)
		if !ok {
			return next(ctx, request)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		began := time.Now()
		defer context.AfterFunc(l.ctx, func() {
			cause := context.Cause(l.ctx)
			if errors.Is(cause, ErrStopping) {
				sleep(ctx, time.Until(began.Add(youth)))
			}
			cancel(cause)
		})()
		l.calls.Add(1)
		defer l.leave()
		defer func() {
			if recover() != nil { // the library shows a panic's value to the client
				l.logger.Error("a tool panicked", "tool", request.Params.Name, "at", panicked())
				result, err = nil, errors.New("the tool failed; it is not the caller's fault")
			}
		}()
		return next(ctx, request)
	}
}

// youth is for how long a call goes on undisturbed although the server stops: most have ended by then, and one that waits waits a
// moment longer.
const youth = time.Second / 2

// sleep waits for a while, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *life) leave() {
	if l.calls.Add(-1) > 0 {
		return
	}
	select {
	case l.left <- struct{}{}:
	default:
	}
}

const drainLimit = 1200 * time.Millisecond

// drain waits for the messages under way, whose context has ended, until their answers are written.
func (l *life) drain(ctx context.Context) {
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	for l.calls.Load() > 0 {
		select {
		case <-l.left:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
