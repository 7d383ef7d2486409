package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// byVariable names the variable in an error that names the field it was to fill.
func byVariable(err error) error {
	for _, s := range settings() {
		if text, found := strings.CutPrefix(err.Error(), s.field+": "); found {
			return errors.New(s.name + ": " + text)
		}
	}
	return fmt.Errorf("environment: %w", err)
}

// forTests begins the names of what decides about tests alone: a developer's shell may hold it.
const forTests = "R2V_TEST_"

// refuseUnknown finds variables of ours that nobody reads.
func refuseUnknown(env map[string]string) error {
	known := variables()
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(key, "R2V_") || strings.HasPrefix(key, forTests) || slices.Contains(known, key) {
			continue
		}
		near := slices.MinFunc(known, func(a, b string) int {
			return levenshtein.ComputeDistance(key, a) - levenshtein.ComputeDistance(key, b)
		})
		if levenshtein.ComputeDistance(key, near) <= 3 {
			errs = append(errs, fmt.Errorf("%s is not a setting; did you mean %s?", key, near))
		} else {
			errs = append(errs, fmt.Errorf("%s is not a setting of this version; the settings are %s", key, strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}

// variables lists the names of all settings.
func variables() []string {
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
	}
	return names
}

type setting struct{ field, name, shown, description string }

// settings describes every variable for the README and for errors; there is no other list.
func settings() []setting { return settingsOf(reflect.TypeFor[Config]()) }

// settingsOf describes the variables of a part of the configuration, without those of some of its own parts.
func settingsOf(t reflect.Type, without ...reflect.Type) []setting {
	var out []setting
	for i := range t.NumField() {
		if slices.Contains(without, t.Field(i).Type) {
			continue
		}
		if t.Field(i).Anonymous {
			out = append(out, settingsOf(t.Field(i).Type, without...)...)
			continue
		}
		tag := t.Field(i).Tag
		name, options, _ := strings.Cut(tag.Get("env"), ", ")
		if name == "" {
			continue
		}
		s := setting{field: t.Field(i).Name, name: name, shown: tag.Get("shown"), description: tag.Get("desc")}
		if value, ok := strings.CutPrefix(options, "default="); ok {
			s.shown = value
		}
		out = append(out, s)
	}
	return out
}
