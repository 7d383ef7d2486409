package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/spf13/cobra"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/metrics"
	"r2v-mcp/internal/page"
	"r2v-mcp/internal/serve"
	"r2v-mcp/internal/trace"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// waitsOverHTTP is how many calls may wait at a time: each holds a connection and some memory, and nothing else.
const waitsOverHTTP = 10_000

func (p *program) httpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "http", Short: "Serve MCP clients over HTTP, and the task page", Args: cobra.NoArgs, RunE: p.http,
		Long: "Serve MCP clients over HTTP: streamable HTTP at /mcp, the legacy transport at /sse, and the task page at /.\n" +
			"docs/deploy.md says how, for a machine and for several. R2V_ADDR is where it listens.",
	}
}

func (p *program) http(cmd *cobra.Command, _ []string) error {
	cfg, catalogue, err := p.config(cmd.Context())
	if err != nil {
		return err
	}
	if err := cfg.verifyOpen(); err != nil {
		return err
	}
	debug.SetGCPercent(heapGrowthHTTP) // at once: nobody waits for the start of a server as for that of a tool
	logger := slog.New(trace.Handler(slog.NewJSONHandler(p.stderr, &slog.HandlerOptions{Level: cfg.level, ReplaceAttr: withAdvice}), person))
	people, err := cfg.people(logger)
	if err != nil {
		return err
	}
	counted := metrics.New(version)
	l, err := newLife(cfg, catalogue, logger, counted)
	if err != nil {
		return err
	}
	defer l.close()
	l.growth = heapGrowthHTTP
	if err := l.openLedger(cmd.Context()); err != nil {
		return err
	}
	o := serve.Options{Hosts: cfg.hosts(), Origins: cfg.AllowedOrigins, PublicURL: cfg.PublicURL, Ready: l.tasks.Ledger.Ready, Rate: cfg.rate, Logger: logger}
	if err := cfg.doors(cmd.Context(), people, &o); err != nil {
		return err
	}
	base := cfg.base(o.Listener.Addr())
	if err := l.surface(cfg, catalogue, counted, base, &o); err != nil {
		return err
	}
	l.takeHints(cfg, counted, &o)
	if o.Page, err = l.page(cfg, catalogue, people); err != nil {
		return err
	}
	defer l.follow(cmd.Context())()
	defer l.lookAtStorage(cmd.Context())()
	logger.Info("serving", "url", cfg.scheme()+"://"+o.Listener.Addr().String(), "tokens", cfg.guarded(), "ledger", cfg.ledgerName())
	return serve.HTTP(cmd.Context(), o)
}

// person names who asks, for a line of the log.
func person(ctx context.Context) string { return auth.From(ctx).Name }

// surface makes the tools and what counts them.
func (l *life) surface(cfg *Config, catalogue *video.Catalogue, counted *metrics.Metrics, base string, o *serve.Options) error {
	set, media := l.toolbox(cfg, catalogue)
	set.Person, set.MostWaiting, set.HidePaths, set.Link = person, waitsOverHTTP, cfg.guarded(), l.link(base)
	l.tasks.Named = cfg.guarded() // what is said to people with a name names no place of this machine
	set.NoFiles = cfg.FileRoots == "" || cfg.FileRoots == "off"
	set.Called = func(ctx context.Context, c tools.Call) {
		counted.Call(c.Tool, c.Outcome, c.Took)
		about := []any{"tool", c.Tool, "outcome", c.Outcome, "task", c.TaskID, "ms", c.Took.Milliseconds()}
		if c.Code != "" {
			about = append(about, "code", c.Code)
		}
		if c.Err != nil {
			about = append(about, "err", c.Err)
		}
		l.logger.InfoContext(ctx, "call", about...)
	}
	all, err := set.All()
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Handler = traced(all[i].Handler)
	}
	o.Server = serve.NewServer(version, set.Instructions(), all)
	if !set.NoFiles {
		media.Folders = cfg.folders(nil) // the operator's: nobody's own are on this machine
	}
	o.Metrics = counted.Handler()
	return nil
}

// traced takes the trace of a call from its _meta, which belongs to the call as the headers do not.
func traced(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if req.Params.Meta != nil {
			ctx = trace.WithMeta(ctx, req.Params.Meta.AdditionalFields)
		}
		return next(ctx, req)
	}
}

// people are those who may ask, nil for everybody on this machine.
func (c *Config) people(logger *slog.Logger) (auth.Verifier, error) {
	var all []auth.Verifier
	if c.TokensFile != "" {
		tokens, err := auth.OpenTokens(c.TokensFile, logger)
		if err != nil {
			return nil, fmt.Errorf("R2V_TOKENS_FILE: %w", err)
		}
		all = append(all, tokens)
	}
	if c.OIDCIssuer != "" {
		u, err := url.Parse(c.OIDCIssuer)
		if err != nil {
			return nil, fmt.Errorf("R2V_OIDC_ISSUER: %w", err)
		}
		client, err := egress.NewClient(egress.Settings{Allow: append(c.EgressAllow, u.Host), Proxy: c.EgressProxy, UserAgent: userAgent})
		if err != nil {
			return nil, err
		}
		issuer, err := auth.NewOIDC(c.OIDCIssuer, c.OIDCAudience, client, logger)
		if err != nil {
			return nil, fmt.Errorf("R2V_OIDC_ISSUER: %w", err)
		}
		all = append(all, issuer)
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // nobody has to say who they are
	}
	return auth.Any(all...), nil
}

// doors opens the listener, with TLS where that is set, and puts who may pass before it, and the trace of what passes.
func (c *Config) doors(ctx context.Context, people auth.Verifier, o *serve.Options) (err error) {
	if c.TLSCert != "" {
		if o.TLS, err = serve.Certificate(c.TLSCert, c.TLSKey, o.Logger); err != nil {
			return fmt.Errorf("R2V_TLS_CERT and R2V_TLS_KEY: %w", err)
		}
	}
	if o.Listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Addr); err != nil {
		return fmt.Errorf("R2V_ADDR: %w", err)
	}
	if people == nil {
		o.Auth = trace.Middleware
		return nil
	}
	resource := func(r *http.Request) string { return c.origin(r) + "/mcp" }
	var challenge func(*http.Request) string
	if c.OIDCIssuer != "" {
		o.WellKnown = auth.Metadata(resource, c.OIDCIssuer)
		challenge = func(r *http.Request) string { return auth.MetadataURL(resource(r)) }
	}
	require := auth.Require(people, challenge)
	o.Auth = func(next http.Handler) http.Handler { return require(trace.Middleware(next)) }
	return nil
}

// origin is where a client that asks has found this server. The Host header was checked before.
func (c *Config) origin(r *http.Request) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return c.scheme() + "://" + r.Host
}

// page makes the task page.
func (l *life) page(cfg *Config, catalogue *video.Catalogue, people auth.Verifier) (http.Handler, error) {
	o := page.Options{
		Tasks: l.tasks, Usual: l.tasks.Ledger.Usual, Currency: catalogue.Region(cfg.Region).Currency,
		Task:  l.tasks.Ledger.TaskOf,
		Spent: l.tasks.Ledger.Spent, Secure: cfg.TLSCert != "" || strings.HasPrefix(cfg.PublicURL, "https:"),
	}
	if l.store != nil {
		o.Clip = l.clip
	}
	if people != nil {
		o.SignIn = people.Verify
	}
	return page.New(o)
}
