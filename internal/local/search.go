package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// search looks for one file in the allowed folders, and remembers how near it came.
type search struct {
	folders Folders
	named   named
	looked  []string // roots that hold the path, by its spelling, and where nothing has that name
	missed  missed
	found   *Refused // what is there cannot be taken
}

// missed is a place inside a root where nothing has the name.
type missed struct{ root, rel string }

// in returns the file, opened, if it is in a root.
func (s *search) in(root string) *os.File {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil // its folder is gone: nothing is in it
	}
	defer dir.Close() //nolint:errcheck // it was only read
	before := len(s.looked)
	for _, rel := range s.places(root, dir) {
		if file := s.take(root, dir, rel); file != nil {
			return file
		}
	}
	if len(s.looked) > before {
		s.looked = append(s.looked[:before], root)
	}
	return nil
}

// places lists, relative to a root, where the path may be: by its spelling, and with the symbolic links in it and in the
// root's own path followed. Whatever they say, it is [os.Root] that opens, and lets nothing out.
func (s *search) places(root string, dir *os.Root) []string {
	whole := s.named.path
	if !s.named.absolute {
		if !filepath.IsLocal(whole) {
			return nil
		}
		whole = filepath.Join(root, whole)
	}
	var out []string
	add := func(rel string, ok bool) {
		for _, known := range out {
			ok = ok && known != rel
		}
		if ok {
			out = append(out, rel)
		}
	}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		real = root
	}
	self, err := dir.Stat(".")
	if err != nil {
		return nil
	}
	for _, path := range []string{whole, followed(whole)} {
		for _, base := range []string{root, real} {
			rel, err := filepath.Rel(base, path)
			add(rel, err == nil && filepath.IsLocal(rel))
		}
		add(below(self, path))
	}
	return out
}

// followed is a path with its symbolic links followed, as far as the file or at least its folder is there.
func followed(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(real, filepath.Base(path))
	}
	return path
}

// below finds a folder among those above a path, in whatever spelling: a file system may take PICTURES for pictures.
func below(folder os.FileInfo, path string) (rel string, ok bool) {
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, folder) {
			rel, err := filepath.Rel(at, path)
			return rel, err == nil && filepath.IsLocal(rel)
		}
		if at == filepath.Dir(at) {
			return "", false
		}
	}
}

// take opens a place in a root, under the name given or, if nothing has it, the one name that was probably meant.
func (s *search) take(root string, dir *os.Root, rel string) *os.File {
	file, err := open(dir, rel)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		if meant := otherSpelling(dir, rel); meant != "" {
			file, err = open(dir, meant)
		}
	}
	switch {
	case err == nil:
		return file
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		if len(s.looked) == 0 {
			s.missed = missed{root, rel}
		}
		s.looked = append(s.looked, root)
	case s.found == nil:
		s.found = s.cannot(err)
	}
	return nil
}

// wrongKind is the error of what is no regular file that holds something.
type wrongKind struct{ what, allowed string }

func (w wrongKind) Error() string { return w.what }

// open opens a regular file below a folder. What waits or acts when it is opened, such as a device, is left alone, and
// opening waits for nothing should a FIFO have taken the file's place in between.
func open(dir *os.Root, rel string) (*os.File, error) {
	info, err := dir.Stat(rel)
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, err
	}
	file, err := dir.OpenFile(rel, readOnly, 0)
	if err != nil {
		return nil, err
	}
	info, err = file.Stat()
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func regular(info os.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return wrongKind{"is a folder", "the path of one file in it"}
	case mode&fs.ModeNamedPipe != 0:
		return wrongKind{"is a FIFO, which has no length", "the path of a regular file"}
	case mode&fs.ModeSocket != 0:
		return wrongKind{"is a socket", "the path of a regular file"}
	case !mode.IsRegular():
		return wrongKind{"is a device or another special file", "the path of a regular file"}
	case info.Size() == 0: // so are the files of /proc, some of which wait when they are read
		return wrongKind{"is empty", "a file with a picture, clip or sound in it"}
	}
	return nil
}

// cannot says why something inside a root is not taken. It is nil for what leads out of it.
func (s *search) cannot(err error) *Refused {
	var (
		kind  wrongKind
		errno syscall.Errno
		given = quoted(s.named.given)
	)
	switch {
	case errors.As(err, &kind):
		return refuse(kind.allowed, "%s %s", given, kind.what)
	case errors.Is(err, fs.ErrPermission):
		return refuse("a file that the user who runs this server may read", "%s may not be read by this server: the system gives no permission", given)
	case errors.Is(err, syscall.ELOOP):
		return refuse("the path of the file itself", "%s is a symbolic link that leads in a circle", given)
	case errors.As(err, &errno):
		return refuse(s.folders.allowed(), "%s cannot be opened: %s", given, errno.Error())
	}
	return nil
}

// refusal says why no root has the file.
func (s *search) refusal(h host) *Refused {
	given := s.named.given
	switch {
	case s.found != nil:
		return s.found
	case len(s.looked) > 0:
		if s.named.sandbox && !isSandboxPath(filepath.ToSlash(s.missed.root)) {
			return s.folders.sandboxed(h, given)
		}
		return s.notFound()
	case s.named.sandbox:
		return s.folders.sandboxed(h, given)
	case len(s.folders.Roots) == 0:
		return s.folders.noFolders(given)
	}
	return s.folders.outside(given)
}

func (s *search) notFound() *Refused {
	allowed := s.folders.allowed()
	if strings.Contains(s.missed.rel, "*") {
		return refuse("the path of one file; "+allowed, "%s is a pattern, and patterns are not expanded", quoted(s.named.given))
	}
	if similar := s.missed.similar(); len(similar) > 0 {
		allowed = "if the user means it, " + strings.Join(similar, " or ") + "; " + allowed
	}
	return refuse(allowed, "%s was not found in %s", quoted(s.named.given), list(s.looked))
}
