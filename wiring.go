package main

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
)

const (
	// heapGrowth is by how many percent the heap may grow before it is collected, once a server has started: it runs all day
	// beside others, and memory is worth more there than a few milliseconds of computing in a minute.
	heapGrowth = 20
	userAgent  = "r2v-mcp/" + version
	// started is when a client has got its list of tools.
	started = time.Second
)

// life is the life of tasks as the settings want it: what stdio and track have in common.
type life struct {
	tasks   *tracker.Tracker
	uploads *upload.Uploads
	door    *http.Client // to the links of results
	looking *http.Client // to the addresses of references
	logger  *slog.Logger
	hasKey  bool // to look at tasks with
}

func newLife(cfg *Config, catalogue *video.Catalogue, logger *slog.Logger) (*life, error) {
	t := &tracker.Tracker{
		Provider: provider.WithoutKey{}, PollInterval: cfg.PollInterval, Patience: min(video.LongestCall, cfg.MaxWait), Logger: logger, Ledger: cfg.ledger(),
	}
	if cfg.APIKey != "" {
		client, err := dashscope.New(dashscope.Config{
			BaseURL: cfg.BaseURL, APIKey: cfg.APIKey, Region: cfg.Region, Workspace: cfg.Workspace, UserAgent: userAgent,
		})
		if err != nil {
			return nil, err
		}
		t.Provider = provider.NewDashScope(client, catalogue)
	}
	door, err := egress.NewClient(egress.Settings{Allow: cfg.egressAllow(), Proxy: cfg.EgressProxy, UserAgent: userAgent})
	if err != nil {
		return nil, err
	}
	looking := door
	if region := catalogue.Region(cfg.Region); region == nil || !region.Local { // a gateway on this machine is for results, not for models
		if looking, err = egress.NewClient(egress.Settings{Allow: cfg.EgressAllow, Proxy: cfg.EgressProxy, UserAgent: userAgent}); err != nil {
			return nil, err
		}
	}
	if cfg.SaveDir != "off" && cfg.SaveDir != "" {
		t.Saver = tracker.Folder{Dir: cfg.SaveDir, Client: door}
	}
	return &life{tasks: t, uploads: newUploads(t), door: door, looking: looking, logger: logger, hasKey: cfg.APIKey != ""}, nil
}

// ledger is the one that the settings name. It opens nothing yet.
func (c *Config) ledger() *ledger.Ledger {
	return ledger.New(ledger.Options{
		Path: c.ledgerPath(), DatabaseURL: c.Database, Upstream: c.upstream(), Account: c.account(),
		Window: c.DuplicateWindow, BudgetPerDay: c.perDay,
	})
}

// logTo makes the program's logger.
func (p *program) logTo(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// follow follows the ledger's tasks beside everything else until stop is called, which returns when nothing of it goes on.
// Without a key nothing is followed.
func (l *life) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	if l.hasKey {
		following.Go(func() { l.tasks.Run(ctx) })
	}
	calm := time.AfterFunc(started, func() { debug.SetGCPercent(heapGrowth) })
	return func() { calm.Stop(); cancel(); following.Wait() }
}

// close ends what is under way, as far as it must be ended, and lets go of the ledger.
func (l *life) close() {
	l.uploads.Drain()
	l.tasks.Drain()
	if err := l.tasks.Ledger.Close(); err != nil {
		l.logger.Warn("the ledger could not be closed", "err", err)
	}
}
