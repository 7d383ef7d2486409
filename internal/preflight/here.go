package preflight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"r2v-mcp/internal/local"
	"r2v-mcp/internal/video"
)

// mostLocal bounds a local file that is read whole, in bytes: no model takes more.
const mostLocal = 100 << 20

// here looks at a file on this machine. Its content is summed up, since it is the content that is sent.
func (p *Preflight) here(ctx context.Context, path string) video.Medium {
	file, err := p.Folders(ctx).Open(ctx, path)
	if err != nil {
		return unopened(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return unopened(err)
	}
	name := fmt.Sprintf("%s %d %d", file.Name(), info.Size(), info.ModTime().UnixNano())
	if before, known := p.remembered.get(name); known && time.Since(before.at) < fresh {
		return before.medium
	}
	m := measure(file, info.Size())
	m.Local = true
	if m.Wrong != "" || m.Unseen != "" || m.Kind == "" || m.Bytes > mostLocal {
		return m
	}
	if m.Sum, err = sum(ctx, file, info.Size()); err != nil {
		return unopened(err)
	}
	p.remembered.put(name, memo{medium: m, at: time.Now()})
	return m
}

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
	ctx context.Context //nolint:containedctx // it lives for one call
	io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
