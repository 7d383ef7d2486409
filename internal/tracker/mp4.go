package tracker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// checkMP4 walks the outermost boxes of an MP4: each must end within the file, the last at its end, and there must be both an
// index and the pictures that it leads to. It returns the length that the index tells, 0 when it tells none.
func checkMP4(file io.ReaderAt, size int64) (length time.Duration, err error) {
	found := map[string]bool{}
	for at := int64(0); at < size; {
		b, err := readBox(file, at, size)
		if err != nil {
			return 0, err
		}
		found[b.kind] = true
		if b.kind == "moov" {
			length = movieLength(file, b)
		}
		at = b.end
	}
	if !found["ftyp"] || !found["moov"] || !found["mdat"] {
		return 0, errors.New("the download is no whole MP4 file: it lacks its type, its index or its pictures")
	}
	return length, nil
}

// box is a part of an MP4: its content goes from body to end.
type box struct {
	kind      string
	body, end int64
}

// readBox reads the head of the box at a place; it must end by size.
func readBox(file io.ReaderAt, at, size int64) (box, error) {
	var head [16]byte
	if n, err := file.ReadAt(head[:], at); n < 8 {
		return box{}, fmt.Errorf("the download is no whole MP4 file: its boxes break off after %d of %d bytes: %w", at, size, err)
	}
	b := box{kind: string(head[4:8]), body: at + 8}
	length := int64(binary.BigEndian.Uint32(head[:4]))
	switch length {
	case 0: // to the end of the file
		length = size - at
	case 1: // 64 bits
		length, b.body = int64(min(binary.BigEndian.Uint64(head[8:]), math.MaxInt64)), at+16
	}
	if length < b.body-at || length > size-at {
		return box{}, fmt.Errorf("the download is no whole MP4 file: a box at %d says %d bytes, %d are left", at, length, size-at)
	}
	b.end = at + length
	return b, nil
}

// movieLength reads the length from the header of an index.
func movieLength(file io.ReaderAt, moov box) time.Duration {
	for at := moov.body; at < moov.end; {
		b, err := readBox(file, at, moov.end)
		if err != nil {
			return 0
		}
		if b.kind == "mvhd" {
			return headerLength(file, b)
		}
		at = b.end
	}
	return 0
}

// headerLength reads the length in an mvhd box: version 0 has times of 32 bits, version 1 of 64.
func headerLength(file io.ReaderAt, mvhd box) time.Duration {
	var b [32]byte
	if mvhd.end-mvhd.body < int64(len(b)) {
		return 0
	}
	if _, err := file.ReadAt(b[:], mvhd.body); err != nil {
		return 0
	}
	scale, units := binary.BigEndian.Uint32(b[12:]), uint64(binary.BigEndian.Uint32(b[16:]))
	if b[0] == 1 {
		scale, units = binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint64(b[24:])
	}
	const longest = 24 * 60 * 60 // seconds; more is a mistake
	if scale == 0 || units/uint64(scale) > longest {
		return 0
	}
	return time.Duration(float64(units) / float64(scale) * float64(time.Second))
}
