package video

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// operators is the source of a price that an operator gives without one.
const operators = "operator"

// priceList is a file of prices alone.
type priceList struct {
	Date    string            `json:"date"`
	Sources map[string]Source `json:"sources"`
	Prices  []Price           `json:"prices"`
}

// ParseOperators reads an operator's file: a whole catalogue, as [ParseCatalogue] does, or, where it names no models, prices that are laid
// over those of the built-in one. A price replaces that of the same region, model, resolution and audio, and is added where there is none;
// one without a source is the operator's own, and one without a date is of the file's date.
func ParseOperators(data []byte) (*Catalogue, error) {
	var names map[string]json.RawMessage
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("read prices: %w", atLine(data, err))
	}
	if _, whole := names["models"]; whole {
		return ParseCatalogue(data)
	}
	var list priceList
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	c, err := parse(builtIn, "")
	if err != nil {
		return nil, err
	}
	if err := c.lay(list); err != nil {
		return nil, err
	}
	return c.usual(), nil
}

// lay lays prices over those of the whole catalogue.
func (c *Catalogue) lay(list priceList) error {
	maps.Copy(c.Sources, list.Sources)
	if _, named := c.Sources[operators]; !named {
		c.Sources[operators] = Source{Title: "the operator's prices file"}
	}
	for i := range list.Prices {
		p := &list.Prices[i]
		p.Source, p.AsOf = cmp.Or(p.Source, operators), cmp.Or(p.AsOf, list.Date)
		if r := c.Region(p.Region); r != nil && r.PricesOf != "" {
			return fmt.Errorf("catalogue: price of %s %s in %s: that region has the prices of %s", p.Model, p.Resolution, p.Region, r.PricesOf)
		}
	}
	c.Prices = slices.DeleteFunc(c.Prices, func(old Price) bool {
		return slices.ContainsFunc(list.Prices, func(p Price) bool { return p.covers(old) })
	})
	c.Prices = append(c.Prices, list.Prices...)
	return c.verify()
}
