package video

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ParseCatalogue reads a catalogue in the form of catalogue.json, and returns the part of [DefaultProvider], or of the first provider
// where that one is not in it. A model entry with "like" takes every field that it does not set itself from the model named there: an
// earlier one of its provider, or else of DefaultProvider. Unknown fields, doubled names and dangling names are errors.
func ParseCatalogue(data []byte) (*Catalogue, error) {
	whole, err := parse(data, "")
	if err == nil {
		err = whole.verify()
	}
	if err != nil {
		return nil, err
	}
	return whole.usual(), nil
}

// parse reads a whole catalogue, or of its models only those of one provider.
func parse(data []byte, only string) (*Catalogue, error) {
	var file struct {
		Catalogue
		Models []map[string]json.RawMessage `json:"models"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	c := &file.Catalogue
	c.whole = c
	known := map[modelKey]map[string]json.RawMessage{}
	for _, entry := range file.Models {
		if only == DefaultProvider && entry["provider"] != nil {
			c.partial = true
			continue
		}
		m, merged, err := parseModel(entry, known)
		if err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		known[modelKey{m.Provider, m.Name}] = merged
		c.Models = append(c.Models, m)
	}
	for i := range c.Regions {
		r := &c.Regions[i]
		r.Provider = cmp.Or(r.Provider, DefaultProvider)
		r.open = !c.Priced(r.Name)
	}
	return c, nil
}

// modelKey names a model: two providers may sell one of the same name.
type modelKey struct{ provider, name string }

// parseModel reads an entry, and returns it with all that it takes from the model that it is like.
func parseModel(entry map[string]json.RawMessage, known map[modelKey]map[string]json.RawMessage) (*Model, map[string]json.RawMessage, error) {
	var names struct{ Provider, Like string }
	for field, into := range map[string]*string{"provider": &names.Provider, "like": &names.Like} {
		if text, ok := entry[field]; ok {
			if err := json.Unmarshal(text, into); err != nil {
				return nil, nil, fmt.Errorf("model: %s: %w", field, err)
			}
		}
	}
	names.Provider = cmp.Or(names.Provider, DefaultProvider)
	priced := "" // whose price it has where it has none of its own: another provider's price is none
	if names.Like != "" {
		base, own := known[modelKey{names.Provider, names.Like}]
		if priced = names.Like; !own {
			base, priced = known[modelKey{DefaultProvider, names.Like}], ""
		}
		if base == nil {
			return nil, nil, fmt.Errorf("model: like %q names no earlier model", names.Like)
		}
		entry = inherited(base, entry)
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return nil, nil, err
	}
	m := &Model{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, nil, fmt.Errorf("model %s: %w", entry["name"], err)
	}
	m.Provider, m.UpstreamName, m.pricedLike = names.Provider, cmp.Or(m.UpstreamName, m.Name), priced
	for name, limits := range m.Media {
		limits.Uploads = limits.Uploads || slices.Contains(limits.Schemes, "oss")
		m.Media[name] = limits
	}
	return m, entry, nil
}

// inherited lays an entry over that of the model that it is like. What a model is called upstream, and by whom it is sold, is its own.
func inherited(base, entry map[string]json.RawMessage) map[string]json.RawMessage {
	merged := maps.Clone(base)
	delete(merged, "provider")
	delete(merged, "upstream_name")
	maps.Copy(merged, entry)
	return merged
}

// verify makes sure that every name in the whole catalogue leads somewhere, so that no lookup fails while somebody pays.
func (c *Catalogue) verify() error {
	for i, r := range c.Regions {
		if slices.ContainsFunc(c.Regions[:i], func(o Region) bool { return o.Name == r.Name }) {
			return fmt.Errorf("catalogue: region %q is doubled", r.Name)
		}
	}
	for _, p := range c.Prices {
		if c.Region(p.Region) == nil {
			return fmt.Errorf("catalogue: price of %s %s in %s: there is no such region", p.Model, p.Resolution, p.Region)
		}
	}
	if len(c.Models) == 0 {
		return errors.New("catalogue: there are no models")
	}
	if c.partial {
		return c.For(DefaultProvider).verifyPart()
	}
	for _, provider := range c.Providers() {
		if err := c.For(provider).verifyPart(); err != nil {
			return err
		}
	}
	return nil
}

// verifyPart is [Catalogue.verify] for the part of one provider.
func (c *Catalogue) verifyPart() error {
	seen := map[string]bool{}
	for _, m := range c.Models {
		if m.Name == "" || seen[m.Name] {
			return fmt.Errorf("catalogue: model %q is doubled or has no name", m.Name)
		}
		seen[m.Name] = true
		if err := m.verify(); err != nil {
			return fmt.Errorf("catalogue: model %s: %w", m.Name, err)
		}
	}
	if c.Model(c.DefaultModel) == nil {
		return fmt.Errorf("catalogue: default model %q is not among the models", c.DefaultModel)
	}
	for _, r := range c.Regions {
		if r.Currency == "" || (r.PricesOf != "" && c.Region(r.PricesOf) == nil) {
			return fmt.Errorf("catalogue: region %q has no currency or takes prices of an unknown region", r.Name)
		}
	}
	for i, p := range c.Prices {
		if err := c.verifyPrice(p, c.Prices[:i]); err != nil {
			return fmt.Errorf("catalogue: price of %s %s in %s: %w", p.Model, p.Resolution, p.Region, err)
		}
	}
	return nil
}

func (c *Catalogue) verifyPrice(p Price, earlier []Price) error {
	m := c.Model(p.Model)
	_, sourced := c.Sources[p.Source]
	switch {
	case slices.ContainsFunc(earlier, func(o Price) bool { return o.covers(p) || p.covers(o) }):
		return errors.New("it is given twice")
	case m == nil || m.Sizes[p.Resolution] == nil || !p.PerSecond.IsPositive():
		return errors.New("unknown name or no positive price")
	case !sourced || p.AsOf == "" && p.Source != operators:
		return errors.New("no source or no date")
	}
	return nil
}
