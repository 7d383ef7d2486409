package media

import "encoding/binary"

// measureWEBP reads the first chunk, which tells the size in each of the three layouts (RFC 9649, sections 2.5 to 2.7).
func measureWEBP(s *source, i *Info) error {
	b, err := s.at(12, 8+10)
	if err != nil {
		return err
	}
	kind, body := string(b[:4]), b[8:]
	switch kind {
	case "VP8 ":
		if body[0]&1 != 0 || string(body[3:6]) != "\x9d\x01\x2a" {
			return broken("its WEBP data does not begin with a key frame")
		}
		i.Width, i.Height = int(binary.LittleEndian.Uint16(body[6:])&0x3fff), int(binary.LittleEndian.Uint16(body[8:])&0x3fff)
	case "VP8L":
		if body[0] != 0x2f {
			return broken("its WEBP data does not begin with the lossless signature")
		}
		sides := binary.LittleEndian.Uint32(body[1:])
		i.Width, i.Height, i.Alpha = int(sides&0x3fff)+1, int(sides>>14&0x3fff)+1, sides>>28&1 != 0
	case "VP8X":
		i.Width, i.Height = uint24(body[4:])+1, uint24(body[7:])+1
		if i.Alpha = body[0]&0x10 != 0; !i.Alpha {
			i.Alpha, err = hasUnsaidAlpha(s)
		}
	default:
		return broken("its first WEBP chunk is none that tells a size")
	}
	return err
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// hasUnsaidAlpha looks for alpha in a picture whose flags deny it: decoders go by the data.
func hasUnsaidAlpha(s *source) (bool, error) {
	for at := int64(12); ; {
		b, err := s.at(at, 8)
		if err != nil {
			return false, err
		}
		length := int64(binary.LittleEndian.Uint32(b[4:]))
		switch string(b[:4]) {
		case "ALPH":
			return true, nil
		case "VP8 ", "ANMF":
			return false, nil
		case "VP8L":
			if b, err = s.at(at+8, 5); err != nil {
				return false, err
			}
			return b[4]&0x10 != 0, nil
		}
		at += 8 + length + length&1
	}
}
