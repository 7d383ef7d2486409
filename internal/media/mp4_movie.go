package media

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

const maxTracks = 128

// longest is the longest length that is believed.
const longest = 24 * time.Hour

// movie is what an index says. Lengths in units are to be divided by the scale beside them.
type movie struct {
	scale      uint32
	units      uint64
	turned     bool // by a quarter
	packed     bool // old QuickTime's packed index, which nothing is read of
	fragmented bool
	promised   uint64 // units of all fragments together, 0 when that is not told
	tracks     []*track
}

// track is one of the pictures or sounds of a movie.
type track struct {
	id            uint32
	kind          string // vide, soun or another
	enabled       bool
	turned        bool
	width, height int
	chapters      []uint32 // the tracks with this one's chapters, and their pictures

	scale  uint32
	units  uint64
	delay  uint64 // units of the movie before the track begins
	edited uint64 // units of the movie that the edit list shows, with the delay
	skip   int64  // units of the track that are not shown, at its beginning
	times  box    // the table of the lengths of its samples

	usual   uint32 // units of a sample in a fragment that says none
	begun   bool
	begin   int64  // when its first fragment begins, in units
	moved   bool   // by the offset of its first sample
	shift   int64  // units that all samples are shown later
	reached uint64 // where the last fragment so far ends, in units
}

// readMovie reads an index.
func readMovie(f *boxFile, moov box) (*movie, error) {
	m := &movie{}
	f.dense = moov.end
	usual := map[uint32]uint32{}
	headed := false
	for b, err := range f.within(moov.body, moov.end) {
		if err == nil {
			switch b.kind {
			case "mvhd":
				headed, err = true, m.header(f, b)
			case "trak":
				err = m.track(f, b)
			case "mvex":
				err = m.extends(f, b, usual)
			case "cmov":
				m.packed = true
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if !headed && !m.packed {
		return nil, broken("its index has no header (mvhd)")
	}
	for _, t := range m.tracks {
		t.usual = usual[t.id]
		if m.fragmented && t.units > 0 { // some samples are in the index itself
			t.begun, t.reached = true, t.units
		}
	}
	return m, nil
}

// header reads the length of a movie and how it is turned.
func (m *movie) header(f *boxFile, mvhd box) error {
	content, err := f.body(mvhd, 112)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	m.scale, m.units = in.clock()
	if in.short {
		return broken("its header (mvhd) is too short")
	}
	in.take(16)
	m.turned = in.quarterTurn()
	return nil
}

// quarterTurn reads a matrix: of its nine numbers, the first, second, fourth and fifth turn a picture.
func (f *fields) quarterTurn() bool {
	m := f.take(36)
	at := func(i int) int64 {
		v := int64(int32(binary.BigEndian.Uint32(m[4*i:])))
		return max(v, -v)
	}
	return at(1) > at(0) && at(3) > at(4)
}

// extends reads what an index says of its fragments.
func (m *movie) extends(f *boxFile, mvex box, usual map[uint32]uint32) error {
	m.fragmented = true
	for b, err := range f.within(mvex.body, mvex.end) {
		if err != nil {
			return err
		}
		if b.kind != "mehd" && b.kind != "trex" {
			continue
		}
		content, err := f.body(b, 24)
		if err != nil {
			return err
		}
		in := fields{rest: content}
		version, _ := in.head()
		if b.kind == "mehd" {
			m.promised = in.units(version)
			continue
		}
		id := in.u32()
		in.u32()
		usual[id] = in.u32()
	}
	return nil
}

// picture returns the first picture track that players would show: one that is no chapter's, and enabled if any is.
func (m *movie) picture() *track {
	var found *track
	for _, t := range m.tracks {
		chapter := slices.ContainsFunc(m.tracks, func(of *track) bool { return slices.Contains(of.chapters, t.id) })
		switch {
		case t.kind != "vide" || chapter:
		case t.enabled:
			return t
		case found == nil:
			found = t
		}
	}
	return found
}

// heard tells whether a track is seen or heard, unlike subtitles or time codes.
func (t *track) heard() bool { return t.kind == "vide" || t.kind == "soun" }

func (m *movie) hasSound() bool {
	return slices.ContainsFunc(m.tracks, func(t *track) bool { return t.kind == "soun" })
}

// shown returns the size of a picture track as it is seen.
func (m *movie) shown(t *track) (width, height int) {
	if t.turned != m.turned {
		return t.height, t.width
	}
	return t.width, t.height
}

// length returns the length of a movie in whole milliseconds, 0 when nothing tells it.
func (m *movie) length() time.Duration {
	var length time.Duration
	switch {
	case !m.fragmented:
		length = duration(m.units, m.scale)
	case duration(m.promised, m.scale) > 0:
		length = duration(m.promised, m.scale)
	default:
		length = m.span()
	}
	if length == 0 { // a header that says nothing: the longest of the tracks
		for _, t := range m.tracks {
			length = max(length, duration(t.edited, m.scale), duration(t.units, t.scale))
		}
	}
	// Times are added in nanoseconds that were rounded down: 2 s may have become 1.999999999 s.
	return length.Round(time.Microsecond).Truncate(time.Millisecond)
}

// span returns the length of a movie in fragments: from where its first track begins to where its last one ends.
func (m *movie) span() time.Duration {
	first, last := time.Duration(math.MaxInt64), time.Duration(0)
	for _, t := range m.tracks {
		if !t.heard() || t.reached == 0 {
			continue
		}
		begin := duration(t.delay, m.scale) + signed(t.begin+t.shift-t.skip, t.scale)
		first, last = min(first, begin), max(last, begin+duration(t.reached, t.scale))
	}
	if last <= first || last-first > longest {
		return 0
	}
	return last - first
}

// duration returns units as a time, rounded down to a nanosecond; 0 when they are not to be believed.
func duration(units uint64, scale uint32) time.Duration {
	if scale == 0 || units/uint64(scale) >= uint64(longest/time.Second) {
		return 0
	}
	whole, part := units/uint64(scale), units%uint64(scale)
	return time.Duration(whole)*time.Second + time.Duration(part*uint64(time.Second)/uint64(scale))
}

func signed(units int64, scale uint32) time.Duration {
	if units < 0 {
		return -duration(uint64(-units), scale)
	}
	return duration(uint64(units), scale)
}
