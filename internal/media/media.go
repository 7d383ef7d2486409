// Package media tells the format, length and size of clips, pictures and sounds from their bytes. It reads headers and
// indexes only: no picture is decoded, and a hostile file costs neither time nor memory.
package media

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Kind is what sort of medium a file is.
type Kind string

// The kinds of media. A file that is none of them has no kind.
const (
	Image Kind = "image"
	Video Kind = "video"
	Audio Kind = "audio"
)

// Info is what a file says of itself.
type Info struct {
	// Format is the usual file ending: jpeg, png, bmp, webp, mp4, mov, wav or mp3 for what is measured; the name of another
	// format that was recognised, such as gif, heic, webm or html; empty when nothing was.
	Format string
	Kind   Kind
	Length time.Duration // of clips and sounds, in whole milliseconds, rounded down; 0 when it cannot be told
	Width  int           // pixels, as shown: a rotated clip's sides are swapped; 0 for sounds
	Height int           // 0 together with Width: of sounds, and of a JPEG that tells its height behind its pixels
	Alpha  bool          // a picture has an alpha channel or a transparent colour
}

// ErrBroken is the error, wrapped with what is wrong, of a file whose format is known and that contradicts itself or is cut off.
var ErrBroken = errors.New("the file is broken")

// ErrBudget is the error, wrapped with what there is too much of, of a file that would take more reading than is spent on one:
// most are hostile, but that proves no damage.
var ErrBudget = errors.New("measuring the file takes too much reading")

// Measure reads as much of a file of size bytes as it needs. It returns Format and Kind, as far as they are known, together
// with an error when a file that is to be measured is broken (see [ErrBroken]), takes too much reading (see [ErrBudget]) or
// cannot be read (r's own error, wrapped). A file of another format is no error.
//
// A JPEG may tell its height behind its pixels (ITU-T T.81, B.2.5): such a one is not broken, and its sides are not known.
// Pictures and most sounds need the start of the file alone. An MP3 that does not say how many frames it has is walked: one of
// more than 448 KB, which is 11 seconds at the least, has its length worked out from the rate of its first 448 KB.
func Measure(r io.ReaderAt, size int64) (Info, error) {
	s := newSource(r, size)
	head, err := s.atMost(0, headLength)
	if err != nil {
		i := recognise(s.block) // what there is of it
		return Info{Format: i.Format, Kind: i.Kind}, err
	}
	i := recognise(head)
	switch i.Format {
	case "jpeg":
		err = measureJPEG(s, &i)
	case "png":
		err = measurePNG(s, &i)
	case "bmp":
		err = measureBMP(s, &i)
	case "webp":
		err = measureWEBP(s, &i)
	case "wav":
		err = measureWAV(s, &i)
	case "mp4":
		return measureMP4(r, size)
	case "":
		err = measureMP3(s, &i)
	}
	if err == nil && tellsSidesFirst(i.Format) && (i.Width <= 0 || i.Height <= 0) {
		err = broken("its picture is %d x %d pixels", i.Width, i.Height)
	}
	if err != nil {
		return Info{Format: i.Format, Kind: i.Kind}, err
	}
	return i, nil
}

// tellsSidesFirst reports whether pictures of a format tell both sides before their pixels, always.
func tellsSidesFirst(format string) bool {
	return format == "png" || format == "bmp" || format == "webp"
}

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}

func overBudget(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBudget, fmt.Sprintf(format, args...))
}

// lengthOf is the time that a number of samples takes, cut to milliseconds.
func lengthOf(samples, rate int64) (time.Duration, error) {
	const longest = 1 << 31 // seconds; beyond it a time.Duration is near its end
	if rate <= 0 || samples < 0 || samples/rate > longest {
		return 0, broken("it says %d samples at %d a second", samples, rate)
	}
	return time.Duration(samples/rate)*time.Second + time.Duration(samples%rate*1000/rate)*time.Millisecond, nil
}
