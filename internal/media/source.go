package media

import (
	"errors"
	"fmt"
	"io"
)

const (
	headLength = 4 << 10 // of what a format is recognised by
	blockSize  = 8 << 10
	maxBlocks  = 320 // enough for a picture of 20 MB that is nothing but full JPEG segments
	maxParts   = 1 << 16
)

// source reads a file in blocks, and only so many: a file of a million parts ends in an error, not in a million requests.
type source struct {
	r     io.ReaderAt
	size  int64
	left  int // blocks that may still be read
	parts int // that may still be looked at, in them
	start int64
	block []byte // what was read at start
}

func newSource(r io.ReaderAt, size int64) *source {
	return &source{r: r, size: size, left: maxBlocks, parts: maxParts}
}

// at returns the n bytes at a place, at most a block. They hold until the next call. It returns ErrBroken, wrapped, when the
// file ends before them, ErrBudget, wrapped, when too much of it was read already, and the reader's own error, wrapped.
func (s *source) at(off int64, n int) ([]byte, error) {
	if off < 0 || off > s.size || int64(n) > s.size-off {
		return nil, broken("it is cut off: at %d it should go on for %d bytes, and it ends at %d", off, n, s.size)
	}
	if s.parts--; s.parts < 0 {
		return nil, errTooMany()
	}
	if off < s.start || off+int64(n) > s.start+int64(len(s.block)) {
		if err := s.read(off, n); err != nil {
			return nil, err
		}
	}
	from := int(off - s.start)
	return s.block[from : from+n], nil
}

// atMost returns up to n bytes at a place, fewer at the end of the file.
func (s *source) atMost(off int64, n int) ([]byte, error) {
	return s.at(off, int(max(0, min(int64(n), s.size-off))))
}

func (s *source) read(off int64, n int) error {
	if s.left == 0 {
		return errTooMany()
	}
	s.left--
	if s.block == nil {
		s.block = make([]byte, min(blockSize, s.size))
	}
	block := s.block[:min(int64(cap(s.block)), s.size-off)]
	got, err := s.r.ReadAt(block, off)
	s.start, s.block = off, block[:got]
	switch {
	case got >= n:
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return broken("it is cut off after %d of %d bytes", off+int64(got), s.size)
	}
	return fmt.Errorf("reading the file at %d: %w", off, err)
}

func errTooMany() error {
	return overBudget("it has more parts before what matters than any proper file")
}
