package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
)

// ErrUnchanged is the error of [Open] for a file that is known already. It does not mean that the address is dead.
var ErrUnchanged error = complaint("has the same file as before")

var (
	errChanged = complaint("has another file than a moment ago")
	errLimit   = complaint("has a file that takes more requests or bytes to read than are spent on it")
	errTooFar  = complaint("sends its file only from the beginning, and not so much of it is read")
	errEncoded = complaint("sends its file compressed, whatever it is asked for")
	errRange   = complaint("answers with another part of the file than was asked for")
	errWhole   = complaint("no longer sends parts of its file")
)

// firstRead is how many bytes of a file are asked for at once when it is opened, at the most.
const firstRead = 64 << 10

// Limits bound what is spent on one file.
type Limits struct {
	Requests int    // most requests, of which each may be led on up to five times; 0 for 8
	Bytes    int64  // most bytes of bodies; 0 for 1 MB
	Known    string // the validator of an earlier [File], or nothing
}

func (l Limits) orDefaults() Limits {
	if l.Requests == 0 {
		l.Requests = 8
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 20
	}
	return l
}

// File is a file at a foreign address, of which only those parts are fetched that are read. It may be used by several
// goroutines, of which one reads at a time.
type File struct {
	cancel context.CancelFunc

	mu     sync.Mutex
	line   *line
	head   head
	source source
	err    error // the first of reading
}

// source is how a server gives its file: in parts, or from the beginning only.
type source interface {
	// readAt is that of io.ReaderAt.
	readAt(p []byte, off int64) (int, error)
	size() int64
	close()
}

// Open asks for the beginning of the file at an http or https address. The context bounds the whole life of the file, which is to be
// closed. Servers that do not know ranges are read from the beginning, as far as it is asked for.
//
// Errors name the host, not the address, and [Dead] tells whether they are final: [*Refused], [*Status], those of
// connections, and answers that contradict themselves or are compressed. When the server confirms that the file is the one of limits.Known,
// the error is [ErrUnchanged], and the file is there to be asked, not to be read.
func Open(ctx context.Context, client *http.Client, address string, limits Limits) (*File, error) {
	u, err := url.Parse(address)
	if err != nil { // in words that would repeat it
		return nil, &Refused{Reason: "the address cannot be read"}
	}
	if err := CheckURL(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	limits = limits.orDefaults()
	l := &line{ctx: ctx, client: client, address: address, host: u.Hostname(), limits: limits, block: min(firstRead, limits.Bytes)}
	f := &File{cancel: cancel, line: l}
	if err := f.open(parseValidator(limits.Known)); err != nil {
		cancel()
		if errors.Is(err, ErrUnchanged) {
			f.err = fail(l.host, err)
			return f, f.err
		}
		return nil, fail(l.host, err)
	}
	return f, nil
}

func (f *File) open(known head) error {
	conditions := http.Header{}
	if known.etag != "" {
		conditions.Set("If-None-Match", known.etag)
	}
	resp, err := f.line.get(0, f.line.block-1, conditions)
	if err != nil {
		return err
	}
	f.head = headOf(resp)
	if resp.StatusCode == http.StatusNotModified && known.etag != "" {
		resp.Body.Close()
		f.head = head{etag: known.etag, modified: known.modified, size: known.size}
		return ErrUnchanged
	}
	if f.source, err = f.line.take(resp, f.line.block-1, f.head); err != nil {
		resp.Body.Close()
		return err
	}
	f.head.size = f.source.size()
	if same, _ := f.head.compare(known); same {
		resp.Body.Close()
		f.source = nil
		return ErrUnchanged
	}
	if parts, ok := f.source.(*parts); ok {
		return parts.first(resp)
	}
	return nil
}

// ReadAt reads from the file, as io.ReaderAt has it. It fetches what is missing, in blocks, and more of them at once when reads go on
// from one to the next. Besides io.EOF its errors are those of connections, of a file that changed meanwhile, of spent [Limits], and
// io.ErrUnexpectedEOF, wrapped, for a body that ends before its announced length. What follows an error is not fetched any more.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case off < 0:
		return 0, fmt.Errorf("read at %d: before the beginning", off)
	case f.source == nil && f.err != nil:
		return 0, f.err
	case f.source == nil:
		return 0, os.ErrClosed
	case f.source.size() >= 0 && off >= f.source.size():
		return 0, io.EOF
	}
	n, err := f.source.readAt(p, off)
	if err == nil || err == io.EOF { //nolint:errorlint // io.ReaderAt's end is never wrapped
		return n, err
	}
	err = fail(f.line.host, err)
	if f.err == nil {
		f.err = err
	}
	return n, err
}

// Size is the file's length in bytes, -1 while it is not known.
func (f *File) Size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.source != nil {
		return f.source.size()
	}
	return f.head.size
}

// Validator tells one content from another, from the server's ETag, its date of the last change and the size, for a
// later Limits.Known. It is empty when the server gives nothing to tell by.
func (f *File) Validator() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head.validator()
}

// Err is the first error of [File.ReadAt] that is the connection's or the server's: one at which what was read says nothing of the
// file itself. The end of a file is none.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Close ends what is under way. Reading fails afterwards.
func (f *File) Close() error {
	f.cancel() // a read that holds the lock ends with it
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.source != nil {
		f.head.size = f.source.size()
		f.source.close()
		f.source = nil
	}
	return nil
}
