//go:build !unix

package postgrestest

import (
	"errors"
	"syscall"
)

// supported says whether servers can be started here: the watcher needs a POSIX shell.
const supported = false

func quarters() (string, *syscall.SysProcAttr, error) { return "", nil, errors.ErrUnsupported }
