package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

// What one file may cost. A long recording in fragments without any index needs the most; whatever needs more is a bomb.
const (
	maxBoxes = 50_000
	maxReads = 2048
	maxBytes = 2 << 20

	firstPage = 4 << 10  // holds what stands in front of the pictures
	smallPage = 1 << 10  // after a leap: the head of a box, or a whole fragment's index
	largePage = 64 << 10 // within an index
)

// box is a part of an MP4: its content goes from body to end.
type box struct {
	kind      string
	body, end int64
}

// boxFile reads boxes. It keeps the page that it read last, so that neighbours cost one read, and counts what it spends.
type boxFile struct {
	r    io.ReaderAt
	size int64

	page   []byte
	pageAt int64
	dense  int64 // up to here all is likely to be needed

	boxes, reads, bytes int
}

func newBoxFile(r io.ReaderAt, size int64) *boxFile {
	return &boxFile{r: r, size: size, dense: min(size, firstPage)}
}

// box reads the head of the box at a place; the box must end by limit. When it does not, the error comes with the
// kind.
func (f *boxFile) box(at, limit int64) (box, error) {
	if f.boxes++; f.boxes > maxBoxes {
		return box{}, overBudget("it has more than %d boxes", maxBoxes)
	}
	if limit-at < 8 {
		return box{}, broken("%d bytes at %d are no whole box", limit-at, at)
	}
	head, err := f.read(at, int(min(16, limit-at)))
	if err != nil {
		return box{}, err
	}
	b := box{kind: string(head[4:8]), body: at + 8}
	length := uint64(binary.BigEndian.Uint32(head))
	switch {
	case length == 0: // to the end
		length = uint64(limit - at)
	case length == 1 && len(head) == 16: // 64 bits
		length, b.body = binary.BigEndian.Uint64(head[8:]), at+16
	}
	if length < uint64(b.body-at) || length > uint64(limit-at) {
		return b, broken("its box %q at %d says %d bytes, and %d are left", b.kind, at, length, limit-at)
	}
	b.end = at + int64(length)
	return b, nil
}

// within returns the boxes from a place to another, up to the first error. Fewer than eight bytes at the end are no error:
// QuickTime ends some lists with a zero.
func (f *boxFile) within(at, end int64) iter.Seq2[box, error] {
	return func(yield func(box, error) bool) {
		for end-at >= 8 {
			b, err := f.box(at, end)
			if !yield(b, err) || err != nil {
				return
			}
			at = b.end
		}
	}
}

// body reads the content of a box, at most n bytes of it.
func (f *boxFile) body(b box, n int) ([]byte, error) {
	return f.read(b.body, int(min(int64(n), b.end-b.body)))
}

// rows reads a table of count rows of width bytes each from a place on. It is an error when they do not end by end.
func (f *boxFile) rows(at, end int64, count uint32, width int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if int64(count) > (end-at)/int64(width) {
			yield(nil, broken("a table at %d says %d entries, and there is room for %d", at, count, (end-at)/int64(width)))
			return
		}
		f.dense = max(f.dense, at+int64(count)*int64(width))
		for ; count > 0; count-- {
			row, err := f.read(at, width)
			if !yield(row, err) || err != nil {
				return
			}
			at += int64(width)
		}
	}
}

// read returns n bytes from a place on, which are valid until the next read.
func (f *boxFile) read(at int64, n int) ([]byte, error) {
	if at < f.pageAt || at+int64(n) > f.pageAt+int64(len(f.page)) {
		if err := f.turn(at, n); err != nil {
			return nil, err
		}
	}
	from := at - f.pageAt
	return f.page[from : from+int64(n) : from+int64(n)], nil
}

// turn reads the page that begins at a place, of n bytes at least.
func (f *boxFile) turn(at int64, n int) error {
	if at > f.size-int64(n) {
		return broken("it ends at %d, and goes on at %d", f.size, at)
	}
	want := max(int64(n), smallPage, min(f.dense-at, largePage))
	want = min(want, f.size-at)
	f.reads, f.bytes = f.reads+1, f.bytes+int(want)
	if f.reads > maxReads || f.bytes > maxBytes {
		return overBudget("its index is larger than %d MB or in more than %d pieces", maxBytes>>20, maxReads)
	}
	if int64(cap(f.page)) < want {
		f.page = make([]byte, want)
	}
	f.page, f.pageAt = f.page[:want], at
	got, err := f.r.ReadAt(f.page, at)
	f.page = f.page[:got]
	switch {
	case got >= n: // a part of a page will do
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return broken("it ends at %d, and was said to have %d bytes", at+int64(got), f.size)
	}
	return fmt.Errorf("reading the clip at %d: %w", at, err)
}

// fields reads numbers from the content of a box. What is missing reads as zero, and short is set.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if len(f.rest) < n {
		f.rest, f.short = nil, true
		return make([]byte, n)
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// head reads the version and the flags that most boxes begin with.
func (f *fields) head() (version byte, flags uint32) {
	both := f.u32()
	return byte(both >> 24), both & 0xFFFFFF
}

// units reads a time or a length: of 64 bits from version 1 on. All bits set means that it is not known, which is 0 here.
func (f *fields) units(version byte) uint64 {
	if version == 0 {
		if v := f.u32(); v != math.MaxUint32 {
			return uint64(v)
		}
		return 0
	}
	if v := f.u64(); v != math.MaxUint64 {
		return v
	}
	return 0
}

// clock reads what mvhd and mdhd begin with: when they were made and changed, the units of a second, and the length in them.
func (f *fields) clock() (scale uint32, units uint64) {
	version, _ := f.head()
	f.units(version)
	f.units(version)
	return f.u32(), f.units(version)
}
