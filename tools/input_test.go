package tools_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is no request at all: nothing panics, nothing is guessed, everything is told.
func TestArgumentsThatCannotBeRead(t *testing.T) {
	w := newWorld(t, options{})
	for _, tt := range []struct {
		name      string
		arguments any
		want      []string
	}{
		{"a list", []any{1, 2}, []string{"arguments: [1,2] is no object", "allowed: an object"}},
		{"a number", 7, []string{"arguments: 7 is no object"}},
		{"a string that is no JSON", "make a film", []string{`"make a film" is no object`}},
		{"nothing", nil, []string{"prompt: it is missing", "references: there is none"}},
		{"an unknown name", wan27(arguments{"promt": "x"}), []string{"promt: there is no such argument; did you mean prompt?"}},
		{"a name of the wire", wan27(arguments{"reference_urls": refs(picture)}), []string{"reference_urls: there is no such argument; did you mean references?"}},
		{"a name of nothing", wan27(arguments{"frobnicate": 1}), []string{"frobnicate: there is no such argument; allowed: prompt, references, model"}},
		{"a name in capitals", wan27(arguments{"PROMPT": "x"}), []string{"PROMPT: there is no such argument; did you mean prompt?"}},
		{"an unknown name in a reference", wan27(arguments{"references": refs(map[string]any{"uri": picture})}), []string{"references[0].uri: there is no such argument; did you mean url?", "references[0].url: it is missing"}},
		{"wrong types, all at once", arguments{"prompt": 5, "references": "none", "duration": "long", "audio": "maybe", "seed": 1.5, "max_cost": "much", "model": []any{}},
			[]string{"prompt: 5 is no string", "references: \"none\" is no list", "duration: \"long\" is no whole number", "audio: \"maybe\" is neither", "seed: 1.5 is no whole number", "max_cost: \"much\" is no number", "model: [] is no string"}},
		{"references that are no objects", wan27(arguments{"references": []any{5, nil, []any{}}}), []string{"references[0]: 5 is no object", "references[1]: it is null", "references[2]: [] is no object"}},
		{"a number that fills the memory", wan27(arguments{"max_cost": "1e999999999"}), []string{"max_cost: \"1e999999999\" is no number"}},
		{"a length that fills the memory", wan27(arguments{"references": refs(ref(clip8, "", "duration_seconds", "1e-999999999"))}), []string{"references[0].duration_seconds"}},
		{"a huge prompt", wan27(arguments{"prompt": strings.Repeat("x", 1<<20)}), []string{"1048576 characters"}},
		{"many problems", arguments{"references": func() (out []any) {
			for range 5 {
				out = append(out, map[string]any{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5})
			}
			return out
		}()}, []string{"more"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := w.on(t)
			text := w.refusal("generate_r2v", tt.arguments)
			for _, want := range tt.want {
				require.Contains(t, text, want)
			}
			require.Less(t, len(text), 8000, "a refusal is read by a model")
		})
	}
}

func TestHostileAddresses(t *testing.T) {
	w := newWorld(t, options{})
	for _, url := range []string{
		"https://user:secret@media.example/a.png", "file:///etc/passwd", "/etc/passwd", "~/a.png", `C:\a.png`, "c:/a.png", "a.png",
		"javascript:alert(1)", "ftp://media.example/a.png", "gopher://media.example/a.png", "https://media.example/a b.png",
		"https://media.example/a\n.png", "https://media.example/a\x00.png", "https://media.example/\u202e.png\x7f", "https:///a.png", "https:a.png",
		"http://", "://a.png", "https://[::1/a.png", "https://media.example/%zz.png", "https://media.example\\a.png", "",
		"https://media.example/" + strings.Repeat("a", 9000) + ".png", "data:image/png,plain", "data:image/png;base64", "DATA:image/svg+xml;base64,AAAA",
		"https://media.example/\ufffd.png", "vbscript:x", "chrome://settings", "blob:https://media.example/x",
	} {
		for _, field := range []string{"url", "voice_url"} {
			t.Run(fmt.Sprintf("%s %.40q", field, url), func(t *testing.T) {
				if field == "voice_url" && url == "" {
					t.Skip("an empty voice_url is none")
				}
				w := w.on(t)
				reference := ref(picture, "image", field, url)
				text := w.refusal("generate_r2v", wan27(arguments{"references": refs(reference)}))
				require.Contains(t, text, "references[0]."+field+": ")
				require.NotContains(t, text, "secret")
				require.NotContains(t, text, "\x00")
			})
		}
	}
}

func TestWhatModelsWriteIsUnderstood(t *testing.T) {
	w := newWorld(t, options{})
	want := fmt.Sprint(w.answer("estimate_cost", wan27(arguments{"duration": 7, "references": refs(ref(clip8, "", "duration_seconds", 8)), "prompt": "Video 1"})))
	for name, arguments := range map[string]any{
		"numbers as strings":             wan27(arguments{"duration": "7", "references": refs(ref(clip8, "", "duration_seconds", "8")), "prompt": "Video 1"}),
		"a whole number with a fraction": wan27(arguments{"duration": 7.0, "references": refs(ref(clip8, "", "duration_seconds", 8.0)), "prompt": "Video 1"}),
		"null and empty for left out":    wan27(arguments{"duration": 7, "audio": nil, "seed": "", "ratio": "", "shot_type": "", "references": refs(ref(clip8, "", "duration_seconds", 8, "voice_url", "")), "prompt": "Video 1"}),
		"a list as a string":             wan27(arguments{"duration": 7, "references": `[{"url":"` + clip8 + `","duration_seconds":8}]`, "prompt": "Video 1"}),
		"all of it as a string":          `{"duration":7,"references":[{"url":"` + clip8 + `","duration_seconds":8}],"prompt":"Video 1"}`,
		"blanks around an address":       wan27(arguments{"duration": 7, "references": refs(ref(" "+clip8+"\n", "", "duration_seconds", 8)), "prompt": "Video 1"}),
	} {
		t.Run(name, func(t *testing.T) {
			w := w.on(t)
			require.Equal(t, want, fmt.Sprint(w.answer("estimate_cost", arguments)))
		})
	}
	answer := w.answer("estimate_cost", arguments{"references": []any{clip8, picture}})
	require.Empty(t, answer["problems"], "plain addresses are references too")
}

func TestTaskIDsThatAreNone(t *testing.T) {
	w := newWorld(t, options{})
	for _, id := range []any{nil, "", " ", strings.Repeat("x", 10<<10), "../tasks", "a/b", "a%2fb", `a\b`, "a b", "a\x00b", "täsk", "a?b=c", "a#b", 7, []any{"a"}, map[string]any{}} {
		t.Run(fmt.Sprintf("%.20v", id), func(t *testing.T) {
			w := w.on(t)
			text := w.refusal("get_task", arguments{"task_id": id})
			require.Contains(t, text, "task_id: ")
			require.Less(t, len(text), 1000)
		})
	}
	var counters map[string]int
	w.control("/control/counters", &counters)
	require.Zero(t, counters["get"])
	require.Contains(t, w.refusal("get_task", arguments{"task_id": "a", "wait_seconds": -1}), "wait_seconds: -1 is negative")
	require.Contains(t, w.refusal("get_task", arguments{"task_id": "a", "wait_seconds": "soon"}), "wait_seconds: \"soon\" is no whole number")
	require.Contains(t, w.refusal("get_task", arguments{"id": "a"}), "did you mean task_id?")
}
