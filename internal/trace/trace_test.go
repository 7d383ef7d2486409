package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/trace"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
	parent  = "00-" + traceID + "-" + spanID + "-01"
	other   = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00"
)

// sent returns the headers that a request made in ctx gets.
func sent(ctx context.Context) http.Header {
	h := http.Header{}
	trace.Add(ctx, h)
	return h
}

func TestOnlyARightTraceparentCounts(t *testing.T) {
	for name, tt := range map[string]struct{ given, passed string }{
		"as it should be":            {parent, parent},
		"not sampled":                {parent[:53] + "00", parent[:53] + "00"},
		"other flags":                {parent[:53] + "ff", parent[:53] + "ff"},
		"a later version":            {"01" + parent[2:], parent},
		"a later version, longer":    {"cc" + parent[2:53] + "09-what-comes", parent},
		"a later version, unsampled": {"cc" + parent[2:53] + "08", parent[:53] + "00"},
		"a later version, run on":    {"cc" + parent[2:] + "ff", ""},
		"version ff":                 {"ff" + parent[2:], ""},
		"version 00, longer":         {parent + "-00", ""},
		"version of one digit":       {parent[1:], ""},
		"upper case":                 {strings.ToUpper(parent), ""},
		"no hexadecimal":             {"00-" + strings.Repeat("g", 32) + parent[35:], ""},
		"no trace":                   {"00-" + strings.Repeat("0", 32) + parent[35:], ""},
		"no span":                    {parent[:36] + strings.Repeat("0", 16) + "-01", ""},
		"flags that are none":        {parent[:53] + "0x", ""},
		"other dashes":               {strings.ReplaceAll(parent, "-", "_"), ""},
		"cut off":                    {parent[:54], ""},
		"a blank before":             {" " + parent, ""},
		"a line after":               {parent + "\r\nX-Evil: 1", ""},
		"a giant":                    {"01" + parent[2:] + "-" + strings.Repeat("a", 1<<20), ""},
		"empty":                      {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := trace.Parse(tt.given, "a=1")
			require.Equal(t, tt.passed != "", ok)
			h := sent(trace.With(t.Context(), c))
			if !ok {
				require.Empty(t, h, "a state goes nowhere without a parent")
				require.Empty(t, c.TraceID()+c.SpanID())
				return
			}
			require.Equal(t, http.Header{"Traceparent": {tt.passed}, "Tracestate": {"a=1"}}, h)
			require.Equal(t, []string{traceID, spanID}, []string{c.TraceID(), c.SpanID()})
		})
	}
}

func TestOnlyARightTracestateIsPassedOn(t *testing.T) {
	members := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, string(rune('a'+i%26))+strings.Repeat("x", i/26)+"=1")
		}
		return strings.Join(all, ",")
	}
	for name, tt := range map[string]struct {
		state string
		ok    bool
	}{
		"one":                {"congo=t61rcWkgMzE", true},
		"two":                {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true},
		"a tenant":           {"fw529a3039@dt=FfffffeC", true},
		"room between":       {"a=1 ,\tb=2,,", true},
		"a value with room":  {"a= 1 2", true},
		"32 members":         {members(32), true},
		"33 members":         {members(33), false},
		"512 bytes":          {"a=" + strings.Repeat("1", 253) + ",b=" + strings.Repeat("2", 254), true},
		"513 bytes":          {"a=" + strings.Repeat("1", 254) + ",b=" + strings.Repeat("2", 254), false},
		"a long value":       {"a=" + strings.Repeat("1", 257), false},
		"a long key":         {strings.Repeat("a", 257) + "=1", false},
		"a key twice":        {"a=1,a=2", false},
		"no value":           {"a", false},
		"an empty value":     {"a=", false},
		"an empty key":       {"=1", false},
		"a key in capitals":  {"A=1", false},
		"two equals signs":   {"a=1=2", false},
		"a line":             {"a=1\r\nAuthorization: Bearer x", false},
		"a NUL":              {"a=\x00", false},
		"beyond ASCII":       {"a=\u00e9", false},
		"a sign in the key":  {"_a=1", false},
		"more than one blob": {"a=1,\x7f=2", false},
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := trace.Parse(parent, tt.state)
			require.True(t, ok, "the parent counts whatever its state is")
			want := http.Header{"Traceparent": {parent}}
			if tt.ok {
				want["Tracestate"] = []string{tt.state}
			}
			require.Equal(t, want, sent(trace.With(t.Context(), c)))
		})
	}
}

func TestWithoutATraceNothingIsAdded(t *testing.T) {
	require.Empty(t, sent(t.Context()))
	require.Equal(t, t.Context(), trace.With(t.Context(), trace.Context{}))
	require.Empty(t, trace.From(t.Context()).TraceID())
}

func TestHeadersThenMeta(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		meta   map[string]any
		want   http.Header
	}{
		"neither":                 {},
		"headers":                 {http.Header{"Traceparent": {parent}, "Tracestate": {"a=1"}}, nil, http.Header{"Traceparent": {parent}, "Tracestate": {"a=1"}}},
		"a state in two headers":  {http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, nil, http.Header{"Traceparent": {parent}, "Tracestate": {"a=1,b=2"}}},
		"two parents":             {http.Header{"Traceparent": {parent, other}}, nil, nil},
		"a state alone":           {http.Header{"Tracestate": {"a=1"}}, nil, nil},
		"meta":                    {nil, map[string]any{"traceparent": parent, "tracestate": "m=1"}, http.Header{"Traceparent": {parent}, "Tracestate": {"m=1"}}},
		"meta before headers":     {http.Header{"Traceparent": {other}, "Tracestate": {"a=1"}}, map[string]any{"traceparent": parent}, http.Header{"Traceparent": {parent}}},
		"a meta that is wrong":    {http.Header{"Traceparent": {other}}, map[string]any{"traceparent": "x", "tracestate": "m=1"}, http.Header{"Traceparent": {other}}},
		"a meta of another type":  {http.Header{"Traceparent": {other}}, map[string]any{"traceparent": 7.0, "tracestate": []any{}}, http.Header{"Traceparent": {other}}},
		"a meta with state alone": {http.Header{"Traceparent": {other}}, map[string]any{"tracestate": "m=1"}, http.Header{"Traceparent": {other}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", nil)
			maps.Copy(r.Header, tt.header)
			var h http.Header
			trace.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				h = sent(trace.WithMeta(r.Context(), tt.meta))
			})).ServeHTTP(httptest.NewRecorder(), r)
			require.NotNil(t, h, "whatever its trace, a request is served")
			require.Equal(t, len(tt.want) == 0, len(h) == 0)
			if len(tt.want) > 0 {
				require.Equal(t, tt.want, h)
			}
		})
	}
}

type personKey struct{}

func person(ctx context.Context) string {
	name, _ := ctx.Value(personKey{}).(string)
	return name
}

// logged returns the one line that write logs.
func logged(t *testing.T, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(slog.New(trace.Handler(slog.NewJSONHandler(&out, nil), person)))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	return line
}

func traced(t *testing.T, state string) context.Context {
	t.Helper()
	c, ok := trace.Parse(parent, state)
	require.True(t, ok)
	return trace.With(context.WithValue(t.Context(), personKey{}, "ada"), c)
}

func TestALineTellsItsTraceAndItsPerson(t *testing.T) {
	line := logged(t, func(l *slog.Logger) { l.InfoContext(traced(t, ""), "bought", "task", "t1") })
	require.Equal(t, []any{traceID, spanID, "ada", "t1"}, []any{line["trace_id"], line["span_id"], line["person"], line["task"]})
	line = logged(t, func(l *slog.Logger) { l.InfoContext(t.Context(), "bought", "task", "t1") })
	require.ElementsMatch(t, []string{"time", "level", "msg", "task"}, slices.Collect(maps.Keys(line)))
	line = logged(t, func(l *slog.Logger) {
		l.With("a", 1).WithGroup("g").With("b", 2).InfoContext(traced(t, ""), "m", "c", 3)
	})
	require.Equal(t, traceID, line["trace_id"], "an open group takes nothing of it in")
	require.Equal(t, "ada", line["person"])
	require.Equal(t, map[string]any{"b": 2.0, "c": 3.0}, line["g"])
	require.Equal(t, 1.0, line["a"])
}

// A second logger made from the first must not write into its attributes.
func TestLoggersOfOneParentAreApart(t *testing.T) {
	var out bytes.Buffer
	base := slog.New(trace.Handler(slog.NewJSONHandler(&out, nil), nil)).WithGroup("g").With("a", 1).With("b", 1)
	first, second := base.With("x", "first"), base.With("x", "second")
	first.InfoContext(traced(t, ""), "m")
	second.InfoContext(traced(t, ""), "m")
	lines := strings.Split(out.String(), "\n")
	require.Contains(t, lines[0], `"g":{"a":1,"b":1,"x":"first"}`)
	require.Contains(t, lines[1], `"g":{"a":1,"b":1,"x":"second"}`)
	require.NotContains(t, lines[0], "person")
}

// What callers put into a trace may be anything: a line of a call holds its two ids and nothing else of it.
func TestACallsLineHoldsNothingElse(t *testing.T) {
	const canary = "canary-4711"
	line := logged(t, func(l *slog.Logger) {
		ctx := trace.WithMeta(traced(t, "a="+canary), map[string]any{"traceparent": "no-" + canary, "baggage": canary})
		l.LogAttrs(ctx, slog.LevelInfo, "call", slog.String("tool", "get_task"), slog.String("outcome", "ok"),
			slog.String("task", "t1"), slog.Int64("ms", (1500*time.Millisecond).Milliseconds()))
	})
	require.ElementsMatch(t, []string{"time", "level", "msg", "tool", "outcome", "task", "ms", "person", "trace_id", "span_id"}, slices.Collect(maps.Keys(line)))
	whole, err := json.Marshal(line)
	require.NoError(t, err)
	require.NotContains(t, string(whole), canary)
}

func FuzzParse(f *testing.F) {
	f.Add(parent, "a=1")
	f.Add("cc"+parent[2:]+"-x", "a@b= 1 ,\tc=2")
	f.Fuzz(func(t *testing.T, p, s string) {
		c, ok := trace.Parse(p, s)
		h := sent(trace.With(t.Context(), c))
		require.Equal(t, ok, h.Get("traceparent") != "")
		again, ok2 := trace.Parse(h.Get("traceparent"), h.Get("tracestate"))
		require.Equal(t, ok, ok2)
		require.Equal(t, c, again, "what is passed on is right itself")
		require.LessOrEqual(t, len(h.Get("tracestate")), 512)
	})
}
