package media

import (
	"encoding/binary"
	"math"
	"time"
)

// The format tags of samples that all take the same number of bits.
const (
	tagPCM        = 1
	tagFloat      = 3
	tagALaw       = 6
	tagMuLaw      = 7
	tagExtensible = 0xfffe // the real one follows
)

// wave is what the chunks before the samples tell.
type wave struct {
	long                bool // RF64 or BW64: sizes of 64 bits in a chunk of their own
	longData            uint64
	tag, channels, bits uint16
	rate, byteRate      uint32
	samples             uint32 // of each channel, from the fact chunk
}

// measureWAV goes from chunk to chunk to the samples, and takes their length from the number of bytes, or for compressed ones
// from the fact chunk (Microsoft's Multimedia Programming Interface 1.0; RF64: EBU Tech 3306).
func measureWAV(s *source, i *Info) error {
	b, err := s.at(0, 4)
	if err != nil {
		return err
	}
	w := wave{long: string(b) != "RIFF"}
	for at := int64(12); ; {
		b, err := s.at(at, 8)
		if err != nil {
			return err
		}
		kind, length := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		at += 8
		if kind == "data" {
			i.Length, err = w.length(s.size-at, length, s.size)
			return err
		}
		if err := w.read(s, kind, at, length); err != nil {
			return err
		}
		at += length + length&1
	}
}

// read takes in a chunk.
func (w *wave) read(s *source, kind string, at, length int64) error {
	need := 16
	switch kind {
	case "fmt ", "ds64":
	case "fact":
		need = 4
	default:
		return nil
	}
	if length < int64(need) {
		return broken("its WAV chunk at %d has %d bytes", at-8, length)
	}
	b, err := s.at(at, int(min(length, 26)))
	if err != nil {
		return err
	}
	switch kind {
	case "ds64":
		w.longData = binary.LittleEndian.Uint64(b[8:])
	case "fact":
		w.samples = binary.LittleEndian.Uint32(b)
	default:
		w.tag, w.channels = binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		w.rate, w.byteRate = binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		w.bits = binary.LittleEndian.Uint16(b[14:])
		if w.tag == tagExtensible && len(b) == 26 {
			w.tag = binary.LittleEndian.Uint16(b[24:])
		}
	}
	return nil
}

// length is the time that the samples take: left bytes of the file follow, of which said are theirs.
func (w *wave) length(left, said, size int64) (time.Duration, error) {
	if w.long && said == math.MaxUint32 {
		said = int64(min(w.longData, math.MaxInt64))
	}
	const unknown = 0x7fff0000 // what writes to a pipe puts 0, 4 GB or 2 GB, or a little less
	switch {
	case said == 0 || said >= unknown && !w.long:
		said = left
	case said > size: // some count their headers too
		return 0, broken("it is cut off: it should hold %d bytes of sound, and ends after %d", said, left)
	}
	said = min(said, left)
	if w.rate == 0 || w.channels == 0 {
		return 0, broken("it says %d channels of %d samples a second", w.channels, w.rate)
	}
	var length time.Duration
	var err error
	if frame := w.frame(); frame > 0 {
		length, err = lengthOf(said/frame, int64(w.rate))
	} else if w.samples > 0 && w.samples != math.MaxUint32 {
		length, err = lengthOf(int64(w.samples), int64(w.rate))
	} else {
		length, err = lengthOf(said, int64(w.byteRate))
	}
	if err == nil && length == 0 {
		err = broken("it holds no sound")
	}
	return length, err
}

// frame is the number of bytes that one sample of every channel takes, 0 when it is not fixed.
func (w *wave) frame() int64 {
	switch w.tag {
	case tagPCM, tagFloat, tagALaw, tagMuLaw:
		return int64(w.channels) * int64((w.bits+7)/8)
	}
	return 0
}
