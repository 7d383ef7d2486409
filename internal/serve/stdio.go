// Package serve offers the tools to MCP clients.
package serve

import (
	"context"
	"io"
	"log"

	"github.com/mark3labs/mcp-go/server"
)

// Name is the server's name to clients. It is short and has no underscore, since clients build tool names of it.
const Name = "r2v"

// NewServer makes the MCP server of a set of tools. It serves both protocol eras.
func NewServer(version, instructions string, tools []server.ServerTool) *server.MCPServer {
	s := server.NewMCPServer(Name, version,
		server.WithToolCapabilities(false),
		server.WithInstructions(instructions),
		server.WithMethodCacheHints("tools/list", 60_000, "public"),
		server.WithHooks(acknowledged()),
	)
	s.AddTools(tools...)
	return s
}

// Stdio serves one client on in and out until in ends or ctx does, and then waits for calls that are under way. Only
// protocol messages are written to out; the library's own complaints go to logger.
func Stdio(ctx context.Context, s *server.MCPServer, in io.Reader, out io.Writer, logger *log.Logger) error {
	stdio := server.NewStdioServer(s)
	for _, option := range []server.StdioOption{
		server.WithErrorLogger(logger),
		server.WithWorkerPoolSize(100), // a waiting get_task holds a worker
		server.WithQueueSize(1024),
	} {
		option(stdio)
	}
	err := stdio.Listen(ctx, in, rootsWriter{out})
	if ctx.Err() != nil {
		return nil // asked to stop
	}
	return err
}
