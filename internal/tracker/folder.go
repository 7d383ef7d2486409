package tracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"r2v-mcp/internal/egress"
)

// maxClip bounds a clip in bytes: fifteen seconds at 1080P take some tens of megabytes.
const maxClip = 1 << 30

// Folder saves clips as files. The folder is made when the first clip comes.
type Folder struct {
	Dir    string
	Client *http.Client // for foreign addresses: see [egress.NewClient]
}

// Save downloads a clip to name.mp4 in the folder. The file appears under its name only when it is whole and on the disk:
// its length is what the server announced, and its boxes are those of a whole MP4. A file that is already there is left alone.
func (f Folder) Save(ctx context.Context, name, address string) (Clip, error) {
	path := filepath.Join(f.Dir, name+".mp4")
	if clip, err := saved(path); err == nil {
		return clip, nil
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return Clip{}, fmt.Errorf("make the folder for clips: %w", err)
	}
	f.sweep()
	body, announced, err := f.open(ctx, address)
	if err != nil {
		return Clip{}, err
	}
	defer body.Close()
	tmp, err := os.CreateTemp(f.Dir, "."+name+"-*.part")
	if err != nil {
		return Clip{}, fmt.Errorf("make a file for the clip: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails once renamed, which is as it should be
	length, err := fill(tmp, body, announced)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return Clip{}, err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return Clip{}, fmt.Errorf("name the clip's file: %w", err)
	}
	syncDir(f.Dir)
	return Clip{path, length}, nil
}

// saved looks at a clip that an earlier attempt has saved, whose record may have been lost.
func saved(path string) (Clip, error) {
	file, err := os.Open(path)
	if err != nil {
		return Clip{}, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return Clip{}, err
	}
	length, err := checkMP4(file, info.Size())
	return Clip{path, length}, err
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
	length, err := checkMP4(file, n)
	if err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, fmt.Errorf("write the clip to the disk: %w", err)
	}
	return length, nil
}

// sweep removes what an earlier process left half done.
func (f Folder) sweep() {
	parts, _ := filepath.Glob(filepath.Join(f.Dir, ".*.part"))
	for _, part := range parts {
		if info, err := os.Stat(part); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(part)
		}
	}
}

// syncDir makes the new name last through a power cut. Systems that cannot sync a folder do not need it.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
