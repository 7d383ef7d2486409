package simulator

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

type kind string

const (
	imageKind kind = "reference_image"
	videoKind kind = "reference_video"
	frameKind kind = "first_frame"
)

// reference is one medium of an order.
type reference struct {
	kind     kind
	url      string
	voice    string
	shortest int    // ms, what a video must have
	length   millis // of a video
}

const (
	longestVideo  = 30_000 // ms
	shortestVoice = 1_000
	longestVoice  = 10_000
	// assumedLength is for a video whose length nothing tells, where it is not downloaded.
	assumedLength millis = 5_000
)

// check refuses an address that is not of one of the schemes.
func (r *orderReader) check(address string, schemes ...string) {
	scheme, _, _ := strings.Cut(address, ":")
	good := slices.Contains(schemes, scheme)
	switch {
	case scheme == "data":
		good = good && isPicture(address)
	case scheme != "oss": // whose keys are not escaped, and have been resolved before
		u, err := url.Parse(address)
		good = good && err == nil && u.Host != ""
	}
	if !good {
		r.fail(&problem{code: "InvalidURL", message: "Invalid URL provided in your request."})
	}
}

var pictureURI = lazily(`^data:image/(?:jpeg|jpg|png|bmp|webp);base64,`)

const maxPicture = 20 << 20

// isPicture: data:{MIME type};base64,{data} of an image format, 20 MB at most.
func isPicture(address string) bool {
	prefix := pictureURI().FindString(address)
	data := address[len(prefix):]
	size := base64.StdEncoding.DecodedLen(len(data)) - strings.Count(data[max(0, len(data)-2):], "=")
	if prefix == "" || data == "" || size > maxPicture {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(data)
	return err == nil
}

// checkVoice refuses what the address already shows to be no WAV or MP3.
func (r *orderReader) checkVoice(address string) {
	switch extension(address) {
	case "", ".wav", ".mp3":
	default:
		r.fail(&problem{code: "InvalidURL", message: "File type is not supported. Allowed types are: .wav, .mp3."})
	}
}

// isVideo: wan2.6's list does not say what is what, so the name has to.
func isVideo(address string) bool {
	e := extension(address)
	return e == ".mp4" || e == ".mov"
}

func extension(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(path.Ext(u.Path))
}

// measure fills in how long each video is, and finds pictures, videos and voices that are known to be wrong. The service can
// do that only once it has downloaded them, in the task.
func (s *Server) measure(o order, downloads map[string]download) *problem {
	for i := range o.references {
		ref := &o.references[i]
		if voice, known := statedLength(ref.voice); known && (voice < shortestVoice || voice > longestVoice) {
			return wrongLength(shortestVoice, longestVoice)
		}
		found, inHand := s.object(ref.url, downloads)
		if ref.kind != videoKind {
			if !inHand {
				continue
			}
			if wrong := found.checkPicture(); wrong != nil {
				return wrong
			}
			continue
		}
		length, known := statedLength(ref.url)
		switch {
		case found.failed != nil:
			return found.failed
		case inHand:
			if wrong := found.checkClip(o.model.family.clipSide); wrong != nil {
				return wrong
			}
			length = found.length
		case !known:
			length = assumedLength
		}
		if length < millis(ref.shortest) || length > longestVideo {
			return wrongLength(ref.shortest, longestVideo)
		}
		ref.length = length
	}
	return nil
}

// forgetAddresses drops what only the check needed: an address may be a picture of many megabytes.
func (o order) forgetAddresses() {
	for i := range o.references {
		o.references[i].url, o.references[i].voice = "", ""
	}
}

func wrongLength(shortest, longest int) *problem {
	message := fmt.Sprintf("Invalid file duration. The file duration must be %d s ~ %d s.", shortest/1000, longest/1000)
	return &problem{code: "InvalidFile.Duration", message: message}
}

// object is what a file turned out to be that was uploaded or downloaded. Any other address is believed where it tells a
// length. The samples served here are as long as their names say, so they are not downloaded.
func (s *Server) object(address string, downloads map[string]download) (download, bool) {
	key, uploaded := strings.CutPrefix(address, ossScheme)
	if o, ok := s.objects[key]; ok || uploaded {
		return download{medium: o.medium}, ok
	}
	d, ok := downloads[address]
	return d, ok
}

var (
	lengthInName = lazily(`(?:^|[-_])(\d{1,4}(?:\.\d{1,3})?)s(?:\.[A-Za-z0-9]+)?$`)
	plainDecimal = lazily(`^\d{1,4}(?:\.\d{1,3})?$`)
)

// statedLength reads ?seconds=8, #seconds=2.5 or a last path element like dancer-8s.mp4.
func statedLength(address string) (millis, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, false
	}
	fragment, _ := url.ParseQuery(u.Fragment) // any other fragment states nothing
	for _, stated := range []string{u.Query().Get("seconds"), fragment.Get("seconds")} {
		if plainDecimal().MatchString(stated) {
			return decimalMillis(stated), true
		}
	}
	if found := lengthInName().FindStringSubmatch(path.Base(u.Path)); found != nil {
		return decimalMillis(found[1]), true
	}
	return 0, false
}

// decimalMillis turns seconds with up to three decimals into milliseconds, exactly.
func decimalMillis(seconds string) millis {
	whole, decimals, _ := strings.Cut(seconds, ".")
	total, _ := strconv.Atoi(whole + (decimals + "000")[:3]) // digits only, by the expressions above
	return millis(total)
}
