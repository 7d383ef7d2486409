package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// databasePatience is how long the start waits for a database that gives no answer.
const databasePatience = 5 * time.Second

// openLedger opens the ledger, and makes it, so that a server that could record nothing does not pass for a healthy one. A database that
// is not up yet is no error: the server is not ready until it is.
func (l *life) openLedger(ctx context.Context) error {
	setting, opened := "R2V_DATA_DIR", make(chan error, 1)
	var late <-chan time.Time
	if l.tasks.Ledger.DatabaseURL != "" {
		setting, late = "R2V_DATABASE_URL", time.After(databasePatience)
	}
	go func() { opened <- l.tasks.Ledger.Ready(ctx) }()
	select {
	case err := <-opened:
		switch {
		case errors.Is(err, ledger.ErrDown):
			l.logger.WarnContext(ctx, "the database is not up; the server is not ready until it is", "err", err)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("%s: %w", setting, advised(err))
		}
	case <-late:
		l.logger.WarnContext(ctx, "the database gives no answer; the server is not ready until it does: start it or check R2V_DATABASE_URL")
	case <-ctx.Done():
	}
	return nil
}

// withAdvice writes errors of the ledger into a log with what is to be done: whoever reads it is who can do it.
func withAdvice(_ []string, a slog.Attr) slog.Attr {
	err, _ := a.Value.Any().(error)
	if known, ok := errors.AsType[*video.Error](err); ok && known.Code == "LedgerUnavailable" {
		a.Value = slog.StringValue(err.Error() + ". " + known.Advice)
	}
	return a
}

// lookAtStorage looks once, beside everything else, whether clips can be saved to the storage: who learns it from the first clip has paid
// for that. What it returns ends it.
func (l *life) lookAtStorage(ctx context.Context) (stop func()) {
	bucket, ok := l.store.(*clips.Bucket)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		if err := bucket.Check(ctx); err != nil && ctx.Err() == nil {
			l.logger.WarnContext(ctx, "clips cannot be saved", "err", err)
		}
	}()
	return func() { cancel(); <-looked }
}
