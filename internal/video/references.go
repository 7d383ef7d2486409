package video

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// checkReferences tells the kind of each reference, counts them, and holds each against the limits of its kind.
// It reports whether every one of them is of a known kind, so that the prompt's names can be held against them.
func (r *Report) checkReferences(region *Region) bool {
	m, refs := r.Model, r.Request.References
	r.local, r.uploadsKnown = region != nil && region.Local, region != nil && region.Uploads
	if most := m.References.Max + m.References.FirstFrames; len(refs) > most {
		// One answer is enough: a list this long says nothing about its single members.
		r.problem("references", r.countsAllowed(), "there are %d of them", len(refs))
		r.unpriced = true
		return false
	}
	for i := range refs {
		r.checkReference(i, &refs[i])
		r.Inline = append(r.Inline, r.inline(refs[i].Medium))
	}
	r.checkCounts()
	r.nameReferences()
	r.findUntold()
	if r.count("") > 0 {
		r.unpriced = true
		return false
	}
	return len(refs) > 0
}

func (r *Report) checkReference(i int, ref *Reference) {
	field := fmt.Sprintf("references[%d]", i)
	before := len(r.Problems)
	ending := r.checkAddress(field+".url", ref.URL, mediaOf(ref.Kind), ref.Medium)
	r.declared = append(r.declared, Kind(cmp.Or(string(ref.Kind), string(r.kindOf(ending)))))
	seen := ref.Medium
	good := len(r.Problems) == before
	readable := seen != nil && (good || seen.Local && seen.Wrong == "") // what is wrong with it is told at once, whoever takes it
	if ref.Kind == "" {
		ref.Kind = r.kindSeen(seen, ending)
	}
	switch {
	case ref.Kind == "" && readable && (seen.Format != "" || seen.Wrong != ""):
		r.checkMedium(field+".url", role{}, seen)
	case ref.Kind == "" && !good: // the address is told; it may tell the kind once it is right
	case ref.Kind == "" && r.isMedia(ending):
		r.problem(field+".url", r.formats(""), ".%s is not taken", shorten(ending))
	case ref.Kind == "":
		r.untyped(field+".type", seen)
	case ref.Kind != "" && !slices.Contains(Kinds(), ref.Kind):
		r.problem(field+".type", r.kinds(" or "), "%q is unknown", shorten(string(ref.Kind)))
		ref.Kind = ""
	case ref.Kind != "":
		if readable {
			r.checkMedium(field+".url", role{mediaOf(ref.Kind), ref.Kind, ref.Seconds}, seen)
		}
		if seen == nil || seen.Format == "" { // else the content tells more than the address
			r.checkFormat(field+".url", ref, ending)
		}
		r.checkKind(field, ref)
	}
}

// untyped is the problem of a reference of which nothing tells what it is.
func (r *Report) untyped(field string, seen *Medium) {
	const wrong = "the url does not tell whether this is an image or a video"
	allowed := r.kinds(" or ")
	if seen == nil || seen.Unseen == "" {
		r.problem(field, allowed, wrong)
		return
	}
	r.fileProblem(field, allowed, wrong+", and the file could not be looked at: %s", seen.Unseen)
}

// kindSeen tells what a reference is, by its content, or else by its file ending.
func (r *Report) kindSeen(seen *Medium, ending string) Kind {
	if seen != nil && seen.Format != "" {
		switch seen.Kind {
		case "image":
			return Image
		case "video":
			return Video
		}
		return ""
	}
	return r.kindOf(ending)
}

// findUntold marks the images of wan2.6 whose address does not tell what they are: on that wire only the address is sent, and
// if it is a video that comes, it is billed as one.
func (r *Report) findUntold() {
	for i, ref := range r.Request.References {
		untold := r.Model.Wire == WireReferenceURLs && ref.Kind == Image && r.kindSeen(ref.Medium, endingOf(ref.URL)) == ""
		r.Untold = append(r.Untold, untold)
		if untold {
			r.warn("references[%d]: %s is told no type, only the address, which does not say that this is an image: a video would be billed", i, r.Model.Name)
		}
	}
}

// checkKind holds a reference against what its model takes of that kind.
func (r *Report) checkKind(field string, ref *Reference) {
	m := r.Model
	if instead, lacks := m.Lacks["first_frame"]; lacks && ref.Kind == FirstFrame {
		r.problem(field+".type", r.kinds(", ")+"; "+instead, "%s takes no first frame", m.Name)
	}
	if instead, lacks := m.Lacks["image"]; lacks && ref.Kind == Image {
		r.problem(field+".type", r.kinds(", ")+"; "+instead, "%s takes no images", m.Name)
	}
	if ref.VoiceURL != "" {
		r.checkVoice(field+".voice_url", ref)
	}
	if ref.Seconds == nil {
		return
	}
	limits := m.Media["video"]
	switch {
	case ref.Kind != Video:
		r.problem(field+".duration_seconds", "leave it out", "an image has no length")
	case ref.Medium != nil && ref.Medium.Seconds != nil:
		r.checkGiven(field+".duration_seconds", *ref.Seconds, *ref.Medium.Seconds)
	case !limits.takes(*ref.Seconds):
		r.problem(field+".duration_seconds", fmt.Sprintf("videos of %d to %d seconds", limits.Seconds.Min, limits.Seconds.Max),
			"%s takes no video of %s seconds", m.Name, shorten(ref.Seconds.String()))
	}
}

// kinds lists the kinds of reference that the model takes, with a word before the last.
func (r *Report) kinds(last string) string {
	var names []string
	for _, k := range Kinds() {
		if !r.Model.lacks(string(k)) {
			names = append(names, string(k))
		}
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + last + names[len(names)-1]
}

func (r *Report) checkVoice(field string, ref *Reference) {
	m := r.Model
	if instead, lacks := m.Lacks["voice_url"]; lacks {
		r.problem(field, "leave it out; "+instead, "%s takes no voice", m.Name)
		return
	}
	if ref.Kind == FirstFrame {
		r.problem(field, "a voice on a reference of type image or video", "a first frame has no voice")
		return
	}
	if r.count(FirstFrame) > 0 {
		r.warn("%s: the guide does not recommend voices beside a first frame", field)
	}
	before, seen := len(r.Problems), ref.VoiceMedium
	ending := r.checkAddress(field, ref.VoiceURL, "voice", seen)
	if seen != nil && len(r.Problems) == before {
		r.checkMedium(field, role{medium: "voice"}, seen)
		return
	}
	if formats := m.Media["voice"].Formats; r.isMedia(ending) && !slices.Contains(formats, ending) {
		r.problem(field, strings.Join(formats, ", "), "a voice in the form of .%s is not taken", shorten(ending))
	}
}

// checkFormat compares the file ending, where there is one that means media, with the formats of the reference's kind.
func (r *Report) checkFormat(field string, ref *Reference, ending string) {
	formats := r.Model.Media[mediaOf(ref.Kind)].Formats
	if r.isMedia(ending) && !slices.Contains(formats, ending) {
		r.problem(field, r.formats(mediaOf(ref.Kind)), ".%s is not taken as a reference of type %s", shorten(ending), ref.Kind)
	}
}

// isMedia reports whether a file ending means media of any sort. Others, such as .php, tell nothing about what is served.
func (r *Report) isMedia(ending string) bool {
	return r.kindOf(ending) != "" || slices.Contains(r.Model.Media["voice"].Formats, ending) || slices.Contains(r.otherMedia, ending)
}

// kindOf tells a picture from a clip by its file ending.
func (r *Report) kindOf(ending string) Kind {
	switch {
	case slices.Contains(r.Model.Media["image"].Formats, ending):
		return Image
	case slices.Contains(r.Model.Media["video"].Formats, ending):
		return Video
	}
	return ""
}

// mediaOf names the media limits of a kind; a first frame is bounded like any picture.
func mediaOf(k Kind) string {
	switch k {
	case Video:
		return "video"
	case Image, FirstFrame:
		return "image"
	}
	return ""
}

func (r *Report) checkCounts() {
	counts := r.Model.References
	images, videos, frames := r.count(Image), r.count(Video), r.count(FirstFrame)
	untold := len(r.Request.References) - images - videos - frames
	switch {
	case images+videos+untold < counts.Min:
		wrong := "there is none"
		if frames > 0 {
			wrong = "a first frame alone is not enough"
		}
		r.problem("references", r.countsAllowed(), "%s", wrong)
	case images+videos > counts.Max:
		r.problem("references", r.countsAllowed(), "there are %d images and videos", images+videos)
	case videos > counts.Videos:
		r.problem("references", r.countsAllowed(), "there are %d videos", videos)
	case images > counts.Images && !r.Model.lacks("image"): // else it is told of each
		r.problem("references", r.countsAllowed(), "there are %d images", images)
	}
	if frames > counts.FirstFrames && counts.FirstFrames > 0 {
		r.problem("references", r.countsAllowed(), "there are %d first frames", frames)
	}
	if frames == counts.FirstFrames && frames > 0 && images+videos == counts.Max && !counts.FramesApart {
		r.warn("references: the documents do not agree whether a first frame counts towards the %d; the service may refuse them all together", counts.Max)
	}
}

func (r *Report) countsAllowed() string {
	c := r.Model.References
	taken := "images and videos"
	if r.Model.lacks("image") {
		taken = "videos"
	}
	s := fmt.Sprintf("%d to %d %s for %s", c.Min, c.Max, taken, r.Model.Name)
	if c.Videos < c.Max {
		s += fmt.Sprintf(", at most %d of them videos", c.Videos)
	}
	if c.FirstFrames > 0 {
		s += fmt.Sprintf(", and at most %d first frame", c.FirstFrames)
	}
	return s
}
