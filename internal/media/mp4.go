package media

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
)

// measureMP4 measures an MP4 or MOV file: its first box is ftyp, or an old QuickTime's moov, mdat, wide, free or skip. The
// boxes are those of ISO/IEC 14496-12 and of Apple's QuickTime File Format. Length is that of the whole presentation, with
// its edits, as ffprobe tells it; Width and Height are those of the first picture track that is no chapter's picture, turned
// as its matrix says. A file with sound alone is of kind Audio. Of a brand that is another format, such as heic or m4a,
// nothing is measured.
//
// The error wraps [ErrBroken] when the file is not whole, [ErrBudget] when it takes too much reading, and r's own error when
// it cannot be read. Of a file with an index of its fragments, the fragments between the first and the last are not looked at.
func measureMP4(r io.ReaderAt, size int64) (Info, error) {
	c := clip{file: newBoxFile(r, size)}
	info, measured, err := c.format()
	if err != nil || !measured {
		return info, err
	}
	if err := c.scan(); err != nil {
		return info, err
	}
	if c.movie.packed {
		return info, nil
	}
	switch picture := c.movie.picture(); {
	case picture != nil:
		info.Width, info.Height = c.movie.shown(picture)
	case c.movie.hasSound():
		info.Kind = Audio
	default:
		return info, broken("its index has neither pictures nor sound")
	}
	info.Length = c.movie.length()
	return info, nil
}

// clip is a file that is being measured.
type clip struct {
	file    *boxFile
	movie   *movie // nil until the index is found
	media   bool   // a box with pictures or sound, or a fragment, was found
	indexed bool   // a segment index of many segments was found
	covered int64  // where the segments end that an index told of
	walked  int    // fragments that were read one by one
	sought  bool   // the list of fragments at the end of the file was looked for
}

// format reads the brand of a file, and whether it is one to be measured. Old QuickTime files have none.
func (c *clip) format() (info Info, measured bool, err error) {
	info = Info{Format: "mp4", Kind: Video}
	first, err := c.file.box(0, c.file.size)
	if slices.Contains([]string{"moov", "mdat", "wide", "free", "skip", "pnot"}, first.kind) {
		info.Format = "mov"
	}
	if err != nil || first.kind != "ftyp" {
		return info, true, err
	}
	brands, err := c.file.body(first, 256)
	if err != nil || len(brands) < 4 {
		return info, true, err
	}
	info = formatOfBrand(string(brands[:4]), brands[min(8, len(brands)):])
	return info, info.Format == "mp4" || info.Format == "mov", nil
}

// formatOfBrand tells the format by the main brand; the others, of four bytes each, tell AVIF from HEIC where the main brand
// is that of any picture. A brand that is not known is an MP4: there are many, and players take them all for it.
func formatOfBrand(main string, others []byte) Info {
	switch {
	case main == "qt  ":
		return Info{Format: "mov", Kind: Video}
	case strings.HasPrefix(main, "3gp"), strings.HasPrefix(main, "3gr"), strings.HasPrefix(main, "3gs"):
		return Info{Format: "3gp", Kind: Video}
	case strings.HasPrefix(main, "3g2"):
		return Info{Format: "3g2", Kind: Video}
	case main == "M4A ", main == "M4B ", main == "M4P ":
		return Info{Format: "m4a", Kind: Audio}
	case main == "avif", main == "avis":
		return Info{Format: "avif", Kind: Image}
	case main == "crx ":
		return Info{Format: "cr3", Kind: Image}
	case main == "mif1", main == "msf1", main == "miaf":
		for brand := range slices.Chunk(others, 4) {
			if string(brand) == "avif" || string(brand) == "avis" {
				return Info{Format: "avif", Kind: Image}
			}
		}
		return Info{Format: "heic", Kind: Image}
	case slices.Contains([]string{"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"}, main):
		return Info{Format: "heic", Kind: Image}
	}
	return Info{Format: "mp4", Kind: Video}
}

// scan walks the outermost boxes: each must end within the file, and there must be an index and what it leads to.
func (c *clip) scan() error {
	for at := int64(0); at < c.file.size; {
		b, err := c.file.box(at, c.file.size)
		if errors.Is(err, ErrBroken) && c.movie != nil && c.media && c.padding(at) {
			break
		}
		if err != nil {
			return err
		}
		if at, err = c.take(b); err != nil {
			return err
		}
	}
	switch {
	case c.movie == nil:
		return broken("it has no index (moov): the recording or the upload was not finished")
	case !c.media:
		return broken("it has an index, and neither pictures nor sound behind it (mdat)")
	}
	return nil
}

// padding tells whether what is at a place, and is no box, is what some programs leave behind the last one: a few zeros, or
// something that has no name of printable letters.
func (c *clip) padding(at int64) bool {
	rest, err := c.file.read(at, int(min(8, c.file.size-at)))
	if err != nil {
		return false
	}
	if len(rest) < 8 {
		return len(rest) >= 4 && len(bytes.Trim(rest, "\x00")) == 0 // fewer zeros may be the first of a box that is cut off
	}
	return bytes.ContainsFunc(rest[4:], func(r rune) bool { return r < ' ' || r > '~' })
}

// take reads what is needed of an outermost box, and returns where to go on.
func (c *clip) take(b box) (next int64, err error) {
	switch b.kind {
	case "moov":
		if c.movie == nil {
			c.movie, err = readMovie(c.file, b)
		}
	case "mdat":
		c.media = true
	case "sidx":
		err = c.segments(b)
	case "moof":
		c.media = true
		return c.fragment(b)
	}
	return b.end, err
}
