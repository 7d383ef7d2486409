package video

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

//go:embed catalogue.json
var builtIn []byte

// Catalogue is the one table of models, limits, regions and prices: of one provider, whose words the tools then speak of alone.
// Everything that checks, prices or describes a request reads it; nothing repeats it. [Catalogue.For] gives another provider's.
type Catalogue struct {
	Date         string            `json:"date"` // when it was put together, YYYY-MM-DD
	DefaultModel string            `json:"default_model"`
	Sources      map[string]Source `json:"sources"`
	Regions      []Region          `json:"regions"`
	Models       []*Model          `json:"-"`
	Prices       []Price           `json:"prices"`
	OtherMedia   []string          `json:"other_media"` // file endings of media that no model takes

	whole   *Catalogue // that of all providers
	partial bool       // the built-in one, of which only DefaultProvider's models have been read so far: every start waits for it
}

// Source is where a price was read.
type Source struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Region is a Model Studio region, or the one place that another provider sells at. Key, address and model must be of the same one.
type Region struct {
	Name        string `json:"name"`
	Provider    string `json:"provider,omitempty"` // absent in a file for [DefaultProvider]
	Currency    string `json:"currency"`
	PricesOf    string `json:"prices_of,omitempty"`    // the region whose rows apply, when not its own
	PriceSource string `json:"price_source,omitempty"` // replaces those rows' source
	Local       bool   `json:"local,omitempty"`        // it runs on this machine, and reaches what this machine reaches
	Uploads     bool   `json:"uploads,omitempty"`      // temporary uploads are documented there
	PerUSD      int    `json:"per_usd,omitempty"`      // how much of Currency is about one US dollar, as the provider says; 0 for money

	open bool // it came without a price list: every model is sold there, whether or not a rate is known
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

// DefaultProvider is whose a model or region is that names no provider.
const DefaultProvider = "dashscope"

// BuiltIn returns the catalogue that is compiled in, [DefaultProvider]'s part of it.
func BuiltIn() (*Catalogue, error) {
	whole, err := parse(builtIn, DefaultProvider)
	if err == nil {
		err = whole.verify()
	}
	if err != nil {
		return nil, err
	}
	return whole.usual(), nil
}

// usual is the part of the whole that is meant where no provider is named.
func (c *Catalogue) usual() *Catalogue {
	if usual := c.For(DefaultProvider); usual != nil {
		return usual
	}
	return c.For(c.Providers()[0]) // verified: there is a model
}

// For returns the part of one provider, nil where the catalogue has no model of it. An empty name is [DefaultProvider]'s.
func (c *Catalogue) For(provider string) *Catalogue {
	provider = cmp.Or(provider, DefaultProvider)
	whole := c.whole
	if provider != DefaultProvider {
		whole = c.complete()
	}
	part := *whole
	part.Models, part.Regions, part.Prices = nil, nil, nil
	for _, m := range whole.Models {
		if m.Provider == provider {
			part.Models = append(part.Models, m)
		}
	}
	if len(part.Models) == 0 {
		return nil
	}
	for _, r := range whole.Regions {
		if r.Provider == provider {
			part.Regions = append(part.Regions, r)
		}
	}
	for _, p := range whole.Prices {
		if part.Region(p.Region) != nil {
			part.Prices = append(part.Prices, p)
		}
	}
	return &part
}

// complete is the whole catalogue with the models of all providers.
func (c *Catalogue) complete() *Catalogue {
	if !c.whole.partial {
		return c.whole
	}
	all, err := parse(builtIn, "")
	if err != nil {
		return c.whole // which tests hold to be impossible: it is compiled in
	}
	return all
}

// Providers lists whose models there are, in the catalogue's order.
func (c *Catalogue) Providers() []string {
	var names []string
	for _, m := range c.complete().Models {
		if !slices.Contains(names, m.Provider) {
			names = append(names, m.Provider)
		}
	}
	return names
}

// covers reports whether a row tells the price that another one tells, and perhaps more.
func (p Price) covers(other Price) bool {
	return p.Region == other.Region && p.Model == other.Model && p.Resolution == other.Resolution && sameAudio(p.Audio, other.Audio)
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

// MostCounted is how many references divide the input that is billed at most, where there are most that do.
func (c *Catalogue) MostCounted() int {
	most := 0
	for _, m := range c.Models {
		switch m.TruncationCounts {
		case CountVideos:
			most = max(most, m.References.Videos)
		case CountReferences:
			most = max(most, m.References.Max)
		}
	}
	return most
}

// Priced reports whether a rate of any model is known in a region.
func (c *Catalogue) Priced(region string) bool {
	r := c.Region(region)
	return r != nil && slices.ContainsFunc(c.Prices, func(p Price) bool { return p.Region == cmp.Or(r.PricesOf, r.Name) })
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

// Price finds the price of one second, nil when the model is not sold in that region at that resolution, or no rate is known there.
// A model without any row of its own, in any region, costs what the model of the same provider costs that it is like.
func (c *Catalogue) Price(region string, m *Model, resolution string, audio *bool) *Price {
	r := c.Region(region)
	if r == nil {
		return nil
	}
	rows := cmp.Or(r.PricesOf, r.Name)
	name := m.Name
	if !slices.ContainsFunc(c.Prices, func(p Price) bool { return p.Model == name }) {
		name = m.pricedLike
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

// open reports whether a region came without a price list: every model is sold there.
func (c *Catalogue) open(region string) bool {
	r := c.Region(region)
	return r != nil && r.open
}

// sells reports whether a model is sold in a region, whatever else is wrong with what is asked of it.
func (c *Catalogue) sells(region string, m *Model) bool {
	return c.open(region) || c.Price(region, m, m.ResolutionDefault, m.AudioDefault) != nil
}

// ModelsIn lists the models that are sold in a region: all where it has no price list.
func (c *Catalogue) ModelsIn(region string) []string {
	var names []string
	for _, m := range c.Models {
		if c.sells(region, m) {
			names = append(names, m.Name)
		}
	}
	return names
}

// uploaders lists the models of a region to which files can be uploaded.
func (c *Catalogue) uploaders(region string) []string {
	return slices.DeleteFunc(c.ModelsIn(region), func(name string) bool {
		return !c.Model(name).Media["video"].Uploads
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
		if !r.Local && c.sells(r.Name, m) {
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
