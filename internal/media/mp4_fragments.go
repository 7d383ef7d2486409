package media

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// maxWalked is after how many fragments a track that has not begun is taken for empty.
const maxWalked = 16

// fragment reads a fragment, and returns where to go on: behind it, or, where an index tells the rest, further.
func (c *clip) fragment(moof box) (next int64, err error) {
	if c.movie == nil || !c.movie.fragmented {
		return moof.end, nil
	}
	timed, err := c.movie.fragment(c.file, moof)
	if err != nil {
		return 0, err
	}
	if c.covered > c.file.size {
		return 0, broken("its index leads to %d, and it ends at %d", c.covered, c.file.size)
	}
	if c.walked++; c.walked < maxWalked && !c.movie.begun() {
		return moof.end, nil // each track may have fragments of its own
	}
	for _, t := range c.movie.tracks {
		t.begun = true // at zero, since the fragments that may tell it are passed over
	}
	if timed && !c.indexed && !c.sought {
		c.sought = true
		if last, err := c.lastFragment(moof.end); err != nil || last > 0 {
			return last, err
		}
	}
	return max(moof.end, c.covered), nil
}

// begun tells whether it is known when each track begins.
func (m *movie) begun() bool {
	return !slices.ContainsFunc(m.tracks, func(t *track) bool { return t.heard() && !t.begun })
}

// segments reads an index of segments: how long they are, and where they end.
func (c *clip) segments(sidx box) error {
	content, err := c.file.body(sidx, 32)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	version, _ := in.head()
	id, scale := in.u32(), in.u32()
	begin, offset := in.units(version), in.units(version)
	in.u16()
	count := uint32(in.u16())
	if in.short || offset > uint64(c.file.size) {
		return broken("its index of segments (sidx) is too short, or leads to nowhere")
	}
	reached, covered := begin, sidx.end+int64(offset)
	table := sidx.body + int64(len(content)-len(in.rest))
	for row, err := range c.file.rows(table, sidx.end, count, 12) {
		if err != nil {
			return err
		}
		covered += int64(binary.BigEndian.Uint32(row) &^ (1 << 31)) // the highest bit: it leads to another index
		reached += uint64(binary.BigEndian.Uint32(row[4:]))
	}
	c.covered, c.indexed = max(c.covered, covered), c.indexed || count > 1
	if c.movie == nil {
		return nil
	}
	if t := c.movie.byID(id); t != nil && t.scale == scale {
		t.reached = max(t.reached, reached)
	}
	return nil
}

// lastFragment looks for the list of fragments at the end of the file, and reads the last fragment of each track that is
// behind a place. It returns where the last of them begins, 0 when there is no such list, or one that leads astray.
func (c *clip) lastFragment(after int64) (int64, error) {
	list, err := c.file.listAtEnd(after)
	if err != nil {
		return 0, err
	}
	c.file.dense = list.end
	var places []int64
	for b, err := range c.file.within(list.body, list.end) {
		if err != nil || len(places) == maxTracks {
			return 0, err
		}
		if b.kind != "tfra" {
			continue
		}
		place, err := lastPlace(c.file, b)
		if err != nil {
			return 0, err
		}
		if place > after && place < list.body {
			places = append(places, place)
		}
	}
	c.file.dense = 0 // the fragments are far apart
	return c.visit(places)
}

// listAtEnd finds the list of fragments by the box at the very end, which says how long the list is. It returns none when
// there is none behind a place.
func (f *boxFile) listAtEnd(after int64) (box, error) {
	if f.size-after < 16 {
		return box{}, nil
	}
	tail, err := f.read(f.size-16, 16)
	if err != nil {
		return box{}, err
	}
	size := int64(binary.BigEndian.Uint32(tail[12:]))
	if string(tail[4:8]) != "mfro" || size > f.size-after {
		return box{}, nil
	}
	return f.expect("mfra", f.size-size)
}

// visit reads the fragments at some places, and returns the last place; 0 when there is no fragment at one of them.
func (c *clip) visit(places []int64) (last int64, err error) {
	read := map[int64]bool{}
	for _, place := range places {
		if read[place] {
			continue
		}
		read[place] = true
		moof, err := c.file.expect("moof", place)
		if err != nil || moof.kind == "" {
			return 0, err
		}
		if _, err := c.movie.fragment(c.file, moof); err != nil {
			return 0, err
		}
		last = max(last, place)
	}
	return last, nil
}

// expect reads the head of a box of a kind at a place that was told elsewhere, and returns none when it is not there.
func (f *boxFile) expect(kind string, at int64) (box, error) {
	b, err := f.box(at, f.size)
	switch {
	case err != nil && !errors.Is(err, ErrBroken):
		return box{}, err
	case err != nil || b.kind != kind:
		return box{}, nil
	}
	return b, nil
}

// lastPlace reads the last entry of a track's list of fragments: where that one begins, 0 when there is none.
func lastPlace(f *boxFile, tfra box) (int64, error) {
	content, err := f.body(tfra, 16)
	if err != nil {
		return 0, err
	}
	in := fields{rest: content}
	version, _ := in.head()
	in.u32()
	widths, count := in.u32(), int64(in.u32())
	place := 4
	if version == 1 {
		place = 8
	}
	width := int64(2*place) + 3 + int64(widths&3+widths>>2&3+widths>>4&3)
	if in.short || count == 0 || count > (tfra.end-tfra.body-16)/width {
		return 0, nil
	}
	row, err := f.read(tfra.body+16+(count-1)*width, 2*place)
	if err != nil {
		return 0, err
	}
	if version == 1 {
		return int64(binary.BigEndian.Uint64(row[8:])), nil
	}
	return int64(binary.BigEndian.Uint32(row[4:])), nil
}

func (m *movie) byID(id uint32) *track {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

// fragment reads how far a fragment reaches in each of its tracks, and whether all of them tell when they begin.
func (m *movie) fragment(f *boxFile, moof box) (timed bool, err error) {
	f.dense = moof.end
	timed = true
	for b, err := range f.within(moof.body, moof.end) {
		if err != nil {
			return false, err
		}
		if b.kind != "traf" {
			continue
		}
		r := run{movie: m}
		if err := r.read(f, b); err != nil {
			return false, err
		}
		timed = timed && r.timed
	}
	return timed, nil
}

// run is the part of a track in a fragment.
type run struct {
	movie *movie
	track *track // nil when the index knows no such track
	each  uint32 // units of a sample that says none
	at    uint64 // where its next sample begins, in units
	timed bool   // its beginning was told, not counted
}

func (r *run) read(f *boxFile, traf box) error {
	for b, err := range f.within(traf.body, traf.end) {
		if err != nil {
			return err
		}
		switch {
		case b.kind == "tfhd":
			err = r.header(f, b)
		case r.track == nil:
		case b.kind == "tfdt":
			var content []byte
			content, err = f.body(b, 12)
			in := fields{rest: content}
			version, _ := in.head()
			r.at, r.timed = in.units(version), !in.short
		case b.kind == "trun":
			err = r.samples(f, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// header reads which track a run belongs to.
func (r *run) header(f *boxFile, tfhd box) error {
	content, err := f.body(tfhd, 24)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	_, flags := in.head()
	if r.track = r.movie.byID(in.u32()); r.track == nil {
		return nil
	}
	r.at, r.each = r.track.reached, r.track.usual
	if flags&0x1 != 0 { // where its data is
		in.u64()
	}
	if flags&0x2 != 0 { // how they are coded
		in.u32()
	}
	if flags&0x8 != 0 {
		r.each = in.u32()
	}
	return nil
}

// samples adds up the lengths of samples, and notes when the first of a track is shown.
func (r *run) samples(f *boxFile, trun box) error {
	content, err := f.body(trun, 8)
	if err != nil {
		return err
	}
	in := fields{rest: content}
	_, flags := in.head()
	count, table := in.u32(), trun.body+8+4*int64(flags&1)+4*int64(flags>>2&1)
	width := 4 * bits.OnesCount32(flags&0xF00) // length, size, flags and offset of each sample, where told
	first := !r.track.begun && count > 0
	if first {
		r.track.begun, r.track.begin = true, int64(r.at)
	}
	if flags&0x100 == 0 {
		r.at += uint64(count) * uint64(r.each)
	}
	if flags&0x100 == 0 && (flags&0x800 == 0 || !first) {
		count = 0
	}
	for row, err := range f.rows(table, trun.end, count, max(width, 4)) {
		if err != nil {
			return err
		}
		if flags&0x100 != 0 {
			r.at += uint64(binary.BigEndian.Uint32(row))
		}
		if flags&0x800 != 0 && first {
			r.track.offset(int64(int32(binary.BigEndian.Uint32(row[width-4:]))))
		}
	}
	r.track.reached = max(r.track.reached, r.at)
	return nil
}

// offset takes the offset between when a sample is decoded and when it is shown, of each sample of a track's first run. The
// first one moves the track. One below zero moves all of it: nothing is shown before it is decoded.
func (t *track) offset(units int64) {
	if !t.moved {
		t.moved, t.begin = true, t.begin+units
	}
	t.shift = max(t.shift, -units)
}
