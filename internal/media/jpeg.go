package media

import (
	"bytes"
	"encoding/binary"
)

// measureJPEG goes from segment to segment, not through them, to the frame header. image/jpeg reads through what is before it,
// and knows neither arithmetic coding nor 12 bits.
func measureJPEG(s *source, i *Info) error {
	turned := false
	for at := int64(2); ; {
		marker, body, err := nextMarker(s, at)
		if err != nil {
			return err
		}
		at = body
		switch {
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xd7: // they have no content
			continue
		case marker == 0xd8 || marker == 0xd9 || marker == 0xda: // start, end, scan
			return broken("its JPEG data begins or ends before a frame header was met, at %d", at)
		}
		b, err := s.at(at, 2)
		if err != nil {
			return err
		}
		length := int(binary.BigEndian.Uint16(b))
		if length < 2 {
			return broken("a JPEG segment at %d says %d bytes", at, length)
		}
		switch {
		case isFrame(marker):
			return readFrame(s, at, turned, i)
		case marker == 0xe1 && !turned:
			if turned, err = isTurned(s, at, length); err != nil {
				return err
			}
		}
		at += int64(length)
	}
}

// nextMarker returns the next marker at or after a place and where its segment begins. Stray bytes before it are passed over,
// as decoders do.
func nextMarker(s *source, at int64) (marker byte, body int64, err error) {
	for {
		b, err := s.atMost(at, 256)
		if err == nil && len(b) < 2 {
			_, err = s.at(at, 2)
		}
		if err != nil {
			return 0, 0, err
		}
		for n := range len(b) - 1 {
			if b[n] == 0xff && b[n+1] != 0xff && b[n+1] != 0 {
				return b[n+1], at + int64(n) + 2, nil
			}
		}
		at += int64(len(b)) - 1
		s.parts -= len(b) // stray bytes take the time that parts take
	}
}

// isFrame knows the frame headers of all codings (ITU-T T.81, table B.1): C4, C8 and CC are none.
func isFrame(marker byte) bool {
	return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc
}

func readFrame(s *source, at int64, turned bool, i *Info) error {
	b, err := s.at(at, 8) // length, precision, height, width, components
	if err != nil {
		return err
	}
	height, width := int(binary.BigEndian.Uint16(b[3:])), int(binary.BigEndian.Uint16(b[5:]))
	switch {
	case width == 0:
		return broken("its picture is %d x %d pixels", width, height)
	case height == 0: // it comes after the pixels (ITU-T T.81, B.2.5), which are not read
		return nil
	case turned:
		width, height = height, width
	}
	i.Width, i.Height = width, height
	return nil
}

// isTurned reads the orientation in an Exif segment: pictures of 5 to 8 are shown on their side.
func isTurned(s *source, at int64, length int) (bool, error) {
	b, err := s.at(at, min(length, headLength)) // the first directory is at the start, thumbnails follow
	if err != nil {
		return false, err
	}
	tiff, isExif := bytes.CutPrefix(b[2:], []byte("Exif\x00\x00"))
	if !isExif || len(tiff) < 8 {
		return false, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	first := int64(order.Uint32(tiff[4:]))
	if first+2 > int64(len(tiff)) {
		return false, nil
	}
	entries := tiff[first:]
	count := order.Uint16(entries)
	for entries = entries[2:]; count > 0 && len(entries) >= 12; count, entries = count-1, entries[12:] {
		if order.Uint16(entries) == 0x0112 {
			value := order.Uint16(entries[8:])
			return value >= 5 && value <= 8, nil
		}
	}
	return false, nil
}
