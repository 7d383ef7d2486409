package auth

import (
	"os"

	"golang.org/x/sys/windows"
)

const nonblock = 0

// lock waits until no other process adds to the file. It ends with the file's closing. The byte that is locked lies behind any that
// the file may have, since a lock there keeps others from reading.
func lock(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
}
