package preflight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"

	"r2v-mcp/internal/local"
	"r2v-mcp/internal/video"
)

// here looks at a file on this machine.
func (p *Preflight) here(ctx context.Context, path string) video.Medium {
	file, size, err := p.open(ctx, path)
	if ctx.Err() != nil {
		return video.Medium{Local: true, Unseen: "it could not be read in time"}
	}
	if err != nil {
		return unopened(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	m := measure(file, size)
	m.Local = true
	return m
}

func (p *Preflight) open(ctx context.Context, path string) (file *os.File, size int64, err error) {
	if file, err = p.Folders(ctx).Open(ctx, path); err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// Sum fills in the sums of the local files among references that were looked at: it is their content that is bought with. That
// takes as long as reading them whole, and ctx's time at most. The error is a *[video.Error], of the first file that cannot be read or
// is another one by now; the others have their sums all the same.
func (p *Preflight) Sum(ctx context.Context, refs []video.Reference) error {
	var first error
	for _, ref := range refs {
		for _, err := range []error{p.sum(ctx, ref.URL, ref.Medium), p.sum(ctx, ref.VoiceURL, ref.VoiceMedium)} {
			if first == nil {
				first = err
			}
		}
	}
	return first
}

func (p *Preflight) sum(ctx context.Context, path string, seen *video.Medium) error {
	if seen == nil || !seen.Local {
		return nil
	}
	was := *seen
	sum, err := within(ctx, func() (string, error) { return p.read(ctx, path, &was) })
	if err != nil {
		return unreadable(path, err)
	}
	seen.Sum = sum
	return nil
}

// read reads a file whole that was looked at, and returns its sum.
func (p *Preflight) read(ctx context.Context, path string, seen *video.Medium) (string, error) {
	file, size, err := p.open(ctx, path)
	if err != nil {
		return "", errGone
	}
	defer func() { _ = file.Close() }() // it was only read
	now := measure(file, size)
	now.Local = true
	switch {
	case seen.Format == "":
		return "", errors.New("it could not be looked at before, and is not bought with unseen")
	case !now.Same(seen):
		return "", errors.New("it has changed since it was looked at")
	}
	return sum(ctx, file, size)
}

// within waits for what may never come back, such as a drive that is gone, as long as ctx lasts.
func within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := do()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, errors.New("it could not be read in time")
	}
}

func unreadable(path string, err error) error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "FileUnreadable", Message: path[strings.LastIndexAny(path, `/\`)+1:] + ": " + err.Error(), Retryable: true,
		Advice: "Nothing was bought. See that the file is there, whole, and on a drive that can be read in a few seconds; then call again.",
	}}
}

// errGone tells no folder: it goes into logs.
var errGone = errors.New("it is gone, or may no longer be read")

func unopened(err error) video.Medium {
	m := video.Medium{Local: true, Wrong: "the file could not be read: " + err.Error(), Right: "a file that can be read"}
	if refused, ok := errors.AsType[*local.Refused](err); ok {
		m.Wrong, m.Right = refused.Wrong, refused.Allowed
	}
	return m
}

// sum is the SHA-256 of a file's content, in hex.
func sum(ctx context.Context, file *os.File, size int64) (string, error) {
	hash := sha256.New()
	n, err := io.Copy(hash, &interruptible{ctx, io.NewSectionReader(file, 0, size)})
	if err == nil && n != size {
		err = errors.New("it became shorter while it was read")
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
