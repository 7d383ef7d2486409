package media

import "encoding/binary"

// maxEdits is more than any program writes; the length of a movie does not depend on them, but for a header without one.
const maxEdits = 1000

// track reads a track of an index.
func (m *movie) track(f *boxFile, trak box) error {
	if len(m.tracks) == maxTracks {
		return overBudget("it has more than %d tracks", maxTracks)
	}
	t := &track{}
	m.tracks = append(m.tracks, t)
	if err := t.read(f, trak); err != nil {
		return err
	}
	if m.units == 0 && t.units == 0 && t.edited == 0 {
		return t.addUp(f)
	}
	return nil
}

// read reads what is needed of a box of a track, and of those inside it: a track, its media and their tables are lists of
// boxes, each kind in one place only.
func (t *track) read(f *boxFile, list box) error {
	for b, err := range f.within(list.body, list.end) {
		if err == nil {
			err = t.take(f, list.kind, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take reads a box that stands in a list of some kind.
func (t *track) take(f *boxFile, list string, b box) error {
	switch list + "/" + b.kind {
	case "trak/edts", "trak/tref", "trak/mdia", "mdia/minf", "minf/stbl":
		return t.read(f, b)
	case "trak/tkhd":
		return t.header(f, b)
	case "edts/elst":
		return t.edits(f, b)
	case "tref/chap":
		content, err := f.body(b, 4*maxTracks)
		for ; len(content) >= 4; content = content[4:] {
			t.chapters = append(t.chapters, binary.BigEndian.Uint32(content))
		}
		return err
	case "mdia/mdhd":
		return t.clock(f, b)
	case "mdia/hdlr":
		content, err := f.body(b, 12)
		if len(content) == 12 {
			t.kind = string(content[8:])
		}
		return err
	case "stbl/stsd":
		return t.sample(f, b)
	case "stbl/stts":
		t.times = b
	}
	return nil
}

// header reads whether a track is on, how it is turned, and its size.
func (t *track) header(f *boxFile, tkhd box) error {
	content, err := f.body(tkhd, 96)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	version, flags := in.head()
	t.enabled = flags&1 != 0
	in.units(version)
	in.units(version)
	t.id = in.u32()
	in.u32()
	in.units(version)
	in.take(16)
	t.turned = in.quarterTurn()
	if width, height := int(in.u32()>>16), int(in.u32()>>16); t.width == 0 {
		t.width, t.height = width, height
	}
	return nil
}

// clock reads how a track counts time, and its length.
func (t *track) clock(f *boxFile, mdhd box) error {
	content, err := f.body(mdhd, 36)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	t.scale, t.units = in.clock()
	return nil
}

// sample reads the size of the pictures from the first description of how they are coded. Unlike the size in the track's
// header it is that of the coded picture, which a player may stretch. Of a sound it is nonsense, which nobody asks for.
func (t *track) sample(f *boxFile, stsd box) error {
	content, err := f.body(stsd, 44)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	in.take(40) // heads of the table and of its first entry, and what is reserved in it
	if width, height := int(in.u16()), int(in.u16()); width > 0 && height > 0 {
		t.width, t.height = width, height
	}
	return nil
}

// edits reads which part of a track is shown, and when: an entry without a place in the track is a wait.
func (t *track) edits(f *boxFile, elst box) error {
	content, err := f.body(elst, 8)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	version, _ := in.head()
	count, width := min(in.u32(), maxEdits), 12
	if version == 1 {
		width = 20
	}
	placed := false
	for row, err := range f.rows(elst.body+8, elst.end, count, width) {
		if err != nil {
			return err
		}
		in := fields{rest: row}
		units, place := in.units(version), int64(0)
		if version == 1 {
			place = int64(in.u64())
		} else {
			place = int64(int32(in.u32()))
		}
		t.edited += units
		switch {
		case placed:
		case place < 0:
			t.delay += units
		default:
			t.skip, placed = place, true
		}
	}
	return nil
}

// addUp counts the length of a track from the lengths of its samples.
func (t *track) addUp(f *boxFile) error {
	if t.times.end == 0 {
		return nil
	}
	content, err := f.body(t.times, 8)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	in.head()
	for row, err := range f.rows(t.times.body+8, t.times.end, in.u32(), 8) {
		if err != nil {
			return err
		}
		samples, each := binary.BigEndian.Uint32(row), binary.BigEndian.Uint32(row[4:])
		t.units += uint64(samples) * uint64(each)
	}
	return nil
}
