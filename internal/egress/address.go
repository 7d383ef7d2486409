package egress

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxAddress = 8192 // bytes, as much as common servers take in a request line
	maxName    = 253  // bytes of a DNS name
)

// CheckURL refuses what is no plain web address, with a [*Refused] that says why: other schemes than http and https,
// credentials, no host, more than 8192 bytes, control characters, backslashes, ports out of 1 to 65535, and hosts that
// programs read in different ways: numbers in odd forms, zones, escapes, empty labels, look-alikes of digits and dots. Names in other
// scripts are fine. It does not look whether the address is public: that is known when it is dialled.
func CheckURL(u *url.URL) error {
	raw := u.Host + u.RawPath + u.Opaque + u.RawQuery + u.RawFragment
	host := u.Hostname()
	reason := ""
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return &Refused{Reason: "the address's scheme is neither http nor https"}
	case host == "" || u.Opaque != "":
		return &Refused{Reason: "the address has no host"}
	case strings.ContainsFunc(raw, unicode.IsControl):
		return &Refused{Reason: "the address holds control characters"}
	case strings.Contains(raw, `\`):
		return &Refused{Reason: "the address holds backslashes"}
	case len(u.String()) > maxAddress:
		reason = "is asked for with an address of more than 8192 bytes"
	case u.User != nil:
		reason = "is asked for with credentials in the address"
	case !portOK(u):
		reason = "is asked for at a port that is not between 1 and 65535"
	default:
		reason = checkHost(host, strings.HasPrefix(u.Host, "["))
	}
	if reason == "" {
		return nil
	}
	return &Refused{Host: host, Reason: reason}
}

func portOK(u *url.URL) bool {
	if u.Port() == "" {
		return u.Host == u.Hostname() || strings.HasSuffix(u.Host, ":") || strings.HasSuffix(u.Host, "]")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// checkHost says what is wrong with a host, nothing when it is all right.
func checkHost(host string, bracketed bool) string {
	if strings.Contains(host, "%") {
		return "is a host with an escape or a zone"
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case bracketed && (err != nil || !addr.Is6()):
		return "is no IPv6 address, although it stands in brackets"
	case !bracketed && err == nil && addr.Is6():
		return "is an IPv6 address without brackets"
	case err == nil:
		return ""
	case len(host) > maxName:
		return "is longer than a name can be"
	}
	return checkName(strings.TrimSuffix(host, "."))
}

func checkName(name string) string {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" {
			return "is a name with an empty part"
		}
	}
	// The world has no top-level name that is a number: what ends in one is an address in a form that some resolvers take,
	// and that others ask the DNS for.
	if number(labels[len(labels)-1]) {
		return "is an address that is not written as four plain numbers"
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !nameRune(r) }) {
		return "is a name with characters that no name has, or that stand for others"
	}
	return ""
}

func number(label string) bool {
	digits := func(s, set string) bool { return strings.Trim(s, set) == "" }
	hex, isHex := strings.CutPrefix(strings.ToLower(label), "0x")
	return digits(label, "0123456789") || isHex && digits(hex, "0123456789abcdef")
}

// nameRune tells whether a host's name may hold a character. Those of other scripts may; not those that are mapped to plain
// letters, digits and dots before the name is asked for, or to nothing (https://www.unicode.org/reports/tr46/).
func nameRune(r rune) bool {
	switch {
	case r <= unicode.MaxASCII:
		return r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	case r == '\u200c' || r == '\u200d': // joiners, which some scripts cannot do without
		return true
	case r == 'ª' || r == 'º' || r == 'ſ' || r == '。' || r == '․' || r == unicode.ReplacementChar:
		return false
	case between(r, 0x1d2c, 0x1d6a), between(r, 0x2070, 0x209f), between(r, 0x2100, 0x218f), between(r, 0x2460, 0x24ff),
		between(r, 0xfb00, 0xfb06), between(r, 0xfe00, 0xfe0f), between(r, 0xfe50, 0xfe6f), between(r, 0xff00, 0xffef),
		between(r, 0x1d400, 0x1d7ff), between(r, 0x1f100, 0x1f1ff), between(r, 0x1fbf0, 0x1fbf9):
		return false // raised, circled, wide, small and mathematical forms
	}
	return !unicode.In(r, unicode.C, unicode.Z, unicode.No)
}

func between(r, low, high rune) bool { return r >= low && r <= high }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
