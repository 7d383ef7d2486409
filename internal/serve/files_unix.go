//go:build unix

package serve

import "syscall"

// openFiles is how many files the process may have open, connections among them; 0 when that is not known.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // some systems count in int64
}
