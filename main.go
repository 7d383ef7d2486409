// Command r2v-mcp is an MCP server with which AI agents make reference-to-video clips at a price known before, never
// bought twice and never lost.
//
// This package holds the commands, the environment's one reading, and the wiring; everything else is below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"

	"r2v-mcp/internal/serve"
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
		os.Exit(exitCode(err))
	}
}

// exit is an error that ends the program with a code of its own.
type exit struct {
	code int
	error
}

// exitCode is what the program ends with: 1 unless the error says another.
func exitCode(err error) int {
	if e, ok := errors.AsType[exit](err); ok {
		return e.code
	}
	return 1
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
		p.httpCommand(),
		p.tokenCommand(),
		p.tasksCommand(),
		p.trackCommand(),
		p.simulateCommand(),
		p.tryCommand(),
		&cobra.Command{Use: "version", Short: "Print the version, the protocol versions and the catalogue's date", Args: cobra.NoArgs, RunE: p.version},
	)
	return root
}

func (p *program) stdio(cmd *cobra.Command, _ []string) error {
	cfg, catalogue, err := p.config(cmd.Context())
	if err != nil {
		return err
	}
	l, err := newLife(cfg, catalogue, p.logTo(cfg.level), nil)
	if err != nil {
		return err
	}
	defer l.close()
	set, media := l.toolbox(cfg, catalogue)
	all, err := set.All()
	if err != nil {
		return err
	}
	srv := serve.NewServer(version, set.Instructions(), all)
	media.Folders = cfg.folders(serve.ClientRoots(srv))
	defer l.follow(cmd.Context())()
	warnings := slog.NewLogLogger(l.logger.Handler(), slog.LevelWarn)
	return serve.Stdio(cmd.Context(), srv, p.stdin, p.stdout, warnings)
}

func (p *program) version(cmd *cobra.Command, _ []string) error {
	_, c, err := p.config(cmd.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "r2v-mcp %s\nMCP %s\ncatalogue of %s\n", version, strings.Join(mcp.ValidProtocolVersions, ", "), c.Date)
	return err
}
