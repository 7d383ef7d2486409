package video

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// checkNames compares the references that the prompt names with those that are there. A name without a reference is a
// problem, since the clip would be paid for without its subject; a reference without a name is a warning.
func (r *Report) checkNames() {
	if strings.TrimSpace(r.Request.Prompt) == "" {
		return // said already, where it matters
	}
	if r.Model.Alias == AliasCharacter {
		r.checkMentions("character", len(r.Aliases))
		r.checkForeign("image", "video")
	} else {
		r.checkMentions("image", r.count(Image))
		r.checkMentions("video", r.count(Video))
		r.checkForeign("character")
	}
	r.checkUnnamed()
}

// nameReferences gives each reference the name by which the prompt must call it.
func (r *Report) nameReferences() {
	counts := map[Kind]int{}
	for i, ref := range r.Request.References {
		counts[ref.Kind]++
		alias := ""
		switch {
		case ref.Kind == FirstFrame || ref.Kind == "":
		case r.Model.Alias == AliasCharacter:
			alias = fmt.Sprintf("character%d", i+1)
		case ref.Kind == Image:
			alias = fmt.Sprintf("Image %d", counts[Image])
		default:
			alias = fmt.Sprintf("Video %d", counts[Video])
		}
		r.Aliases = append(r.Aliases, alias)
	}
}

// checkMentions reports names of one sort that nothing answers to.
func (r *Report) checkMentions(sort string, have int) {
	var told []string
	for _, m := range r.mentions(sort) {
		if m.number >= 1 && m.number <= have || slices.Contains(told, m.alias) {
			continue
		}
		switch m.sure {
		case sure:
			r.problem("prompt", r.namesAllowed(), "it names %s (%q), and there is no such reference", m.alias, m.words)
		case loose:
			r.warn("prompt: if %q means to name %s: there is no such reference", m.words, m.alias)
		default:
			continue
		}
		told = append(told, m.alias)
	}
}

// checkForeign reports names that belong to the other family of models.
func (r *Report) checkForeign(sorts ...string) {
	for _, sort := range sorts {
		for _, m := range r.mentions(sort) {
			if m.sure == sure {
				r.problem("prompt", r.namesAllowed(), "it names %s (%q), which means nothing to %s", m.alias, m.words, r.Model.Name)
				return
			}
		}
	}
}

// With a single reference the guide allows this instead of a number.
var singleReference = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\breference (?:image|video)\b|参考(?:图|视频)|參考(?:圖|視頻)`)
})

func (r *Report) checkUnnamed() {
	named := map[string]bool{}
	for _, sort := range []string{"character", "image", "video"} {
		for _, m := range r.mentions(sort) {
			named[m.alias] = true
		}
	}
	if len(r.Aliases) == 1 && r.Model.Alias == AliasByKind && singleReference().MatchString(r.Request.Prompt) {
		return
	}
	var unnamed []string
	for _, alias := range r.Aliases {
		if alias != "" && !named[alias] {
			unnamed = append(unnamed, alias)
		}
	}
	if len(unnamed) > 0 {
		r.warn("prompt: it never names %s, so %s may take no notice of it", strings.Join(unnamed, ", "), r.Model.Name)
	}
}

func (r *Report) namesAllowed() string {
	names := slices.DeleteFunc(slices.Clone(r.Aliases), func(alias string) bool { return alias == "" })
	if len(names) == 0 {
		return "no names, since no reference has one"
	}
	return strings.Join(names, ", ")
}
