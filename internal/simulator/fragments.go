package simulator

import (
	"encoding/binary"
	"math/bits"
)

// Files that are made while they are sent tell their length in parts.

func fragmentDuration(mehd fields) uint64 {
	version, _ := mehd.begin()
	return mehd.sized(version)
}

// indexed adds up the segment indexes of one track: the video's, or the first one's where that has none.
func indexed(content []byte, track uint64) (scale, length uint64) {
	var first, firstScale, firstLength uint64
	for name, inside := range boxes(content) {
		if name != "sidx" {
			continue
		}
		of, s, l := readIndex(inside)
		if first == 0 {
			first, firstScale = of, s
		}
		if of == first {
			firstLength += l
		}
		if of == track {
			scale, length = s, length+l
		}
	}
	if length == 0 {
		return firstScale, firstLength
	}
	return scale, length
}

func readIndex(f fields) (track, scale, length uint64) {
	version, _ := f.begin()
	track, scale = f.u32(), f.u32()
	f.sized(version) // when it begins
	f.sized(version) // where it begins
	const entry = 12
	for range f.u32() & 0xffff {
		if len(f) < entry {
			break
		}
		kind, ticks := f.u32(), f.u32()
		f.skip(4)
		if kind>>31 == 0 { // not another index, which tells its own
			length += ticks
		}
	}
	return track, scale, length
}

// fragments adds up how long the track's samples in all fragments are.
func (t *track) fragments(content, moov []byte) (length uint64) {
	usual := t.usual(child(moov, "mvex"))
	for name, moof := range boxes(content) {
		if name != "moof" {
			continue
		}
		for name, traf := range boxes(moof) {
			if name == "traf" {
				length += t.runs(traf, usual)
			}
		}
	}
	return length
}

// usual is how long a sample of the track is where its fragment does not say.
func (t *track) usual(mvex []byte) uint64 {
	for name, inside := range boxes(mvex) {
		f := fields(inside)
		f.begin()
		if name == "trex" && f.u32() == t.id {
			f.skip(4)
			return f.u32()
		}
	}
	return 0
}

func (t *track) runs(traf []byte, usual uint64) (length uint64) {
	head := fields(child(traf, "tfhd"))
	_, flags := head.begin()
	if head.u32() != t.id {
		return 0
	}
	head.skip(int(flags&1)*8 + int(flags>>1&1)*4)
	if flags&8 != 0 {
		usual = head.u32()
	}
	for name, run := range boxes(traf) {
		if name == "trun" {
			length += samples(run, usual)
		}
	}
	return length
}

// samples adds up one trun.
func samples(f fields, usual uint64) (length uint64) {
	_, flags := f.begin()
	count := f.u32()
	if flags&0x100 == 0 {
		return count * usual
	}
	f.skip(int(flags&1)*4 + int(flags>>2&1)*4)
	entry := 4 * bits.OnesCount64(flags&0xf00)
	for range count {
		if len(f) < entry {
			break
		}
		length += uint64(binary.BigEndian.Uint32(f)) // the first of an entry's numbers
		f.skip(entry)
	}
	return length
}
