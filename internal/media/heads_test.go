package media_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/media"
)

// What no program here makes: the sides and the alpha are read from the head all the same.
func TestHeadsOfRarePictures(t *testing.T) {
	exif := func(body string) string {
		return jpegStart + "\xff\xe1\x00" + string(rune(8+len(body))) + "Exif\x00\x00" + body
	}
	const frame = "\xff\xc0\x00\x0b\x08\x00\x03\x00\x05\x01\x01\x11\x00"
	masks := strings.Repeat("m", 12)
	bmp := func(header, compression string) string {
		return "BMxxxxxxxxxxxx" + header + "\x00\x00\x00\x05\x00\x00\x00\x03\x00\x00\x00\x01\x00\x20\x00" + compression + "\x00\x00\x00xxxxxxxxxxxxxxxxxxxx" + masks
	}
	tests := []struct {
		name, content string
		width, height int
		alpha         bool
	}{
		{"JPEG of 12 bits", jpegStart + strings.Replace(frame, "\x0b\x08", "\x0b\x0c", 1), 5, 3, false},
		{"JPEG without loss", jpegStart + strings.Replace(frame, "\xc0", "\xc3", 1), 5, 3, false},
		{"JPEG in arithmetic coding", jpegStart + "\xff\xcc\x00\x04\x00\x10" + strings.Replace(frame, "\xc0", "\xc9", 1), 5, 3, false},
		{"JPEG in progressive arithmetic coding", jpegStart + strings.Replace(frame, "\xc0", "\xca", 1), 5, 3, false},
		{"JPEG with tables first", jpegStart + "\xff\xc4\x00\x03\x00\xff\xdb\x00\x03\x00" + frame, 5, 3, false},
		{"JPEG with marks and bytes between", jpegStart + "\xff\xd0\xff\x01abc\xff\x00\xff\xff\xff" + frame, 5, 3, false},
		{"JPEG whose height comes after its pixels", jpegStart + strings.Replace(frame, "\x00\x03", "\x00\x00", 1) + "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00x\xff\xdc\x00\x04\x00\x03\xff\xd9", 0, 0, false},
		{"Exif that turns", exif("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00") + frame, 3, 5, false},
		{"Exif that turns, the other way round", exif("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x05\x00\x00") + frame, 3, 5, false},
		{"Exif that mirrors only", exif("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00") + frame, 5, 3, false},
		{"Exif without the orientation", exif("II*\x00\x08\x00\x00\x00\x01\x00\x13\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00") + frame, 5, 3, false},
		{"Exif of fewer entries than said", exif("II*\x00\x08\x00\x00\x00\xff\xff\x13\x01") + frame, 5, 3, false},
		{"Exif that points outside", exif("II*\x00\xff\xff\xff\xff\x01\x00") + frame, 5, 3, false},
		{"Exif that is no more than its name", exif("") + frame, 5, 3, false},
		{"BMP of 1998 with a mask in use", bmp("\x6c", "\x03") + "\x00\x00\x00\xff", 5, 3, true},
		{"BMP of 1998 with an empty mask", bmp("\x6c", "\x03") + "\x00\x00\x00\x00", 5, 3, false},
		{"BMP of 1998 with a mask that is not in use", bmp("\x6c", "\x00") + "\x00\x00\x00\xff", 5, 3, false},
		{"BMP with an alpha mask behind its header", bmp("\x28", "\x06") + "\x00\x00\x00\xff", 5, 3, true},
		{"BMP with masks behind its header and none for alpha", bmp("\x28", "\x03") + "\x00\x00\x00\xff", 5, 3, false},
		{"BMP of OS/2 with a short header", "BMxxxxxxxxxxxx\x10\x00\x00\x00\x05\x00\x00\x00\x03\x00\x00\x00\x01\x00\x18\x00", 5, 3, false},
		{"WEBP whose flags deny the alpha that is there", "RIFFxxxxWEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x02\x00\x00ALPH\x01\x00\x00\x00", 5, 3, true},
		{"WEBP of frames without alpha", "RIFFxxxxWEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x02\x00\x00ANIM\x01\x00\x00\x00xxANMF\x01\x00\x00\x00", 5, 3, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := measureText(test.content)
			require.NoError(t, err)
			require.Equal(t, []int{test.width, test.height}, []int{got.Width, got.Height})
			require.Equal(t, test.alpha, got.Alpha)
			require.Equal(t, media.Image, got.Kind)
		})
	}
}
