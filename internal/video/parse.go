package video

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
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
		Models []json.RawMessage `json:"models"`
	}
	if err := strictly(data, &file); err != nil {
		return nil, fmt.Errorf("read catalogue: %w", atLine(data, err))
	}
	c := &file.Catalogue
	c.whole = c
	for _, entry := range file.Models {
		var named modelNames
		if err := json.Unmarshal(entry, &named); err != nil {
			return nil, fmt.Errorf("read catalogue: model: %w", err)
		}
		if only == DefaultProvider && named.Provider != "" {
			c.partial = true
			continue
		}
		m, err := c.parseModel(entry, named)
		if err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		c.Models = append(c.Models, m)
	}
	for i := range c.Regions {
		r := &c.Regions[i]
		r.Provider = cmp.Or(r.Provider, DefaultProvider)
		r.open = !c.Priced(r.Name)
	}
	return c, nil
}

// strictly reads an object that has no field which is not known.
func strictly(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// modelNames are a model's own name, whose it is, and the one that it is like.
type modelNames struct{ Name, Provider, Like string }

// parseModel reads an entry over the model that it is like, if any. What a model is called upstream, and by whom it is sold, is its own.
func (c *Catalogue) parseModel(entry json.RawMessage, named modelNames) (*Model, error) {
	m := &Model{}
	priced := "" // whose price it has where it has none of its own: another provider's price is none
	if named.Like != "" {
		base := c.modelOf(cmp.Or(named.Provider, DefaultProvider), named.Like)
		if priced = named.Like; base == nil {
			base, priced = c.modelOf(DefaultProvider, named.Like), ""
		}
		if base == nil {
			return nil, fmt.Errorf("model: like %q names no earlier model", named.Like)
		}
		*m = *base
		m.Provider, m.UpstreamName = "", ""
		if err := m.clear(entry); err != nil {
			return nil, fmt.Errorf("model %s: %w", named.Name, err)
		}
	}
	if err := strictly(entry, m); err != nil {
		return nil, fmt.Errorf("model %s: %w", named.Name, err)
	}
	m.Provider, m.UpstreamName, m.pricedLike = cmp.Or(m.Provider, DefaultProvider), cmp.Or(m.UpstreamName, m.Name), priced
	for name, limits := range m.Media {
		limits.Uploads = limits.Uploads || slices.Contains(limits.Schemes, "oss")
		m.Media[name] = limits
	}
	return m, nil
}

// clear empties the fields that an entry sets itself: they would be added to what is there, which is the other model's as well.
func (m *Model) clear(entry json.RawMessage) error {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(entry, &fields)
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		for given := range fields { // whose case a decoder does not mind
			if name != "" && strings.EqualFold(given, name) {
				v.Field(i).SetZero()
			}
		}
	}
	return err
}

// modelOf is a model that was read already.
func (c *Catalogue) modelOf(provider, name string) *Model {
	i := slices.IndexFunc(c.Models, func(m *Model) bool { return m.Provider == provider && m.Name == name })
	if i < 0 {
		return nil
	}
	return c.Models[i]
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

// mostDigits bounds a price of a second: a million of a currency, and twice as many decimals.
const mostDigits = 6

// isDate reports whether a text is a month or a day.
func isDate(text string) bool {
	_, month := time.Parse("2006-01", text)
	_, day := time.Parse(time.DateOnly, text)
	return month == nil || day == nil
}

// atLine tells in which line a text stops being JSON.
func atLine(text []byte, err error) error {
	if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := text[:min(int64(len(text)), broken.Offset)]
		return fmt.Errorf("line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
	}
	return err
}

func (c *Catalogue) verifyPrice(p Price, earlier []Price) error {
	m := c.Model(p.Model)
	_, sourced := c.Sources[p.Source]
	switch {
	case slices.ContainsFunc(earlier, func(o Price) bool { return o.covers(p) || p.covers(o) }):
		return errors.New("it is given twice")
	case m == nil:
		return fmt.Errorf("there is no such model; there are %s", strings.Join(c.ModelNames(), ", "))
	case m.Sizes[p.Resolution] == nil:
		return fmt.Errorf("there is no such resolution; there are %s", strings.Join(m.Resolutions, ", "))
	case p.Audio != nil && m.AudioDefault == nil:
		return errors.New("the model's sound cannot be chosen: leave audio out, or the price would never apply")
	case !p.PerSecond.IsPositive() || p.PerSecond.Exponent() > mostDigits || p.PerSecond.Exponent() < -2*mostDigits || p.PerSecond.GreaterThan(decimal.New(1, mostDigits)):
		return errors.New("per_second is no amount above 0, up to a million and with 12 decimals at the most")
	case !sourced:
		return fmt.Errorf("source %q is not among the sources", p.Source)
	case p.Source != operators && !isDate(p.AsOf), p.AsOf != "" && !isDate(p.AsOf):
		return fmt.Errorf("as_of %q is no date such as 2026-11 or 2026-11-21", p.AsOf)
	}
	return nil
}
