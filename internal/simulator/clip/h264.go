package clip

// NAL unit headers: nal_ref_idc 3 and the type (ITU-T H.264, table 7-1).
const (
	nalSlice    = 3<<5 | 1
	nalKeySlice = 3<<5 | 5
	nalSPS      = 3<<5 | 7
	nalPPS      = 3<<5 | 8
)

const (
	profileBaseline = 66
	// constraints tells that the stream keeps to what the Baseline and the Main profile share, so every decoder takes it.
	constraints = 0xC0

	// quantiser is chosen so that one step of a DC level is 1 in luma and 2 in chroma (8.5.10, 8.5.11), which makes every
	// colour come out exactly.
	quantiser  = 28
	chromaStep = 2

	frameNumBits = 8 // frame_num starts anew each second, at most maxFPS frames later
)

// video is an H.264 stream of Intra_16x16 and skipped macroblocks.
type video struct {
	Spec
	columns, rows int // in macroblocks of 16 by 16 pixels
}

// level returns level_idc: the lowest level from 3 up that allows the picture's size, its sides and the rate (table A-1).
func (v video) level() byte {
	frame := v.columns * v.rows
	longest := max(v.columns, v.rows)
	for _, l := range []struct {
		idc         byte
		rate, frame int // in macroblocks
	}{
		{30, 40500, 1620}, {31, 108000, 3600}, {32, 216000, 5120}, {40, 245760, 8192}, {42, 522240, 8704},
		{50, 589824, 22080}, {51, 983040, 36864}, {52, 2073600, 36864}, {60, 4177920, 139264}, {61, 8355840, 139264},
	} {
		if frame <= l.frame && frame*v.FPS <= l.rate && longest*longest <= 8*l.frame {
			return l.idc
		}
	}
	return 62
}

// sps returns the sequence parameter set (7.3.2.1.1).
func (v video) sps() []byte {
	b := &bitWriter{}
	b.u(8, profileBaseline)
	b.u(8, constraints)
	b.u(8, uint32(v.level()))
	b.ue(0)                // seq_parameter_set_id
	b.ue(frameNumBits - 4) // log2_max_frame_num_minus4
	b.ue(2)                // pic_order_cnt_type: shown in the order of decoding
	b.ue(1)                // max_num_ref_frames
	b.code("0")            // no gaps in frame_num
	b.ue(v.columns - 1)
	b.ue(v.rows - 1)
	b.code("11") // frame_mbs_only_flag, direct_8x8_inference_flag
	right, bottom := v.columns*16-v.Width, v.rows*16-v.Height
	if right+bottom > 0 {
		b.code("1") // cropped, by pairs of pixels
		b.ue(0)
		b.ue(right / 2)
		b.ue(0)
		b.ue(bottom / 2)
	} else {
		b.code("0")
	}
	b.code("1") // vui_parameters_present_flag
	v.vui(b)
	return b.nal(nalSPS)
}

// vui writes what decoding does not need but players go by (E.1.1): the colours' meaning, the frame rate, and that
// no frame waits for a later one.
func (v video) vui(b *bitWriter) {
	b.code("001")      // no aspect ratio, no overscan; a signal type, which is
	b.u(3, 5)          // no video format in particular,
	b.code("01")       // not full range, and has a colour description:
	b.u(24, 0x01_0101) // the primaries, transfer and matrix of BT.709
	b.code("01")       // no chroma location; timing, which is
	b.u(32, 1)         // one tick a field,
	b.u(32, uint32(2*v.FPS))
	b.code("1000") // at a fixed rate; no NAL HRD, no VCL HRD, no picture structure
	b.code("11")   // bitstream restrictions; motion may cross the borders
	b.ue(0)        // max_bytes_per_pic_denom: unbounded
	b.ue(0)        // max_bits_per_mb_denom: unbounded
	b.ue(0)        // log2_max_mv_length_horizontal
	b.ue(0)        // log2_max_mv_length_vertical
	b.ue(0)        // max_num_reorder_frames
	b.ue(1)        // max_dec_frame_buffering
}

// pps returns the picture parameter set (7.3.2.2).
func (v video) pps() []byte {
	b := &bitWriter{}
	b.ue(0)              // pic_parameter_set_id
	b.ue(0)              // seq_parameter_set_id
	b.code("00")         // CAVLC; no field order
	b.ue(0)              // num_slice_groups_minus1
	b.ue(0)              // num_ref_idx_l0_default_active_minus1
	b.ue(0)              // num_ref_idx_l1_default_active_minus1
	b.code("000")        // no weighted prediction of P or B
	b.se(quantiser - 26) // pic_init_qp_minus26
	b.se(0)              // pic_init_qs_minus26
	b.se(0)              // chroma_qp_index_offset
	b.code("100")        // slices control deblocking; intra is not constrained; no redundant pictures
	return b.nal(nalPPS)
}

// sliceHead writes the part of the slice header that both kinds of slice begin with (7.3.3).
func sliceHead(b *bitWriter, sliceType, frameNum int) {
	b.ue(0) // first_mb_in_slice
	b.ue(sliceType)
	b.ue(0) // pic_parameter_set_id
	b.u(frameNumBits, uint32(frameNum))
}

// sliceTail writes the part of the slice header that both kinds of slice end with. The deblocking filter is off, for it
// would blur the bar's edge.
func sliceTail(b *bitWriter) {
	b.se(0) // slice_qp_delta
	b.ue(1) // disable_deblocking_filter_idc
}

// repeat returns a P slice of skipped macroblocks: the picture before it once more. frame counts from the key frame.
func (v video) repeat(frame int) []byte {
	const allP = 5
	b := &bitWriter{}
	sliceHead(b, allP, frame)
	b.code("000") // no override of the reference count, no list modification, no adaptive marking
	sliceTail(b)
	b.ue(v.columns * v.rows) // mb_skip_run
	return b.nal(nalSlice)
}

// keyFrame returns an IDR picture of p in one I slice.
func (v video) keyFrame(second int, p picture) []byte {
	const allI = 7
	b := &bitWriter{out: make([]byte, 0, v.columns*v.rows+64)}
	sliceHead(b, allI, 0)
	b.ue(second % 2) // idr_pic_id: at 1 frame a second IDR pictures are neighbours, and must differ
	b.code("00")     // earlier pictures are still shown; not a long-term reference
	sliceTail(b)
	for row := range v.rows {
		for column := range v.columns {
			v.macroblock(b, p, column, row)
		}
	}
	return b.nal(nalKeySlice)
}

// macroblock writes an Intra_16x16 macroblock as its difference from the one on its left. The first of a row builds on
// the one above, the very first on mid grey. One neighbour and not the mean of two (DC prediction): a flat neighbour
// gives a flat prediction, and so a single level in each plane is all of the residual.
func (v video) macroblock(b *bitWriter, p picture, column, row int) {
	const vertical, horizontal, dc = 0, 1, 2 // Intra16x16PredMode, table 8-4
	mode, from := dc, colour{128, 128, 128}
	if column > 0 {
		mode, from = horizontal, p(column-1, row)
	} else if row > 0 {
		mode, from = vertical, p(column, row-1)
	}
	c := p(column, row)
	cb, cr := (c.cb-from.cb)/chromaStep, (c.cr-from.cr)/chromaStep

	mbType := 1 + mode // I_16x16_mode_0_0, table 7-11
	hasChroma := cb != 0 || cr != 0
	if hasChroma {
		mbType += 4 // chroma DC levels, no AC
	}
	b.ue(mbType)
	b.ue(2 - mode) // intra_chroma_pred_mode counts the same three backwards, table 7-16
	b.se(0)        // mb_qp_delta
	b.dcBlock(c.y-from.y, dcCodes{none: "1", one: "01", other: "000101"})
	if hasChroma {
		chroma := dcCodes{none: "01", one: "1", other: "000111"}
		b.dcBlock(cb, chroma)
		b.dcBlock(cr, chroma)
	}
}
