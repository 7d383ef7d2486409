package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// plain makes a text fit for a line on a terminal, which obeys control characters: prompts and messages are other people's.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}

// escaped writes what a terminal might obey in a JSON document as JSON escapes; the document says the same.
func escaped(document []byte) string {
	var b strings.Builder
	for _, r := range string(document) {
		switch {
		case unicode.IsPrint(r), r == '\n': // of the layout: within a string it is escaped already
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
