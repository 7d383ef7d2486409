package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

//go:generate go test -run "^TestREADME$|^TestDeploy$" -update .

var update = flag.Bool("update", false, "write the generated parts of the README anew")

// The tables of the README are made from the code.
func TestREADME(t *testing.T) {
	text := generated(t, "README.md", map[string]string{
		"tools": toolTable(t), "models": modelTable(t, viaDashScope), "settings": settingTable(reflect.TypeFor[Config](), ofHTTP()...),
	})
	require.LessOrEqual(t, strings.Count(text, "\n"), 250, "a newcomer reads it in five minutes")
}

func TestDeploy(t *testing.T) {
	generated(t, "docs/deploy.md", map[string]string{
		"metrics": metricTable(t), "settings": settingTable(reflect.TypeFor[HTTPConfig]()), "storage": settingTable(reflect.TypeFor[SaveConfig]()),
	})
}

func TestEvoLink(t *testing.T) {
	generated(t, "docs/evolink.md", map[string]string{"models": relayTable(t), "settings": settingTable(reflect.TypeFor[EvoLinkConfig]())})
}

// ofHTTP are the settings that a newcomer needs none of: docs/deploy.md has them.
func ofHTTP() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[HTTPConfig](), reflect.TypeFor[SaveConfig]()}
}

// generated holds the tables of a document against the code, and returns the document.
func generated(t *testing.T, path string, tables map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	want := text
	for name, table := range tables {
		part := regexp.MustCompile(`(?s)(<!-- generated: ` + name + ` -->\n).*?(<!-- end -->)`)
		require.Len(t, part.FindAll(want, -1), 1, name)
		want = part.ReplaceAll(want, []byte("${1}"+strings.ReplaceAll(table, "$", "$$")+"${2}"))
	}
	if *update && !bytes.Equal(text, want) {
		require.NoError(t, os.WriteFile(path, want, 0o644))
		text = want
	}
	require.Equal(t, string(want), string(text), "run: go generate ./...")
	return string(text)
}

// metricTable is made of where the metrics are declared: a family says nothing of itself before it has counted something.
func metricTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| metric | what it tells |\n| --- | --- |\n")
	for _, path := range []string{"internal/metrics/metrics.go", "internal/metrics/handler.go"} {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`"(r2v_\w+)", "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", m[1], m[2])
		}
	}
	return b.String()
}

func toolTable(t *testing.T) string {
	c, err := video.BuiltIn()
	require.NoError(t, err)
	all, err := (&tools.Set{Catalogue: c}).All()
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("| tool | does |\n| --- | --- |\n")
	for _, tool := range all {
		fmt.Fprintf(&b, "| `%s` | %s |\n", tool.Tool.Name, strings.ReplaceAll(tool.Tool.Description, "\n", " "))
	}
	return b.String()
}

func modelTable(t *testing.T, provider string) string {
	c := catalogueOf(t, provider)
	var b strings.Builder
	b.WriteString("| model | clip | references | price of a second, by region |\n| --- | --- | --- | --- |\n")
	for _, m := range c.Models {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, lengths(m), counts(m), strings.Join(prices(c, m), "<br>"))
	}
	return b.String()
}

// relayTable tells what the relay calls each model, and what it has not got of it.
func relayTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| model | at the relay | clip | references | what it lacks |\n| --- | --- | --- | --- | --- |\n")
	for _, m := range catalogueOf(t, viaEvoLink).Models {
		lacks := strings.Join(slices.Sorted(maps.Keys(m.Lacks)), ", ")
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", m.Name, m.UpstreamName, lengths(m), counts(m), lacks)
	}
	return b.String()
}

func catalogueOf(t *testing.T, provider string) *video.Catalogue {
	c, err := video.BuiltIn()
	require.NoError(t, err)
	return c.For(provider)
}

func lengths(m *video.Model) string {
	length := fmt.Sprintf("%d–%d s", m.Duration.Min, m.Duration.Max)
	if m.Duration.MaxWithVideo != m.Duration.Max {
		length += fmt.Sprintf(", with a reference video to %d s", m.Duration.MaxWithVideo)
	}
	return length
}

func counts(m *video.Model) string {
	count := fmt.Sprintf("%d–%d, videos to %d", m.References.Min, m.References.Max, m.References.Videos)
	if m.References.Images == 0 {
		count = fmt.Sprintf("%d–%d videos", m.References.Min, m.References.Videos)
	}
	if m.References.FirstFrames > 0 {
		count += ", and a first frame"
	}
	return count
}

func prices(c *video.Catalogue, m *video.Model) []string {
	var out []string
	for _, region := range c.Regions {
		if region.PricesOf != "" {
			continue
		}
		var row []string
		for _, resolution := range m.Resolutions {
			cell := resolution
			for _, audio := range []bool{true, false} {
				p := c.Price(region.Name, m, resolution, &audio)
				if p == nil || (!audio && m.AudioDefault == nil) {
					continue
				}
				if !audio {
					cell += " (silent"
				}
				cell += " " + p.PerSecond.String()
				if !audio {
					cell += ")"
				}
			}
			if cell != resolution {
				row = append(row, cell)
			}
		}
		if len(row) > 0 {
			out = append(out, fmt.Sprintf("%s, %s: %s", region.Name, region.Currency, strings.Join(row, ", ")))
		}
	}
	return out
}

func settingTable(of reflect.Type, without ...reflect.Type) string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n| --- | --- | --- |\n")
	for _, s := range settingsOf(of, without...) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.name, s.shown, s.description)
	}
	return b.String()
}
