package schema

import (
	"fmt"
	"slices"
	"strings"

	"r2v-mcp/internal/video"
)

// fact is what a `catalogue` tag stands for: a list of words or a range.
type fact struct {
	words    []string
	min, max int64
	fallback string // the default, empty where there is none that always holds
}

// known is what the catalogue tells about arguments: facts for tags, and texts for the {placeholders} in descriptions.
type known struct {
	facts map[string]fact
	texts map[string]string
	lacks []string // arguments that no model has: they are not published
}

// words are the facts that hold whatever the catalogue says.
func words() map[string]fact {
	return map[string]fact{
		"kinds":    {words: stringsOf(video.Kinds())},
		"statuses": {words: stringsOf(video.Statuses())},
		"charged":  {words: stringsOf([]video.Charged{video.NotCharged, video.WasCharged, video.ChargedUnknown})},
	}
}

func fromCatalogue(c *video.Catalogue) known {
	k := known{texts: texts(c), facts: words()}
	k.facts["models"] = fact{words: c.ModelNames(), fallback: c.DefaultModel}
	for _, m := range c.Models {
		k.widen("resolutions", m.Resolutions, video.Range{})
		k.widen("ratios", m.Ratios, video.Range{})
		k.widen("shot_types", m.ShotTypes, video.Range{})
		if m.Lacks["seed"] == "" {
			k.widen("seed", nil, m.Seed)
		}
		k.widen("duration", nil, video.Range{Min: int64(m.Duration.Min), Max: int64(m.Duration.Max)})
	}
	for field := range c.Models[0].Lacks {
		if !slices.ContainsFunc(c.Models, func(m *video.Model) bool { return m.Lacks[field] == "" }) {
			k.lacks = append(k.lacks, field)
		}
	}
	return k
}

// widen makes a fact hold for one more model. What a single model takes is for [video.Catalogue.Check] to say.
func (k known) widen(name string, words []string, r video.Range) {
	f, seen := k.facts[name]
	for _, w := range words {
		if !slices.Contains(f.words, w) {
			f.words = append(f.words, w)
		}
	}
	if !seen {
		f.min = r.Min
	}
	f.min, f.max = min(f.min, r.Min), max(f.max, r.Max)
	k.facts[name] = f
}

// texts puts the limits of all models into the fewest words: the default model's, then where another family differs.
func texts(c *video.Catalogue) map[string]string {
	m := c.Model(c.DefaultModel)
	out := map[string]string{
		"prompt_characters":          perFamily(c, func(m *video.Model) int { return m.PromptCharacters }),
		"negative_prompt_characters": fmt.Sprint(m.NegativePromptCharacters),
		"references":                 perFamily(c, func(m *video.Model) int { return m.References.Max }),
		"reference_videos":           perFamily(c, func(m *video.Model) int { return m.References.Videos }),
		"duration":                   perFamily(c, func(m *video.Model) int { return m.Duration.Default }),
		"duration_max":               perFamily(c, func(m *video.Model) int { return m.Duration.Max }),
		"duration_max_with_video":    perFamily(c, func(m *video.Model) int { return m.Duration.MaxWithVideo }),
		"resolution":                 m.ResolutionDefault,
		"resolution_price":           m.Resolutions[0] + " is cheaper",
		"ratio":                      m.RatioDefault,
		"characters":                 families(c, func(m *video.Model) bool { return m.Alias == video.AliasCharacter }),
		"counted":                    counted(c),
		"other_addresses":            otherAddresses(c, true),
		"other_addresses_far":        otherAddresses(c, false),
	}
	if m.ResolutionDefault == m.Resolutions[0] {
		out["resolution_price"] = m.Resolutions[len(m.Resolutions)-1] + " is dearer"
	}
	for _, field := range []string{"audio", "shot_type", "prompt_extend", "voice_url", "first_frame"} {
		out["only:"+field] = families(c, has(field))
	}
	all := families(c, every)
	for field, lead := range map[string]string{"negative_prompt": "; ", "seed": ""} { // which all have as a rule
		out["unless:"+field] = ""
		if have := families(c, has(field)); have != all {
			out["unless:"+field] = lead + have + " only"
		}
	}
	out["clips_alone"], out["prompt_extend"], out["local_files"] = "", "", families(c, uploads)
	if clips := families(c, func(m *video.Model) bool { return m.Lacks["image"] != "" }); clips != "" {
		out["clips_alone"] = "; " + clips + " takes videos only"
	}
	if m.PromptExtendDefault != nil {
		out["prompt_extend"] = fmt.Sprintf(", default %t", *m.PromptExtendDefault)
	}
	if out["local_files"] == all {
		out["local_files"] = ""
	}
	return out
}

// every holds for each model.
func every(*video.Model) bool { return true }

// uploads holds for the models to which files can be uploaded.
func uploads(m *video.Model) bool { return m.Media["video"].Uploads }

// has holds for the models that have a field, or take a kind of reference.
func has(field string) func(*video.Model) bool {
	return func(m *video.Model) bool { return m.Lacks[field] == "" }
}

// counted tells which references divide the input that is billed at most, and where nothing is cut.
func counted(c *video.Catalogue) string {
	var parts []string
	for _, rule := range []struct {
		of     video.TruncationCounts
		format string
	}{
		{video.CountVideos, "videos only on %s"}, {video.CountReferences, "videos and images on %s"}, {video.CountNone, "on %s nothing is cut"},
	} {
		if on := families(c, func(m *video.Model) bool { return m.TruncationCounts == rule.of }); on != "" {
			parts = append(parts, fmt.Sprintf(rule.format, on))
		}
	}
	return strings.Join(parts, ", ")
}

// otherAddresses tells which forms of address there are beside http(s), with local files or without them, and which models take them.
func otherAddresses(c *video.Catalogue, files bool) string {
	local := func(m *video.Model) bool { return files && uploads(m) }
	data := func(m *video.Model) bool { return slices.Contains(m.Media["image"].Schemes, "data") }
	var out string
	for _, taken := range []struct {
		form string
		by   string
	}{
		{"local file, data:image/...;base64", families(c, func(m *video.Model) bool { return local(m) && data(m) })},
		{"local file", families(c, func(m *video.Model) bool { return local(m) && !data(m) })},
		{"data:image/...;base64", families(c, func(m *video.Model) bool { return !local(m) && data(m) })},
	} {
		switch taken.by {
		case "":
		case families(c, every):
			out += "; also: " + taken.form
		default:
			out += "; " + taken.by + " also: " + taken.form
		}
	}
	return out
}

// family is the common beginning of models that differ in their limits no more than they must: wan2.6 of wan2.6-r2v-flash.
func family(m *video.Model) string {
	name, _, _ := strings.Cut(m.Name, "-")
	return name
}

// families names the models for which something holds: by family where it holds for a whole one.
func families(c *video.Catalogue, holds func(*video.Model) bool) string {
	var out []string
	for _, m := range c.Models {
		whole := !slices.ContainsFunc(c.Models, func(o *video.Model) bool { return family(o) == family(m) && !holds(o) })
		switch {
		case whole && !slices.Contains(out, family(m)):
			out = append(out, family(m))
		case !whole && holds(m):
			out = append(out, m.Name)
		}
	}
	return strings.Join(out, ", ")
}

// perFamily writes "5000 (wan2.6: 1500)".
func perFamily(c *video.Catalogue, limit func(*video.Model) int) string {
	usual := limit(c.Model(c.DefaultModel))
	text := fmt.Sprint(usual)
	var seen []int
	for _, m := range c.Models {
		if n := limit(m); n != usual && !slices.Contains(seen, n) {
			seen = append(seen, n)
			text += fmt.Sprintf(" (%s: %d)", families(c, func(o *video.Model) bool { return limit(o) == n }), n)
		}
	}
	return text
}

// Describe replaces the {placeholders} of a description by what the catalogue says. It returns an error that names a
// placeholder which nothing stands for.
func Describe(c *video.Catalogue, description string) (string, error) {
	return fromCatalogue(c).describe(description)
}

func (k known) describe(description string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(description, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		mark, after, _ := strings.Cut(rest, "}")
		text, ok := k.texts[mark]
		if !ok {
			return "", fmt.Errorf("the catalogue has no text for {%s}", mark)
		}
		b.WriteString(text)
		description = after
	}
}
