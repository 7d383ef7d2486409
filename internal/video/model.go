package video

import (
	"errors"
	"fmt"
	"slices"
)

// Model is one entry of the catalogue: a model's form and limits. Source of the limits: the page named in Page.
type Model struct {
	Name                     string                       `json:"name"`
	Provider                 string                       `json:"provider,omitempty"`      // who sells it, absent in a file for [DefaultProvider]
	UpstreamName             string                       `json:"upstream_name,omitempty"` // what its provider calls it, absent in a file where that is Name
	Like                     string                       `json:"like,omitempty"`
	Page                     string                       `json:"page"`
	Wire                     Wire                         `json:"wire"`
	Alias                    Alias                        `json:"alias"`
	TruncationCounts         TruncationCounts             `json:"truncation_counts"`
	PromptCharacters         int                          `json:"prompt_characters"`
	NegativePromptCharacters int                          `json:"negative_prompt_characters"`
	References               ReferenceCounts              `json:"references"`
	Duration                 DurationRange                `json:"duration"` // seconds
	PromptExtendDefault      *bool                        `json:"prompt_extend_default,omitempty"`
	Seed                     Range                        `json:"seed"`
	ShotTypes                []string                     `json:"shot_types,omitempty"` // the default first
	Resolutions              []string                     `json:"resolutions"`          // the cheaper first
	ResolutionDefault        string                       `json:"resolution_default"`
	Ratios                   []string                     `json:"ratios"`
	RatioDefault             string                       `json:"ratio_default"`
	AudioDefault             *bool                        `json:"audio_default,omitempty"` // nil: sound cannot be chosen
	Sizes                    map[string]map[string]string `json:"sizes"`                   // resolution, ratio: "width*height"
	Lacks                    map[string]string            `json:"lacks"`                   // field: what to do instead
	Media                    map[string]MediaLimits       `json:"media"`                   // by "image", "video", "voice"
	Narrower                 []Narrower                   `json:"narrower,omitempty"`

	pricedLike string // the model of the same provider whose price it has where it has none of its own
}

// Wire is the form in which a model takes its references.
type Wire string

// The two wire forms: wan2.7's input.media and wan2.6's input.reference_urls.
const (
	WireMedia         Wire = "media"
	WireReferenceURLs Wire = "reference_urls"
)

// Alias is how a prompt names the references of a model.
type Alias string

// wan2.7 counts "Image 1" and "Video 1" apart; wan2.6 counts character1, character2 over all references.
const (
	AliasByKind    Alias = "kind"
	AliasCharacter Alias = "character"
)

// TruncationCounts is which references divide the five seconds of input that are billed at most.
type TruncationCounts string

// wan2.7 counts reference videos only, wan2.6 counts reference images as well. Where no rule is documented, none is cut.
const (
	CountVideos     TruncationCounts = "videos"
	CountReferences TruncationCounts = "references"
	CountNone       TruncationCounts = "none"
)

// Range is an inclusive range; Max 0 means that nothing bounds it.
type Range struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// ReferenceCounts bounds how many references a request may have. First frames are not among the Min..Max.
type ReferenceCounts struct {
	Min         int `json:"min"`
	Max         int `json:"max"`
	Images      int `json:"images"`
	Videos      int `json:"videos"`
	FirstFrames int `json:"first_frames"`
	// FramesApart is whether a first frame is documented not to count towards Max.
	FramesApart bool `json:"frames_apart,omitempty"`
}

// DurationRange bounds the length of the new clip in whole seconds; MaxWithVideo holds when a reference is a clip.
type DurationRange struct {
	Min          int `json:"min"`
	Max          int `json:"max"`
	MaxWithVideo int `json:"max_with_video"`
	Default      int `json:"default"`
}

// MediaLimits bounds one kind of reference file.
type MediaLimits struct {
	Formats   []string `json:"formats"`    // file endings
	Schemes   []string `json:"schemes"`    // forms of URL
	Uploads   bool     `json:"uploads"`    // files can be uploaded; always so where oss is among the schemes
	NoAlpha   []string `json:"no_alpha"`   // formats that must have no transparency
	MaxMB     int      `json:"max_mb"`     // 1,048,576 bytes each
	SidePx    Range    `json:"side_px"`    // width and height, pixels
	MaxAspect int      `json:"max_aspect"` // the longer side is at most this many times the shorter one; 0 is unbounded
	Seconds   Range    `json:"seconds"`
}

// Narrower is a rule that one region adds, as far as it is known. Breaking it is a warning: the sources contradict each other.
type Narrower struct {
	Region    string `json:"region"`
	Kinds     []Kind `json:"kinds"`
	Durations []int  `json:"durations"` // seconds
}

func (m *Model) verify() error {
	switch {
	case m.Wire != WireMedia && m.Wire != WireReferenceURLs:
		return fmt.Errorf("wire %q is neither media nor reference_urls", m.Wire)
	case m.Alias != AliasByKind && m.Alias != AliasCharacter:
		return fmt.Errorf("alias %q is neither kind nor character", m.Alias)
	case m.TruncationCounts != CountVideos && m.TruncationCounts != CountReferences && m.TruncationCounts != CountNone:
		return fmt.Errorf("truncation_counts %q is neither videos, references nor none", m.TruncationCounts)
	case !slices.Contains(m.Resolutions, m.ResolutionDefault) || !slices.Contains(m.Ratios, m.RatioDefault):
		return errors.New("the default resolution or ratio is not among those listed")
	case m.References.Max < 1 || m.Duration.Min < 1 || m.PromptCharacters < 1:
		return errors.New("references, duration and prompt_characters need limits")
	}
	for _, resolution := range m.Resolutions {
		for _, ratio := range m.Ratios {
			if m.Sizes[resolution][ratio] == "" {
				return fmt.Errorf("%s at %s has no size", resolution, ratio)
			}
		}
	}
	return nil
}

// lacks reports whether the model has no such field, or takes no reference of that kind.
func (m *Model) lacks(field string) bool {
	_, lacks := m.Lacks[field]
	return lacks
}

// Size is the exact output size as "width*height", empty for a pair the model does not make.
func (m *Model) Size(resolution, ratio string) string {
	if ratio == "" {
		ratio = m.RatioDefault
	}
	return m.Sizes[resolution][ratio]
}

// MaxDuration is the longest clip the model makes, in seconds, given whether a reference is a clip.
func (m *Model) MaxDuration(withVideo bool) int {
	if withVideo {
		return m.Duration.MaxWithVideo
	}
	return m.Duration.Max
}
