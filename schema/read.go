package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// Read reads a tool's arguments into T and reports all that does not fit at once: unknown names with the nearest known
// one, doubled names, wrong types. What models write often is understood: "5" for 5, "true" for true, null and "" for a
// value left out, a list or the whole arguments as a string of JSON. Names count by case. Fields with a problem keep their
// zero value, so the rest can still be checked.
func Read[T any](raw []byte) (T, []video.Problem) {
	var into T
	r := &reader{}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return into, nil
	}
	r.object("", reflect.ValueOf(&into).Elem(), raw)
	return into, r.problems
}

const (
	longestList  = 100 // members; no argument takes more than a few
	mostMembers  = 200 // of an object; no tool has more arguments than a few dozen
	mostProblems = 50  // are told; whoever sends more learns nothing from the rest
)

type reader struct{ problems []video.Problem }

func (r *reader) wrong(path, allowed, format string, args ...any) {
	if len(r.problems) >= mostProblems {
		return
	}
	if path == "" {
		path = "arguments"
	}
	r.problems = append(r.problems, video.Problem{Field: path, Wrong: fmt.Sprintf(format, args...), Allowed: allowed})
}

// value reads one value of any type that a tool's arguments are made of.
func (r *reader) value(path string, v reflect.Value, raw []byte) {
	if string(raw) == "null" || (string(raw) == `""` && v.Kind() != reflect.String) {
		return
	}
	if v.Kind() == reflect.Pointer {
		inner := reflect.New(v.Type().Elem())
		before := len(r.problems)
		r.value(path, inner.Elem(), raw)
		if len(r.problems) == before {
			v.Set(inner)
		}
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[decimal.Decimal]():
		r.number(path, v, raw)
	case v.Kind() == reflect.String:
		r.text(path, v, raw)
	case v.Kind() == reflect.Bool:
		r.truth(path, v, raw)
	case v.CanInt():
		r.integer(path, v, raw)
	case v.Kind() == reflect.Slice:
		r.list(path, v, raw)
	default:
		r.object(path, v, raw)
	}
}

func (r *reader) text(path string, v reflect.Value, raw []byte) {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		r.wrong(path, "a string", "%s is no string", shown(raw))
		return
	}
	v.SetString(s)
}

func (r *reader) truth(path string, v reflect.Value, raw []byte) {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		r.wrong(path, "true or false", "%s is neither", shown(raw))
	}
}

func (r *reader) integer(path string, v reflect.Value, raw []byte) {
	d, err := parseNumber(raw)
	if err != nil || !d.IsInteger() || !d.BigInt().IsInt64() || v.OverflowInt(d.IntPart()) {
		r.wrong(path, "a whole number", "%s is no whole number", shown(raw))
		return
	}
	v.SetInt(d.IntPart())
}

func (r *reader) number(path string, v reflect.Value, raw []byte) {
	d, err := parseNumber(raw)
	if err != nil {
		r.wrong(path, "a number", "%s is no number", shown(raw))
		return
	}
	v.Set(reflect.ValueOf(d))
}

var errNoNumber = errors.New("no number")

// parseNumber reads a number or a string that holds one. Its length and exponent are bounded: 1e999999999 is short to
// write and would fill the memory as soon as somebody calculates with it.
func parseNumber(raw []byte) (decimal.Decimal, error) {
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return decimal.Decimal{}, err
		}
		text = strings.TrimSpace(text)
	}
	if len(text) > 40 {
		return decimal.Decimal{}, errNoNumber
	}
	d, err := decimal.NewFromString(text)
	if err != nil || d.Exponent() > 20 || d.Exponent() < -20 {
		return decimal.Decimal{}, errNoNumber
	}
	return d, nil
}

func (r *reader) list(path string, v reflect.Value, raw []byte) {
	var items []json.RawMessage
	if text := unquoted(raw); len(text) == 0 || text[0] != '[' || json.Unmarshal(text, &items) != nil {
		r.wrong(path, "a list, such as [...]", "%s is no list", shown(raw))
		return
	}
	if len(items) > longestList {
		r.wrong(path, fmt.Sprintf("at most %d", longestList), "there are %d of them", len(items))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		r.item(path+"["+strconv.Itoa(i)+"]", out.Index(i), item)
	}
	v.Set(out)
}

// Short is a member of a list that may also be written as a plain string.
type Short interface {
	// SetShort takes the value from its short form.
	SetShort(s string)
}

// item reads a member of a list, in its short form where it has one.
func (r *reader) item(path string, v reflect.Value, raw []byte) {
	short, ok := v.Addr().Interface().(Short)
	var s string
	if ok && raw[0] == '"' && json.Unmarshal(raw, &s) == nil && !strings.HasPrefix(strings.TrimSpace(s), "{") {
		short.SetShort(s)
		return
	}
	if string(raw) == "null" {
		r.wrong(path, "an object", "it is null")
		return
	}
	r.value(path, v, raw)
}

// unquoted undoes one layer of quotes around a list or an object: some clients send arguments as a string of JSON.
func unquoted(raw []byte) []byte {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return bytes.TrimSpace([]byte(s))
	}
	return raw
}

// shown quotes a bad value back to the caller, shortened.
func shown(raw []byte) string {
	const most = 60
	s := strings.ToValidUTF8(string(raw), "\uFFFD")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
