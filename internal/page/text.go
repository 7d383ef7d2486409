package page

import (
	"net/url"
	"strings"
	"unicode"
)

// line makes a text of somebody else's fit for a line of the page: one line, nothing that turns the direction of what stands
// beside it or cannot be seen, and at most so many characters.
func line(text string, most int) string {
	if len(text) > 16*most { // of what is cut anyway, no more is looked at
		text = text[:16*most]
	}
	seen := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r != joiner && unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	runes := []rune(strings.Join(strings.Fields(seen), " "))
	if len(runes) <= most {
		return string(runes)
	}
	return strings.TrimRight(string(runes[:most-1]), " ") + "…"
}

// joiner holds emoji and letters of several scripts together, and turns nothing.
const joiner = '\u200d'

// isWebLink reports whether a text of somebody else's is the https address of a file: whatever else a browser would follow, such as
// a script, becomes no link.
func isWebLink(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != ""
}
