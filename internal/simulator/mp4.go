package simulator

import (
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
)

// film is what an MP4 or MOV tells of itself. It is read here once more, apart from what the program reads of it elsewhere: two
// that share a misreading agree on it.
type film struct {
	length        millis // 0 when nothing tells it
	width, height int    // pixels, before the film is turned, which no limit asks for; 0 when there is no picture
}

// readFilm takes the length from the movie header. Of a fragmented file it is the one announced for all fragments, else that of
// their index, else that of the longest track: what the index has of it, and what the fragments hold. Parts of a millisecond
// do not count.
func readFilm(content []byte) film {
	moov := child(content, "moov")
	all := tracks(moov)
	video := track{}
	for _, t := range all {
		if t.video && video.id == 0 {
			video = t
		}
	}
	f := film{width: video.width, height: video.height}
	scale, length := duration(child(moov, "mvhd"))
	fragmented := child(content, "moof") != nil
	if fragmented || length == 0 {
		if announced := fragmentDuration(child(child(moov, "mvex"), "mehd")); announced > 0 {
			length, fragmented = announced, false
		}
	}
	if f.length = inMillis(length, scale); f.length > 0 && !fragmented {
		return f
	}
	if scale, length := indexed(content, video.id); length > 0 {
		f.length = inMillis(length, scale)
		return f
	}
	for _, t := range all {
		f.length = max(f.length, inMillis(t.length+t.fragments(content, moov), t.scale))
	}
	return f
}

// inMillis rounds down. It is 0 for what is no length.
func inMillis(length, scale uint64) millis {
	hi, lo := bits.Mul64(length, 1000)
	if scale == 0 || hi >= scale {
		return 0
	}
	ms, _ := bits.Div64(hi, lo, scale)
	if ms > math.MaxInt64 {
		return 0
	}
	return millis(ms)
}

// fields reads the numbers of a box in turn. What is beyond its end is 0.
type fields []byte

func (f *fields) skip(n int) { *f = (*f)[min(n, len(*f)):] }

func (f *fields) u32() uint64 {
	defer f.skip(4)
	if len(*f) < 4 {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(*f))
}

func (f *fields) u64() uint64 {
	high := f.u32()
	return high<<32 | f.u32()
}

// sized reads a number that is twice as long in boxes of version 1. All ones mean that it is not known, which is 0 here.
func (f *fields) sized(version byte) uint64 {
	if version == 0 {
		if n := f.u32(); n != math.MaxUint32 {
			return n
		}
		return 0
	}
	if n := f.u64(); n != math.MaxUint64 {
		return n
	}
	return 0
}

// begin reads a box's version and flags.
func (f *fields) begin() (version byte, flags uint64) {
	head := f.u32()
	return byte(head >> 24), head & 0xffffff
}

// duration reads mvhd and mdhd, which begin alike: two times, of 8 bytes together in version 0, then scale and length.
func duration(header fields) (scale, length uint64) {
	version, _ := header.begin()
	header.skip(8 << (version & 1))
	scale = header.u32()
	return scale, header.sized(version)
}

// track is one of a film.
type track struct {
	id, scale     uint64
	length        uint64 // of what the index has of it, in scale
	video         bool
	width, height int
}

func tracks(moov []byte) []track {
	var all []track
	for name, trak := range boxes(moov) {
		if name != "trak" {
			continue
		}
		mdia := child(trak, "mdia")
		hdlr := child(mdia, "hdlr")
		t := track{video: len(hdlr) >= 12 && string(hdlr[8:12]) == "vide"}
		t.scale, t.length = duration(child(mdia, "mdhd"))
		t.header(child(trak, "tkhd"))
		all = append(all, t)
	}
	return all
}

// header reads tkhd: the track's number and its sides.
func (t *track) header(f fields) {
	version, _ := f.begin()
	f.skip(8 << (version & 1))
	t.id = f.u32()
	f.skip(4)
	f.sized(version)
	f.skip(16 + 36) // places and the matrix
	t.width, t.height = int(f.u32()>>16), int(f.u32()>>16)
}

// child finds the first box of that name and returns what is in it.
func child(parent []byte, name string) []byte {
	for n, inside := range boxes(parent) {
		if n == name {
			return inside
		}
	}
	return nil
}

// boxes are those of a file, or of a box that holds others, up to the first that is not whole.
func boxes(parent []byte) iter.Seq2[string, []byte] {
	const header = 8
	return func(yield func(string, []byte) bool) {
		for len(parent) >= header {
			size, start := uint64(binary.BigEndian.Uint32(parent)), uint64(header)
			if size == 1 && len(parent) >= 2*header { // 64-bit size
				size, start = binary.BigEndian.Uint64(parent[header:]), 2*header
			}
			if size == 0 { // to the end
				size = uint64(len(parent))
			}
			if size < start || size > uint64(len(parent)) || !yield(string(parent[4:header]), parent[start:size]) {
				return
			}
			parent = parent[size:]
		}
	}
}
