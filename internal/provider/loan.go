package provider

import (
	"errors"
	"io"
	"sync"
)

// loan lends a reader to one attempt at a time. A transport may still read a request's content for a moment after its answer;
// what is no longer lent gives an error instead of bytes that the next attempt, or the reader's owner, is to have.
type loan struct {
	mu   sync.Mutex
	r    io.Reader
	lent int // which attempt may read; 0 is none
}

// lend returns the reader for one attempt and ends every loan before it.
func (l *loan) lend() io.Reader {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lent++
	return borrowed{l, l.lent}
}

// rewind begins anew, and reports whether the reader can.
func (l *loan) rewind() bool {
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.r.(io.Seeker)
	if !ok {
		return false
	}
	_, err := s.Seek(0, io.SeekStart)
	return err == nil
}

// end ends every loan. When it returns, nobody reads.
func (l *loan) end() { l.lend() }

type borrowed struct {
	*loan
	number int
}

var errReturned = errors.New("the upload is over")

// Read reads while the loan lasts.
func (b borrowed) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.number != b.lent {
		return 0, errReturned
	}
	return b.r.Read(p)
}
