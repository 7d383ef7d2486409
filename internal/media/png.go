package media

import "encoding/binary"

// measurePNG reads the header chunk, and the heads of those up to the pixels for a transparent colour (PNG, third edition,
// sections 11.2.1 and 11.3.1.1).
func measurePNG(s *source, i *Info) error {
	b, err := s.at(8, 8+13)
	if err != nil {
		return err
	}
	width, height, colour := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]), b[17]
	switch {
	case binary.BigEndian.Uint32(b) != 13 || string(b[4:8]) != "IHDR":
		return broken("its first PNG chunk is no header")
	case width > 1<<31-1 || height > 1<<31-1:
		return broken("its PNG header says %d x %d pixels", width, height)
	case colour > 6 || colour == 1 || colour == 5:
		return broken("its PNG header says colour type %d", colour)
	}
	i.Width, i.Height = int(width), int(height)
	if i.Alpha = colour == 4 || colour == 6; i.Alpha {
		return nil
	}
	i.Alpha, err = hasTransparentColour(s)
	return err
}

func hasTransparentColour(s *source) (bool, error) {
	for at := int64(8 + 8 + 13 + 4); ; {
		b, err := s.at(at, 8)
		if err != nil {
			return false, err
		}
		length := binary.BigEndian.Uint32(b)
		switch kind := string(b[4:8]); {
		case length > 1<<31-1 || !isChunkType(b[4:8]):
			return false, broken("there is no PNG chunk at %d", at)
		case kind == "tRNS":
			return true, nil
		case kind == "IDAT":
			return false, nil
		case kind == "IEND":
			return false, broken("it is a PNG without pixels")
		}
		at += 8 + int64(length) + 4
	}
}

func isChunkType(b []byte) bool {
	for _, c := range b {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}
