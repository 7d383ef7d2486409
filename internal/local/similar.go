package local

import (
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
	"golang.org/x/text/unicode/norm"
)

// mostNames bounds how many names of a folder are looked at.
const mostNames = 10_000

// otherSpelling finds the one file that is meant by a name which no file has: with a shell's backslashes before blanks, with
// Windows's separators, or with letters and blanks that look the same and are written in other code points, as macOS does in
// the names of screenshots. It is empty when there is none, or more than one.
func otherSpelling(dir *os.Root, rel string) string {
	if runtime.GOOS != "windows" && strings.Contains(rel, `\`) {
		for _, other := range []string{unescaped(rel), path.Clean(strings.ReplaceAll(rel, `\`, "/"))} {
			if _, err := dir.Lstat(other); filepath.IsLocal(other) && err == nil {
				return other
			}
		}
	}
	at := "."
	for part := range strings.SplitSeq(filepath.ToSlash(rel), "/") {
		next := filepath.Join(at, part)
		if _, err := dir.Lstat(next); err != nil {
			same := lookAlikes(dir, at, part)
			if len(same) != 1 {
				return ""
			}
			next = filepath.Join(at, same[0])
		}
		at = next
	}
	return at
}

// unescaped takes off the backslashes that a shell wants before blanks and brackets.
func unescaped(path string) string {
	var b strings.Builder
	escaped := false
	for _, c := range path {
		if c == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		b.WriteRune(c)
	}
	return b.String()
}

func lookAlikes(dir *os.Root, folder, name string) []string {
	name = plainForm(name)
	return slices.DeleteFunc(names(dir, folder), func(other string) bool { return plainForm(other) != name })
}

// plainForm is the same for names that look the same: composed (NFC), with the narrow blank before PM as a common one.
func plainForm(name string) string {
	return norm.NFC.String(strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '\u202f' {
			return ' '
		}
		return c
	}, name))
}

func names(dir *os.Root, folder string) []string {
	info, err := dir.Stat(folder)
	if err != nil || !info.IsDir() {
		return nil
	}
	opened, err := dir.OpenFile(folder, readOnly, 0)
	if err != nil {
		return nil
	}
	defer opened.Close()                       //nolint:errcheck // it was only read
	found, _ := opened.Readdirnames(mostNames) // what was read before an error will do
	return found
}

// similar lists the paths of up to three files of the same folder whose names come near and that are media by their ending, as
// they may be given.
func (m missed) similar() []string {
	dir, err := os.OpenRoot(m.root)
	if err != nil {
		return nil
	}
	defer dir.Close() //nolint:errcheck // it was only read
	want := strings.ToLower(filepath.Base(m.rel))
	if name, query, found := strings.Cut(want, "?"); found && strings.Contains(query, "=") { // of a link that the file was once behind
		want = name
	}
	far := func(name string) int {
		name = strings.ToLower(name)
		if stem(name) == stem(want) {
			return 0
		}
		return levenshtein.ComputeDistance(name, want)
	}
	near := slices.DeleteFunc(names(dir, filepath.Dir(m.rel)), func(name string) bool {
		return !isMedia(name) || len(name) > 255 || len(want) > 255 || far(name) > len(stem(want))/4
	})
	slices.SortFunc(near, func(a, b string) int {
		if byDistance := far(a) - far(b); byDistance != 0 {
			return byDistance
		}
		return strings.Compare(a, b)
	})
	near = near[:min(3, len(near))]
	for i, name := range near {
		near[i] = quoted(filepath.Join(m.root, filepath.Dir(m.rel), name))
	}
	return near
}

func stem(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }

func isMedia(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".heic", ".avif", ".tif", ".tiff",
		".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".wav", ".mp3", ".m4a", ".ogg", ".flac", ".aac":
		return true
	}
	return false
}
