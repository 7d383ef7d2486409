package upload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
)

var errChanged = errors.New("the file changed while it was being sent")

// reader counts and hashes a file while it is sent. The last bytes of a content that is not the one promised are held back, so
// that it never arrives whole.
type reader struct {
	r      io.Reader
	flight *flight
	hash   hash.Hash
	at     int64 // bytes given out
	failed error // of the file itself, not of the network
}

func newReader(r io.Reader, f *flight) *reader {
	return &reader{r: r, flight: f, hash: sha256.New()}
}

// Read gives the next bytes, if they are still those that were promised.
func (r *reader) Read(p []byte) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	size := r.flight.file.Size
	if r.at == size {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), size-r.at)])
	r.hash.Write(p[:n]) // never fails
	whole := r.at+int64(n) == size
	switch {
	case whole && hex.EncodeToString(r.hash.Sum(nil)) != r.flight.file.Sum, whole && r.goesOn(), !whole && errors.Is(err, io.EOF):
		r.failed = errChanged
	case !whole && err != nil:
		r.failed = err
	}
	if r.failed != nil {
		return 0, r.failed
	}
	r.at += int64(n)
	r.flight.sent.Store(r.at)
	return n, nil
}

// goesOn reports whether there is more than was promised.
func (r *reader) goesOn() bool {
	n, _ := io.ReadFull(r.r, make([]byte, 1)) // whatever else is there, a byte too many is
	return n > 0
}

// trouble is what was wrong with the file, nil for nothing. Nobody may be reading any more.
func (r *reader) trouble() error {
	switch {
	case r.failed == nil:
		return nil
	case errors.Is(r.failed, errChanged):
		return changed(r.flight.file)
	}
	return unreadable(r.flight.file, r.failed)
}
