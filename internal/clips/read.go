package clips

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// step is how many bytes of a clip are asked for at once. They pass through, and are not kept.
const step = 4 << 20

// Open opens a clip that Save has saved, by the path that it told, and says when it was saved. What is read is fetched in parts, while ctx
// lives. A clip of another bucket or prefix is refused: it was saved under other settings. The error of a clip that is gone is
// [fs.ErrNotExist]; reading one that is replaced meanwhile fails.
func (b *Bucket) Open(ctx context.Context, savedTo string) (io.ReadSeekCloser, time.Time, error) {
	file, err := b.Place.file(savedTo)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := b.Keys.Check(); err != nil {
		return nil, time.Time{}, err
	}
	o, err := b.look(ctx, http.MethodGet, file)
	switch {
	case is(err, codeNoKey):
		return nil, time.Time{}, errGone
	case err != nil:
		return nil, time.Time{}, b.explain(err)
	}
	return &reading{ctx: ctx, bucket: b, file: file, object: o}, o.modified, nil
}

// reading is a clip in the storage that is being read.
type reading struct {
	object
	ctx    context.Context
	bucket *Bucket
	file   string
	at     int64         // where the next read begins
	body   io.ReadCloser // from there on, nil for none
	closed bool
}

// Read reads on, with one request for each step.
func (r *reading) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, os.ErrClosed
	case len(p) == 0:
		return 0, nil
	case r.at >= r.size:
		return 0, io.EOF
	}
	if r.body == nil {
		var err error
		if r.body, err = again(r.ctx, r.bucket.pause, r.fetch); err != nil {
			return 0, r.bucket.explain(err)
		}
	}
	n, err := r.body.Read(p)
	r.at += int64(n)
	if err != nil {
		r.stop()
	}
	if err == io.EOF {
		err = nil // the next read begins the next step
		if n == 0 {
			return r.Read(p)
		}
	}
	return n, err
}

// fetch asks for the next step, and for nothing but the object that was opened.
func (r *reading) fetch() (io.ReadCloser, error) {
	end := min(r.at+step, r.size)
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", r.at, end-1)}}
	if strings.HasPrefix(r.tag, `"`) {
		header.Set("If-Match", r.tag)
	}
	resp, err := r.bucket.ask(r.ctx, request{method: http.MethodGet, url: r.bucket.Place.object(r.file), header: header})
	switch {
	case is(err, codeExists):
		return nil, errors.New("the clip was replaced while it was read: open it again")
	case is(err, codeNoKey):
		return nil, errGone
	case err != nil:
		return nil, err
	}
	wanted := fmt.Sprintf("bytes %d-%d/%d", r.at, end-1, r.size)
	if resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != wanted || resp.ContentLength != end-r.at {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answers with another part of the clip than was asked for", r.bucket.host())
	}
	return resp.Body, nil
}

// Seek sets where the next read begins. It asks for nothing.
func (r *reading) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of the clip")
	}
	if offset != r.at {
		r.stop()
	}
	r.at = offset
	return offset, nil
}

func (r *reading) stop() {
	if r.body != nil {
		r.body.Close()
	}
	r.body = nil
}

// Close ends what is being fetched.
func (r *reading) Close() error {
	r.stop()
	r.closed = true
	return nil
}
