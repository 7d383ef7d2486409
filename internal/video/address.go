package video

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxURL bounds an address in bytes. The documents name no limit; no signed link in use comes near this one.
const maxURL = 8192

// checkAddress holds an address against the forms that the model takes for that medium ("" when the kind is not told yet)
// and returns its file ending in lower case, empty when it has none. A file on this machine has been looked at before.
func (r *Report) checkAddress(field, address, medium string, seen *Medium) string {
	if seen != nil && seen.Local {
		r.checkLocal(field, address, medium, seen)
		return ""
	}
	schemes := r.schemes(medium)
	allowed := "an address that begins with " + strings.Join(schemes, ", ")
	if r.uploads(medium) && !r.noFiles {
		allowed += "; or the path of a file on this computer"
	}
	scheme := schemeOf(address)
	switch {
	case strings.TrimSpace(address) == "":
		r.problem(field, allowed, "it is missing")
		return ""
	case !strings.HasPrefix(address, scheme+":") && scheme != "" && !isDrive(scheme):
		r.problem(field, allowed, "%q begins in capitals", shorten(address))
		return ""
	case scheme == "data" && slices.Contains(schemes, "data:"):
		return r.checkData(field, address)
	case scheme == "" && looksLikeHost(strings.TrimPrefix(address, "//")):
		address = strings.TrimPrefix(address, "//")
		r.problem(field, allowed, "%q is no full address; did you mean https://%s?", shorten(address), shorten(address))
		return ""
	case (scheme == "file" || scheme == "" || isDrive(scheme)) && r.noFiles:
		r.problem(field, r.instead(schemes), "%q is a file or no address, and files of your computer are not on this server", shorten(address))
		return ""
	case scheme == "file" || scheme == "" || isDrive(scheme):
		r.problem(field, allowed, "%q is a local file or no address, and no files of this machine are read here", shorten(address))
		return ""
	case !slices.Contains(schemes, scheme+"://"):
		r.problem(field, allowed, "%s does not take %q addresses here", r.Model.Name, shorten(scheme))
		return ""
	case len(address) > maxURL:
		r.problem(field, fmt.Sprintf("at most %d bytes", maxURL), "it is %d bytes long", len(address))
		return ""
	case !utf8.ValidString(address) || strings.ContainsFunc(address, unwanted(scheme)):
		r.problem(field, allowed+", with blanks written as %20", "%q holds blanks, control characters or bytes that are not UTF-8", shorten(address))
		return ""
	}
	return r.checkParsed(field, address, allowed)
}

// instead is what there is for those whose files are not on this machine.
func (r *Report) instead(schemes []string) string {
	if slices.Contains(schemes, "data:") {
		return "a public link (https://…), or a picture as data:image/…;base64"
	}
	return "a public link (https://…)"
}

func (r *Report) checkParsed(field, address, allowed string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !strings.Contains(address, "://") {
		r.problem(field, allowed, "%q is not an address", shorten(address))
		return ""
	}
	if u.User != nil {
		r.problem(field, "an address without user name and password; a signed link is fine", "it holds credentials")
		return ""
	}
	if !r.local && u.Scheme != "oss" && private(u.Hostname()) {
		r.problem(field, "an address that can be reached from the internet", "%q is reached from this network only, and the service is not in it", shorten(u.Host))
		return ""
	}
	return endingOf(address)
}

// endingOf is the file ending of an address in lower case, empty where there is none.
func endingOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(path.Ext(u.Path), "."))
}

// schemes lists how an address of the medium may begin; every form the model takes when the medium is not told yet.
func (r *Report) schemes(medium string) []string {
	var out []string
	for _, name := range []string{"image", "video", "voice"} {
		if medium != "" && medium != name || medium == "" && name == "voice" {
			continue
		}
		for _, s := range r.Model.Media[name].Schemes {
			prefix := s + "://"
			if s == "data" {
				prefix = "data:"
			}
			if !slices.Contains(out, prefix) {
				out = append(out, prefix)
			}
		}
	}
	return out
}

// uploads reports whether the model takes uploaded files of the medium; of pictures or clips when it is not told yet.
func (r *Report) uploads(medium string) bool {
	if medium == "" {
		return r.Model.Media["image"].Uploads || r.Model.Media["video"].Uploads
	}
	return r.Model.Media[medium].Uploads
}

// checkData checks a data: URI, in which only pictures may be sent, and returns the file ending of its type.
func (r *Report) checkData(field, address string) string {
	limits := r.Model.Media["image"]
	head, body, found := strings.Cut(address[len("data:"):], ",")
	kind, isBase64 := strings.CutSuffix(head, ";base64")
	mediaType, _, err := mime.ParseMediaType(kind)
	ending := strings.TrimPrefix(mediaType, "image/")
	if !found || !isBase64 || err != nil || kind != mediaType || ending == mediaType || ending == "jpg" || !slices.Contains(limits.Formats, ending) {
		r.problem(field, "data:image/TYPE;base64,... with TYPE one of "+strings.Join(slices.DeleteFunc(slices.Clone(limits.Formats), func(f string) bool { return f == "jpg" }), ", "), "%q is no image in that form", shorten(address))
		return ""
	}
	if size := base64.StdEncoding.DecodedLen(len(body)) - strings.Count(body[max(0, len(body)-2):], "="); size > limits.MaxMB<<20 {
		r.problem(field, fmt.Sprintf("at most %d MB", limits.MaxMB), "the image has %d bytes", size)
		return ""
	}
	early := strings.Contains(strings.TrimRight(body, "=\r\n"), "=") // which a decoder of streams takes between its pieces
	if n, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(body))); err != nil || n == 0 || early {
		r.problem(field, "valid base64 after the comma", "the image's base64 is broken or empty")
		return ""
	}
	return ending
}

// private recognises hosts that no service on the internet can reach, by what is written alone.
func private(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal")
}

// looksLikeHost tells media.example/a.png from pictures/a.png.
func looksLikeHost(address string) bool {
	host, _, found := strings.Cut(address, "/")
	return found && !strings.HasPrefix(host, ".") && strings.Contains(host, ".") && !strings.Contains(host, "~")
}

func schemeOf(address string) string {
	scheme, _, found := strings.Cut(address, ":")
	if !found || strings.ContainsAny(scheme, "/\\. \t") {
		return ""
	}
	return strings.ToLower(scheme)
}

// isDrive recognises C:\pictures\me.png.
func isDrive(scheme string) bool { return len(scheme) == 1 }

// unwanted finds what no web address holds. An oss:// key is sent as it is, blanks and all.
func unwanted(scheme string) func(rune) bool {
	return func(c rune) bool {
		return unicode.IsControl(c) || c == utf8.RuneError || c == '\\' || (unicode.IsSpace(c) && scheme != "oss")
	}
}
