package local

import (
	"fmt"
	"strings"
	"unicode"
)

// Refused is an answer for the model that wrote an address: what is wrong with it, and what would be right. It tells nothing
// of what is outside the allowed folders.
type Refused struct {
	Wrong   string // a clause without a full stop, which holds the address as given, in at most 200 characters
	Allowed string // a phrase without a full stop
}

// Error is both texts in one line.
func (r *Refused) Error() string { return r.Wrong + "; allowed: " + r.Allowed }

func refuse(allowed, format string, args ...any) *Refused {
	return &Refused{Wrong: fmt.Sprintf(format, args...), Allowed: allowed}
}

const (
	mostShown = 200
	setting   = "R2V_FILE_ROOTS"
	instead   = "a public link, or the file's path on this computer"
)

// quoted shows an address without what could disturb the reader's screen, in at most [mostShown] characters. Backslashes stay
// single, as in the path itself.
func quoted(address string) string { return `"` + shown(address) + `"` }

func shown(address string) string {
	if len(address) > 8*mostShown { // a whole picture in base64 need not be walked
		address = address[:8*mostShown]
	}
	clean := []rune(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(address, "")))
	if len(clean) > mostShown {
		clean = append(clean[:mostShown-1], '…')
	}
	return string(clean)
}

// list shows folders in one line.
func list(folders []string) string {
	var out []string
	for i, folder := range folders {
		if i == 5 {
			out = append(out, fmt.Sprintf("%d more", len(folders)-i))
			break
		}
		out = append(out, shown(folder))
	}
	return strings.Join(out, ", ")
}

// allowed says which files may be read.
func (f Folders) allowed() string {
	if len(f.Roots) == 0 {
		return fmt.Sprintf("a public link; no folder is open to this server, and the operator opens some with %s", setting)
	}
	return fmt.Sprintf("files in %s; the operator of this server opens other folders with %s", list(f.Roots), setting)
}

func (f Folders) noFolders(address string) *Refused {
	why := f.None
	if why == "" {
		why = "the operator has opened no folder"
	}
	return refuse(f.allowed(), "%s is a file, and no file on this computer may be read: %s", quoted(address), why)
}

// outside is said of every path that does not lead into an allowed folder, whether or not something is there.
func (f Folders) outside(address string) *Refused {
	return refuse(f.allowed(), "%s is outside the folders that may be read", quoted(address))
}

// sandboxed explains what assistants believe again and again.
func (f Folders) sandboxed(h host, address string) *Refused {
	what := "ask the user where the file is on their own computer, or for a public link"
	if len(f.Roots) > 0 {
		what += "; files may be read in " + list(f.Roots) + ", and the operator opens other folders with " + setting
	}
	return refuse(what, "%s looks like a path inside an assistant's own sandbox: this server runs on the user's computer or another machine (%s) and cannot see into it",
		quoted(address), h.name())
}
