package main

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/metrics"
	"r2v-mcp/internal/preflight"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

const (
	// heapGrowth is by how many percent the heap may grow before it is collected, once a server has started: it runs all day
	// beside others, and memory is worth more there than a few milliseconds of computing in a minute.
	heapGrowth = 20
	// heapGrowthHTTP is the same of a server for many: at 20 a call costs a quarter more, at 100 a thousand callers who wait hold
	// 90 MB while others call, and at 50 they hold 85.
	heapGrowthHTTP = 50

	userAgent = "r2v-mcp/" + version
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
	store   store            // nil where nothing is saved
	sender  *callback.Sender // nil where nobody is called back
	hasKey  bool             // to look at tasks with
	growth  int              // of the heap, in percent
}

// newLife makes what the settings name. What is counted is told to counted, if there is one.
func newLife(cfg *Config, catalogue *video.Catalogue, logger *slog.Logger, counted *metrics.Metrics) (*life, error) {
	t := &tracker.Tracker{
		PollInterval: cfg.PollInterval, Patience: min(video.LongestCall, cfg.MaxWait), Logger: logger, Ledger: cfg.ledger(),
	}
	if err := cfg.provide(t, catalogue); err != nil {
		return nil, err
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
	l := &life{tasks: t, door: door, looking: looking, logger: logger, hasKey: cfg.APIKey != "", growth: heapGrowth}
	if l.store, err = cfg.store(door); err != nil {
		return nil, err
	}
	if l.store != nil {
		t.Saver = l.store
	}
	if l.sender, err = cfg.sender(); err != nil {
		return nil, err
	}
	if counted != nil {
		l.count(counted)
	}
	l.uploads = newUploads(t)
	return l, nil
}

// count lets a tracker's work be counted.
func (l *life) count(m *metrics.Metrics) {
	t := l.tasks
	t.Provider = m.Provider(t.Provider)
	t.Ended = func(_ context.Context, task video.Task) { m.Ended(task) }
	t.Billed, t.Called = m.Billed, m.Called
	if t.Saver != nil {
		t.Saver = m.Saves(t.Saver)
	}
	m.CountOpen(t.Ledger.CountOpen)
}

// toolbox makes the tools' set, and what looks at references for them.
func (l *life) toolbox(cfg *Config, catalogue *video.Catalogue) (*tools.Set, *preflight.Preflight) {
	media := &preflight.Preflight{Client: l.looking, Uploads: l.uploads, Service: cfg.serviceHost()}
	set := &tools.Set{
		Catalogue: catalogue, Region: cfg.Region, Tasks: l.tasks, Media: media, BudgetPerTask: cfg.perTask,
		MaxWait: cfg.MaxWait, PollInterval: cfg.PollInterval, Saves: l.tasks.Saver != nil, Link: l.link(""),
		Console: l.tasks.Provider.Words().Console, NoCancel: cfg.Provider == viaEvoLink,
	}
	l.callBack(set)
	return set, media
}

// ledger is the one that the settings name. It opens nothing yet.
func (c *Config) ledger() *ledger.Ledger {
	return ledger.New(ledger.Options{
		Path: c.ledgerPath(), DatabaseURL: c.Database, Upstream: c.upstream(), Account: c.account(),
		Window: c.DuplicateWindow, BudgetPerDay: c.perDay, BudgetPerPerson: c.perPerson,
		Patience: min(video.LongestCall, c.MaxWait),
	})
}

// logTo makes the program's logger.
func (p *program) logTo(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// follow follows the ledger's tasks beside everything else until stop is called, which returns when nothing of it goes on.
// Without a key nothing is followed, and ends that are known are told all the same.
func (l *life) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	run := l.tasks.RunCallbacks
	if l.hasKey {
		run = l.tasks.Run
	}
	following.Go(func() { run(ctx) })
	calm := time.AfterFunc(started, func() { debug.SetGCPercent(l.growth) })
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
