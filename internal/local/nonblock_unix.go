//go:build unix

package local

import "syscall"

// readOnly opens a FIFO without waiting for its writer, should one have taken a file's place.
const readOnly = syscall.O_RDONLY | syscall.O_NONBLOCK
