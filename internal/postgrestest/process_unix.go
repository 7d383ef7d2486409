//go:build unix

package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// supported says whether servers can be started here.
const supported = true

// quarters returns a new folder for a server, and how its watcher is to run: in a session of its own, so that Ctrl-C reaches
// the tests and not the watcher, and not as root, whom PostgreSQL refuses.
func quarters() (string, *syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		folder, err := os.MkdirTemp("", "postgrestest-")
		return folder, attributes, err
	}
	credential, err := unprivileged()
	if err != nil {
		return "", nil, err
	}
	attributes.Credential = credential
	// Root's own TMPDIR may be closed to others, and the watcher has to be able to remove the folder.
	folder, err := os.MkdirTemp("/tmp", "postgrestest-")
	if err != nil {
		return "", nil, err
	}
	if err := os.Chown(folder, int(credential.Uid), int(credential.Gid)); err != nil {
		return "", nil, errors.Join(err, os.Remove(folder))
	}
	return folder, attributes, nil
}

// unprivileged returns the user that stands in for root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(found.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("the user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}
