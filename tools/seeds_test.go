package tools_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every request that the vendor's own pages show can be said as one generate_r2v call, and arrives upstream as it is
// shown there. Only defaults that decide the price may be added.
func TestVendorExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/seeds/*.json")
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var seed struct {
				Arguments json.RawMessage
				Body      map[string]any
			}
			require.NoError(t, json.Unmarshal(text, &seed))

			w := newWorld(t, options{})
			answer := w.answer("generate_r2v", seed.Arguments)
			require.Equal(t, "PENDING", answer["status"])
			require.Empty(t, answer["warnings"])

			sent := w.sent()
			require.Len(t, sent, 1)
			parameters := seed.Body["parameters"].(map[string]any)
			for _, priced := range []string{"resolution", "size", "duration", "audio"} {
				if added := path(sent[0], "parameters", priced); added != nil && parameters[priced] == nil {
					parameters[priced] = added
				}
			}
			require.Equal(t, seed.Body, sent[0])
		})
	}
}

// sent returns the bodies of the creates that reached the simulator.
func (w *world) sent() []map[string]any {
	w.t.Helper()
	var received []struct{ Body string }
	w.control("/control/requests", &received)
	var out []map[string]any
	for _, r := range received {
		var body map[string]any
		require.NoError(w.t, json.Unmarshal([]byte(r.Body), &body))
		out = append(out, body)
	}
	return out
}
