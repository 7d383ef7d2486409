package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
	"r2v-mcp/schema"
)

type sample struct {
	Text   string           `json:"text"`
	Count  *int             `json:"count,omitempty"`
	Big    int64            `json:"big,omitempty"`
	Truth  *bool            `json:"truth,omitempty"`
	Amount *decimal.Decimal `json:"amount,omitempty"`
	Items  []item           `json:"items,omitempty"`
}

type item struct {
	Name string `json:"name"`
}

func (i *item) SetShort(s string) { i.Name = s }

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, text, same string
	}{
		{"plain", `{"text":"a","count":5,"truth":true,"amount":1.50,"items":[{"name":"x"}]}`, `{"text":"a","big":0,"count":5,"truth":true,"amount":"1.5","items":[{"name":"x"}]}`},
		{"strings for values", `{"count":"5","truth":"TRUE","amount":" 1.50 "}`, `{"text":"","count":5,"truth":true,"amount":"1.5"}`},
		{"exponents", `{"count":5e0,"big":1E3}`, `{"text":"","count":5,"big":1000}`},
		{"null and empty", `{"text":"","count":null,"truth":"","amount":"","items":null}`, `{"text":""}`},
		{"short form", `{"items":["x",{"name":"y"},"{\"name\":\"z\"}"]}`, `{"text":"","items":[{"name":"x"},{"name":"y"},{"name":"z"}]}`},
		{"a string of JSON", `"{\"text\":\"a\",\"items\":\"[\\\"x\\\"]\"}"`, `{"text":"a","items":[{"name":"x"}]}`},
		{"nothing", ``, `{"text":""}`},
		{"null", ` null `, `{"text":""}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := schema.Read[sample]([]byte(tt.text))
			require.Empty(t, problems)
			text, err := json.Marshal(got)
			require.NoError(t, err)
			var want sample
			require.NoError(t, json.Unmarshal([]byte(tt.same), &want))
			same, err := json.Marshal(want)
			require.NoError(t, err)
			require.JSONEq(t, string(same), string(text))
		})
	}
}

func TestReadReports(t *testing.T) {
	for text, want := range map[string]string{
		`{"text":1}`:                   "text: 1 is no string; allowed: a string",
		`{"text":"a","text":"b"}`:      "text: it is given twice; allowed: each argument once",
		`{"Text":"a"}`:                 "Text: there is no such argument; did you mean text?; allowed: text, count, big, truth, amount, items",
		`{"count":5.5}`:                "count: 5.5 is no whole number; allowed: a whole number",
		`{"big":99999999999999999999}`: "big: 99999999999999999999 is no whole number; allowed: a whole number",
		`{"amount":1e400}`:             "amount: 1e400 is no number; allowed: a number",
		`{"items":[{"nam":"x"}]}`:      "items[0].nam: there is no such argument; did you mean name?; allowed: name",
		`{"items":{"name":"x"}}`:       `items: {"name":"x"} is no list; allowed: a list, such as [...]`,
		`{"text":"a"`:                  `arguments: {"text":"a" is no object: its JSON is broken; allowed: an object, such as {...}`,
		`[]`:                           "arguments: [] is no object: it does not begin with {; allowed: an object, such as {...}",
		`{"count":true}`:               "count: true is no whole number; allowed: a whole number",
		`{"truth":1}`:                  "truth: 1 is neither; allowed: true or false",
		`{"` + strings.Repeat("x", 99): `arguments: {"` + strings.Repeat("x", 58) + `… is no object: its JSON is broken; allowed: an object, such as {...}`,
	} {
		t.Run(text, func(t *testing.T) {
			_, problems := schema.Read[sample]([]byte(text))
			require.NotEmpty(t, problems)
			require.Equal(t, want, problems[0].String())
		})
	}
}

func TestDescriptionsComeFromTheCatalogue(t *testing.T) {
	c, err := video.BuiltIn()
	require.NoError(t, err)
	for description, want := range map[string]string{
		"{prompt_characters}":       "5000 (wan2.6: 1500)",
		"{reference_videos}":        "5 (wan2.6: 3)",
		"{duration_max}":            "15 (wan2.6: 10)",
		"{duration_max_with_video}": "10",
		"{only:audio}":              "wan2.6-r2v-flash",
		"{only:shot_type}":          "wan2.6",
		"{only:first_frame}":        "wan2.7",
		"no mark":                   "no mark",
	} {
		got, err := schema.Describe(c, description)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = schema.Describe(c, "{nothing}")
	require.ErrorContains(t, err, "{nothing}")
}

// FuzzRead feeds any bytes to the reader. It must not panic, must report each problem in a bounded text, and must agree
// with encoding/json on what it takes without complaint, where that reads the same bytes.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"text":"a","count":5,"truth":true,"amount":1.5,"items":[{"name":"x"},"y"]}`, `"{\"text\":\"a\"}"`, `{"count":"1e999999999"}`,
		`{"text":"\ud800"}`, `{"items":[[[[[[]]]]]]}`, `{"":1}`, `{"text":"a","text":"b"}`, `[`, `"`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, problems := schema.Read[sample](raw)
		for _, p := range problems {
			if len(p.Wrong) > 1000 || p.Field == "" || p.Allowed == "" {
				t.Fatalf("a problem must be short and complete: %+v", p)
			}
		}
		var strict sample
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.DisallowUnknownFields()
		if len(problems) == 0 && dec.Decode(&strict) == nil && strict.Text != "" && got.Text != strict.Text {
			t.Fatalf("read %q where encoding/json reads %q", got.Text, strict.Text)
		}
	})
}
