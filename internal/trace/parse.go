package trace

import "strings"

// Where the parts of a traceparent are: version-trace-span-flags.
const (
	traceAt   = 3
	spanAt    = 36
	flagsAt   = 53
	parentLen = 55
)

// The limits of a tracestate. The specification asks for 512 characters at least, and nobody here has use for more.
const (
	longestState = 512
	mostMembers  = 32
	longestKey   = 256
	longestValue = 256
)

// Parse reads a traceparent and the tracestate that comes with it, and reports whether the first is right. A tracestate that is wrong or
// longer than 512 bytes is left out. Of a version after 00 is taken what version 00 knows of it, and passed on as that.
// Source: https://www.w3.org/TR/trace-context/#traceparent-header and #tracestate-header.
func Parse(traceparent, tracestate string) (Context, bool) {
	p := traceparent
	if len(p) < parentLen || len(p) > longestState || p[traceAt-1] != '-' || p[spanAt-1] != '-' || p[flagsAt-1] != '-' {
		return Context{}, false
	}
	version, trace, span, flags := p[:traceAt-1], p[traceAt:spanAt-1], p[spanAt:flagsAt-1], p[flagsAt:parentLen]
	if !hex(version) || !hex(trace) || !hex(span) || !hex(flags) || version == "ff" || zero(trace) || zero(span) {
		return Context{}, false
	}
	if len(p) > parentLen && (version == "00" || p[parentLen] != '-') {
		return Context{}, false
	}
	c := Context{parent: p}
	if version != "00" {
		c.parent = "00" + p[traceAt-1:flagsAt] + known(flags)
	}
	if stateOK(tracestate) {
		c.state = tracestate
	}
	return c, true
}

// known leaves of a later version's flags the one that version 00 has: sampled.
func known(flags string) string {
	if strings.IndexByte("13579bdf", flags[1]) >= 0 {
		return "01"
	}
	return "00"
}

func zero(s string) bool { return strings.Trim(s, "0") == "" }

// hex reports whether s is of hexadecimal digits, which must be lower case.
func hex(s string) bool {
	return only(s, func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' })
}

// stateOK reports whether a tracestate may be sent on: what is not right could also break the request that it goes with.
func stateOK(s string) bool {
	if len(s) > longestState {
		return false
	}
	seen := map[string]bool{}
	for member := range strings.SplitSeq(s, ",") {
		if member = strings.Trim(member, " \t"); member == "" {
			continue
		}
		key, value, found := strings.Cut(member, "=")
		if !found || seen[key] || !keyOK(key) || !valueOK(value) {
			return false
		}
		seen[key] = true
	}
	return len(seen) <= mostMembers
}

func keyOK(s string) bool {
	letter := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	return s != "" && len(s) <= longestKey && letter(s[0]) &&
		only(s, func(c byte) bool { return letter(c) || strings.IndexByte("_-*/@", c) >= 0 })
}

func valueOK(s string) bool {
	return s != "" && len(s) <= longestValue && s[len(s)-1] != ' ' &&
		only(s, func(c byte) bool { return ' ' <= c && c <= '~' && c != ',' && c != '=' })
}

func only(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}
