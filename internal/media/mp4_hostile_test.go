package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted counts what is read of a file.
type counted struct {
	file         io.ReaderAt
	reads, bytes int
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.file.ReadAt(p, at)
	c.reads, c.bytes = c.reads+1, c.bytes+n
	return n, err
}

// sparse is a large file that is zero but for some pieces.
type sparse map[int64][]byte

func (s sparse) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	for place, piece := range s {
		if from, to := max(at, place), min(at+int64(len(p)), place+int64(len(piece))); from < to {
			copy(p[from-at:], piece[from-place:to-place])
		}
	}
	return len(p), nil
}

// spent is what measuring a file took.
type spent struct {
	reads, bytes int
	allocated    uint64
	took         time.Duration
}

// spend measures a file and what that takes: of five times the shortest when it took long, since the machine is shared.
func spend(file io.ReaderAt, size int64) (info Info, cost spent, err error) {
	cost.took = time.Hour
	for range 5 {
		sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
		metrics.Read(sample)
		before, start := sample[0].Value.Uint64(), time.Now()
		r := &counted{file: file}
		info, err = measureMP4(r, size)
		took := time.Since(start)
		metrics.Read(sample)
		if took < cost.took {
			cost = spent{r.reads, r.bytes, sample[0].Value.Uint64() - before, took}
		}
		if took < 20*time.Millisecond {
			break
		}
	}
	return info, cost, err
}

func TestClipOf100MBTakesFewReads(t *testing.T) {
	const size = 100_000_000
	table := mp4Box("mdia", mp4Box("minf", mp4Box("stbl", mp4Box("stsz", make([]byte, 40_000)), mp4Box("ctts", make([]byte, 60_000)))))
	index := mp4Box("moov", mvhd(1000, 5000, upright), pictureTrack(1, 3, 500, upright, table), pictureTrack(2, 3, 500, upright, table))
	large := func(kind string, size int) []byte { return slices.Concat(be32(size), []byte(kind)) }
	front := fragments(mvex())
	// Fifty fragments of 2 MB, with or without what tells of them.
	pieces := func(indexed, listed bool) (sparse, int64) {
		file, at := sparse{}, len(front)
		refs, places := []int{}, []int{}
		for range 50 {
			refs = append(refs, 2_000_000, 10)
		}
		file[0] = front
		if indexed {
			file[0] = slices.Concat(front, sidx(1, 0, refs...))
			at = len(file[0])
		}
		for i := range 50 {
			one := mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(0x8, 1, 5)), mp4Box("tfdt", be32(0, 10*i)), mp4Box("trun", be32(0, 2))))
			file[int64(at)] = slices.Concat(one, large("mdat", 2_000_000-len(one)))
			places = append(places, at)
			at += 2_000_000
		}
		if listed {
			list := mfra(places...)
			file[int64(at)] = list
			at += len(list)
		}
		return file, int64(at)
	}
	type file struct {
		pieces sparse
		size   int64
	}
	of := func(pieces sparse, size int64) file { return file{pieces, size} }
	for name, c := range map[string]struct {
		file         file
		reads, bytes int
	}{
		"index at the end": {of(sparse{
			0: slices.Concat(brand, large("mdat", size-len(brand)-len(index))), int64(size - len(index)): index}, size), 4, 150_000},
		"index at the start":         {of(sparse{0: slices.Concat(brand, index, large("mdat", size-len(brand)-len(index)))}, size), 4, 150_000},
		"fragments with an index":    {of(pieces(true, false)), 2, 10_000},
		"fragments with a list":      {of(pieces(false, true)), 5, 10_000},
		"fragments with both":        {of(pieces(true, true)), 3, 10_000},
		"fragments without anything": {of(pieces(false, false)), 60, 60_000},
	} {
		t.Run(name, func(t *testing.T) {
			got, cost, err := spend(c.file.pieces, c.file.size)
			require.NoError(t, err)
			require.Equal(t, 5*time.Second, got.Length)
			require.LessOrEqual(t, cost.reads, c.reads)
			require.LessOrEqual(t, cost.bytes, c.bytes)
		})
	}
}

func TestHostileMP4CostsLittle(t *testing.T) {
	tiny := func(n int) []byte { return bytes.Repeat(mp4Box("free"), n) }
	nest := func(kind string, n int) []byte {
		all := make([]byte, 0, 8*n)
		for i := range n {
			all = append(append(all, be32(8*(n-i))...), kind...)
		}
		return all
	}
	header := mvhd(1000, 0, upright)
	endless := slices.Concat(be32(1), []byte("mdat"), binary.BigEndian.AppendUint64(nil, math.MaxInt64-1000))
	manySamples := bytes.Repeat(mp4Box("trun", be32(0x100, 1000), make([]byte, 4000)), 2000)
	stts := mp4Box("stts", be32(0, 1<<20), make([]byte, 8<<20))
	for name, data := range map[string][]byte{
		"millions of tiny boxes":          slices.Concat(brand, tiny(1<<20)),
		"millions of them in the index":   simple(header, tiny(1<<20)),
		"a track of tiny boxes":           simple(header, mp4Box("trak", tiny(1<<20))),
		"a hundred thousand tracks":       simple(header, bytes.Repeat(mp4Box("trak"), 100_000)),
		"a hundred thousand indexes":      slices.Concat(brand, bytes.Repeat(mp4Box("moov", header), 100_000), media),
		"tracks within tracks":            simple(header, nest("trak", 100_000)),
		"edit lists within edit lists":    simple(header, mp4Box("trak", nest("edts", 100_000))),
		"indexes within indexes":          slices.Concat(brand, nest("moov", 100_000)),
		"tables of millions of samples":   simple(header, mp4Box("trak", mp4Box("mdia", mp4Box("minf", mp4Box("stbl", stts))))),
		"fragments of millions":           fragments(mvex(), mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(0, 1)), manySamples)), media),
		"a hundred thousand fragments":    fragments(mvex(), bytes.Repeat(moof(0, 1), 100_000)),
		"a hundred thousand segments":     fragments(mvex(), bytes.Repeat(sidx(1, 0, 0, 0), 100_000), moof(0, 1)),
		"a hundred thousand extensions":   simple(header, mp4Box("mvex", bytes.Repeat(mp4Box("trex", be32(0, 1, 1, 1, 1, 1)), 100_000))),
		"a list of a hundred thousand":    fragments(mvex(), moof(0, 1), mfra(make([]int, 100_000)...)),
		"lists that all lead to one":      fragments(mvex(), moof(0, 1), moof(1, 1), bytes.Repeat(mfra(300, 300), 10_000)),
		"a length near the largest":       slices.Concat(brand, mp4Box("moov", header), endless),
		"four billion samples, no bytes":  fragments(mvex(), mp4Box("moof", mp4Box("traf", mp4Box("tfhd", be32(8, 1, -1)), bytes.Repeat(mp4Box("trun", be32(0, -1)), 9000))), media),
		"four billion samples in a table": simple(header, mp4Box("trak", mp4Box("mdia", mp4Box("minf", mp4Box("stbl", mp4Box("stts", be32(0, -1, 1, 1))))))),
	} {
		t.Run(name, func(t *testing.T) {
			info, cost, err := spend(bytes.NewReader(data), int64(len(data)))
			requireSane(t, info, err)
			requireCheap(t, cost)
		})
	}
}

func TestEndlessFileIsLeftSoon(t *testing.T) {
	// Each 64 KB of it begin with a box that leads to the next: nothing but the budget ends it.
	const step = 64 << 10
	file := readerAt(func(p []byte, at int64) (int, error) {
		clear(p)
		if at%step == 0 {
			copy(p, slices.Concat(be32(step), []byte("free")))
		}
		return len(p), nil
	})
	got, cost, err := spend(file, math.MaxInt64/step*step)
	require.ErrorIs(t, err, ErrBudget)
	require.NotErrorIs(t, err, ErrBroken)
	require.Equal(t, Info{Format: "mov", Kind: Video}, got)
	requireCheap(t, cost)
}

type readerAt func(p []byte, at int64) (int, error)

func (f readerAt) ReadAt(p []byte, at int64) (int, error) { return f(p, at) }

// requireCheap holds what the worst file may cost.
func requireCheap(t testing.TB, cost spent) {
	t.Helper()
	require.LessOrEqual(t, cost.reads, maxReads)
	require.LessOrEqual(t, cost.bytes, maxBytes)
	require.Less(t, cost.allocated, uint64(64<<20))
	most := 50 * time.Millisecond
	if build, ok := debug.ReadBuildInfo(); ok && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		most *= 10 // the race detector makes it that much slower
	}
	require.Less(t, cost.took, most)
}

func requireSane(t testing.TB, info Info, err error) {
	t.Helper()
	if err != nil {
		require.NotEqual(t, errors.Is(err, ErrBroken), errors.Is(err, ErrBudget), "%v", err)
		require.Equal(t, Info{Format: info.Format, Kind: info.Kind}, info)
	}
	require.NotEmpty(t, info.Format)
	require.NotEmpty(t, info.Kind)
	require.GreaterOrEqual(t, info.Length, time.Duration(0))
	require.LessOrEqual(t, info.Length, longest)
	require.True(t, info.Width >= 0 && info.Width <= math.MaxUint16, "width %d", info.Width)
	require.True(t, info.Height >= 0 && info.Height <= math.MaxUint16, "height %d", info.Height)
}

func FuzzMP4(f *testing.F) {
	files, err := os.ReadDir(clips)
	require.NoError(f, err)
	for _, file := range files {
		if isClip(file.Name()) {
			f.Add(readClip(f, file.Name()))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, cost, err := spend(bytes.NewReader(data), int64(len(data)))
		requireSane(t, info, err)
		requireCheap(t, cost)
	})
}
