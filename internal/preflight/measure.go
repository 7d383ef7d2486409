package preflight

import (
	"bytes"
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
	content, err := base64.StdEncoding.DecodeString(body)
	if err != nil || body == "" {
		return video.Medium{} // what is wrong with its form is told by whoever checks addresses
	}
	return measure(bytes.NewReader(content), int64(len(content)))
}
