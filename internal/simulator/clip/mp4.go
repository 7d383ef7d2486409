package clip

import (
	"bytes"
	"encoding/binary"
	"math"
)

// box writes an MP4 box: its size, its four letters, and what is in it.
func box(name string, inside ...[]byte) []byte {
	body := bytes.Join(inside, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(boxHeader+len(body)))
	return append(append(b, name...), body...)
}

// fullBox writes a box that begins with a version, which is always 0 here, and flags.
func fullBox(name string, flags uint32, inside ...[]byte) []byte {
	return box(name, append([][]byte{u32(flags)}, inside...)...)
}

func u32(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func u16(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

const (
	boxHeader  = 8
	lengthSize = 4 // before each NAL unit
	trackID    = 1
)

// writeMP4 returns a file of one H.264 track with all samples in one chunk. Each sample is one NAL unit.
func writeMP4(v video, samples [][]byte) []byte {
	t := track{video: v}
	dataSize := 0
	for _, sample := range samples {
		size := lengthSize + len(sample)
		t.sizes = append(t.sizes, uint32(size))
		dataSize += size
	}
	start := box("ftyp", []byte("isom"), u32(512), []byte("isomavc1mp41"))
	// The index comes first and holds the place of the data, so it is made twice: once to learn its size.
	t.dataOffset = uint32(len(start) + len(t.moov()) + boxHeader)
	file := make([]byte, 0, int(t.dataOffset)+dataSize)
	file = append(append(file, start...), t.moov()...)
	file = append(append(file, u32(uint32(boxHeader+dataSize))...), "mdat"...)
	for _, sample := range samples {
		file = append(append(file, u32(uint32(len(sample)))...), sample...)
	}
	return file
}

// track holds what the boxes tell about a video.
type track struct {
	video
	sizes      []uint32 // of the samples, in bytes
	dataOffset uint32   // of the first sample in the file
}

func (t track) moov() []byte {
	scale, length := uint32(t.ticksPerSecond()), uint32(t.ticks())
	const undetermined = 0x55c4 // the language "und", 5 bits a letter
	return box("moov",
		fullBox("mvhd", 0, u32(0, 0, scale, length, 1<<16), u16(1<<8, 0), u32(0, 0), unturned(), make([]byte, 24), u32(trackID+1)),
		box("trak",
			t.tkhd(length),
			box("mdia",
				fullBox("mdhd", 0, u32(0, 0, scale, length), u16(undetermined, 0)),
				fullBox("hdlr", 0, u32(0), []byte("vide"), make([]byte, 12), []byte("VideoHandler\x00")),
				box("minf",
					fullBox("vmhd", 1, make([]byte, 8)),
					box("dinf", fullBox("dref", 0, u32(1), fullBox("url ", 1))), // the data is in this file
					t.stbl(),
				),
			),
		),
	)
}

// unturned is the identity matrix: no turning, no scaling.
func unturned() []byte { return u32(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30) }

func (t track) tkhd(length uint32) []byte {
	const enabledInMovieAndPreview = 1 | 2 | 4
	return fullBox("tkhd", enabledInMovieAndPreview,
		u32(0, 0, trackID, 0, length, 0, 0), u16(0, 0, 0, 0), unturned(), u32(uint32(t.Width)<<16, uint32(t.Height)<<16))
}

// stbl tells where each sample is, how long it is shown, and which ones a player can start from.
func (t track) stbl() []byte {
	frames := uint32(t.frames())
	durations := u32(1, frames, frameTicks)
	if rest := uint32(t.ticks() % frameTicks); rest > 0 {
		durations = u32(2, frames-1, frameTicks, 1, rest)
	}
	var keyFrames []uint32
	for i := 0; i < t.frames(); i += t.FPS {
		keyFrames = append(keyFrames, uint32(i+1))
	}
	return box("stbl",
		fullBox("stsd", 0, u32(1), t.avc1()),
		fullBox("stts", 0, durations),
		fullBox("stss", 0, u32(uint32(len(keyFrames))), u32(keyFrames...)),
		fullBox("stsc", 0, u32(1, 1, frames, 1)),
		fullBox("stsz", 0, u32(0, frames), u32(t.sizes...)),
		fullBox("stco", 0, u32(1, t.dataOffset)),
	)
}

func (t track) avc1() []byte {
	const dpi72 = 72 << 16
	sps, pps := t.sps(), t.pps()
	return box("avc1",
		make([]byte, 6), u16(1), make([]byte, 16), u16(uint16(t.Width), uint16(t.Height)), u32(dpi72, dpi72, 0),
		u16(1), make([]byte, 32), u16(24, math.MaxUint16),
		box("avcC",
			[]byte{1, profileBaseline, constraints, t.level(), 0xfc | (lengthSize - 1), 0xe0 | 1},
			u16(uint16(len(sps))), sps, []byte{1}, u16(uint16(len(pps))), pps),
	)
}
