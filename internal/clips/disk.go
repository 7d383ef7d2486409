package clips

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/shopspring/decimal"
)

// moreRoom and another are what can be done about a disk and a folder.
const (
	moreRoom = "free some space on it, or set R2V_SAVE_DIR to a folder on another disk"
	another  = "or set R2V_SAVE_DIR to another folder"
)

// explain says in plain words what is wrong with the disk or the folder, and what can be done about it. An error of neither
// stays as it is.
func (f Folder) explain(err error) error {
	var cause error
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		cause = e.Err
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		if cause = e.Err; isTaken(cause) {
			return f.taken(e.New)
		}
	}
	switch {
	case cause == nil:
		return err
	case full(cause):
		return fmt.Errorf("the disk of %s is full (%w): %s", f.Dir, cause, moreRoom)
	case errors.Is(cause, fs.ErrPermission), errors.Is(cause, syscall.EROFS):
		return fmt.Errorf("%s cannot be written to (%w): make it writable, %s", f.Dir, cause, another)
	case isTaken(cause):
		return fmt.Errorf("%s is no folder (%w): move the file away that is in its place, %s", f.Dir, cause, another)
	case errors.Is(cause, fs.ErrNotExist):
		return fmt.Errorf("%s is gone (%w): the next try makes it anew; bring its disk back, %s", f.Dir, cause, another)
	}
	return fmt.Errorf("the clip cannot be written to %s (%w): mend that, %s", f.Dir, cause, another)
}

// isTaken reports whether a name could not be had because something of another kind has it.
func isTaken(cause error) bool {
	return errors.Is(cause, fs.ErrExist) || errors.Is(cause, syscall.ENOTDIR) || errors.Is(cause, syscall.EISDIR)
}

// taken is the error of a clip whose file's name, in the folder, is that of a folder.
func (f Folder) taken(name string) error {
	return fmt.Errorf("%s is a folder, where the clip is to be: move it away, %s", filepath.Join(f.Dir, name), another)
}

// checkRoom refuses a clip that the disk has no room for, or that is larger than any, before it is filled. Where the server has
// not announced the size, or the system does not tell what is free, writing shows it.
func (f Folder) checkRoom(announced int64) error {
	if announced > maxClip {
		return fmt.Errorf("clip of %s is larger than any", size(announced))
	}
	if free, told := freeBytes(f.Dir); told && announced > free {
		return fmt.Errorf("the disk of %s has no room for the clip, which takes %s where %s are free: %s", f.Dir, size(announced), size(free), moreRoom)
	}
	return nil
}

// size shows a number of bytes to people.
func size(n int64) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%d kB", n/1000)
	}
	return decimal.New(n, -6).StringFixed(1) + " MB"
}

// syncDir makes new names last through a power cut. Systems that cannot sync a folder do not need it.
func syncDir(root *os.Root) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // nothing is written through it
	if err = dir.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
