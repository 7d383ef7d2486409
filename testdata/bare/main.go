// Command bare is the yardstick of the start-up test: an MCP server of the same library with three tools that do nothing.
package main

import (
	"context"
	"log"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func main() {
	s := server.NewMCPServer("bare", "1", server.WithToolCapabilities(false))
	for _, name := range []string{"one", "two", "three"} {
		s.AddTool(mcp.NewTool(name, mcp.WithDescription("Does nothing."), mcp.WithString("text", mcp.Required())), nothing)
	}
	if err := server.ServeStdio(s); err != nil {
		log.Fatal(err)
	}
}

func nothing(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText("nothing"), nil
}
