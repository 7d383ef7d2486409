package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// object reads the members of an object into the fields of a struct.
func (r *reader) object(path string, v reflect.Value, raw []byte) {
	members, err := members(unquoted(raw))
	if err != nil {
		r.wrong(path, "an object, such as {...}", "%s is no object: %v", shown(raw), err)
		return
	}
	seen := map[string]bool{}
	for _, m := range members {
		at := m.name
		if path != "" {
			at = path + "." + m.name
		}
		field, known := fieldNamed(v, m.name)
		switch {
		case !known:
			r.unknown(shown([]byte(at)), m.name, v.Type())
		case seen[m.name]:
			r.wrong(at, "each argument once", "it is given twice")
		default:
			r.value(at, field, m.value)
		}
		seen[m.name] = true
	}
}

type member struct {
	name  string
	value json.RawMessage
}

var errNoObject = errors.New("it does not begin with {")

// members splits an object, keeping order and doubled names, both of which a map would lose.
func members(raw []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errNoObject
	}
	var out []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errors.New("its JSON is broken")
		}
		if len(out) == mostMembers {
			return nil, fmt.Errorf("it has more than %d members", mostMembers)
		}
		m := member{}
		m.name, _ = name.(string)
		if err := dec.Decode(&m.value); err != nil {
			return nil, errors.New("its JSON is broken")
		}
		out = append(out, m)
	}
	if _, err := dec.Token(); err != nil || dec.More() {
		return nil, errors.New("its JSON is broken")
	}
	return out, nil
}

// fieldNamed finds the field with that very name. encoding/json would take PROMPT for prompt as well, so that two
// readers of the same bytes could see two different requests.
func fieldNamed(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if name != "" && nameOf(v.Type().Field(i)) == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func (r *reader) unknown(path, name string, t reflect.Type) {
	var known []string
	for i := range t.NumField() {
		if n := nameOf(t.Field(i)); n != "" && n != "-" {
			known = append(known, n)
		}
	}
	allowed := strings.Join(known, ", ")
	if near := nearest(name, known); near != "" {
		r.wrong(path, allowed, "there is no such argument; did you mean %s?", near)
		return
	}
	r.wrong(path, allowed, "there is no such argument")
}

// nearest finds the known name that was probably meant: the same but for case and underscores, one begun like it,
// one that shares a whole word with the other, or one a few typing errors away.
func nearest(name string, known []string) string {
	const longest = 64 // longer names are no typing errors, and comparing them costs
	if len(name) > longest {
		return ""
	}
	best, least := "", max(1, len(name)/3)
	for _, k := range known {
		if d := distance(wordsOf(name), wordsOf(k)); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// wordsOf splits names as they are written in Go, JSON and by models: duration_seconds, durationSeconds, duration-seconds.
func wordsOf(name string) []string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.FieldsFunc(strings.ToLower(b.String()), func(r rune) bool { return r == '_' || r == '-' || r == ' ' })
}

func distance(a, b []string) int {
	joined, other := strings.Join(a, ""), strings.Join(b, "")
	switch {
	case joined == other:
		return 0
	case len(joined) > 2 && len(other) > 2 && (joined[:3] == other[:3]), slices.ContainsFunc(a, func(w string) bool { return slices.Contains(b, w) }):
		return 1
	}
	return levenshtein.ComputeDistance(joined, other)
}
