package local

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	longest = 4096 // bytes of a path; systems take that at most, or less
	deepest = 256  // folders of a path, each of which is looked at
)

// named is a path as this system spells it.
type named struct {
	path     string
	absolute bool
	given    string // what the model wrote
	sandbox  bool   // it looks like a path in an assistant's sandbox
}

// read finds out which path an address means. It looks at the spelling only, never at a file.
func (f Folders) read(h host, given string) (named, error) {
	p := unwrap(given)
	switch {
	case p == "":
		return named{}, refuse(instead, "the path is empty")
	case len(p) > longest:
		return named{}, refuse("a path or a link; a picture's own base64 begins with data:image/png;base64, or the like",
			"%s has %d characters, which no path has", quoted(p), len(p))
	}
	n := named{given: given}
	switch scheme, rest := schemeOf(p); {
	case scheme == "file":
		path, err := fromURI(rest, given)
		if err != nil {
			return named{}, err
		}
		p = path
	case scheme == "sandbox" && strings.HasPrefix(rest, "/"):
		p, n.sandbox = "/"+strings.TrimLeft(rest, "/"), true
	case isSandboxScheme(scheme):
		return named{}, f.sandboxed(h, given)
	}
	if strings.ContainsFunc(p, unicode.IsControl) || !utf8.ValidString(p) {
		return named{}, refuse(instead, "%s holds control characters or bytes that are not UTF-8", quoted(given))
	}
	if depth := strings.Count(p, "/") + strings.Count(p, `\`); depth > deepest {
		return named{}, refuse(instead, "%s names %d folders inside one another, and at most %d are followed", quoted(given), depth, deepest)
	}
	p, err := atHome(h, f.Home, p, given)
	if err != nil {
		return named{}, err
	}
	n.sandbox = n.sandbox || isSandboxPath(path.Clean(p))
	switch {
	case !h.windows():
		err = n.onUnix(h, p)
	case n.sandbox:
		err = f.sandboxed(h, given)
	default:
		err = n.onWindows(p)
	}
	return n, err
}

// fromURI reads what follows file: (RFC 8089), and what is often written instead.
func fromURI(rest, given string) (string, error) {
	p, err := url.PathUnescape(rest)
	if err != nil {
		return "", refuse("file:///path with %XX for bytes that are no letters, or the plain path", "%s holds a %% that is not followed by two hexadecimal digits", quoted(given))
	}
	if authority, found := strings.CutPrefix(p, "//"); found {
		server, below, _ := strings.Cut(authority, "/")
		switch {
		case server == "" || strings.EqualFold(server, "localhost"):
			p = "/" + below
		case hasDrive(authority) || server == "~" || server == ".":
			p = authority
		default:
			return "", network(given)
		}
	}
	if len(p) > 2 && p[0] == '/' && isLetter(p[1]) && p[2] == '|' { // an old spelling of C:
		p = p[:2] + ":" + p[3:]
	}
	if len(p) > 1 && p[0] == '/' && hasDrive(p[1:]) {
		p = p[1:]
	}
	return p, nil
}

func network(given string) error {
	return refuse("a path on this computer, such as file:///folder/a.png, or a public link", "%s names another computer, and files are not fetched over a network drive", quoted(given))
}

// atHome puts the home folder in the place of ~.
func atHome(h host, home, p, given string) (string, error) {
	if !strings.HasPrefix(p, "~") {
		return p, nil
	}
	if len(p) > 1 && p[1] != '/' && (p[1] != '\\' || !h.windows()) {
		return "", refuse("~/ for the home folder of who runs this server, or the whole path", "%s names another user's home folder", quoted(given))
	}
	if home == "" {
		return "", refuse("the whole path", "%s begins with ~, and this server knows no home folder", quoted(given))
	}
	return home + p[1:], nil
}

func (n *named) onUnix(h host, p string) error {
	switch {
	case strings.HasPrefix(p, `\\`):
		return network(n.given)
	case hasDrive(p):
		return windowsPath(h, p, n.given)
	case strings.HasSuffix(p, "/"):
		return refuse("the path of one file", "%s ends in a slash, which names a folder", quoted(n.given))
	}
	n.path, n.absolute = path.Clean(p), strings.HasPrefix(p, "/")
	return nil
}

// windowsPath answers who believes that this server runs on Windows.
func windowsPath(h host, p, given string) error {
	allowed := "a path as " + h.name() + " spells it, or a public link"
	if h.wsl {
		below := strings.TrimLeft(strings.ReplaceAll(p[2:], `\`, "/"), "/")
		allowed = shown("/mnt/"+strings.ToLower(p[:1])+"/"+below) + ", which is the same file seen from here, or a public link"
	}
	return refuse(allowed, "%s is a Windows path, and this server runs on %s", quoted(given), h.name())
}

func (n *named) onWindows(p string) error {
	p = strings.ReplaceAll(p, "/", `\`)
	rest := p
	switch {
	case strings.HasPrefix(p, `\\?\`) || strings.HasPrefix(p, `\\.\`):
		return refuse(`a path such as C:\pictures\a.png`, "%s is a device path", quoted(n.given))
	case strings.HasPrefix(p, `\\`):
		return network(n.given)
	case strings.HasPrefix(p, `\`):
		return refuse(`a path with its drive, such as C:\pictures\a.png`, "%s names no drive, and this server runs on Windows", quoted(n.given))
	case strings.HasSuffix(p, `\`):
		return refuse("the path of one file", "%s ends in a slash, which names a folder", quoted(n.given))
	case hasDrive(p):
		n.absolute, rest = true, p[2:]
	}
	if strings.Contains(rest, ":") {
		return refuse("a plain path", "%s holds a colon, which names a stream or a folder that depends on the drive", quoted(n.given))
	}
	for part := range strings.SplitSeq(rest, `\`) {
		if isDevice(part) {
			return refuse("the path of a file", "%s names a device of Windows", quoted(n.given))
		}
	}
	n.path = p[:len(p)-len(rest)] + strings.ReplaceAll(path.Clean(strings.ReplaceAll(rest, `\`, "/")), "/", `\`)
	return nil
}

// isDevice recognises the names that Windows keeps for devices in every folder, with whatever ending.
// https://learn.microsoft.com/windows/win32/fileio/naming-a-file
func isDevice(part string) bool {
	part, _, _ = strings.Cut(part, ".")
	part = strings.ToUpper(strings.TrimRight(part, " "))
	switch part {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, found := strings.CutPrefix(part, "COM")
	if !found {
		port, found = strings.CutPrefix(part, "LPT")
	}
	switch port {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return found
	}
	return false
}
