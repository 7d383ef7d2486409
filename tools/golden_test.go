package tools_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

var update = flag.Bool("update", false, "write the golden files anew")

func (w *world) tools() []mcp.Tool {
	w.t.Helper()
	list, err := w.client.ListTools(w.t.Context(), mcp.ListToolsRequest{})
	require.NoError(w.t, err)
	return list.Tools
}

// The surface is a file: whoever changes what clients see changes a file that is read in review.
func TestToolsAreAsCommitted(t *testing.T) {
	for provider, o := range map[string]options{"": {}, "evolink": {models: relay(t), region: "evolink"}} {
		t.Run(provider, func(t *testing.T) { newWorld(t, o).areCommitted(filepath.Join("..", "testdata", "golden", provider)) })
	}
}

// relay are the models of the relay, of which no rate is known.
func relay(t *testing.T) *video.Catalogue {
	t.Helper()
	c, err := video.BuiltIn()
	require.NoError(t, err)
	return c.For("evolink")
}

func (w *world) areCommitted(folder string) {
	t := w.t
	var names []string
	for _, tool := range w.tools() {
		text, err := json.Marshal(tool)
		require.NoError(t, err)
		var pretty bytes.Buffer
		require.NoError(t, json.Indent(&pretty, text, "", "  "))
		pretty.WriteByte('\n')
		file := filepath.Join(folder, tool.Name+".json")
		names = append(names, tool.Name+".json")
		if *update {
			require.NoError(t, os.MkdirAll(folder, 0o755))
			require.NoError(t, os.WriteFile(file, pretty.Bytes(), 0o644))
		}
		golden, err := os.ReadFile(file)
		require.NoError(t, err, "run: go test ./tools -update")
		require.Equal(t, string(golden), pretty.String(), "if this change is meant, run: go test ./tools -update")
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, f := range files {
		if f.IsDir() {
			continue // another provider's
		}
		require.Contains(t, names, f.Name(), "a golden file without a tool")
	}
}

// portable are the words of JSON Schema that no client is known to refuse.
var portable = []string{
	"type", "properties", "required", "items", "enum", "description", "title", "default",
	"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "format",
}

func TestSchemasArePortable(t *testing.T) {
	for provider, o := range map[string]options{"dashscope": {}, "evolink": {models: relay(t), region: "evolink"}} {
		t.Run(provider, func(t *testing.T) { newWorld(t, o).arePortable(t) })
	}
}

func (w *world) arePortable(t *testing.T) {
	for _, tool := range w.tools() {
		text, err := json.Marshal(tool)
		require.NoError(t, err)
		var published struct{ InputSchema, OutputSchema map[string]any }
		require.NoError(t, json.Unmarshal(text, &published))
		for name, s := range map[string]map[string]any{"input": published.InputSchema, "output": published.OutputSchema} {
			t.Run(tool.Name+" "+name, func(t *testing.T) {
				require.Equal(t, "object", s["type"])
				checkPortable(t, s, 0)
			})
		}
	}
}

func checkPortable(t *testing.T, s map[string]any, depth int) {
	require.LessOrEqual(t, depth, 4, "deep schemas are cut by some clients")
	kind, ok := s["type"].(string)
	require.True(t, ok, "exactly one type: %v", s)
	for word := range s {
		require.Contains(t, portable, word)
	}
	if f, has := s["format"]; has {
		require.Equal(t, "date-time", f)
	}
	if d, has := s["description"]; has {
		require.LessOrEqual(t, len(d.(string)), 200)
	}
	for _, v := range asList(s["enum"]) {
		require.IsType(t, "", v, "enums hold strings only")
	}
	switch kind {
	case "array":
		items, ok := s["items"].(map[string]any)
		require.True(t, ok, "a list says what it holds")
		checkPortable(t, items, depth+1)
	case "object":
		properties, ok := s["properties"].(map[string]any)
		require.True(t, ok, "an object says what it holds")
		for name, p := range properties {
			require.Regexp(t, `^[a-z][a-z0-9_]{0,63}$`, name)
			inner, ok := p.(map[string]any)
			require.True(t, ok, "%s: no boolean schemas", name)
			checkPortable(t, inner, depth+1)
		}
		for _, r := range asList(s["required"]) {
			require.Contains(t, properties, r)
		}
	}
}

func asList(v any) []any { l, _ := v.([]any); return l }

func TestToolsSayWhatTheyDo(t *testing.T) {
	w := newWorld(t, options{})
	changes := map[string]bool{"generate_r2v": true, "cancel_task": true}
	for _, tool := range w.tools() {
		t.Run(tool.Name, func(t *testing.T) {
			require.NotEmpty(t, tool.Title)
			require.LessOrEqual(t, len(tool.Description), 900, "clients cut at 2 KB, and every byte is paid for in every request")
			a := tool.Annotations
			for _, hint := range []*bool{a.ReadOnlyHint, a.DestructiveHint, a.IdempotentHint, a.OpenWorldHint} {
				require.NotNil(t, hint, "every hint is given")
			}
			require.Equal(t, !changes[tool.Name], *a.ReadOnlyHint)
			require.Equal(t, tool.Name == "cancel_task", *a.DestructiveHint, "an order that is cancelled is gone")
			require.Equal(t, tool.Name != "generate_r2v", *a.IdempotentHint)
		})
	}
}

// The arguments that estimate_cost shows are arguments of generate_r2v: it takes them all and checks them alike.
func TestEstimateShowsArgumentsOfGenerate(t *testing.T) {
	w := newWorld(t, options{})
	properties := map[string][]string{}
	for _, tool := range w.tools() {
		text, err := json.Marshal(tool)
		require.NoError(t, err)
		var published struct {
			InputSchema struct {
				Properties map[string]struct {
					Items struct{ Properties map[string]any }
				}
			}
		}
		require.NoError(t, json.Unmarshal(text, &published))
		for name, p := range published.InputSchema.Properties {
			properties[tool.Name] = append(properties[tool.Name], name)
			for inner := range p.Items.Properties {
				properties[tool.Name] = append(properties[tool.Name], name+"."+inner)
			}
		}
	}
	for _, name := range properties["estimate_cost"] {
		require.True(t, slices.Contains(properties["generate_r2v"], name), name)
	}
}

func TestTruncationRulesAreInTheToolList(t *testing.T) {
	for rules, o := range map[string]options{
		"5, 2.5, 1.65, 1.25, 1 s when 1, 2, 3, 4, 5 references count: videos only on wan2.7, videos and images on wan2.6": {},
		"5, 2.5, 1.65 s when 1, 2, 3 references count: videos only on wan2.6, on wan2.7 nothing is cut":                   {models: relay(t), region: "evolink"},
	} {
		for _, tool := range newWorld(t, o).tools() {
			if tool.Name == "estimate_cost" {
				require.Contains(t, tool.Description, rules)
			}
		}
	}
}

func TestInstructionsFitEveryClient(t *testing.T) {
	w := newWorld(t, options{})
	instructions := w.set(options{}).Instructions()
	require.Less(t, len(instructions), 2000)
	require.Contains(t, instructions, "with max_cost and an idempotency_key of your own")
	require.Contains(t, instructions, "find its task with list_tasks, or send the same call unchanged: the same idempotency_key never buys twice")
	for _, tool := range w.tools() {
		require.Contains(t, instructions, tool.Name)
	}
}

// What a model is sent of the tools in every request, in bytes.
func TestTheListOfToolsIsShort(t *testing.T) {
	for provider, o := range map[string]options{"dashscope": {}, "evolink": {models: relay(t), region: "evolink"}} {
		t.Run(provider, func(t *testing.T) {
			total := newWorld(t, o).listed()
			t.Logf("name, description and input schema of all tools: %d bytes", total)
			require.Less(t, total, 4332)
		})
	}
}

func (w *world) listed() (total int) {
	t := w.t
	for _, tool := range w.tools() {
		text, err := json.Marshal(tool)
		require.NoError(t, err)
		var sent struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			InputSchema json.RawMessage `json:"inputSchema"`
		}
		require.NoError(t, json.Unmarshal(text, &sent))
		var compact bytes.Buffer
		enc := json.NewEncoder(&compact)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(sent))
		total += compact.Len() - len("\n")
	}
	return total
}
