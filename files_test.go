package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator/clip"
)

// album is a folder with a clip of 3.2 seconds.
func album(t *testing.T) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	content, err := clip.Bytes(clip.Spec{Width: 320, Height: 240, Duration: 3200 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "dancer.mp4"), content, 0o600))
	return folder
}

func dancing() map[string]any {
	return map[string]any{"prompt": "Video 1 dances", "duration": 4, "resolution": "720P", "references": []any{"dancer.mp4"}}
}

func TestAFileOfTheWorkingFolderIsAReferenceForEveryClient(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := &conversation{service: newService(t, 600), t: t, home: t.TempDir()}
			told := make(chan progressed, 100)
			folder := album(t)
			c.agent = k.dial(t, c.server(folder), k.modern, func(p progressed) { told <- p })
			estimate := c.ask("estimate_cost", dancing())
			require.Equal(t, []json.Number{"0.72", "0.72"}, []json.Number{estimate.Cost.Low, estimate.Cost.High})
			made, err := c.try("generate_r2v", dancing(), "my-token")
			require.NoError(t, err)
			info, err := os.Stat(filepath.Join(folder, "dancer.mp4"))
			require.NoError(t, err)
			require.Equal(t, progressed{"my-token", float64(info.Size()), float64(info.Size())}, <-told, "the file is sent")
			task := c.ask("get_task", map[string]any{"task_id": made.TaskID, "wait_seconds": 20})
			require.Equal(t, "SUCCEEDED", task.Status)
			require.Equal(t, json.Number("0.72"), task.Cost.Billed)
			require.EqualValues(t, 1, c.creates.Load())
		})
	}
}

// server is a server process that is started in a folder.
func (c *conversation) server(folder string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), time.Minute) // it outlives the closing of the client
	c.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, built(c.t, "r2v-mcp"), "stdio")
	cmd.Env, cmd.Dir = c.env(c.home), folder
	return cmd
}

func TestTheRootsOfAClientAreTheFoldersWhoseFilesMayBeNamed(t *testing.T) {
	for _, version := range []string{legacyVersion, modernVersion} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := &conversation{service: newService(t, 600), t: t, home: t.TempDir()}
			folder, working := album(t), album(t)
			client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
			client.AddRoots(&mcp.Root{URI: (&url.URL{Scheme: "file", Path: folder}).String()}) //nolint:staticcheck // deprecated, and what clients have
			session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: c.server(working)}, &mcp.ClientSessionOptions{ProtocolVersion: version})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, session.Close()) })
			c.agent = official{session}
			made := c.ask("generate_r2v", dancing())
			require.NotEmpty(t, made.TaskID)
			require.EqualValues(t, 1, c.creates.Load(), "the question for the roots buys nothing twice")
			outside := dancing()
			outside["references"] = []any{filepath.Join(working, "dancer.mp4")}
			_, err = c.try("generate_r2v", outside, "")
			require.ErrorContains(t, err, "is outside the folders that may be read")
			require.ErrorContains(t, err, folder)
		})
	}
}

// A gateway on this machine is what results come from. Models name addresses, and may not look around with its help.
func TestAGatewayOnThisMachineIsNotOpenToReferences(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(gateway.Close)
	c := &conversation{service: &service{Server: gateway}, t: t, home: t.TempDir()}
	cmd := c.server(t.TempDir())
	cmd.Env = append(cmd.Env, "DASHSCOPE_REGION=singapore")
	c.agent = dialOfficial(t, cmd, false, func(progressed) {})
	c.ask("estimate_cost", map[string]any{"prompt": "Image 1 waves", "references": []any{gateway.URL + "/admin/a.png"}})
	require.Empty(t, asked)
}

func TestAClientThatKeepsItsRootsToItselfOpensNoFile(t *testing.T) {
	t.Parallel()
	c := &conversation{service: newService(t, 600), t: t, home: t.TempDir()}
	p := start(t, built(t, "r2v-mcp"), album(t), c.env(c.home)...)
	ask := func(id int, more string) string {
		p.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"generate_r2v","arguments":{"prompt":"Video 1 dances","references":["dancer.mp4"]},`+
			`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"roots":{}}}%s}}`, id, more))
		return string(p.line())
	}
	require.Contains(t, ask(1, ""), "roots/list")
	require.Contains(t, ask(2, `,"inputResponses":{"roots":{"error":{"code":-32603,"message":"no"}}},"requestState":"roots"`), "no file on this computer may be read")
	require.Zero(t, c.creates.Load())
}

func TestTheOperatorsFoldersCountBeforeAllOthers(t *testing.T) {
	t.Parallel()
	c := &conversation{service: newService(t, 600), t: t, home: t.TempDir()}
	open, working := album(t), album(t)
	for setting, says := range map[string]string{open: "is outside the folders", "off": "no folder is open to this server"} {
		cmd := c.server(working)
		cmd.Env = append(cmd.Env, "R2V_FILE_ROOTS="+setting)
		c.agent = dialOfficial(t, cmd, false, func(progressed) {})
		outside := dancing()
		outside["references"] = []any{filepath.Join(working, "dancer.mp4")}
		_, err := c.try("generate_r2v", outside, "")
		require.ErrorContains(t, err, says)
	}
	require.Zero(t, c.creates.Load())
}
