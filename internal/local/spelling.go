package local

import (
	"strings"
)

// IsPath tells by its form alone whether a reference's address means a file on this machine rather than a web address: an
// absolute or relative path of any operating system, ~, file: in all its forms, and the schemes by which assistants name
// files in their own sandbox. It is false for an empty address, for all other schemes, and for what only lacks https://,
// such as media.example/a.png.
func IsPath(address string) bool {
	address = unwrap(address)
	scheme, _ := schemeOf(address)
	switch {
	case address == "":
		return false
	case len(scheme) == 1: // a drive
		return true
	case scheme != "":
		return scheme == "file" || isSandboxScheme(scheme)
	case strings.HasPrefix(address, "//"):
		return !looksLikeHost(address[2:])
	}
	return !looksLikeHost(address)
}

// unwrap takes off what was copied along with a path: quotes around it, blanks and line ends.
func unwrap(address string) string {
	address = strings.TrimSpace(address)
	for _, pair := range []string{`""`, `''`, "``", "“”", "‘’", "«»"} {
		r := []rune(pair)
		left, right := string(r[0]), string(r[1])
		if len(address) >= len(left)+len(right) && strings.HasPrefix(address, left) && strings.HasSuffix(address, right) {
			return strings.TrimSpace(address[len(left) : len(address)-len(right)])
		}
	}
	return address
}

// schemeOf cuts an address after its scheme, which is in lower case, and empty when there is none. "10:30.mp4" and
// "my clip: two.mp4" have none; C: has one of one letter.
func schemeOf(address string) (scheme, rest string) {
	scheme, rest, found := strings.Cut(address, ":")
	if !found || scheme == "" || !isLetter(scheme[0]) || strings.HasPrefix(rest, " ") {
		return "", address
	}
	for _, c := range []byte(scheme) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '+' && c != '-' {
			return "", address
		}
	}
	return strings.ToLower(scheme), rest
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// looksLikeHost tells media.example/a.png from pictures/a.png and a.png.
func looksLikeHost(address string) bool {
	first, _, found := strings.Cut(address, "/")
	return found && strings.Contains(first, ".") && !strings.HasPrefix(first, ".") && !strings.ContainsAny(first, `~\ `)
}

// hasDrive recognises C:\a.png and C:/a.png, and C: alone.
func hasDrive(path string) bool {
	return len(path) >= 2 && isLetter(path[0]) && path[1] == ':' && (len(path) == 2 || isSeparator(path[2]))
}

func isSeparator(c byte) bool { return c == '/' || c == '\\' }

// isSandboxScheme recognises how assistants name what was attached to a conversation.
func isSandboxScheme(scheme string) bool {
	switch scheme {
	case "sandbox", "attachment", "attachments", "file-service", "blob", "cid", "upload", "uploads":
		return true
	}
	return false
}

// isSandboxPath recognises the folders in which assistants run code or keep what users attach.
func isSandboxPath(path string) bool {
	for _, folder := range []string{
		"/mnt/data", "/mnt/user-data", "/mnt/outputs", "/home/claude", "/home/user", "/home/sandbox", "/tmp/outputs", "/tmp/inputs", "/home/oai",
		"/content", "/workspace",
	} {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}
