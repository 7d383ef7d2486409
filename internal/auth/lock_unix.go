//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package auth

import (
	"os"
	"syscall"
)

// nonblock keeps a FIFO in the file's place from holding who opens it.
const nonblock = syscall.O_NONBLOCK

// lock waits until no other process adds to the file. It ends with the file's closing.
func lock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}
