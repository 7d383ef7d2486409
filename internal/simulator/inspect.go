package simulator

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// medium is what a file turns out to be.
type medium struct {
	format string // png, jpeg, bmp, webp or mp4 (which MOV is here as well); empty for anything else
	size   int    // bytes
	film          // of a picture, the sides alone
	alpha  bool   // a picture that can be seen through
}

// inspect reads headers only.
func inspect(content []byte) medium {
	m := medium{size: len(content)}
	switch {
	case bytes.HasPrefix(content, []byte("\x89PNG\r\n\x1a\n")) && len(content) > 25:
		m.format = "png"
		m.width, m.height = int(binary.BigEndian.Uint32(content[16:])), int(binary.BigEndian.Uint32(content[20:]))
		const alphaBit = 4 // of the colour type
		m.alpha = content[25]&alphaBit != 0 || transparent(content)
	case bytes.HasPrefix(content, []byte{0xff, 0xd8, 0xff}):
		m.format = "jpeg"
		m.width, m.height = sidesOfJPEG(content)
	case bytes.HasPrefix(content, []byte("BM")) && len(content) > 26:
		m.format = "bmp"
		m.width = int(int32(binary.LittleEndian.Uint32(content[18:])))
		m.height = max(int(int32(binary.LittleEndian.Uint32(content[22:]))), -int(int32(binary.LittleEndian.Uint32(content[22:])))) // below 0: from the top
	case len(content) > 30 && string(content[:4]) == "RIFF" && string(content[8:12]) == "WEBP":
		m.format = "webp"
		m.width, m.height = sidesOfWebP(content)
	case len(content) > 12 && (string(content[4:8]) == "ftyp" || child(content, "moov") != nil):
		m.format = "mp4"
		m.film = readFilm(content)
	}
	return m
}

// transparent looks for the chunk of a PNG that makes colours transparent, which comes before the picture.
func transparent(content []byte) bool {
	const signature, frame = 8, 12
	for at := signature; at+frame <= len(content); {
		switch string(content[at+4 : at+8]) {
		case "tRNS":
			return true
		case "IDAT":
			return false
		}
		size := int(binary.BigEndian.Uint32(content[at:]))
		if size > len(content) {
			return false
		}
		at += frame + size
	}
	return false
}

// sidesOfJPEG finds the frame header among the segments.
func sidesOfJPEG(content []byte) (width, height int) {
	for at := 2; at+9 <= len(content) && content[at] == 0xff; {
		kind := content[at+1]
		const huffman, jpg, arithmetic = 0xc4, 0xc8, 0xcc // have numbers like frame headers, and are none
		if kind >= 0xc0 && kind <= 0xcf && kind != huffman && kind != jpg && kind != arithmetic {
			return int(binary.BigEndian.Uint16(content[at+7:])), int(binary.BigEndian.Uint16(content[at+5:]))
		}
		if kind == 0xff { // filling
			at++
			continue
		}
		at += 2 + int(binary.BigEndian.Uint16(content[at+2:]))
	}
	return 0, 0
}

func sidesOfWebP(content []byte) (width, height int) {
	u24 := func(at int) int { return int(content[at]) | int(content[at+1])<<8 | int(content[at+2])<<16 }
	const sides = 1<<14 - 1
	switch string(content[12:16]) {
	case "VP8X":
		return u24(24) + 1, u24(27) + 1
	case "VP8L":
		packed := int(binary.LittleEndian.Uint32(content[21:]))
		return packed&sides + 1, packed>>14&sides + 1
	case "VP8 ":
		return int(binary.LittleEndian.Uint16(content[26:])) & sides, int(binary.LittleEndian.Uint16(content[28:])) & sides
	}
	return 0, 0
}

// Limits of files ("Wan - reference-to-video API reference", media).
const (
	maxClip         = 100 << 20
	minSide         = 240
	maxPictureSide  = 8000
	maxProportion   = 8
	openError       = "Invalid file, cannot open file as video/audio/image."
	notDownloadable = "Unable to download the media resource during the data inspection process."
)

// checkPicture tells what the service finds wrong with a picture once it has it.
func (m medium) checkPicture() *problem {
	switch m.format {
	case "png", "jpeg", "bmp", "webp":
	default:
		return &problem{code: "InvalidImage.FileFormat", message: "Invalid image type. Please ensure the uploaded file is a valid image."}
	}
	if m.format == "png" && m.alpha {
		return &problem{code: "InvalidImage.FileFormat", message: "Invalid image type. PNG with an alpha channel is not supported."}
	}
	if m.size > maxPicture {
		return &problem{code: "InvalidFile.Size", message: "Invalid file size. The image file size must be less than 20MB."}
	}
	return m.checkSides("InvalidImage.ImageSize", maxPictureSide)
}

// checkClip does so with a clip, but for its length.
func (m medium) checkClip(longestSide int) *problem {
	switch {
	case m.size > maxClip:
		return &problem{code: "InvalidFile.Size", message: "Invalid file size. The video file size must be less than 100MB."}
	case m.format != "mp4" || m.length == 0:
		return &problem{code: "InvalidFile.Openerror", message: openError}
	case longestSide == 0: // none is documented
		return nil
	}
	return m.checkSides("InvalidFile.Resolution", longestSide)
}

func (m medium) checkSides(code string, longest int) *problem {
	short, long := min(m.width, m.height), max(m.width, m.height)
	switch {
	case short < minSide || long > longest:
		return &problem{code: code, message: fmt.Sprintf("Invalid file resolution. The width and height must be between %d and %d pixels.", minSide, longest)}
	case long > maxProportion*short:
		return &problem{code: "InvalidFile.AspectRatio", message: "Invalid file ratio. The file aspect ratio (height/width) must be between 1:8 and 8:1."}
	}
	return nil
}
