package preflight

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/media"
	"r2v-mcp/internal/video"
)

// measure reads what a file says of itself. size is -1 when the server does not tell it: then what seems to be cut off may
// only not have been told.
func measure(r io.ReaderAt, size int64) video.Medium {
	bound := size
	if size < 0 {
		bound = math.MaxInt64
	}
	info, err := media.Measure(r, bound)
	m := video.Medium{Kind: string(info.Kind), Format: info.Format, Bytes: max(0, size), Width: info.Width, Height: info.Height, Alpha: info.Alpha}
	if info.Kind == media.Audio {
		m.Kind = "voice"
	}
	if info.Length > 0 && info.Kind != media.Image {
		seconds := decimal.New(info.Length.Milliseconds(), -3)
		m.Seconds = &seconds
	}
	switch {
	case errors.Is(err, media.ErrBroken) && size >= 0:
		m.Wrong, m.Right = err.Error(), "a whole file, which plays or shows elsewhere"
	case err != nil:
		m.Unseen = "it could not be read (" + err.Error() + ")"
	case size == 0:
		m.Wrong, m.Right = "the file is empty", "a file with a picture, clip or sound in it"
	case m.Seconds == nil && slices.Contains([]string{"mp4", "mov", "wav", "mp3"}, m.Format):
		m.Unseen = "the file does not tell its length"
	}
	return m
}

// atService is what there is to see of a file that is uploaded already.
func atService(context.Context, string) video.Medium {
	return video.Medium{Unseen: "only the service can read oss:// addresses"}
}

// inRequest looks at a picture that is written into the request.
func inRequest(_ context.Context, address string) video.Medium {
	_, body, _ := strings.Cut(address, ";base64,")
	if strings.ContainsAny(body, "\r\n") { // which base64 may be broken into lines by
		body = strings.NewReplacer("\r", "", "\n", "").Replace(body)
	}
	picture := encoded(body)
	return measure(picture, picture.size()) // what is wrong with its form is told by whoever checks addresses
}

// encoded is a file in base64, of which only what is read is decoded: five pictures of 20 MB need not be in memory twice.
type encoded string

func (e encoded) size() int64 {
	padding := strings.Count(string(e[max(0, len(e)-2):]), "=")
	return int64(base64.StdEncoding.DecodedLen(len(e)) - padding)
}

// ReadAt decodes the groups of four letters that hold the bytes at a place.
func (e encoded) ReadAt(p []byte, off int64) (int, error) {
	if off >= e.size() {
		return 0, io.EOF
	}
	end := min(off+int64(len(p)), e.size())
	first, last := off/3, (end+2)/3
	decoded, err := base64.StdEncoding.DecodeString(string(e[4*first : 4*last]))
	if err != nil {
		return 0, err
	}
	n := copy(p, decoded[off-3*first:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
