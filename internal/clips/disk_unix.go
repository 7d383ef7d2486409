//go:build linux || darwin

package clips

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// full reports that a disk, or its user's share of it, has no room left.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// freeBytes is how much may still be written to the disk of a folder. Some network disks do not tell.
func freeBytes(dir string) (free int64, told bool) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil || disk.Blocks == 0 {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true
}
