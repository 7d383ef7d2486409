package provider

import (
	"errors"
	"io"
	"sync"
)

// loan lends a reader for the time of an upload. A transport may still read a request's content for a moment after its answer, when
// the reader's owner has it back: it gets an error then.
type loan struct {
	mu sync.Mutex
	r  io.Reader // nil when the loan is over
}

// end ends the loan. When it returns, nobody reads.
func (l *loan) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.r = nil
}

var errReturned = errors.New("the upload is over")

// Read reads while the loan lasts.
func (l *loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r == nil {
		return 0, errReturned
	}
	return l.r.Read(p)
}
