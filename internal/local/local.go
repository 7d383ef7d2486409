// Package local opens files on this machine that the operator lets a model name. A path is read in every spelling that
// assistants use, and nothing outside the allowed folders is opened or told about, whatever link or race leads there.
package local

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"time"
)

// openLimit bounds the opening of one file: a folder on a network drive that is gone answers never.
const openLimit = 3 * time.Second

// Folders are the folders whose files may be read, with all that is in them. The zero value allows none.
type Folders struct {
	Roots []string // absolute; relative paths are tried in each in turn
	Home  string   // what ~ stands for; empty where there is none, and ~ is refused
	None  string   // why Roots is empty, as a clause without a full stop, such as "the client gave none"
}

// Open opens the file that an address names, for reading. It is a regular file that is not empty, in an allowed folder once
// all symbolic links are followed; a hard link is a file like any other. Its size is not bounded. Open returns within three
// seconds. The error is a [*Refused] for whoever wrote the address, or the context's.
func (f Folders) Open(ctx context.Context, address string) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, errSlow)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened)
	go func() { // a system call cannot be cancelled, but left behind
		file, err := f.open(thisHost(), address)
		select {
		case done <- opened{file, err}:
		case <-ctx.Done():
			if file != nil {
				_ = file.Close()
			}
		}
	}()
	select {
	case o := <-done:
		return o.file, o.err
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), errSlow) {
		return nil, refuse("a file on a drive that answers", "%s could not be opened within %v; it may lie on a network drive that is gone", quoted(address), openLimit)
	}
	return nil, ctx.Err()
}

func (f Folders) open(h host, address string) (*os.File, error) {
	n, err := f.read(h, address)
	if err != nil {
		return nil, err
	}
	s := search{folders: f, named: n}
	for _, root := range f.Roots {
		if file := s.in(root); file != nil {
			return file, nil
		}
	}
	return nil, s.refusal(h)
}

// host is what the spelling of paths depends on.
type host struct {
	os  string // as in runtime.GOOS
	wsl bool   // Linux inside Windows, which has Windows's drives below /mnt
}

func (h host) windows() bool { return h.os == "windows" }

// name is what people call the system.
func (h host) name() string {
	switch h.os {
	case "windows":
		return "Windows"
	case "darwin":
		return "macOS"
	case "linux":
		return "Linux"
	}
	return h.os
}

func thisHost() host {
	h := host{os: runtime.GOOS}
	if h.os == "linux" {
		release, err := os.ReadFile("/proc/sys/kernel/osrelease")
		h.wsl = err == nil && strings.Contains(strings.ToLower(string(release)), "microsoft")
	}
	return h
}

var errSlow = errors.New("the file was not opened in time")
