package video

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Report is what [Catalogue.Check] finds: the request with every default filled in, what the references are called, and
// what is wrong. A request with no Problems may be sent.
type Report struct {
	Request  Request
	Model    *Model   // the nearest one when the model is unknown
	Price    *Price   // nil when the model is not sold in the region, the resolution is unknown, or no rate is known
	NoRate   bool     // nothing is wrong with what decides the price, but nobody has told what a second costs in that region
	Aliases  []string // what the prompt must call each reference, in their order; empty for a first frame
	Inline   []bool   // local files that go inside the request instead of being uploaded
	Untold   []bool   // references that the service may take for videos, although called images: nothing that is sent says so
	Problems []Problem
	Warnings []string

	otherMedia []string
	local      bool // the service runs on this machine
	noFiles    bool // the files of whoever asks are not on this machine

	declared     []Kind   // what the request itself says that each reference is, whatever was seen of it
	uploadsKnown bool     // the region's service is documented to take temporary uploads
	uploaders    []string // models to which files can be uploaded
	uploadedIn   []string // regions in which that is documented

	mentioned  map[string][]mention // what the prompt names, by sort
	ratioGiven bool
	unpriced   bool // something that decides the price is not known
}

func (r *Report) problem(field, allowed, wrong string, args ...any) {
	r.Problems = append(r.Problems, Problem{Field: field, Wrong: fmt.Sprintf(wrong, args...), Allowed: allowed})
}

// fileProblem is a problem of what an address leads to.
func (r *Report) fileProblem(field, allowed, wrong string, args ...any) {
	r.problem(field, allowed, wrong, args...)
	r.Problems[len(r.Problems)-1].OfFile = true
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// Check holds a request against every rule of its model that is documented, as far as it can be known, and reports all
// that is wrong at once; what looking at the media has told comes with the references. Nothing is dropped or cut to fit.
func (c *Catalogue) Check(req Request, region string) *Report {
	return c.check(&Report{Request: req}, region)
}

// CheckFar is [Catalogue.Check] for somebody whose files are not on this machine, and who is told so.
func (c *Catalogue) CheckFar(req Request, region string) *Report {
	return c.check(&Report{Request: req, noFiles: true}, region)
}

func (c *Catalogue) check(r *Report, region string) *Report {
	req := r.Request
	r.otherMedia, r.uploaders, r.uploadedIn = c.OtherMedia, c.uploaders(region), c.uploadRegions()
	r.Request.Model = fold(req.Model, c.ModelNames())
	r.Request.References = slices.Clone(req.References)
	if strings.TrimSpace(req.Model) == "" {
		r.Request.Model = c.DefaultModel
	}
	r.Model = c.Model(r.Request.Model)
	if r.Model == nil { // the rest is held against the model that was probably meant, so that all is told at once
		r.Model = c.nearest(r.Request.Model)
		r.unpriced = true
		r.problem("model", strings.Join(c.ModelNames(), ", "), "%q is not a model known here; did you mean %s?", shorten(req.Model), r.Model.Name)
	}
	r.fold()
	r.fillDefaults()
	r.checkLacks()
	r.checkPrompt()
	if r.checkReferences(c.Region(region)) {
		r.checkNames()
	}
	r.checkParameters()
	c.checkRegion(r, region)
	return r
}

// nearest is the model whose name begins most like the one given.
func (c *Catalogue) nearest(name string) *Model {
	common := func(m *Model) int {
		n := 0
		for n < len(name) && n < len(m.Name) && name[n]|0x20 == m.Name[n] {
			n++
		}
		return n
	}
	best := c.Model(c.DefaultModel)
	for _, m := range c.Models {
		if common(m) > common(best) {
			best = m
		}
	}
	return best
}

// fold takes words of the catalogue in any case and with blanks around them, and the API's own words for kinds.
func (r *Report) fold() {
	m, req := r.Model, &r.Request
	req.Resolution = fold(req.Resolution, m.Resolutions)
	req.Ratio = fold(req.Ratio, m.Ratios)
	req.ShotType = fold(req.ShotType, m.ShotTypes)
	for i := range req.References {
		kind := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(string(req.References[i].Kind))), "reference_")
		req.References[i].Kind = Kind(fold(kind, []string{string(Image), string(Video), string(FirstFrame)}))
	}
}

func fold(word string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(strings.TrimSpace(word), k) {
			return k
		}
	}
	return word
}

// fillDefaults spells out the defaults that change the price or the size, so that they are sent and not left to upstream.
func (r *Report) fillDefaults() {
	m, req := r.Model, &r.Request
	r.ratioGiven = req.Ratio != ""
	if req.Resolution == "" {
		req.Resolution = m.ResolutionDefault
	}
	if req.Ratio == "" && m.Wire == WireReferenceURLs {
		req.Ratio = m.RatioDefault
	}
	if req.Duration == 0 {
		req.Duration = m.Duration.Default
	}
	if req.Audio == nil {
		req.Audio = m.AudioDefault
	}
}

// checkLacks refuses fields that the model has not got: dropping one would sell something else than what was asked for.
func (r *Report) checkLacks() {
	req := r.Request
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"shot_type", req.ShotType != ""}, {"audio", req.Audio != nil}, {"prompt_extend", req.PromptExtend != nil},
		{"negative_prompt", req.NegativePrompt != ""}, {"seed", req.Seed != nil}, {"watermark", req.Watermark != nil},
	} {
		if instead, lacks := r.Model.Lacks[f.name]; lacks && f.given {
			r.problem(f.name, "leave it out; "+instead, "%s has no %s", r.Model.Name, f.name)
		}
	}
}

func (r *Report) checkPrompt() {
	m := r.Model
	if strings.TrimSpace(r.Request.Prompt) == "" {
		r.problem("prompt", fmt.Sprintf("1 to %d characters", m.PromptCharacters), "it is missing or blank")
	}
	r.checkText("prompt", r.Request.Prompt, m.PromptCharacters)
	if !m.lacks("negative_prompt") {
		r.checkText("negative_prompt", r.Request.NegativePrompt, m.NegativePromptCharacters)
	}
}

// checkText refuses what the service would cut without a word: a text that is too long, and characters that are no text.
func (r *Report) checkText(field, text string, limit int) {
	if n := utf8.RuneCountInString(text); n > limit {
		r.problem(field, fmt.Sprintf("at most %d characters", limit),
			"it has %d characters and %s would silently cut it to %d", n, r.Model.Name, limit)
	}
	if i := strings.IndexFunc(text, notText); i >= 0 {
		r.problem(field, "valid UTF-8 text without control characters", "character %d (%U) is no text",
			utf8.RuneCountInString(text[:i])+1, []rune(text[i:])[0])
	}
}

// notText finds control characters, and the mark that decoders leave where bytes were not UTF-8.
func notText(c rune) bool {
	return c == utf8.RuneError || (unicode.IsControl(c) && c != '\n' && c != '\t' && c != '\r')
}

func (r *Report) checkParameters() {
	m, req := r.Model, r.Request
	if !slices.Contains(m.Resolutions, req.Resolution) {
		r.problem("resolution", strings.Join(m.Resolutions, ", "), "%q is not made by %s", shorten(req.Resolution), m.Name)
	}
	if req.Ratio != "" && !slices.Contains(m.Ratios, req.Ratio) {
		r.problem("ratio", strings.Join(m.Ratios, ", "), "%q is not made by %s", shorten(req.Ratio), m.Name)
	}
	if req.ShotType != "" && len(m.ShotTypes) > 0 && !slices.Contains(m.ShotTypes, req.ShotType) {
		r.problem("shot_type", strings.Join(m.ShotTypes, ", "), "%q is unknown", shorten(req.ShotType))
	}
	if req.Seed != nil && !m.lacks("seed") && (*req.Seed < m.Seed.Min || *req.Seed > m.Seed.Max) {
		r.problem("seed", fmt.Sprintf("%d to %d", m.Seed.Min, m.Seed.Max), "%d is out of range", *req.Seed)
	}
	withVideo := r.count(Video) > 0
	if longest := m.MaxDuration(withVideo); req.Duration < m.Duration.Min || req.Duration > longest {
		when := ""
		if m.Duration.MaxWithVideo != m.Duration.Max {
			when = " without a reference video"
			if withVideo {
				when = " with a reference video"
			}
		}
		r.problem("duration", fmt.Sprintf("%d to %d seconds", m.Duration.Min, longest),
			"%s does not make %d seconds%s", m.Name, req.Duration, when)
	}
	if withVideo && m.TruncationCounts == CountNone {
		r.warn("references: no limit to the billed seconds of a reference video is documented for %s here, so each is counted whole: the bill may be lower", m.Name)
	}
	if r.ratioGiven && r.count(FirstFrame) > 0 && m.References.FirstFrames > 0 {
		r.warn("ratio %s is ignored by %s because a first frame is given: the clip takes about the frame's own ratio", req.Ratio, m.Name)
	}
}

// checkRegion finds the price, and says so when the model is not sold where the key belongs.
func (c *Catalogue) checkRegion(r *Report, region string) {
	m, req := r.Model, r.Request
	if !r.unpriced {
		r.Price = c.Price(region, m, req.Resolution, req.Audio)
	}
	r.NoRate = r.Price == nil && !r.unpriced && c.open(region) && m.Sizes[req.Resolution] != nil
	if r.Price == nil && !r.unpriced && !c.sells(region, m) && len(c.regionsOf(m)) > 0 && !slices.Contains(c.regionsOf(m), region) {
		r.problem("model", fmt.Sprintf("in %s: %s", region, strings.Join(c.ModelsIn(region), ", ")),
			"%s is not sold in %s, only in %s", m.Name, region, strings.Join(c.regionsOf(m), ", "))
	}
	for _, n := range m.Narrower {
		if n.Region == region {
			r.checkNarrower(n)
		}
	}
}

func (r *Report) checkNarrower(n Narrower) {
	if len(n.Durations) > 0 && !slices.Contains(n.Durations, r.Request.Duration) {
		var allowed []string
		for _, d := range n.Durations {
			allowed = append(allowed, strconv.Itoa(d))
		}
		r.warn("duration: one guide says that %s in %s takes only %s seconds, not %d", r.Model.Name, n.Region, strings.Join(allowed, " or "), r.Request.Duration)
	}
	for i, ref := range r.Request.References {
		if len(n.Kinds) > 0 && ref.Kind != "" && !slices.Contains(n.Kinds, ref.Kind) {
			r.warn("references[%d]: one guide says that %s in %s takes only reference videos, not references of type %s", i, r.Model.Name, n.Region, ref.Kind)
		}
	}
}

func (r *Report) count(k Kind) int {
	n := 0
	for _, ref := range r.Request.References {
		if ref.Kind == k {
			n++
		}
	}
	return n
}

// shorten keeps a caller's bad value short enough to be repeated to them.
func shorten(s string) string {
	const most = 60
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
