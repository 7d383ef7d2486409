package clips

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/media"
)

// maxClip bounds a clip in bytes: fifteen seconds at 1080P take some tens of megabytes.
const maxClip = 1 << 30

// part is a clip that was downloaded whole, under a name of its own.
type part struct {
	root   *os.Root
	file   *os.File // nil once it is closed
	name   string
	size   int64
	length time.Duration // by its own index, 0 when it does not say
}

// drop closes the part and removes it. It fails once it is renamed, which is as it should be.
func (p *part) drop() {
	if p.file != nil {
		_ = p.file.Close() // it was synced
	}
	_ = p.root.Remove(p.name)
}

// fetch writes a clip under a name of its own; of one that is not whole, nothing stays. What is written goes to also, too,
// which may be nil.
func (f Folder) fetch(ctx context.Context, root *os.Root, name, address string, also io.Writer) (*part, error) {
	body, announced, err := f.open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := f.checkRoom(announced); err != nil {
		return nil, err
	}
	p := &part{root: root, name: "." + name + "-" + rand.Text() + partial}
	if p.file, err = root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	var source io.Reader = body
	if also != nil {
		source = io.TeeReader(body, also)
	}
	if p.size, p.length, err = fill(p.file, source, announced); err != nil {
		p.drop()
		return nil, err
	}
	return p, nil
}

func (f Folder) open(ctx context.Context, address string) (io.ReadCloser, int64, error) {
	u, err := url.Parse(address)
	if err != nil || egress.CheckURL(u) != nil {
		return nil, 0, errors.New("the result link is no web address")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, errors.New("the result link is no web address")
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("download from %s: %w", u.Host, withoutURL(err))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, 0, fmt.Errorf("download from %s: HTTP %d", u.Host, resp.StatusCode)
	}
	return resp.Body, resp.ContentLength, nil
}

// withoutURL drops the address from an error: a result link opens the clip for whoever has it.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// fill writes the clip to the disk, checks that it is whole, and tells its size and its length.
func fill(file *os.File, body io.Reader, announced int64) (int64, time.Duration, error) {
	n, err := io.Copy(file, io.LimitReader(body, maxClip+1))
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("download stopped after %d bytes: %w", n, err)
	case announced >= 0 && n != announced:
		return 0, 0, fmt.Errorf("download has %d bytes, %d were announced", n, announced)
	case n > maxClip:
		return 0, 0, fmt.Errorf("clip is larger than %d bytes", maxClip)
	}
	length, err := whole(file, n)
	if err != nil {
		return 0, 0, err
	}
	return n, length, file.Sync()
}

// whole checks that a file is a clip from end to end, and tells its length, 0 when it does not say.
func whole(file io.ReaderAt, size int64) (time.Duration, error) {
	info, err := media.Measure(file, size)
	switch {
	case err != nil:
		return 0, fmt.Errorf("the download is no whole MP4 file: %w", err)
	case info.Format != "mp4" || info.Kind != media.Video:
		return 0, fmt.Errorf("the download is no MP4 file (%s)", cmp.Or(info.Format, "of no known format"))
	}
	return info.Length, nil
}

// partial ends the name of a file that is not whole yet.
const partial = ".part"

// sweepParts removes what a process left half done that was ended in the middle of it.
func sweepParts(root *os.Root) {
	dir, err := root.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }() // it was only read
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, partial) {
			continue
		}
		if info, err := root.Lstat(name); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = root.Remove(name)
		}
	}
}
