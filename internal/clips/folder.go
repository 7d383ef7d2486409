// Package clips keeps finished clips where they outlive their links: as files in a folder, or as objects in S3-compatible
// storage. A clip is kept whole or not at all, and can be read again in parts.
package clips

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"r2v-mcp/internal/video"
)

// Folder saves clips as files. The folder is made when a clip comes; nothing outside of it is read or written, whatever names or
// links are in it.
type Folder struct {
	Dir    string
	Client *http.Client // for foreign addresses: see [egress.NewClient]
}

// Save downloads a clip to name.mp4 in the folder. The file appears under its name only when it is whole and on the disk:
// its length is what the server announced, and it is an MP4 file from end to end. A whole one that is already there is left
// alone. The error of a disk or a folder that cannot be used says what can be done about it.
func (f Folder) Save(ctx context.Context, name, address string) (video.Clip, error) {
	file := name + ".mp4"
	if name == "" || filepath.Base(file) != file || !filepath.IsLocal(file) {
		return video.Clip{}, fmt.Errorf("%q is no name of a clip", name)
	}
	root, err := f.root()
	if err != nil {
		return video.Clip{}, f.explain(err)
	}
	defer func() { _ = root.Close() }() // nothing is written through it
	length, err := saved(root, file)
	switch {
	case errors.Is(err, errFolder): // which no rename replaces
		return video.Clip{}, f.taken(file)
	case err != nil:
		sweepParts(root)
		if length, err = f.download(ctx, root, file, address); err != nil {
			return video.Clip{}, f.explain(err)
		}
	}
	path := filepath.Join(f.Dir, file)
	if err := syncDir(root); err != nil {
		return video.Clip{}, f.explain(err)
	}
	if _, err := os.Stat(path); err != nil { // the folder was moved meanwhile
		return video.Clip{}, f.explain(err)
	}
	return video.Clip{Path: path, Length: length}, nil
}

// root opens the folder, and makes it where it is missing.
func (f Folder) root() (*os.Root, error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(f.Dir)
}

// errFolder is the error of looking at a saved clip where a folder is.
var errFolder = errors.New("it is a folder")

// saved looks at a clip that an earlier attempt has saved, whose record may have been lost, and tells its length.
func saved(root *os.Root, name string) (time.Duration, error) {
	file, info, err := openFile(root, name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return whole(file, info.Size())
}

// openFile opens what is a plain file: of a pipe nobody knows when it opens, and a link may lead anywhere.
func openFile(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case info.IsDir():
		return nil, nil, errFolder
	case !info.Mode().IsRegular():
		return nil, nil, errors.New("it is no file of ours")
	}
	file, err := root.Open(name)
	return file, info, err
}

// download writes a clip under a name of its own until it is whole; of one that is not, nothing stays.
func (f Folder) download(ctx context.Context, root *os.Root, name, address string) (time.Duration, error) {
	p, err := f.fetch(ctx, root, name, address, nil)
	if err != nil {
		return 0, err
	}
	defer p.drop()
	err, p.file = p.file.Close(), nil
	if err != nil {
		return 0, err
	}
	return p.length, root.Rename(p.name, name)
}

// Open opens a clip that Save has saved, by the path that it told, and says when it was saved. A clip of another folder is
// refused: it was saved when R2V_SAVE_DIR was another. The error of a clip that is gone is [fs.ErrNotExist].
func (f Folder) Open(_ context.Context, savedTo string) (io.ReadSeekCloser, time.Time, error) {
	name, err := f.file(savedTo)
	if err != nil {
		return nil, time.Time{}, err
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("the folder of the clips cannot be read: %w", err)
	}
	defer func() { _ = root.Close() }() // the file stays open without it
	file, info, err := openFile(root, name)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("the clip cannot be read: %w", err)
	}
	return file, info.ModTime(), nil
}

// file is the name of a clip that was saved here.
func (f Folder) file(savedTo string) (string, error) {
	dir, name := filepath.Split(savedTo)
	if name == "" || filepath.Clean(dir) != filepath.Clean(f.Dir) || filepath.Ext(name) != ".mp4" {
		return "", errors.New("the clip is not in the folder of R2V_SAVE_DIR: it was saved when that was another one, and is not read from there")
	}
	return name, nil
}

// Look returns nil when a clip that Save has saved is still there, by the path that it told, and [fs.ErrNotExist] when it is gone. A
// clip of another folder is refused, as Open does.
func (f Folder) Look(savedTo string) error {
	name, err := f.file(savedTo)
	if err != nil {
		return err
	}
	info, err := os.Lstat(filepath.Join(f.Dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the clip is no longer in its folder: %w", fs.ErrNotExist)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("what has the clip's name is no clip: %w", fs.ErrNotExist)
	}
	return nil // what cannot be looked at may be there
}
