package video

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

//go:embed catalogue.json
var builtIn []byte

// Catalogue is the one table of models, limits, regions and prices. Everything that checks, prices or describes a request
// reads it; nothing repeats it.
type Catalogue struct {
	Date         string            `json:"date"` // when it was put together, YYYY-MM-DD
	DefaultModel string            `json:"default_model"`
	Sources      map[string]Source `json:"sources"`
	Regions      []Region          `json:"regions"`
	Models       []*Model          `json:"-"`
	Prices       []Price           `json:"prices"`
	OtherMedia   []string          `json:"other_media"` // file endings of media that no model takes
}

// Source is where a price was read.
type Source struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Region is a Model Studio region. Key, address and model must be of the same one.
type Region struct {
	Name        string `json:"name"`
	Currency    string `json:"currency"`
	PricesOf    string `json:"prices_of,omitempty"`    // the region whose rows apply, when not its own
	PriceSource string `json:"price_source,omitempty"` // replaces those rows' source
	Local       bool   `json:"local,omitempty"`        // it runs on this machine, and reaches what this machine reaches
	Uploads     bool   `json:"uploads,omitempty"`      // temporary uploads are documented there
}

// Price is the price of one second of input or output video.
type Price struct {
	Region     string          `json:"region"`
	Model      string          `json:"model"`
	Resolution string          `json:"resolution"`
	Audio      *bool           `json:"audio,omitempty"` // nil where sound does not change the price
	PerSecond  decimal.Decimal `json:"per_second"`
	AsOf       string          `json:"as_of"` // of when the source is, YYYY-MM or YYYY-MM-DD
	Source     string          `json:"source"`
	Currency   string          `json:"-"`
}

// BuiltIn returns the catalogue that is compiled in.
func BuiltIn() (*Catalogue, error) { return ParseCatalogue(builtIn) }

// ParseCatalogue reads a catalogue in the form of catalogue.json. A model entry with "like" takes every field that it does
// not set itself from the model named there. Unknown fields, doubled names and dangling names are errors.
func ParseCatalogue(data []byte) (*Catalogue, error) {
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
	raw := map[string]map[string]json.RawMessage{}
	for _, entry := range file.Models {
		m, merged, err := parseModel(entry, raw)
		if err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		raw[m.Name] = merged
		c.Models = append(c.Models, m)
	}
	return c, c.verify()
}

func parseModel(entry map[string]json.RawMessage, known map[string]map[string]json.RawMessage) (*Model, map[string]json.RawMessage, error) {
	var like string
	if base, ok := entry["like"]; ok {
		if err := json.Unmarshal(base, &like); err != nil {
			return nil, nil, fmt.Errorf("model: like: %w", err)
		}
		if known[like] == nil {
			return nil, nil, fmt.Errorf("model: like %q names no earlier model", like)
		}
		merged := maps.Clone(known[like])
		maps.Copy(merged, entry)
		entry = merged
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
	return m, entry, nil
}

// verify makes sure that every name in the catalogue leads somewhere, so that no lookup fails while somebody pays.
func (c *Catalogue) verify() error {
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
		if slices.ContainsFunc(c.Prices[:i], func(o Price) bool {
			return o.Region == p.Region && o.Model == p.Model && o.Resolution == p.Resolution && (sameAudio(o.Audio, p.Audio) || sameAudio(p.Audio, o.Audio))
		}) {
			return fmt.Errorf("catalogue: price of %s %s in %s: it is given twice", p.Model, p.Resolution, p.Region)
		}
		m := c.Model(p.Model)
		if m == nil || c.Region(p.Region) == nil || m.Sizes[p.Resolution] == nil || !p.PerSecond.IsPositive() {
			return fmt.Errorf("catalogue: price of %s %s in %s: unknown name or no positive price", p.Model, p.Resolution, p.Region)
		}
		if _, ok := c.Sources[p.Source]; !ok || p.AsOf == "" {
			return fmt.Errorf("catalogue: price of %s %s in %s: no source or no date", p.Model, p.Resolution, p.Region)
		}
	}
	return nil
}

// Model returns the named model, nil when there is none.
func (c *Catalogue) Model(name string) *Model {
	i := slices.IndexFunc(c.Models, func(m *Model) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return c.Models[i]
}

// MostReferences is how many references any model takes at most, first frames included.
func (c *Catalogue) MostReferences() int {
	most := 0
	for _, m := range c.Models {
		most = max(most, m.References.Max+m.References.FirstFrames)
	}
	return most
}

// ModelNames lists the models in the catalogue's order.
func (c *Catalogue) ModelNames() []string {
	names := make([]string, len(c.Models))
	for i, m := range c.Models {
		names[i] = m.Name
	}
	return names
}

// Region returns the named region, nil when there is none.
func (c *Catalogue) Region(name string) *Region {
	i := slices.IndexFunc(c.Regions, func(r Region) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Regions[i]
}

// RegionNames lists the regions in the catalogue's order.
func (c *Catalogue) RegionNames() []string {
	names := make([]string, len(c.Regions))
	for i, r := range c.Regions {
		names[i] = r.Name
	}
	return names
}

// Price finds the price of one second, nil when the model is not sold in that region at that resolution. A model without
// any row of its own, in any region, costs what the model it is like costs.
func (c *Catalogue) Price(region string, m *Model, resolution string, audio *bool) *Price {
	r := c.Region(region)
	if r == nil {
		return nil
	}
	rows := r.Name
	if r.PricesOf != "" {
		rows = r.PricesOf
	}
	name := m.Name
	if !slices.ContainsFunc(c.Prices, func(p Price) bool { return p.Model == name }) {
		name = m.Like
	}
	for _, p := range c.Prices {
		if p.Region == rows && p.Model == name && p.Resolution == resolution && sameAudio(p.Audio, audio) {
			p.Currency = r.Currency
			if r.PriceSource != "" {
				p.Source = r.PriceSource
			}
			return &p
		}
	}
	return nil
}

func sameAudio(row, asked *bool) bool { return row == nil || (asked != nil && *row == *asked) }

// ModelsIn lists the models that are sold in a region.
func (c *Catalogue) ModelsIn(region string) []string {
	var names []string
	for _, m := range c.Models {
		if c.Price(region, m, m.ResolutionDefault, m.AudioDefault) != nil {
			names = append(names, m.Name)
		}
	}
	return names
}

// uploaders lists the models of a region to which files can be uploaded.
func (c *Catalogue) uploaders(region string) []string {
	return slices.DeleteFunc(c.ModelsIn(region), func(name string) bool {
		return !slices.Contains(c.Model(name).Media["video"].Schemes, "oss")
	})
}

// uploadRegions lists the regions of the real service that are documented to take temporary uploads.
func (c *Catalogue) uploadRegions() []string {
	var names []string
	for _, r := range c.Regions {
		if r.Uploads && !r.Local {
			names = append(names, r.Name)
		}
	}
	return names
}

// regionsOf lists the regions of the real service in which a model is sold.
func (c *Catalogue) regionsOf(m *Model) []string {
	var names []string
	for _, r := range c.Regions {
		if !r.Local && c.Price(r.Name, m, m.ResolutionDefault, m.AudioDefault) != nil {
			names = append(names, r.Name)
		}
	}
	return names
}

// SourceText names where a price comes from, for a reader who wants to check it.
func (c *Catalogue) SourceText(p *Price) string {
	s := c.Sources[p.Source]
	return strings.TrimSuffix(s.Title+", "+s.URL, ", ")
}
