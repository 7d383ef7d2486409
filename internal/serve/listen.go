package serve

import (
	"context"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// acknowledged lets the acknowledgement of subscriptions/listen leave before its answer, which comes at once where there is nothing
// to subscribe to: the library writes the two from different goroutines, and drops what comes late.
func acknowledged() *server.Hooks {
	const pause = 15 * time.Millisecond
	hooks := &server.Hooks{}
	hooks.AddAfterSubscriptionsListen(func(ctx context.Context, _ any, _ *mcp.SubscriptionsListenRequest, _ *mcp.SubscriptionsListenResult) {
		sleep(ctx, pause)
	})
	hooks.AddOnRegisterSession(opened)
	return hooks
}
