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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	s, logger, err := p.server(cmd.Context())
	if err != nil {
		return err
	}
	return serve.Stdio(cmd.Context(), s, p.stdin, p.stdout, slog.NewLogLogger(logger.Handler(), slog.LevelWarn))
}

// server wires everything together.
func (p *program) server(ctx context.Context) (*server.MCPServer, *slog.Logger, error) {
	catalogue, err := p.catalogue()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := readConfig(ctx, p.environ, catalogue)
	if err != nil {
		return nil, nil, err
	}
	var level slog.LevelVar
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, nil, err
	}
	logger := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: &level}))
	tasks, err := newTracker(cfg, catalogue)
	if err != nil {
		return nil, nil, err
	}
	set := &tools.Set{
		Catalogue: catalogue, Region: cfg.Region, Tasks: tasks, BudgetPerTask: cfg.budget,
		MaxWait: cfg.MaxWait, PollInterval: cfg.PollInterval,
	}
	all, err := set.All()
	if err != nil {
		return nil, nil, err
	}
	return serve.NewServer(version, set.Instructions(), all), logger, nil
}

// catalogue is the built-in one, or the operator's file.
func (p *program) catalogue() (*video.Catalogue, error) {
	for _, line := range p.environ {
		if path, ok := strings.CutPrefix(line, "R2V_PRICES_FILE="); ok && path != "" {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("R2V_PRICES_FILE: %w", err)
			}
			c, err := video.ParseCatalogue(data)
			if err != nil {
				return nil, fmt.Errorf("R2V_PRICES_FILE: %s: %w", path, err)
			}
			return c, nil
		}
	}
	return video.BuiltIn()
}

func newTracker(cfg *Config, catalogue *video.Catalogue) (*tracker.Tracker, error) {
	t := &tracker.Tracker{
		Provider: provider.WithoutKey{}, Ledger: ledger.NewMemory(cfg.DuplicateWindow), PollInterval: cfg.PollInterval,
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
		return nil, fmt.Errorf("R2V_EGRESS_ALLOW: %w", err)
	}
	if cfg.SaveDir != "off" {
		t.Saver = tracker.Folder{Dir: cfg.SaveDir, Client: door}
	}
	return t, nil
}

func (p *program) version(*cobra.Command, []string) error {
	c, err := p.catalogue()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "r2v-mcp %s\nMCP %s\ncatalogue of %s\n", version, strings.Join(mcp.ValidProtocolVersions, ", "), c.Date)
	return err
}
