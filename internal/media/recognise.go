package media

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// signature is what files of a format begin with, or have at a fixed place.
type signature struct {
	at            int
	magic, format string
	kind          Kind
}

// pictureSignatures come first where one is the beginning of another.
func pictureSignatures() []signature {
	return []signature{
		{0, "\xff\xd8\xff", "jpeg", Image}, {0, "\x89PNG\r\n\x1a\n", "png", Image}, {0, "GIF8", "gif", Image},
		{0, "II*\x00", "tiff", Image}, {0, "MM\x00*", "tiff", Image}, {0, "II+\x00", "tiff", Image}, {0, "MM\x00+", "tiff", Image},
		{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl", Image}, {0, "\xff\x0a", "jxl", Image},
		{0, "\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2", Image}, {0, "\xff\x4f\xff\x51", "jp2", Image},
		{0, "8BPS", "psd", Image}, {0, "\x00\x00\x01\x00", "ico", Image}, {0, "\x00\x00\x02\x00", "cur", Image},
		{0, "icns", "icns", Image}, {0, "gimp xcf", "xcf", Image}, {0, "qoif", "qoi", Image}, {0, "DDS ", "dds", Image},
		{0, "\x76\x2f\x31\x01", "exr", Image}, {0, "#?RADIANCE", "hdr", Image}, {0, "AT&TFORM", "djvu", Image},
		{0, "%!PS", "ps", ""}, {0, "%PDF-", "pdf", ""},
	}
}

func streamSignatures() []signature {
	return []signature{
		{8, "WEBP", "webp", Image}, {8, "WAVE", "wav", Audio}, {8, "AVI ", "avi", Video}, // in a RIFF
		{0, "FLV\x01", "flv", Video}, {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv", Video}, {0, ".RMF", "rm", Video},
		{0, "\x00\x00\x01\xba", "mpg", Video}, {0, "\x00\x00\x01\xb3", "mpg", Video}, {0, "YUV4MPEG2", "y4m", Video},
		{0, "\x00\x00\x00\x01\x67", "h264", Video}, {0, "DKIF", "ivf", Video}, {0, "\x06\x0e\x2b\x34", "mxf", Video},
		{0, "fLaC", "flac", Audio}, {8, "AIFF", "aiff", Audio}, {8, "AIFC", "aiff", Audio}, {0, "#!AMR", "amr", Audio},
		{0, "ADIF", "aac", Audio}, {0, ".snd", "au", Audio}, {0, "MThd", "midi", Audio}, {0, "caff", "caf", Audio},
		{0, "\x0b\x77", "ac3", Audio}, {0, "\x7f\xfe\x80\x01", "dts", Audio}, {0, "MAC ", "ape", Audio}, {0, "wvpk", "wv", Audio},
		{0, "DSD ", "dsf", Audio}, {0, "TTA1", "tta", Audio}, {0, "riff\x2e\x91\xcf\x11", "w64", Audio},
	}
}

func otherSignatures() []signature {
	return []signature{
		{0, "PK\x03\x04", "zip", ""}, {0, "PK\x05\x06", "zip", ""}, {0, "\x1f\x8b", "gzip", ""}, {0, "BZh", "bz2", ""},
		{0, "\xfd7zXZ\x00", "xz", ""}, {0, "\x28\xb5\x2f\xfd", "zst", ""}, {0, "7z\xbc\xaf\x27\x1c", "7z", ""}, {0, "Rar!\x1a\x07", "rar", ""},
		{257, "ustar", "tar", ""}, {0, "MZ\x90\x00", "exe", ""}, {0, "\x7fELF", "elf", ""}, {0, "SQLite format 3\x00", "sqlite", ""},
		{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc", ""}, {0, "#EXTM3U", "m3u8", ""}, {0, "version https://git-lfs", "git-lfs", ""},
	}
}

// recognise tells the format and kind of a file by its first bytes. An MP3 and what has a tag before it is not told here: it
// has no signature.
func recognise(head []byte) Info {
	if i, ok := recogniseContainer(head); ok {
		return i
	}
	for _, table := range [][]signature{pictureSignatures(), streamSignatures(), otherSignatures()} {
		for _, g := range table {
			if len(head) >= g.at && bytes.HasPrefix(head[g.at:], []byte(g.magic)) && (g.at != 8 || isIFF(head)) {
				return Info{Format: g.format, Kind: g.kind}
			}
		}
	}
	return recogniseText(head)
}

func isIFF(head []byte) bool {
	switch string(head[:4]) {
	case "RIFF", "RF64", "BW64", "FORM":
		return true
	}
	return false
}

// recogniseContainer knows the formats that take more than equal bytes at a fixed place.
func recogniseContainer(head []byte) (Info, bool) {
	switch {
	case isMP4(head):
		return Info{Format: "mp4", Kind: Video}, true
	case isBMP(head):
		return Info{Format: "bmp", Kind: Image}, true
	case bytes.HasPrefix(head, []byte("\x1a\x45\xdf\xa3")): // EBML, whose document type is near its start
		if bytes.Contains(head[:min(len(head), 64)], []byte("webm")) {
			return Info{Format: "webm", Kind: Video}, true
		}
		return Info{Format: "mkv", Kind: Video}, true
	case bytes.HasPrefix(head, []byte("OggS")):
		if bytes.Contains(head, []byte("theora")) {
			return Info{Format: "ogg", Kind: Video}, true
		}
		return Info{Format: "ogg", Kind: Audio}, true
	case isTransportStream(head, 0, 188) || isTransportStream(head, 4, 192):
		return Info{Format: "ts", Kind: Video}, true
	case isADTS(head):
		return Info{Format: "aac", Kind: Audio}, true
	}
	return Info{}, false
}

// isMP4 knows the boxes that files of the ISO family, and QuickTime files without a file type, begin with.
func isMP4(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	switch string(head[4:8]) {
	case "ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "sidx", "moof":
		return true
	}
	return false
}

// isTransportStream looks for the sync byte of an MPEG transport stream, three packets running.
func isTransportStream(head []byte, at, packet int) bool {
	for range 3 {
		if at >= len(head) || head[at] != 0x47 {
			return false
		}
		at += packet
	}
	return true
}

// isADTS looks for two frames of AAC in an audio data transport stream.
func isADTS(b []byte) bool {
	if !adtsSync(b) {
		return false
	}
	length := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	return length >= 7 && (length >= len(b) || adtsSync(b[length:]))
}

func adtsSync(b []byte) bool {
	return len(b) >= 7 && b[0] == 0xff && b[1]&0xf6 == 0xf0
}

// recogniseText tells apart what servers answer instead of media. A page may be in any encoding, other texts are in UTF-8.
func recogniseText(head []byte) Info {
	text := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	if len(text) == 0 || bytes.IndexByte(text, 0) >= 0 {
		return Info{}
	}
	tag := firstTag(text)
	switch {
	case tag == "svg":
		return Info{Format: "svg", Kind: Image}
	case tag == "html", tag == "head", tag == "body", bytes.Contains(bytes.ToLower(text), []byte("<html")):
		return Info{Format: "html"}
	case tag != "", bytes.HasPrefix(text, []byte("<?xml")):
		return Info{Format: "xml"}
	case !isUTF8(head):
		return Info{}
	case text[0] == '{', text[0] == '[':
		return Info{Format: "json"}
	}
	return Info{Format: "txt"}
}

// isUTF8 reports whether bytes are text, of which the last letter may be cut off.
func isUTF8(b []byte) bool {
	for n := 0; n < utf8.UTFMax-1 && len(b) > 0 && !utf8.RuneStart(b[len(b)-1]); n++ {
		b = b[:len(b)-1]
	}
	if len(b) > 0 && b[len(b)-1] >= utf8.RuneSelf {
		b = b[:len(b)-1]
	}
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\f\r\x1b", r) })
}

// firstTag returns the name, in lower case, of the element that a text of marks begins with, past its declarations and comments.
func firstTag(text []byte) string {
	for bytes.HasPrefix(text, []byte("<")) {
		end := ">"
		switch {
		case bytes.HasPrefix(text, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(text, []byte("<?")):
			end = "?>"
		case !bytes.HasPrefix(text, []byte("<!")):
			name := text[1:]
			if n := bytes.IndexAny(name, " \t\r\n/>"); n >= 0 {
				name = name[:n]
			}
			return string(bytes.ToLower(name))
		}
		_, after, _ := bytes.Cut(text, []byte(end))
		text = bytes.TrimSpace(after)
	}
	return ""
}
