package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// However a conversation ends, a purchase under way is finished, and its id is in the log: the clip is paid for.
func TestAPurchaseUnderWayOutlivesTheConversation(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, p *process){
		"the client closes stdin": func(t *testing.T, p *process) { require.NoError(t, p.in.Close()) },
		"the client dies": func(t *testing.T, p *process) {
			require.NoError(t, p.in.Close())
			require.NoError(t, p.stdout.Close())
		},
		"asked to stop":        func(t *testing.T, p *process) { require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM)) },
		"interrupted":          func(t *testing.T, p *process) { require.NoError(t, p.cmd.Process.Signal(os.Interrupt)) },
		"the terminal is gone": func(t *testing.T, p *process) { require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, release := make(chan struct{}), make(chan struct{})
			sim := simulator.New(simulator.Options{APIKey: canaryKey})
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/video-synthesis") {
					close(arrived)
					<-release
				}
				sim.ServeHTTP(w, r)
			}))
			defer upstream.Close()
			p := greeted(t, (&service{Server: upstream}).env(t.TempDir())...)
			p.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"generate_r2v","arguments":` +
				`{"prompt":"Image 1 waves","references":["` + picture + `"]}}}`)
			<-arrived
			end(t, p)
			close(release)
			require.NoError(t, p.cmd.Wait(), "%s", &p.stderr)
			require.Regexp(t, `msg=bought task=r2v-\w+ provider_task_id=[0-9a-f-]{36} model=wan2.7-r2v estimate="0.75 USD"`, p.stderr.String())
			require.NotContains(t, p.stderr.String(), canaryKey)
			require.NotContains(t, p.stderr.String(), "waves", "no prompt is logged")
		})
	}
}
