package media

import (
	"bytes"
	"encoding/binary"
	"math"
)

// The sizes of the headers that a BMP may have.
const (
	coreHeader = 12
	infoHeader = 40
	v3Header   = 56
	maskFields = 3 // compression: masks tell the place of each colour
	alphaMasks = 6
)

// isBMP asks for a header of a known size behind the two letters that a text may begin with too.
func isBMP(head []byte) bool {
	if !bytes.HasPrefix(head, []byte("BM")) || len(head) < 18 {
		return false
	}
	switch binary.LittleEndian.Uint32(head[14:]) {
	case coreHeader, 16, infoHeader, 52, v3Header, 64, 108, 124:
		return true
	}
	return false
}

// measureBMP reads the header of any version. golang.org/x/image/bmp knows neither 16 bits, nor run lengths, nor the oldest.
func measureBMP(s *source, i *Info) error {
	b, err := s.at(14, coreHeader)
	if err != nil {
		return err
	}
	header := binary.LittleEndian.Uint32(b)
	if header == coreHeader {
		i.Width, i.Height = int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
		return nil
	}
	width, height := int32(binary.LittleEndian.Uint32(b[4:])), int32(binary.LittleEndian.Uint32(b[8:]))
	if height == math.MinInt32 {
		return broken("its BMP header says a height of %d", height)
	}
	i.Width, i.Height = int(width), int(max(height, -height)) // a negative height: the top row comes first
	i.Alpha, err = hasAlphaMask(s, header)
	return err
}

// hasAlphaMask reads the alpha mask, which counts only when the masks are in use: the fourth byte of plain 32 bits is padding.
func hasAlphaMask(s *source, header uint32) (bool, error) {
	if header < infoHeader {
		return false, nil
	}
	b, err := s.at(14, infoHeader)
	if err != nil {
		return false, err
	}
	compression := binary.LittleEndian.Uint32(b[16:])
	known := compression == maskFields && header >= v3Header && header != 64 || compression == alphaMasks
	if !known {
		return false, nil
	}
	if b, err = s.at(14+52, 4); err != nil {
		return false, err
	}
	return binary.LittleEndian.Uint32(b) != 0, nil
}
