package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// maxWalk is how much of a sound without a frame count is walked: at 320 kbit/s, which no frame exceeds, it is 11 seconds.
const maxWalk = 448 << 10

// measureMP3 measures an MP3, with or without tags. It recognises it too, for it has no signature but its frames; a file that
// has none keeps no format and is no error, unless it begins with a tag.
func measureMP3(s *source, i *Info) error {
	start, err := skipTags(s, 0)
	tagged := start > 0
	if tagged {
		i.Format, i.Kind = "mp3", Audio
	}
	if err != nil {
		return err
	}
	if other, err := otherBehindTag(s, start); err != nil || other != "" {
		i.Format = other
		return err
	}
	at, first, err := findFrame(s, start)
	switch {
	case !tagged && (errors.Is(err, ErrBroken) || errors.Is(err, ErrBudget)):
		return nil
	case err != nil:
		return err
	}
	i.Kind, i.Format = Audio, [...]string{"", "mp1", "mp2", "mp3"}[first.layer]
	if first.layer != 3 || first.bitRate == 0 {
		return nil // a free format has a length that only a decoder finds
	}
	i.Length, err = lengthOfMP3(s, at, first)
	return err
}

// otherBehindTag names the sound of another format, such as FLAC or AAC, that a tag stands before.
func otherBehindTag(s *source, start int64) (string, error) {
	if start == 0 {
		return "", nil
	}
	head, err := s.atMost(start, headLength)
	if err != nil {
		return "mp3", err
	}
	if i := recognise(head); i.Kind == Audio && i.Format != "wav" {
		return i.Format, nil
	}
	return "", nil
}

// skipTags returns the place after all ID3v2 tags at a place (id3.org, ID3v2.4.0 structure, section 3.1).
func skipTags(s *source, at int64) (int64, error) {
	for {
		b, err := s.atMost(at, 10)
		if err != nil || len(b) < 10 || !bytes.HasPrefix(b, []byte("ID3")) || b[3] == 0xff || (b[6]|b[7]|b[8]|b[9])&0x80 != 0 {
			return at, err
		}
		length := int64(b[6])<<21 | int64(b[7])<<14 | int64(b[8])<<7 | int64(b[9])
		if b[5]&0x10 != 0 {
			length += 10 // a footer
		}
		if at += 10 + length; at > s.size {
			return at, broken("it is cut off: its ID3 tag goes on to %d, and it ends at %d", at, s.size)
		}
	}
}

// findFrame looks for the first of three frames running, at a place or a little after it: some taggers leave room, and sounds
// cut from a stream begin with the rest of a frame.
func findFrame(s *source, from int64) (int64, mpegFrame, error) {
	const room = 4 << 10
	for at := from; at < from+room && at+4 <= s.size; at++ {
		b, err := s.at(at, 4)
		if err != nil {
			return 0, mpegFrame{}, err
		}
		if b[0] != 0xff {
			continue
		}
		f, ok := parseFrame(b)
		if !ok || at > from && (f.layer != 3 || f.bitRate == 0) { // without lengths, two equal headers may be chance
			continue
		}
		if ok, err = isFollowed(s, at, f); ok || err != nil {
			return at, f, err
		}
	}
	return 0, mpegFrame{}, broken("no frame of MPEG audio is at %d", from)
}

// isFollowed reports whether two more frames of the same kind, or the end of the file or a tag, come after a frame.
func isFollowed(s *source, at int64, f mpegFrame) (bool, error) {
	if f.layer != 3 || f.bitRate == 0 {
		return isRepeated(s, at)
	}
	for range 2 {
		at += int64(f.length)
		b, err := s.atMost(at, 4)
		if err != nil || at > s.size {
			return false, ignoreCut(err)
		}
		next, ok := mpegFrame{}, false
		if len(b) == 4 {
			next, ok = parseFrame(b)
		}
		switch {
		case !ok:
			return at == s.size || isEndTag(b), nil
		case next.layer != f.layer || next.rate != f.rate || next.length == 0:
			return false, nil
		}
		f = next
	}
	return true, nil
}

// ignoreCut keeps any error but that the file ends.
func ignoreCut(err error) error {
	if errors.Is(err, ErrBroken) {
		return nil
	}
	return err
}

// isRepeated reports whether a header comes again, but for its padding, where frames of unknown length may end.
func isRepeated(s *source, at int64) (bool, error) {
	b, err := s.atMost(at, headLength)
	if err != nil || len(b) < 8 {
		return false, err
	}
	for n := 4; n+4 <= len(b); n++ {
		if b[n] == b[0] && b[n+1] == b[1] && b[n+2]&^2 == b[2]&^2 && b[n+3]&0xcf == b[3]&0xcf {
			return true, nil
		}
	}
	return false, nil
}

func isEndTag(b []byte) bool {
	return bytes.HasPrefix(b, []byte("TAG")) || bytes.HasPrefix(b, []byte("APET")) || bytes.HasPrefix(b, []byte("ID3")) || bytes.HasPrefix(b, []byte("LYRI"))
}

// lengthOfMP3 takes the length from the count of frames that the first frame may hold, or walks them.
func lengthOfMP3(s *source, at int64, first mpegFrame) (time.Duration, error) {
	b, err := s.atMost(at, min(first.length, 256))
	if err != nil {
		return 0, err
	}
	frames, length, isHeader := countedFrames(b, first)
	left := s.size - at
	if frames > 0 && frames*int64(first.samples) <= (left/leastRate+1)*int64(first.rate) && isNear(length, left) {
		return lengthOf(frames*int64(first.samples), int64(first.rate))
	}
	if isHeader {
		at += int64(first.length)
	}
	return walkFrames(s, at)
}

// leastRate is how many bytes a second of sound takes at least: 8 kbit/s.
const leastRate = 1000

// isNear reports whether a told length agrees with the file's: when two sounds were joined, or one was cut, it does not.
func isNear(told, actual int64) bool {
	return told == 0 || max(told, actual)-min(told, actual) <= min(told, actual)/16
}

// countedFrames reads the headers that encoders put in a first frame: Xing's and LAME's, and Fraunhofer's. frames and length
// are 0 when not told.
func countedFrames(b []byte, f mpegFrame) (frames, length int64, ok bool) {
	if tag := from(b, 4+f.side, 16); tag != nil && (string(tag[:4]) == "Xing" || string(tag[:4]) == "Info") {
		flags, rest := tag[7], tag[8:]
		if flags&1 != 0 {
			frames, rest = int64(binary.BigEndian.Uint32(rest)), rest[4:]
		}
		if flags&2 != 0 {
			length = int64(binary.BigEndian.Uint32(rest))
		}
		return frames, length, true
	}
	if tag := from(b, 4+32, 18); tag != nil && string(tag[:4]) == "VBRI" {
		return int64(binary.BigEndian.Uint32(tag[14:])), int64(binary.BigEndian.Uint32(tag[10:])), true
	}
	return 0, 0, false
}

// from returns the n bytes at a place, nil when there are not as many.
func from(b []byte, at, n int) []byte {
	if len(b) < at+n {
		return nil
	}
	return b[at : at+n]
}

// walkFrames counts the frames from a place on. What is between them is passed over, a tag ends or interrupts them. Over the
// budget the length is worked out from the rate so far, which is exact when it is constant; then the sound is longer than 11 s.
func walkFrames(s *source, start int64) (time.Duration, error) {
	const second = 14_112_000 // which every rate divides
	var length int64
	for at := start; ; {
		if at-start >= maxWalk {
			return lengthOf(int64(float64(length)*float64(s.size-start)/float64(at-start)), second)
		}
		f, step, err := nextFrame(s, at)
		if err != nil {
			return 0, err
		}
		if step == 0 {
			break
		}
		if f.rate > 0 {
			length += int64(f.samples) * int64(second/f.rate)
		}
		at += step
	}
	if length == 0 {
		return 0, broken("it holds no whole frame of sound")
	}
	return lengthOf(length, second)
}

// nextFrame returns the frame at a place and the bytes to the next, no frame when a tag is there, and no bytes at the end.
func nextFrame(s *source, at int64) (mpegFrame, int64, error) {
	b, err := s.atMost(at, 4)
	if err != nil || len(b) < 4 {
		return mpegFrame{}, 0, err
	}
	if f, ok := parseFrame(b); ok && f.layer == 3 && f.length > 0 {
		if at+int64(f.length) > s.size {
			return mpegFrame{}, 0, nil // cut off
		}
		return f, int64(f.length), nil
	}
	if after, err := skipTags(s, at); err == nil && after > at {
		return mpegFrame{}, after - at, nil
	}
	found, _, err := findFrame(s, at+1)
	if err != nil {
		return mpegFrame{}, 0, ignoreCut(err)
	}
	return mpegFrame{}, found - at, nil
}
