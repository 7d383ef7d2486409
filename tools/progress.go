package tools

import (
	"context"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const (
	// progressEvery keeps clients that count idle time patient.
	progressEvery = 5 * time.Second
	// progressPause lets the last notification leave before the answer: the library writes the two from different
	// goroutines, and a client drops progress that comes after the answer.
	progressPause = 15 * time.Millisecond
)

// progress tells the client every few seconds that the call still waits, if it asked to be told. Its total is unknown on
// purpose: the video service tells no share of the work. The function returned ends it and must be called.
func progress(ctx context.Context, req mcp.CallToolRequest) (stop func()) {
	srv := server.ServerFromContext(ctx)
	if srv == nil || req.Params.Meta == nil || req.Params.Meta.ProgressToken == nil {
		return func() {}
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		start, sent := time.Now(), false
		for {
			select {
			case <-done:
				if sent {
					time.Sleep(progressPause)
				}
				return
			case <-tick.C:
				// Progress is a courtesy: an answer must not fail because a client went deaf.
				_ = srv.SendNotificationToClient(ctx, "notifications/progress", map[string]any{
					"progressToken": req.Params.Meta.ProgressToken,
					"progress":      int(time.Since(start).Seconds()),
					"message":       "still waiting for news of this task",
				})
				sent = true
			}
		}
	})
	return func() { close(done); wait.Wait() }
}
