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
	// shareEvery is how often a share of the work is told at most.
	shareEvery = time.Second
	// progressPause lets the last notification leave before the answer: the library writes the two from different
	// goroutines, and a client drops progress that comes after the answer.
	progressPause = 15 * time.Millisecond
)

// notifier is how the client of a call hears of its progress, nil when it did not ask to.
func notifier(ctx context.Context, req mcp.CallToolRequest) func(params map[string]any) {
	srv := server.ServerFromContext(ctx)
	if srv == nil || req.Params.Meta == nil || req.Params.Meta.ProgressToken == nil {
		return nil
	}
	return func(params map[string]any) {
		params["progressToken"] = req.Params.Meta.ProgressToken
		// Progress is a courtesy: an answer must not fail because a client went deaf.
		_ = srv.SendNotificationToClient(ctx, "notifications/progress", params)
	}
}

// progress tells the client every few seconds that the call still waits, if it asked to be told. Its total is unknown on
// purpose: the video service tells no share of the work. The function returned ends it and must be called.
func progress(ctx context.Context, req mcp.CallToolRequest) (stop func()) {
	notify := notifier(ctx, req)
	if notify == nil {
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
				notify(map[string]any{"progress": int(time.Since(start).Seconds()), "message": "still waiting for news of this task"})
				sent = true
			}
		}
	})
	return func() { close(done); wait.Wait() }
}

// share tells the client how much of a known whole is done, once a second at most, and when all of it is. It may not be called by
// several at once.
func share(ctx context.Context, req mcp.CallToolRequest, of string) func(done, total int64) {
	notify := notifier(ctx, req)
	var told time.Time
	return func(done, total int64) {
		if notify == nil || done < total && time.Since(told) < shareEvery {
			return
		}
		told = time.Now()
		notify(map[string]any{"progress": done, "total": total, "message": of})
	}
}
