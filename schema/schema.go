// Package schema makes the JSON Schema of a tool's arguments and answers from Go structs and the catalogue, and reads
// arguments back with errors that teach.
//
// What it publishes stays inside the subset of JSON Schema that every MCP client accepts: one type for each value, no
// references, no unions, string enums only, no additionalProperties.
package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// Arguments is the schema of a tool's arguments: the struct T with what the catalogue knows filled in. A `catalogue` tag
// names the fact that bounds a field (models, resolutions, ratios, shot_types, kinds, duration, seed), and descriptions
// may hold {placeholders}: see [Describe]. More placeholders are given as name, text, name, text; a text "-" leaves the argument of that
// name out, as are those that no model has. It returns an error for a name that is not known.
func Arguments[T any](c *video.Catalogue, more ...string) (json.RawMessage, error) {
	k := fromCatalogue(c)
	for i := 0; i+1 < len(more); i += 2 {
		if k.texts[more[i]] = more[i+1]; more[i+1] == Unpublished {
			k.lacks = append(k.lacks, more[i])
		}
	}
	return reflectSchema(reflect.TypeFor[T](), k)
}

// Unpublished is the text that, given for an argument's name, keeps that argument out of the schema.
const Unpublished = "-"

// Answer is the schema of a tool's structured answer. A `catalogue` tag of statuses or charged lists those words. It is open: a
// later version may add fields.
func Answer[T any]() (json.RawMessage, error) {
	return reflectSchema(reflect.TypeFor[T](), known{facts: words()})
}

func reflectSchema(t reflect.Type, k known) (json.RawMessage, error) {
	r := &jsonschema.Reflector{
		DoNotReference: true, ExpandedStruct: true, Anonymous: true, AllowAdditionalProperties: true,
		Mapper: exactNumber,
	}
	s := r.ReflectFromType(t)
	s.Version = ""
	if err := k.fill(s, t); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t.Name(), err)
	}
	return json.Marshal(s)
}

// exactNumber publishes decimals as plain numbers. It returns a new schema each time, since the reflector changes it.
func exactNumber(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[decimal.Decimal]() || t == reflect.TypeFor[json.Number]() {
		return &jsonschema.Schema{Type: "number"}
	}
	return nil
}

// fill writes what the catalogue knows into the properties of a struct.
func (k known) fill(s *jsonschema.Schema, t reflect.Type) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if s.Items != nil {
		s = s.Items
	}
	if t.Kind() != reflect.Struct || s.Properties == nil {
		return nil
	}
	for i := range t.NumField() {
		field := t.Field(i)
		property, ok := s.Properties.Get(nameOf(field))
		if !ok {
			continue
		}
		if slices.Contains(k.lacks, nameOf(field)) {
			s.Properties.Delete(nameOf(field))
			continue
		}
		if err := k.fillOne(property, field); err != nil {
			return fmt.Errorf("field %s: %w", field.Name, err)
		}
	}
	return nil
}

func (k known) fillOne(property *jsonschema.Schema, field reflect.StructField) (err error) {
	if property.Description, err = k.describe(property.Description); err != nil {
		return err
	}
	if name := field.Tag.Get("catalogue"); name != "" {
		f, ok := k.facts[name]
		if !ok {
			return fmt.Errorf("the catalogue has no fact %q", name)
		}
		f.apply(property)
	}
	return k.fill(property, field.Type)
}

func (f fact) apply(property *jsonschema.Schema) {
	for _, w := range f.words {
		property.Enum = append(property.Enum, w)
	}
	if f.fallback != "" {
		property.Default = f.fallback
	}
	if f.max > 0 {
		property.Minimum = json.Number(fmt.Sprint(f.min))
		property.Maximum = json.Number(fmt.Sprint(f.max))
	}
}

// nameOf is the name of a field in JSON.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func stringsOf[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, w := range in {
		out[i] = string(w)
	}
	return out
}
