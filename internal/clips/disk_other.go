//go:build !linux && !darwin && !windows

package clips

import (
	"errors"
	"syscall"
)

// full reports that a disk, or its user's share of it, has no room left.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// freeBytes is not told by these systems in one way.
func freeBytes(string) (free int64, told bool) { return 0, false }
