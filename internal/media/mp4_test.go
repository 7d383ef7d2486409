package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mp4Box makes a box of its parts.
func mp4Box(kind string, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	return slices.Concat(be32(8+len(content)), []byte(kind), content)
}

// be32 and be64 write numbers, the highest byte first.
func be32(numbers ...int) (b []byte) {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return b
}

func be64(numbers ...int) (b []byte) {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

var (
	upright = be32(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30)
	quarter = be32(0, 1<<16, 0, -1<<16, 0, 0, 0, 0, 1<<30)

	brand = mp4Box("ftyp", []byte("isom"), be32(512), []byte("isommp41"))
	media = mp4Box("mdat", make([]byte, 40))
)

func mvhd(scale, units int, matrix []byte) []byte {
	return mp4Box("mvhd", be32(0, 0, 0, scale, units, 0, 0, 0, 0), matrix, make([]byte, 28))
}

// picture makes a track of 320 x 240 that counts in hundredths of a second, with more boxes for the track and for its table.
func pictureTrack(id, flags, units int, matrix []byte, more ...[]byte) []byte {
	return mp4Box("trak", mp4Box("tkhd", be32(flags, 0, 0, id, 0, 0, 0, 0, 0, 0), matrix, be32(320<<16, 240<<16)),
		slices.Concat(more...),
		mp4Box("mdia", mp4Box("mdhd", be32(0, 0, 0, 100, units, 0)), mp4Box("hdlr", be32(0, 0), []byte("vide"), be32(0, 0, 0, 0))))
}

func simple(moov ...[]byte) []byte { return slices.Concat(brand, mp4Box("moov", moov...), media) }

// fragments makes a file whose index knows nothing of lengths.
func fragments(extends []byte, after ...[]byte) []byte {
	return slices.Concat(brand, mp4Box("moov", mvhd(1000, 0, upright), pictureTrack(1, 3, 0, upright), extends), slices.Concat(after...))
}

// moof makes a fragment with some samples of 50 units each, and with the time it begins at unless that is negative.
func moof(begin, samples int) []byte {
	var tfdt []byte
	if begin >= 0 {
		tfdt = mp4Box("tfdt", be32(0, begin))
	}
	return mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(0x8, 1, 50)), tfdt, mp4Box("trun", be32(0, samples))))
}

// moofOf makes a fragment of a track, of four samples of 50 units.
func moofOf(id, begin int) []byte {
	return mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(0x8, id, 50)), mp4Box("tfdt", be32(0, begin)), mp4Box("trun", be32(0, 4))))
}

func mvex(parts ...[]byte) []byte { return mp4Box("mvex", slices.Concat(parts...)) }

func sidx(id, begin int, refs ...int) []byte {
	return mp4Box("sidx", be32(0, id, 100, begin, 0, len(refs)/2), pairs(refs))
}

func pairs(refs []int) (b []byte) {
	for pair := range slices.Chunk(refs, 2) {
		b = append(b, be32(pair[0], pair[1], 0)...)
	}
	return b
}

// mfra makes the list of fragments that stands at the end of a file.
func mfra(places ...int) []byte {
	entries := []byte{}
	for _, place := range places {
		entries = append(append(entries, be32(0, place)...), 1, 1, 1)
	}
	list := mp4Box("tfra", be32(0, 1, 0, len(places)), entries)
	return mp4Box("mfra", list, mp4Box("mfro", be32(0, len(list)+24)))
}

func measured4(t testing.TB, data []byte) (Info, error) {
	t.Helper()
	return measureMP4(bytes.NewReader(data), int64(len(data)))
}

func TestLengthOfAnMP4ComesFromTheFirstThatTellsIt(t *testing.T) {
	long := mp4Box("mvhd", be32(1<<24), be64(0, 0), be32(1000), be64(2500), be32(0, 0, 0, 0), upright, make([]byte, 28))
	longTrack := mp4Box("trak", mp4Box("tkhd", be32(1<<24|3), be64(0, 0), be32(1, 0), be64(0), be32(0, 0, 0, 0), upright, be32(320<<16, 240<<16)),
		mp4Box("mdia", mp4Box("mdhd", be32(1<<24), be64(0, 0), be32(100), be64(175), be32(0)), mp4Box("hdlr", be32(0, 0), []byte("vide"))))
	edits := mp4Box("edts", mp4Box("elst", be32(0, 2, 300, -1, 1<<16, 1000, 50, 1<<16)))
	longEdits := mp4Box("edts", mp4Box("elst", be32(1<<24, 2), be64(300, -1), be32(1<<16), be64(1000, 50), be32(1<<16)))
	table := mp4Box("trak", mp4Box("mdia", mp4Box("mdhd", be32(0, 0, 0, 100, 0, 0)), mp4Box("hdlr", be32(0, 0), []byte("vide")),
		mp4Box("minf", mp4Box("stbl", mp4Box("stts", be32(0, 2, 10, 4, 5, 8))))))
	one, two := moof(0, 4), moof(200, 3)
	twice := slices.Concat(one, media, two, media)
	front := len(fragments(mvex()))
	wait := mp4Box("edts", mp4Box("elst", be32(0, 2, 300, -1, 1<<16, 0, 0, 1<<16)))
	pair := slices.Concat(brand, mp4Box("moov", mvhd(1000, 0, upright), pictureTrack(1, 3, 0, upright, wait), pictureTrack(2, 3, 0, upright), mvex()))
	turns := slices.Concat(pair, moofOf(2, 0), moofOf(1, 20), moofOf(2, 200), moofOf(1, 220))
	last := len(turns) - len(moofOf(1, 220))
	for name, c := range map[string]struct {
		data []byte
		want time.Duration
	}{
		"the movie's header":                    {simple(mvhd(1000, 2503, upright), pictureTrack(1, 3, 175, upright)), 2503 * time.Millisecond},
		"rounded down to a millisecond":         {simple(mvhd(90000, 90089, upright), pictureTrack(1, 3, 175, upright)), 1000 * time.Millisecond},
		"a header of version 1":                 {simple(long, longTrack), 2500 * time.Millisecond},
		"the track, the header says nothing":    {simple(mvhd(1000, 0, upright), pictureTrack(1, 3, 175, upright)), 1750 * time.Millisecond},
		"a track of version 1":                  {simple(mvhd(1000, 0, upright), longTrack), 1750 * time.Millisecond},
		"the track, the header says all ones":   {simple(mvhd(90000, -1, upright), pictureTrack(1, 3, 175, upright)), 1750 * time.Millisecond},
		"the track, the header counts in zero":  {simple(mvhd(0, 2000, upright), pictureTrack(1, 3, 175, upright)), 1750 * time.Millisecond},
		"the edits, with the wait before":       {simple(mvhd(1000, 0, upright), pictureTrack(1, 3, 0, upright, edits)), 1300 * time.Millisecond},
		"edits of version 1":                    {simple(mvhd(1000, 0, upright), pictureTrack(1, 3, 0, upright, longEdits)), 1300 * time.Millisecond},
		"the table of samples":                  {simple(mvhd(1000, 0, upright), table), 800 * time.Millisecond},
		"nothing":                               {simple(mvhd(1000, 0, upright), pictureTrack(1, 3, 0, upright)), 0},
		"a header of more than a day":           {simple(mvhd(1, 90000, upright), pictureTrack(1, 3, 0, upright)), 0},
		"the length of all fragments":           {fragments(mvex(mp4Box("mehd", be32(0, 4321))), twice), 4321 * time.Millisecond},
		"the same in 64 bits":                   {fragments(mvex(mp4Box("mehd", be32(1<<24), be64(4321))), twice), 4321 * time.Millisecond},
		"fragments, one by one":                 {fragments(mvex(), twice), 3500 * time.Millisecond},
		"fragments without their times":         {fragments(mvex(), moof(-1, 4), media, moof(-1, 4), media), 4000 * time.Millisecond},
		"an index of segments":                  {fragments(mvex(), sidx(1, 0, len(one)+48, 200, len(two)+48, 150), twice), 3500 * time.Millisecond},
		"an index of indexes":                   {fragments(mvex(), sidx(1, 0, (len(one)+48)|-1<<31, 200, (len(two)+48)|-1<<31, 150), twice), 3500 * time.Millisecond},
		"fragments behind the index's last":     {fragments(mvex(), sidx(1, 0, len(one)+24, 200, 24, 0), twice), 3500 * time.Millisecond},
		"a list of fragments at the end":        {fragments(mvex(), twice, mfra(front, front+len(one)+48)), 3500 * time.Millisecond},
		"a list that leads into the pictures":   {fragments(mvex(), twice, mfra(front, front+len(one)+20)), 3500 * time.Millisecond},
		"a list that leads out of the file":     {fragments(mvex(), twice, mfra(front, 1<<30)), 3500 * time.Millisecond},
		"fragments of tracks in turn, one late": {turns, 4700 * time.Millisecond},
		"the same with a list at the end":       {slices.Concat(turns, mfra(len(pair), last)), 4700 * time.Millisecond},
		"a fragment of a track that is unknown": {fragments(mvex(), one, media, mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(8, 7, 50)), mp4Box("trun", be32(0, 9))))), 2000 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := measured4(t, c.data)
			require.NoError(t, err)
			require.Equal(t, Video, got.Kind)
			require.Equal(t, c.want.String(), got.Length.String())
		})
	}
}

func TestSamplesOfAFragmentHaveTheLengthThatIsNearest(t *testing.T) {
	usual := mp4Box("trex", be32(0, 1, 1, 30, 0, 0))
	for name, c := range map[string]struct {
		tfhd, trun []byte
		want       time.Duration
	}{
		"of all fragments":           {be32(0, 1), be32(0, 10), 3 * time.Second},
		"of the fragment":            {be32(0x8|0x2|0x1, 1, 0, 0, 1, 50), be32(0, 10), 5 * time.Second},
		"of each sample":             {be32(0x8, 1, 50), be32(0x100|0x5, 3, 0, 0, 10, 20, 30), 600 * time.Millisecond},
		"of each, with other fields": {be32(0x8, 1, 50), be32(0xF00, 2, 10, 9, 9, 7, 20, 9, 9, 7), 300 * time.Millisecond},
		"ten thousand in few bytes":  {be32(0x8, 1, 1), be32(0, 10000), 100 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			traf := mp4Box("traf", mp4Box("tfhd", c.tfhd), mp4Box("tfdt", be32(0, 0)), mp4Box("trun", c.trun))
			got, err := measured4(t, fragments(mvex(usual), mp4Box("moof", traf), media))
			require.NoError(t, err)
			require.Equal(t, c.want, got.Length)
		})
	}
}

func TestPictureOfAnMP4IsTheOneThatPlayersShow(t *testing.T) {
	header := mvhd(1000, 1000, upright)
	chapters := mp4Box("tref", mp4Box("chap", be32(9, 1)))
	sound := mp4Box("trak", mp4Box("tkhd", be32(3, 0, 0, 2, 0, 0, 0, 0, 0, 0), upright, be32(0, 0)), chapters,
		mp4Box("mdia", mp4Box("hdlr", be32(0, 0), []byte("soun"))))
	coded := mp4Box("trak", mp4Box("tkhd", be32(3, 0, 0, 3, 0, 0, 0, 0, 0, 0), upright, be32(768<<16, 576<<16)),
		mp4Box("mdia", mp4Box("hdlr", be32(0, 0), []byte("vide")), mp4Box("minf", mp4Box("stbl",
			mp4Box("stsd", be32(0, 1), mp4Box("avc1", make([]byte, 24), be32(720<<16|576), make([]byte, 50)))))))
	for name, c := range map[string]struct {
		data          []byte
		kind          Kind
		width, height int
	}{
		"upright":                           {simple(header, pictureTrack(1, 3, 1, upright)), Video, 320, 240},
		"turned by its track":               {simple(header, pictureTrack(1, 3, 1, quarter)), Video, 240, 320},
		"turned by its movie":               {simple(mvhd(1000, 1000, quarter), pictureTrack(1, 3, 1, upright)), Video, 240, 320},
		"turned by both":                    {simple(mvhd(1000, 1000, quarter), pictureTrack(1, 3, 1, quarter)), Video, 320, 240},
		"the coded size, not the stretched": {simple(header, coded), Video, 720, 576},
		"the first that is on":              {simple(header, pictureTrack(1, 2, 1, upright), coded), Video, 720, 576},
		"off, where all are":                {simple(header, pictureTrack(1, 0, 1, upright)), Video, 320, 240},
		"a chapter's picture":               {simple(header, pictureTrack(1, 3, 1, upright), sound, coded), Video, 720, 576},
		"a chapter's picture alone":         {simple(header, pictureTrack(1, 3, 1, upright), sound), Audio, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := measured4(t, c.data)
			require.NoError(t, err)
			require.Equal(t, Info{Format: "mp4", Kind: c.kind, Length: time.Second, Width: c.width, Height: c.height}, got)
		})
	}
}

func TestBrandTellsTheFormat(t *testing.T) {
	movie := slices.Concat(mp4Box("moov", mvhd(1000, 1000, upright), pictureTrack(1, 3, 1, upright)), media)
	for brands, want := range map[string]Info{
		"isomiso2": {Format: "mp4", Kind: Video, Length: time.Second, Width: 320, Height: 240},
		"mp423gp4": {Format: "mp4", Kind: Video, Length: time.Second, Width: 320, Height: 240},
		"M4V mp42": {Format: "mp4", Kind: Video, Length: time.Second, Width: 320, Height: 240},
		"????":     {Format: "mp4", Kind: Video, Length: time.Second, Width: 320, Height: 240},
		"qt  qt  ": {Format: "mov", Kind: Video, Length: time.Second, Width: 320, Height: 240},
		"heicmif1": {Format: "heic", Kind: Image},
		"mif1heic": {Format: "heic", Kind: Image},
		"mif1avif": {Format: "avif", Kind: Image},
		"avifmif1": {Format: "avif", Kind: Image},
		"crx isom": {Format: "cr3", Kind: Image},
		"M4A mp42": {Format: "m4a", Kind: Audio},
		"3gp5isom": {Format: "3gp", Kind: Video},
		"3g2aisom": {Format: "3g2", Kind: Video},
	} {
		t.Run(brands, func(t *testing.T) {
			got, err := measured4(t, slices.Concat(mp4Box("ftyp", []byte(brands[:4]), be32(0), []byte(brands[4:])), movie))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestMoreBehindTheLastBoxIsFine(t *testing.T) {
	whole := simple(mvhd(1000, 1000, upright), pictureTrack(1, 3, 1, upright))
	for name, more := range map[string][]byte{
		"a free box":           mp4Box("free", make([]byte, 100)),
		"four zeros":           make([]byte, 4),
		"many zeros":           make([]byte, 3000),
		"bytes without a name": {0xFF, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := measured4(t, slices.Concat(whole, more))
			require.NoError(t, err)
			require.Equal(t, time.Second, got.Length)
		})
	}
}

func TestPackedIndexOfAnOldMOVIsNotRead(t *testing.T) {
	got, err := measured4(t, slices.Concat(media, mp4Box("moov", mp4Box("cmov", mp4Box("dcom", []byte("zlib"))))))
	require.NoError(t, err)
	require.Equal(t, Info{Format: "mov", Kind: Video}, got)
}

func TestBrokenMP4SaysWhatIsWrong(t *testing.T) {
	index := mp4Box("moov", mvhd(1000, 1000, upright), pictureTrack(1, 3, 1, upright))
	huge := func(kind string, size uint64) []byte {
		return slices.Concat(be32(1), []byte(kind), binary.BigEndian.AppendUint64(nil, size))
	}
	one := moof(0, 4)
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"no index":                 {slices.Concat(brand, media), "no index (moov)"},
		"no pictures":              {slices.Concat(brand, index), "neither pictures nor sound behind it (mdat)"},
		"no tracks":                {simple(mvhd(1000, 1000, upright)), "neither pictures nor sound"},
		"no header":                {simple(pictureTrack(1, 3, 1, upright)), "no header (mvhd)"},
		"a header without end":     {simple(mp4Box("mvhd", be32(0, 0))), "mvhd) is too short"},
		"cut within the pictures":  {slices.Concat(brand, index, media)[:len(brand)+len(index)+20], `"mdat"`},
		"cut within the index":     {slices.Concat(brand, media, index)[:len(brand)+len(media)+60], `"moov"`},
		"cut within a box's head":  {slices.Concat(brand, index, media, []byte{0, 0, 1}), "no whole box"},
		"a part beyond its whole":  {simple(mvhd(1000, 1000, upright), slices.Concat(be32(5000), []byte("trak"))), `"trak"`},
		"a box of four bytes":      {slices.Concat(brand, be32(4), []byte("free"), index, media), `"free"`},
		"64 bits, all set":         {slices.Concat(brand, index, huge("mdat", math.MaxUint64)), `"mdat"`},
		"the largest signed":       {slices.Concat(brand, index, huge("mdat", math.MaxInt64)), `"mdat"`},
		"64 bits, too small":       {slices.Concat(brand, index, huge("mdat", 15)), `"mdat"`},
		"more edits than bytes":    {simple(mvhd(1000, 1000, upright), pictureTrack(1, 3, 1, upright, mp4Box("edts", mp4Box("elst", be32(0, -1, 0, 0, 0))))), "entries"},
		"more segments than bytes": {fragments(mvex(), mp4Box("sidx", be32(0, 1, 100, 0, 0, 65535)), one, media), "entries"},
		"more samples than bytes":  {fragments(mvex(), mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(0, 1)), mp4Box("trun", be32(0x100, -1)))), media), "entries"},
		"segments beyond the end":  {fragments(mvex(), sidx(1, 0, len(one)+48, 200, 9000, 150), one, media), "its index leads to"},
		"a brand without end":      {slices.Concat(be32(500), []byte("ftypisom")), `"ftyp"`},
		"a segment of a stream":    {slices.Concat(mp4Box("styp", []byte("msdh")), one, media), "no index (moov)"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := measured4(t, c.data)
			require.ErrorIs(t, err, ErrBroken)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, Info{Format: "mp4", Kind: Video}, got)
		})
	}
}

func TestMP4ThatTakesTooMuchReadingIsNotCalledBroken(t *testing.T) {
	stts := mp4Box("stts", be32(0, maxBytes/8), make([]byte, maxBytes))
	for says, data := range map[string][]byte{
		"more than 50000 boxes": simple(bytes.Repeat(mp4Box("free"), maxBoxes)),
		"more than 128 tracks":  simple(bytes.Repeat(mp4Box("trak"), maxTracks+1)),
		"larger than 2 MB":      simple(mvhd(1000, 0, upright), mp4Box("trak", mp4Box("mdia", mp4Box("minf", mp4Box("stbl", stts))))),
	} {
		t.Run(says, func(t *testing.T) {
			got, err := measured4(t, data)
			require.ErrorIs(t, err, ErrBudget)
			require.NotErrorIs(t, err, ErrBroken)
			require.ErrorContains(t, err, says)
			require.Equal(t, Info{Format: "mp4", Kind: Video}, got)
		})
	}
}

func TestClipThatIsCutOffIsBroken(t *testing.T) {
	for _, clip := range readProbed(t) {
		// A box to the end of the file ends wherever the file does, and so do fragments that nothing lists.
		if !isClip(clip.File) || foreign[clip.File].Format != "" || strings.Contains(clip.File, "to-the-end") {
			continue
		}
		data := readClip(t, clip.File)
		ends := boxEnds(data)
		for at := 8; at < len(data); at += 1 + len(data)/97 {
			if ends[at] {
				continue
			}
			_, err := measured4(t, data[:at])
			require.ErrorIs(t, err, ErrBroken, "%s, cut at %d of %d", clip.File, at, len(data))
		}
	}
}

// boxEnds returns where the outermost boxes of a clip end.
func boxEnds(data []byte) map[int]bool {
	ends := map[int]bool{}
	for at := 0; at < len(data); ends[at] = true {
		size := int(binary.BigEndian.Uint32(data[at:]))
		if size == 1 {
			size = int(binary.BigEndian.Uint64(data[at+8:]))
		}
		at += size
	}
	return ends
}

// failing is a file that can be read up to a place.
type failing struct {
	file *bytes.Reader
	upTo int64
	err  error
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) <= f.upTo {
		return f.file.ReadAt(p, at)
	}
	n, _ := f.file.ReadAt(p[:max(0, f.upTo-at)], at)
	return n, f.err
}

func TestReadersErrorIsNoBrokenFile(t *testing.T) {
	sick := errors.New("connection reset")
	for _, name := range []string{"moov-last.mp4", "frag-keyframe.mp4", "dash-global-sidx.mp4", "frag-no-mfra.mp4"} {
		data := readClip(t, name)
		failed := 0
		for upTo := range data {
			if _, err := measureMP4(failing{bytes.NewReader(data), int64(upTo), sick}, int64(len(data))); err != nil {
				require.ErrorIs(t, err, sick, "%s up to %d", name, upTo)
				require.NotErrorIs(t, err, ErrBroken)
				failed++
			}
		}
		require.Greater(t, failed, len(data)/2, name)
	}
}

func TestFileThatIsShorterThanWasSaidIsBroken(t *testing.T) {
	data := readClip(t, "moov-last.mp4")
	_, err := measureMP4(bytes.NewReader(data[:len(data)-500]), int64(len(data)))
	require.ErrorIs(t, err, ErrBroken)
}
