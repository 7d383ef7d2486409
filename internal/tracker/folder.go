package tracker

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
	"path/filepath"
	"strings"
	"time"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/media"
)

// maxClip bounds a clip in bytes: fifteen seconds at 1080P take some tens of megabytes.
const maxClip = 1 << 30

// Folder saves clips as files. The folder is made when a clip comes; nothing outside of it is read or written, whatever names or
// links are in it.
type Folder struct {
	Dir    string
	Client *http.Client // for foreign addresses: see [egress.NewClient]
}

// Save downloads a clip to name.mp4 in the folder. The file appears under its name only when it is whole and on the disk:
// its length is what the server announced, and it is an MP4 file from end to end. A whole one that is already there is left
// alone. The error of a disk or a folder that cannot be used says what can be done about it.
func (f Folder) Save(ctx context.Context, name, address string) (Clip, error) {
	file := name + ".mp4"
	if name == "" || filepath.Base(file) != file || !filepath.IsLocal(file) {
		return Clip{}, fmt.Errorf("%q is no name of a clip", name)
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return Clip{}, f.explain(err)
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return Clip{}, f.explain(err)
	}
	defer func() { _ = root.Close() }() // nothing is written through it
	length, err := saved(root, file)
	switch {
	case errors.Is(err, errFolder): // which no rename replaces
		return Clip{}, f.taken(file)
	case err != nil:
		sweepParts(root)
		if length, err = f.download(ctx, root, file, address); err != nil {
			return Clip{}, f.explain(err)
		}
	}
	path := filepath.Join(f.Dir, file)
	if err := syncDir(root); err != nil {
		return Clip{}, f.explain(err)
	}
	if _, err := os.Stat(path); err != nil { // the folder was moved meanwhile
		return Clip{}, f.explain(err)
	}
	return Clip{path, length}, nil
}

// errFolder is the error of looking at a saved clip where a folder is.
var errFolder = errors.New("it is a folder")

// saved looks at a clip that an earlier attempt has saved, whose record may have been lost, and tells its length.
func saved(root *os.Root, name string) (time.Duration, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return 0, err
	}
	switch {
	case info.IsDir():
		return 0, errFolder
	case !info.Mode().IsRegular():
		return 0, errors.New("it is no file of ours")
	}
	file, err := root.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return whole(file, info.Size())
}

// download writes a clip under a name of its own until it is whole; of one that is not, nothing stays.
func (f Folder) download(ctx context.Context, root *os.Root, name, address string) (time.Duration, error) {
	body, announced, err := f.open(ctx, address)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if err := f.checkRoom(announced); err != nil {
		return 0, err
	}
	part := "." + name + "-" + rand.Text() + partial
	file, err := root.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = root.Remove(part) }() // fails once it is renamed, which is as it should be
	length, err := fill(file, body, announced)
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	return length, root.Rename(part, name)
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

// fill writes the clip to the disk, checks that it is whole, and tells its length.
func fill(file *os.File, body io.Reader, announced int64) (time.Duration, error) {
	n, err := io.Copy(file, io.LimitReader(body, maxClip+1))
	switch {
	case err != nil:
		return 0, fmt.Errorf("download stopped after %d bytes: %w", n, err)
	case announced >= 0 && n != announced:
		return 0, fmt.Errorf("download has %d bytes, %d were announced", n, announced)
	case n > maxClip:
		return 0, fmt.Errorf("clip is larger than %d bytes", maxClip)
	}
	length, err := whole(file, n)
	if err != nil {
		return 0, err
	}
	return length, file.Sync()
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
