package clips

import (
	"errors"

	"golang.org/x/sys/windows"
)

// full reports that a disk, or its user's share of it, has no room left.
func full(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// freeBytes is how much may still be written to the disk of a folder.
func freeBytes(dir string) (free int64, told bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var ours, all, unused uint64
	err = windows.GetDiskFreeSpaceEx(path, &ours, &all, &unused)
	return int64(min(ours, 1<<62)), err == nil
}
