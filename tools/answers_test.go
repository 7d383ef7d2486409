package tools

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/schema"
)

// The schemas of the answers are committed. They are what would be made from the structs now.
func TestAnswersAreDescribedAsTheyAre(t *testing.T) {
	made := map[string]func() (json.RawMessage, error){
		"estimate_cost": schema.Answer[estimateAnswer],
		"generate_r2v":  schema.Answer[generateAnswer],
		"get_task":      schema.Answer[taskAnswer],
		"list_tasks":    schema.Answer[listAnswer],
		"cancel_task":   schema.Answer[cancelAnswer],
	}
	for name, describe := range made {
		text, err := describe()
		require.NoError(t, err)
		file := filepath.Join("answers", name+".json")
		if flag.Lookup("update").Value.String() == "true" {
			require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
		}
		committed, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(text)+"\n", string(committed), "run: go test ./tools -update, twice")
	}
	files, err := os.ReadDir("answers")
	require.NoError(t, err)
	require.Len(t, files, len(made))
}
