//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package auth

import "os"

const nonblock = 0

// lock does nothing where there are no locks that end with their process: a line is added in one piece there as well.
func lock(*os.File) error { return nil }
