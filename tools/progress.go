package tools

import (
	"context"
	"fmt"
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

// progress tells the client every few seconds that the call still waits. Its total is known where the video service tells how much of
// the work is done: percent is 0 where it does not, or not yet. The function returned ends it and must be called.
func progress(notify func(params map[string]any), percent func() int) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		start, sent, told, said := time.Now(), false, 0.0, 0
		for {
			select {
			case <-done:
				if sent {
					time.Sleep(progressPause)
				}
				return
			case <-tick.C:
				// What a call begins with it goes on with: seconds and percent have no common measure, and progress must not fall.
				if now := percent(); now > 0 {
					said = now
				}
				switch {
				case told == 0 && (sent || said == 0):
					notify(map[string]any{"progress": int(time.Since(start).Seconds()), "message": "still waiting for news of this task"})
				default:
					told = further(told, said)
					notify(map[string]any{"progress": told, "total": 100, "message": fmt.Sprintf("the service says that %d %% are done", said)})
				}
				sent = true
			}
		}
	})
	return func() { close(done); wait.Wait() }
}

// further is the next percentage to tell: each is above the one before, as the protocol asks, also while the service says the same or
// less, and none is 100 before the end.
func further(told float64, percent int) float64 {
	if next := float64(min(percent, 99)); next > told {
		return next
	}
	return told + (100-told)/1000
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
