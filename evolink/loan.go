package evolink

import (
	"errors"
	"io"
	"sync"
)

var (
	errReturned = errors.New("the upload is over")
	errShorter  = errors.New("the file has fewer bytes than its size says")
	errLonger   = errors.New("the file has more bytes than its size says")
)

// loan lends a reader for the time of an upload, and makes sure of its length. A transport may still read a request's body
// for a moment after its answer, when the reader's owner has it back: it gets an error then.
type loan struct {
	mu   sync.Mutex
	r    io.Reader // nil when the loan is over
	left int64     // bytes still to come
}

// end ends the loan. When it returns, nobody reads.
func (l *loan) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.r = nil
}

// Read reads while the loan lasts. One byte too many is noticed before the end of the body is written, so that no shortened
// file can pass for a whole one.
func (l *loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.r == nil:
		return 0, errReturned
	case len(p) == 0:
		return 0, nil
	case l.left == 0:
		return 0, l.surplus()
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if errors.Is(err, io.EOF) && l.left > 0 {
		err = errShorter
	}
	return n, err
}

// surplus returns io.EOF when the reader has come to its end, too.
func (l *loan) surplus() error {
	n, err := l.r.Read(make([]byte, 1))
	if n > 0 {
		return errLonger
	}
	return err
}
