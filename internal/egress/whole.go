package egress

import (
	"io"
	"slices"
)

// piece is by how many bytes the memory for a file grows, at least.
const piece = 32 << 10

// whole is a file that its server gives from the beginning only. It is read as far as somebody asks, and what was read is kept.
type whole struct {
	line  *line
	body  io.ReadCloser
	total int64 // -1 while it is not known
	data  []byte
	ended bool  // the body has no more to give
	err   error // why it has no more, when that is not the file's end
}

func (w *whole) size() int64 { return w.total }
func (w *whole) close()      { w.ended = true; w.body.Close() }

func (w *whole) readAt(buf []byte, off int64) (int, error) {
	limit := w.line.limits.Bytes
	if off >= limit {
		return 0, errTooFar
	}
	w.fill(min(limit, off+int64(w.within(len(buf), off))))
	want := w.within(len(buf), off) // which fill may have found out
	n := 0
	if off < int64(len(w.data)) {
		n = copy(buf[:want], w.data[off:])
	}
	switch {
	case n < want && w.err != nil:
		return n, w.err
	case n < want:
		return n, errTooFar
	case want < len(buf):
		return n, io.EOF
	}
	return n, nil
}

// within is how many of n bytes lie in the file, as far as its length is known.
func (w *whole) within(n int, off int64) int {
	if w.total < 0 {
		return n
	}
	return int(min(int64(n), max(w.total-off, 0)))
}

// fill reads on up to a place, and lets go of a body of which nothing more will be read.
func (w *whole) fill(until int64) {
	for !w.ended && int64(len(w.data)) < until {
		w.data = slices.Grow(w.data, int(min(until-int64(len(w.data)), piece)))
		n, err := w.body.Read(w.data[len(w.data):min(int64(cap(w.data)), until)])
		w.data = w.data[:len(w.data)+n]
		if err != nil {
			w.end(err)
		}
	}
	if int64(len(w.data)) >= w.line.limits.Bytes { // this far and no further
		w.close()
	}
}

func (w *whole) end(err error) {
	have := int64(len(w.data))
	switch {
	case err != io.EOF: //nolint:errorlint // a reader's end is never wrapped
		w.err = err
	case w.total > have:
		w.err = io.ErrUnexpectedEOF
	default:
		w.total = have
	}
	w.close()
}
