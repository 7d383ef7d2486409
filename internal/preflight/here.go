package preflight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

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
// takes as long as reading them whole. The error is a *[video.Error], of a file that cannot be read in ctx's time or is another
// one by now.
func (p *Preflight) Sum(ctx context.Context, refs []video.Reference) error {
	for _, ref := range refs {
		if err := p.sum(ctx, ref.URL, ref.Medium); err != nil {
			return err
		}
		if err := p.sum(ctx, ref.VoiceURL, ref.VoiceMedium); err != nil {
			return err
		}
	}
	return nil
}

func (p *Preflight) sum(ctx context.Context, path string, seen *video.Medium) error {
	if seen == nil || !seen.Local {
		return nil
	}
	err := p.read(ctx, path, seen)
	if ctx.Err() != nil {
		err = errors.New("it could not be read in time")
	}
	if err == nil {
		return nil
	}
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "FileUnreadable", Message: filepath.Base(path) + ": " + err.Error(), Retryable: true,
		Advice: "Nothing was bought. See that the file is there, whole, and on a drive that can be read in a few seconds; then call again.",
	}}
}

// read reads a file whole that was looked at, and fills in its sum.
func (p *Preflight) read(ctx context.Context, path string, seen *video.Medium) error {
	file, size, err := p.open(ctx, path)
	if err != nil {
		return errGone
	}
	defer func() { _ = file.Close() }() // it was only read
	now := measure(file, size)
	now.Local = true
	if !now.Same(seen) {
		return errors.New("it has changed since it was looked at")
	}
	seen.Sum, err = sum(ctx, file, size)
	return err
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
