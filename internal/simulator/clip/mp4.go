package clip

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/abema/go-mp4"
)

// box is an MP4 box: its own fields and the boxes inside it.
type box struct {
	fields mp4.IImmutableBox
	inside []box
}

func (x box) write(b *bytes.Buffer) error {
	start, name := b.Len(), x.fields.GetType()
	b.Write(make([]byte, 4)) // the size, known at the end
	b.Write(name[:])
	if _, err := mp4.Marshal(b, x.fields, mp4.Context{}); err != nil {
		return err
	}
	for _, child := range x.inside {
		if err := child.write(b); err != nil {
			return err
		}
	}
	binary.BigEndian.PutUint32(b.Bytes()[start:], uint32(b.Len()-start))
	return nil
}

// writeMP4 returns a file of one H.264 track with all samples in one chunk. Each sample is one NAL unit.
func writeMP4(v video, samples [][]byte) ([]byte, error) {
	const lengthSize, boxHeader = 4, 8
	t := track{video: v}
	dataSize := 0
	for _, sample := range samples {
		size := lengthSize + len(sample)
		t.sizes = append(t.sizes, uint32(size))
		dataSize += size
	}
	// The index comes first and holds the place of the data, so it is written twice: once to learn its size.
	var b bytes.Buffer
	for range 2 {
		b.Reset()
		for _, x := range []box{fileType(), t.moov()} {
			if err := x.write(&b); err != nil {
				return nil, fmt.Errorf("clip: write box: %w", err)
			}
		}
		t.dataOffset = uint32(b.Len() + boxHeader)
	}
	file := make([]byte, 0, b.Len()+boxHeader+dataSize)
	file = append(file, b.Bytes()...)
	file = binary.BigEndian.AppendUint32(file, uint32(boxHeader+dataSize))
	file = append(file, "mdat"...)
	for _, sample := range samples {
		file = binary.BigEndian.AppendUint32(file, uint32(len(sample)))
		file = append(file, sample...)
	}
	return file, nil
}

// track holds what the boxes tell about a video.
type track struct {
	video
	sizes      []uint32 // of the samples, in bytes
	dataOffset uint32   // of the first sample in the file
}

const trackID = 1

func fileType() box {
	brands := []mp4.CompatibleBrandElem{{CompatibleBrand: mp4.BrandISOM()}, {CompatibleBrand: mp4.BrandAVC1()}, {CompatibleBrand: mp4.BrandMP41()}}
	return box{&mp4.Ftyp{MajorBrand: mp4.BrandISOM(), MinorVersion: 512, CompatibleBrands: brands}, nil}
}

func (t track) moov() box {
	return box{&mp4.Moov{}, []box{
		{&mp4.Mvhd{
			Timescale: uint32(t.ticksPerSecond()), DurationV0: uint32(t.ticks()),
			Rate: 1 << 16, Volume: 1 << 8, Matrix: unturned(), NextTrackID: trackID + 1,
		}, nil},
		{&mp4.Trak{}, []box{
			{t.tkhd(), nil},
			{&mp4.Mdia{}, []box{
				{&mp4.Mdhd{
					Timescale: uint32(t.ticksPerSecond()), DurationV0: uint32(t.ticks()),
					Language: [3]byte{'u' - 0x60, 'n' - 0x60, 'd' - 0x60}, // ISO 639-2 "und", 5 bits a letter
				}, nil},
				{&mp4.Hdlr{HandlerType: [4]byte{'v', 'i', 'd', 'e'}, Name: "VideoHandler"}, nil},
				{&mp4.Minf{}, []box{
					{&mp4.Vmhd{FullBox: flags(1)}, nil},
					{&mp4.Dinf{}, []box{
						{&mp4.Dref{EntryCount: 1}, []box{{&mp4.Url{FullBox: flags(mp4.UrlSelfContained)}, nil}}},
					}},
					t.stbl(),
				}},
			}},
		}},
	}}
}

func flags(v byte) mp4.FullBox { return mp4.FullBox{Flags: [3]byte{0, 0, v}} }

// unturned is the identity matrix: no turning, no scaling.
func unturned() [9]int32 { return [9]int32{0: 1 << 16, 4: 1 << 16, 8: 1 << 30} }

func (t track) tkhd() *mp4.Tkhd {
	const enabledInMovieAndPreview = 1 | 2 | 4
	return &mp4.Tkhd{
		FullBox: flags(enabledInMovieAndPreview), TrackID: trackID, DurationV0: uint32(t.ticks()),
		Matrix: unturned(), Width: uint32(t.Width) << 16, Height: uint32(t.Height) << 16,
	}
}

// stbl tells where each sample is, how long it is shown, and which ones a player can start from.
func (t track) stbl() box {
	frames := uint32(t.frames())
	durations := []mp4.SttsEntry{{SampleCount: frames, SampleDelta: frameTicks}}
	if rest := uint32(t.ticks() % frameTicks); rest > 0 {
		durations = []mp4.SttsEntry{{SampleCount: frames - 1, SampleDelta: frameTicks}, {SampleCount: 1, SampleDelta: rest}}
	}
	var keyFrames []uint32
	for i := 0; i < t.frames(); i += t.FPS {
		keyFrames = append(keyFrames, uint32(i+1))
	}
	return box{&mp4.Stbl{}, []box{
		{&mp4.Stsd{EntryCount: 1}, []box{t.avc1()}},
		{&mp4.Stts{EntryCount: uint32(len(durations)), Entries: durations}, nil},
		{&mp4.Stss{EntryCount: uint32(len(keyFrames)), SampleNumber: keyFrames}, nil},
		{&mp4.Stsc{EntryCount: 1, Entries: []mp4.StscEntry{{FirstChunk: 1, SamplesPerChunk: frames, SampleDescriptionIndex: 1}}}, nil},
		{&mp4.Stsz{SampleCount: frames, EntrySize: t.sizes}, nil},
		{&mp4.Stco{EntryCount: 1, ChunkOffset: []uint32{t.dataOffset}}, nil},
	}}
}

func (t track) avc1() box {
	const dpi72 = 72 << 16
	sps, pps := t.sps(), t.pps()
	return box{&mp4.VisualSampleEntry{
		SampleEntry: mp4.SampleEntry{AnyTypeBox: mp4.AnyTypeBox{Type: mp4.BoxTypeAvc1()}, DataReferenceIndex: 1},
		Width:       uint16(t.Width), Height: uint16(t.Height),
		Horizresolution: dpi72, Vertresolution: dpi72,
		FrameCount: 1, Depth: 24, PreDefined3: -1,
	}, []box{{&mp4.AVCDecoderConfiguration{
		AnyTypeBox:           mp4.AnyTypeBox{Type: mp4.BoxTypeAvcC()},
		ConfigurationVersion: 1, Profile: profileBaseline, ProfileCompatibility: constraints, Level: t.level(),
		Reserved: 63, LengthSizeMinusOne: 3, Reserved2: 7,
		NumOfSequenceParameterSets: 1, SequenceParameterSets: []mp4.AVCParameterSet{{Length: uint16(len(sps)), NALUnit: sps}},
		NumOfPictureParameterSets: 1, PictureParameterSets: []mp4.AVCParameterSet{{Length: uint16(len(pps)), NALUnit: pps}},
	}, nil}}}
}
