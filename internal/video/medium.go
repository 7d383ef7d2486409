package video

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Medium is what looking at the file of a reference has told, before anything is bought. It changes what is known of a
// request, never the request.
type Medium struct {
	Kind    string           // "image", "video" or "voice", the names of [Model.Media]; empty when it is neither, or not known
	Format  string           // jpeg, png, mp4, …, also of what no model takes; empty when it was not recognised
	Bytes   int64            // 0 when not known
	Seconds *decimal.Decimal // length of a clip or voice, to the millisecond; nil when not known
	Width   int              // pixels, as shown; 0 when not known
	Height  int
	Alpha   bool

	Local  bool   // a file on this machine, which must be brought to the service
	Sum    string // SHA-256 of a local file in hex: it is what is sent, wherever it lies
	Wrong  string // why it cannot be used, empty when it can as far as is known
	Right  string // what would be right instead of what is Wrong
	Unseen string // why nothing or not all of it is known, although it may be usable
}

// Same reports whether a file was seen to be what another, or the same at another time, was; [Medium.Sum] is not compared.
func (m *Medium) Same(other *Medium) bool {
	a, b := *m, *other
	seconds := a.Seconds == b.Seconds || a.Seconds != nil && b.Seconds != nil && a.Seconds.Equal(*b.Seconds)
	a.Seconds, b.Seconds, a.Sum, b.Sum = nil, nil, "", ""
	return seconds && a == b
}

// Length is how long a reference clip is in seconds, nil when that is not known, and how it is known: "measured", "given" or
// "unknown". What was measured is what will be billed, whatever was given.
func (ref *Reference) Length() (seconds *decimal.Decimal, known string) {
	switch {
	case ref.Medium != nil && ref.Medium.Seconds != nil:
		return ref.Medium.Seconds, "measured"
	case ref.Seconds != nil:
		return ref.Seconds, "given"
	}
	return nil, "unknown"
}

// role is what a file is to be in a request.
type role struct {
	medium string           // a name of [Model.Media], empty while that is not known
	kind   Kind             // empty for a voice
	given  *decimal.Decimal // length of a clip as the caller gave it
}

func (r role) String() string {
	switch {
	case r.kind != "":
		return "a reference of type " + string(r.kind)
	case r.medium == "voice":
		return "a voice"
	}
	return "a reference"
}

// checkMedium holds what was seen of a file against the limits of what it is to be.
func (r *Report) checkMedium(field string, as role, seen *Medium) {
	if seen.Wrong != "" {
		r.fileProblem(field, seen.Right, "%s", seen.Wrong)
		return
	}
	if seen.Unseen != "" {
		r.warnUnseen(field, as, seen)
		if seen.Kind == "" {
			return
		}
	}
	what := cmp.Or(seen.Format, "of a format that is not known here")
	if seen.Kind == "voice" && (seen.Format == "mp4" || seen.Format == "mov") {
		what = "sound alone in " + seen.Format
	}
	taken := slices.Contains(r.Model.Media[seen.Kind].Formats, seen.Format)
	switch {
	case seen.Format == "html":
		allowed := r.formats(as.medium) + ": the link of the file itself (on GitHub one of raw.githubusercontent.com; share pages of YouTube or Google Drive have none)"
		if !r.noFiles {
			allowed += ", or a local file"
		}
		r.fileProblem(field, allowed,
			"it leads to a web page, not to a file that can be %s", as)
	case seen.Kind == as.medium && taken:
		r.checkFile(field, r.Model.Media[as.medium], seen)
	case taken && as.kind != "" && seen.Kind == "video" && as.kind == Image, taken && seen.Kind == "image" && as.kind == Video:
		r.fileProblem(field, "type "+seen.Kind+", or another file", "it is to be %s, and the file is %s (%s)", as, article(seen.Kind), what)
	default:
		r.fileProblem(field, r.formats(as.medium), "the file is %s, which %s does not take as %s", what, r.Model.Name, as)
	}
}

// formats lists what the model takes of a kind of medium; of pictures and clips when the kind is not known.
func (r *Report) formats(medium string) string {
	if medium != "" {
		return strings.Join(r.Model.Media[medium].Formats, ", ")
	}
	return strings.Join(slices.Concat(r.Model.Media["image"].Formats, r.Model.Media["video"].Formats), ", ")
}

// checkFile holds the size, sides and length of a file of a good format against its limits.
func (r *Report) checkFile(field string, limits MediaLimits, seen *Medium) {
	if most := int64(limits.MaxMB) << 20; seen.Bytes > most {
		r.fileProblem(field, fmt.Sprintf("at most %d MB, which are %d bytes", limits.MaxMB, most), "the file has %d bytes", seen.Bytes)
	}
	short, long := int64(min(seen.Width, seen.Height)), int64(max(seen.Width, seen.Height))
	sides := limits.SidePx
	if short > 0 && (short < sides.Min || sides.Max > 0 && long > sides.Max) {
		r.fileProblem(field, fmt.Sprintf("sides of %d to %d pixels", sides.Min, sides.Max), "it has %d x %d pixels", seen.Width, seen.Height)
	}
	if short > 0 && limits.MaxAspect > 0 && long > short*int64(limits.MaxAspect) {
		r.fileProblem(field, fmt.Sprintf("a longer side of at most %d times the shorter one", limits.MaxAspect), "it has %d x %d pixels", seen.Width, seen.Height)
	}
	if seen.Alpha && slices.Contains(limits.NoAlpha, seen.Format) {
		r.fileProblem(field, fmt.Sprintf("a %s without one: flatten it on a plain ground, or save it as jpeg", seen.Format), "the %s has transparency (an alpha channel)", seen.Format)
	}
	if s := seen.Seconds; s != nil && !limits.takes(*s) {
		r.fileProblem(field, fmt.Sprintf("%d to %d seconds", limits.Seconds.Min, limits.Seconds.Max), "it is %s s long", s)
	}
}

func (l MediaLimits) takes(seconds decimal.Decimal) bool {
	return !seconds.LessThan(decimal.NewFromInt(l.Seconds.Min)) && !seconds.GreaterThan(decimal.NewFromInt(l.Seconds.Max))
}

// warnUnseen tells what is not checked of a file, and what that means for the price.
func (r *Report) warnUnseen(field string, as role, seen *Medium) {
	price := ""
	switch {
	case as.kind != Video || seen.Seconds != nil:
	case as.given != nil:
		price = fmt.Sprintf("; its length is taken to be the %s s that are given, and the bill is another if it is not", shorten(as.given.String()))
	default:
		price = "; without its length the price is a range"
	}
	r.warn("%s: it is not fully checked, since %s%s", field, seen.Unseen, price)
}

// checkGiven holds a length that was given against the measured one. It may be rounded: it must be right to its last digit. Of a
// clip that is refused for its length nothing more is said.
func (r *Report) checkGiven(field string, given, measured decimal.Decimal) {
	lastDigit := decimal.New(1, min(0, given.Exponent()))
	if r.Model.Media["video"].takes(measured) && given.Sub(measured).Abs().GreaterThanOrEqual(lastDigit) {
		r.fileProblem(field, fmt.Sprintf("%s, or leave it out: it is measured", measured), "%s s are given, and the clip is %s s long", shorten(given.String()), measured)
	}
}

// smallPicture is up to how many bytes a picture is sent inside the request, where uploads are not documented.
const smallPicture = 4 << 20

// checkLocal holds a file on this machine against the ways in which the model takes one.
func (r *Report) checkLocal(field, address, medium string, seen *Medium) {
	schemes := r.schemes(medium)
	uploads, inline := r.uploads(medium), slices.Contains(schemes, "data:") && seen.Kind == "image"
	switch {
	case !uploads && !inline:
		allowed := "an address that begins with " + strings.Join(schemes, ", ")
		if len(r.uploaders) > 0 {
			allowed += "; or another model: files are uploaded to " + strings.Join(r.uploaders, ", ")
		}
		r.problem(field, allowed, "%q is a file on this machine, and %s takes none: its API has no uploaded files", shorten(address), r.Model.Name)
	case seen.Wrong == "" && !r.uploadsKnown && !r.inline(seen):
		r.warn("%s: the file is uploaded, which the service documents for %s alone; if it is refused, nothing is charged, and a public https address helps",
			field, strings.Join(r.uploadedIn, ", "))
	}
}

// inline reports whether a local file goes inside the request: a small picture, in regions where uploads are not documented.
func (r *Report) inline(seen *Medium) bool {
	return seen != nil && seen.Local && !r.uploadsKnown && seen.Kind == "image" && seen.Bytes <= smallPicture &&
		slices.Contains(r.Model.Media["image"].Schemes, "data")
}

func article(medium string) string {
	if medium == "image" {
		return "an image"
	}
	return "a " + medium
}
