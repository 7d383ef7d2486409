// Command r2v-mcp is an MCP server with which AI agents make reference-to-video clips at a price known before, never
// bought twice and never lost.
//
// This package holds the commands, the environment's one reading, and the wiring; everything else is below.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/spf13/cobra"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/serve"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

const version = "0.1.0"

// program is what the commands may touch of the world outside.
type program struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	p := &program{environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	signal.Ignore(syscall.SIGPIPE) // a client that is gone must not end a purchase under way
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program although a purchase is under way
	err := p.command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "r2v-mcp: "+strings.ReplaceAll(err.Error(), "\n", "\nr2v-mcp: "))
		os.Exit(1)
	}
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "r2v-mcp",
		Short: "An MCP server for reference-to-video clips: price known before, never bought twice, never lost.",
		Long: "An MCP server for reference-to-video clips: price known before, never bought twice, never lost.\n" +
			"Without a command it serves one MCP client on stdin and stdout. The README lists its settings.",
		Args:              cobra.NoArgs,
		RunE:              p.stdio,
		SilenceErrors:     true, // main prints them
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(
		&cobra.Command{Use: "stdio", Short: "Serve one MCP client on stdin and stdout (the default)", Args: cobra.NoArgs, RunE: p.stdio},
		p.simulateCommand(),
		p.tryCommand(),
		&cobra.Command{Use: "version", Short: "Print the version, the protocol versions and the catalogue's date", Args: cobra.NoArgs, RunE: p.version},
	)
	return root
}

func (p *program) stdio(cmd *cobra.Command, _ []string) error {
	s, err := p.service(cmd.Context())
	if err != nil {
		return err
	}
	defer s.tasks.Drain()
	return serve.Stdio(cmd.Context(), s.mcp, p.stdin, p.stdout, slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn))
}

// service is a server wired together.
type service struct {
	mcp    *server.MCPServer
	tasks  *tracker.Tracker
	logger *slog.Logger
}

func (p *program) service(ctx context.Context) (*service, error) {
	cfg, catalogue, err := p.config(ctx)
	if err != nil {
		return nil, err
	}
	s := &service{logger: slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: cfg.level}))}
	if s.tasks, err = newTracker(cfg, catalogue, s.logger); err != nil {
		return nil, err
	}
	set := &tools.Set{
		Catalogue: catalogue, Region: cfg.Region, Tasks: s.tasks, BudgetPerTask: cfg.budget,
		MaxWait: cfg.MaxWait, PollInterval: cfg.PollInterval, Saves: s.tasks.Saver != nil,
	}
	all, err := set.All()
	if err != nil {
		return nil, err
	}
	s.mcp = serve.NewServer(version, set.Instructions(), all)
	return s, nil
}

func newTracker(cfg *Config, catalogue *video.Catalogue, logger *slog.Logger) (*tracker.Tracker, error) {
	t := &tracker.Tracker{
		Provider: provider.WithoutKey{}, Ledger: ledger.NewMemory(cfg.DuplicateWindow), PollInterval: cfg.PollInterval,
		Logger: logger,
	}
	if cfg.APIKey != "" {
		client, err := dashscope.New(dashscope.Config{
			BaseURL: cfg.BaseURL, APIKey: cfg.APIKey, Region: cfg.Region, Workspace: cfg.Workspace, UserAgent: "r2v-mcp/" + version,
		})
		if err != nil {
			return nil, err
		}
		t.Provider = provider.NewDashScope(client, catalogue)
	}
	door, err := egress.NewClient(cfg.egressAllow())
	if err != nil {
		return nil, err
	}
	if cfg.SaveDir != "off" && cfg.SaveDir != "" {
		t.Saver = tracker.Folder{Dir: cfg.SaveDir, Client: door}
	}
	return t, nil
}

func (p *program) version(cmd *cobra.Command, _ []string) error {
	_, c, err := p.config(cmd.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "r2v-mcp %s\nMCP %s\ncatalogue of %s\n", version, strings.Join(mcp.ValidProtocolVersions, ", "), c.Date)
	return err
}
