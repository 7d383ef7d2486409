package upload_test

import (
	"bytes"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
)

// What holds in memory holds on a wire, where the other side may answer before all is sent.
func TestFilesOfMegabytesGoThroughSockets(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	server := httptest.NewServer(sim)
	defer server.Close()
	client, err := dashscope.New(dashscope.Config{BaseURL: server.URL + "/api/v1", APIKey: "sk-test"})
	require.NoError(t, err)
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	l := ledger.New(ledger.Options{Path: filepath.Join(t.TempDir(), "ledger.db")})
	defer l.Close()
	u := &upload.Uploads{Provider: provider.NewDashScope(client, catalogue), Ledger: l}
	defer u.Drain()

	var done atomic.Int64
	files := []upload.File{file(picture(3<<20, 1)), file(picture(2<<20, 2)), file(picture(1<<20, 3))}
	urls, err := u.Bring(t.Context(), model, files, func(there, total int64) {
		require.EqualValues(t, 6<<20, total)
		done.Store(there)
	})
	require.NoError(t, err)
	require.EqualValues(t, 6<<20, done.Load())
	again, err := u.Bring(t.Context(), model, files, nil)
	require.NoError(t, err)
	require.Equal(t, urls, again)
	require.Equal(t, 3, simulatortest.Counters(t, sim)["upload"])

	whole := picture(2<<20, 4)
	now := bytes.Clone(whole)
	now[len(now)-1]++
	changed := file(whole)
	changed.Open = file(now).Open
	_, err = u.Bring(t.Context(), model, []upload.File{changed}, nil)
	require.Equal(t, "FileChanged", failure(t, err).Code)
	_, err = u.Bring(t.Context(), model, []upload.File{file(whole)}, nil)
	require.NoError(t, err)

	// An upload that is refused at its beginning: the storage answers while the file is still being sent.
	refuse := httptest.NewRequestWithContext(t.Context(), "POST", "/control/faults", bytes.NewBufferString(`{"fault":"access-denied","on":"upload","times":-1}`))
	refuse.RemoteAddr = ""
	sim.ServeHTTP(httptest.NewRecorder(), refuse)
	_, err = u.Bring(t.Context(), model, []upload.File{file(picture(8<<20, 5))}, nil)
	require.NotEmpty(t, failure(t, err).Code)
}
