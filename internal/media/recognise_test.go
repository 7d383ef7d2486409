package media_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/media"
)

func measureText(text string) (media.Info, error) {
	return media.Measure(strings.NewReader(text), int64(len(text)))
}

// A refusal can say what the file really is.
func TestOtherFormatsAreNamedAndNoError(t *testing.T) {
	adts := "\xff\xf1\x50\x80\x01\x7f\xfc" + strings.Repeat("x", 4)
	tests := []struct {
		name, content, format string
		kind                  media.Kind
	}{
		{"nothing", "", "", ""},
		{"zeros", strings.Repeat("\x00", 5000), "", ""},
		{"all ones", strings.Repeat("\xff", 5000), "", ""},
		{"a few bytes", "\xff\xfb\x90", "", ""},
		{"bytes without sense", strings.Repeat("\x01\x80\xff\xfb\x02\x90", 900), "", ""},
		{"a page", "<!DOCTYPE html><html><body>Not found</body></html>", "html", ""},
		{"a page with a drawing in it", "\n<html><svg></svg></html>", "html", ""},
		{"a page that says it is XML", `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>`, "html", ""},
		{"a store's refusal", `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>`, "xml", ""},
		{"a refusal without a declaration", "<Error><Code>AccessDenied</Code></Error>", "xml", ""},
		{"an unended declaration", "<?xml version='1.0'", "xml", ""},
		{"a drawing", "\xef\xbb\xbf<!-- made\nby hand -->\n<svg\nwidth='1'/>", "svg", media.Image},
		{"an answer", ` {"code":"NoSuchKey"}`, "json", ""},
		{"a list", "[1, 2]", "json", ""},
		{"a page in Latin-1", "<!doctype HTML><HTML><title>Fehler f\xfcr alle", "html", ""},
		{"a page that begins with words", "\xffError: <HTML><title>x", "html", ""},
		{"a word where a RIFF has its own", "A list: WEBP, WAVE", "txt", ""},
		{"a sentence whose last letter is cut off", "for \xc3\xbc and \xe2\x82", "txt", ""},
		{"letters of no encoding", "for \xfc and \xe4, here", "", ""},
		{"a sentence", "BMW and RIFF, ftyp and GIF are words.", "txt", ""},
		{"a playlist", "#EXTM3U\n#EXT-X-VERSION:3\n", "m3u8", ""},
		{"a pointer to a large file", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-lfs", ""},
		{"a document", "%PDF-1.7\n", "pdf", ""},
		{"a zip", "PK\x03\x04\x14\x00\x00\x00", "zip", ""},
		{"a gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "gzip", ""},
		{"a program", "\x7fELF\x02\x01\x01\x00", "elf", ""},
		{"GIF", "GIF89a\x01\x00\x01\x00", "gif", media.Image},
		{"TIFF of 1986", "II*\x00\x08\x00\x00\x00", "tiff", media.Image},
		{"TIFF the other way", "MM\x00*\x00\x00\x00\x08", "tiff", media.Image},
		{"BigTIFF", "II+\x00\x08\x00\x00\x00", "tiff", media.Image},
		{"JPEG XL without a box", "\xff\x0a\xfa\x1f", "jxl", media.Image},
		{"JPEG XL", "\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl", media.Image},
		{"JPEG 2000", "\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2", media.Image},
		{"Photoshop", "8BPS\x00\x01", "psd", media.Image},
		{"an icon", "\x00\x00\x01\x00\x01\x00\x10\x10", "ico", media.Image},
		{"AVI", "RIFF\x10\x00\x00\x00AVI LIST", "avi", media.Video},
		{"WebM", "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "webm", media.Video},
		{"Matroska", "\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", "mkv", media.Video},
		{"Flash video", "FLV\x01\x05\x00\x00\x00\x09", "flv", media.Video},
		{"Windows Media", "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "wmv", media.Video},
		{"a transport stream", strings.Repeat("G"+strings.Repeat("\x00", 187), 4), "ts", media.Video},
		{"a camera's transport stream", strings.Repeat("\x00\x00\x00\x00G"+strings.Repeat("\x01", 187), 4), "ts", media.Video},
		{"a program stream", "\x00\x00\x01\xba\x44\x00", "mpg", media.Video},
		{"Ogg with video", "OggS\x00\x02\x00\x00\x00\x80theora", "ogg", media.Video},
		{"Ogg with sound", "OggS\x00\x02\x00\x00\x00\x01vorbis", "ogg", media.Audio},
		{"FLAC", "fLaC\x00\x00\x00\x22", "flac", media.Audio},
		{"FLAC with an MP3's tag", "ID3\x04\x00\x00\x00\x00\x00\x03abcfLaC\x00\x00\x00\x22", "flac", media.Audio},
		{"AAC", strings.Repeat(adts, 3), "aac", media.Audio},
		{"AAC with an MP3's tag", "ID3\x04\x00\x10\x00\x00\x00\x03abc3DI\x04\x00\x10\x00\x00\x00\x03" + strings.Repeat(adts, 3), "aac", media.Audio},
		{"AIFF", "FORM\x00\x00\x00\x10AIFFCOMM", "aiff", media.Audio},
		{"AMR", "#!AMR\n\x3c", "amr", media.Audio},
		{"MIDI", "MThd\x00\x00\x00\x06", "midi", media.Audio},
		{"Layer I", strings.Repeat("\xff\xff\x10\x00"+strings.Repeat("\x01", 30), 3), "mp1", media.Audio},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := measureText(test.content)
			require.NoError(t, err)
			require.Equal(t, media.Info{Format: test.format, Kind: test.kind}, got)
		})
	}
}
