package simulator

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"path"
	"strings"
	"time"

	"r2v-mcp/internal/simulator/clip"
)

const (
	sampleWidth, sampleHeight = 640, 360
	pictureSide               = 640
	sampleRate                = 8000 // of the sound, in Hz
)

// sample serves references to try the service with, so that a first order needs no address on the internet:
// /samples/dancer-8s.mp4, /samples/hat.png, /samples/voice-4s.wav, with any name and 1 to 30 seconds.
func (s *Server) sample(c *call) answer {
	name := c.r.PathValue("file")
	length, known := statedLength(name)
	known = known && length >= shortestVideo && length <= longestVideo
	made := file{modified: time.Unix(0, 0)}
	var err error
	switch extension := strings.ToLower(path.Ext(name)); {
	case extension == ".png":
		made.contentType = "image/png"
		made.content, err = picture(seed(name))
	case extension == ".wav" && known:
		made.contentType, made.content = "audio/wav", tone(length)
	case extension == ".mp4" && known:
		made.contentType = "video/mp4"
		made.content, err = s.clips.bytes(clip.Spec{
			Width: sampleWidth, Height: sampleHeight, Duration: time.Duration(length) * time.Millisecond, Seed: seed(name),
		})
	default:
		return notFound(c)
	}
	if err != nil {
		return c.refuse(refusal{http.StatusInternalServerError, "InternalError", "simulator: " + err.Error()})
	}
	return answer{status: http.StatusOK, file: &made}
}

// picture is a disc on a plain ground, in colours of the seed's.
func picture(seed uint64) ([]byte, error) {
	hue := binary.BigEndian.AppendUint64(nil, seed)
	ground := color.RGBA{hue[0], hue[1], hue[2], 255}
	disc := color.RGBA{^ground.R, ^ground.G, ^ground.B, 255}
	img := image.NewPaletted(image.Rect(0, 0, pictureSide, pictureSide), color.Palette{ground, disc})
	const centre, radius = pictureSide / 2, pictureSide / 3
	for y := range pictureSide {
		for x := range pictureSide {
			if (x-centre)*(x-centre)+(y-centre)*(y-centre) < radius*radius {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var out bytes.Buffer
	err := png.Encode(&out, img)
	return out.Bytes(), err
}

// wavHeader is the RIFF header of 16-bit mono PCM.
type wavHeader struct {
	RIFF          [4]byte
	Size          uint32
	WAVE, FMT     [4]byte
	FormatSize    uint32
	Format        uint16
	Channels      uint16
	Rate, PerSec  uint32
	Align, Bits   uint16
	Data          [4]byte
	SizeOfSamples uint32
}

// tone is a quiet note of 220 Hz.
func tone(length millis) []byte {
	samples := make([]int16, int(length)*sampleRate/1000)
	for i := range samples {
		samples[i] = int16(4000 * math.Sin(2*math.Pi*220*float64(i)/sampleRate))
	}
	size := uint32(2 * len(samples))
	header := wavHeader{
		[4]byte([]byte("RIFF")), 36 + size, [4]byte([]byte("WAVE")), [4]byte([]byte("fmt ")), 16, 1, 1,
		sampleRate, 2 * sampleRate, 2, 16, [4]byte([]byte("data")), size,
	}
	out, _ := binary.Append(nil, binary.LittleEndian, header) // both are of fixed size
	out, _ = binary.Append(out, binary.LittleEndian, samples)
	return out
}
