package tracker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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
func (f Folder) Save(ctx context.Context, name, address string) (string, error) {
	path := filepath.Join(f.Dir, name+".mp4")
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return path, nil
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder for clips: %w", err)
	}
	f.sweep()
	body, length, err := f.open(ctx, address)
	if err != nil {
		return "", err
	}
	defer body.Close()
	tmp, err := os.CreateTemp(f.Dir, "."+name+"-*.part")
	if err != nil {
		return "", fmt.Errorf("make a file for the clip: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails once renamed, which is as it should be
	if err := errors.Join(fill(tmp, body, length), tmp.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return "", fmt.Errorf("name the clip's file: %w", err)
	}
	syncDir(f.Dir)
	return path, nil
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

// fill writes the clip to the disk and checks that it is whole.
func fill(file *os.File, body io.Reader, announced int64) error {
	n, err := io.Copy(file, io.LimitReader(body, maxClip+1))
	switch {
	case err != nil:
		return fmt.Errorf("download stopped after %d bytes: %w", n, err)
	case announced >= 0 && n != announced:
		return fmt.Errorf("download has %d bytes, %d were announced", n, announced)
	case n > maxClip:
		return fmt.Errorf("clip is larger than %d bytes", maxClip)
	}
	if err := checkMP4(file, n); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write the clip to the disk: %w", err)
	}
	return nil
}

// checkMP4 walks the outermost boxes of an MP4: each must end within the file, the last at its end, and there must be both an
// index and the pictures that it leads to.
func checkMP4(file io.ReaderAt, size int64) error {
	found := map[string]bool{}
	for at := int64(0); at < size; {
		var header [16]byte
		if n, err := file.ReadAt(header[:], at); n < 8 {
			return fmt.Errorf("the download is no whole MP4 file: its boxes break off after %d of %d bytes: %w", at, size, err)
		}
		length := int64(binary.BigEndian.Uint32(header[:4]))
		switch length {
		case 0: // to the end of the file
			length = size - at
		case 1: // 64 bits
			length = int64(min(binary.BigEndian.Uint64(header[8:]), math.MaxInt64))
		}
		if length < 8 || length > size-at {
			return fmt.Errorf("the download is no whole MP4 file: a box at %d says %d bytes, %d are left", at, length, size-at)
		}
		found[string(header[4:8])] = true
		at += length
	}
	if !found["ftyp"] || !found["moov"] || !found["mdat"] {
		return errors.New("the download is no whole MP4 file: it lacks its type, its index or its pictures")
	}
	return nil
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
