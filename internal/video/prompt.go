package video

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// names are the spellings of references in prompts. wan2.6 says character1; wan2.7 says Image 1 or 图1, Video 1 or 视频1.
// The loose ones are how a writer may mean a reference, or may mean nothing of the sort ("a music video 2024").
type names struct {
	character, characterStrict *regexp.Regexp
	image, imageLoose          *regexp.Regexp
	video, videoLoose          *regexp.Regexp
	single                     *regexp.Regexp // with a single reference the guide allows this instead of a number
}

// spellings are compiled when the first prompt is checked: a server that only lists its tools never needs them.
var spellings = sync.OnceValue(func() names {
	return names{
		character:       regexp.MustCompile(`(?i)\bcharacter ?(\d{1,4})\b`),
		characterStrict: regexp.MustCompile(`(?i)\bcharacter(\d{1,4})\b`),
		image:           regexp.MustCompile(`\bImage ?(\d{1,4})\b|图(?:片|像)? ?(\d{1,4})`),
		imageLoose:      regexp.MustCompile(`(?i)\bimage ?(\d{1,4})\b`),
		video:           regexp.MustCompile(`\bVideo ?(\d{1,4})\b|视频 ?(\d{1,4})`),
		videoLoose:      regexp.MustCompile(`(?i)\bvideo ?(\d{1,4})\b`),
		single:          regexp.MustCompile(`(?i)\breference (?:image|video)\b|参考(?:图|视频)`),
	}
})

// checkNames compares the references that the prompt names with those that are there. A name without a reference is a
// problem, since the clip would be paid for without its subject; a reference without a name is a warning.
func (r *Report) checkNames() {
	if strings.TrimSpace(r.Request.Prompt) == "" {
		return // said already, where it matters
	}
	names := spellings()
	if r.Model.Alias == AliasCharacter {
		named := r.named(names.character, "character%d", len(r.Aliases))
		r.refuseForeign(names.image, "character1, character2 in the order of references")
		r.refuseForeign(names.video, "character1, character2 in the order of references")
		r.warnUnnamed(named)
		return
	}
	named := r.named(names.image, "Image %d", r.count(Image))
	maps.Copy(named, r.named(names.video, "Video %d", r.count(Clip)))
	r.addLoose(named, names.imageLoose, "Image %d", r.count(Image))
	r.addLoose(named, names.videoLoose, "Video %d", r.count(Clip))
	r.refuseForeign(names.characterStrict, "Image 1, Video 1: images and videos are counted apart")
	if len(r.Aliases) > 1 || !names.single.MatchString(r.Request.Prompt) {
		r.warnUnnamed(named)
	}
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
			alias = fmt.Sprintf("Video %d", counts[Clip])
		}
		r.Aliases = append(r.Aliases, alias)
	}
}

// named collects the names of one sort in the prompt and reports those that nothing answers to.
func (r *Report) named(spelling *regexp.Regexp, form string, have int) map[string]bool {
	named := map[string]bool{}
	for _, number := range numbers(spelling, r.Request.Prompt) {
		alias := fmt.Sprintf(form, number)
		if !named[alias] && (number < 1 || number > have) {
			r.problem("prompt", r.namesAllowed(), "it names %s, and there is no such reference", alias)
		}
		named[alias] = true
	}
	return named
}

// addLoose adds what may be names, and only warns of those that nothing answers to.
func (r *Report) addLoose(named map[string]bool, spelling *regexp.Regexp, form string, have int) {
	for _, number := range numbers(spelling, r.Request.Prompt) {
		alias := fmt.Sprintf(form, number)
		if !named[alias] && (number < 1 || number > have) {
			r.warn("prompt: if it means to name %s: there is no such reference", alias)
		}
		named[alias] = true
	}
}

// refuseForeign reports names that belong to the other family of models.
func (r *Report) refuseForeign(names *regexp.Regexp, own string) {
	if found := names.FindString(r.Request.Prompt); found != "" {
		r.problem("prompt", own, "it names %s, which means nothing to %s", found, r.Model.Name)
	}
}

func (r *Report) warnUnnamed(named map[string]bool) {
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
	var names []string
	for _, alias := range r.Aliases {
		if alias != "" {
			names = append(names, alias)
		}
	}
	if len(names) == 0 {
		return "no names, since no reference has one"
	}
	return strings.Join(names, ", ")
}

func numbers(names *regexp.Regexp, text string) []int {
	var out []int
	for _, match := range names.FindAllStringSubmatch(text, -1) {
		for _, group := range match[1:] {
			if n, err := strconv.Atoi(group); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}
