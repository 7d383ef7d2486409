package clip

import "math/bits"

// bitWriter collects the bits of a NAL unit's payload. u, ue and se are the standard's descriptors (ITU-T H.264, 7.2).
type bitWriter struct {
	out     []byte
	pending uint64
	count   int // bits in pending, fewer than 8 between calls
}

// u writes the width low bits of v; width is at most 32.
func (b *bitWriter) u(width int, v uint32) {
	b.pending = b.pending<<width | uint64(v)
	for b.count += width; b.count >= 8; {
		b.count -= 8
		b.out = append(b.out, byte(b.pending>>b.count))
	}
}

// ue writes an unsigned Exp-Golomb code.
func (b *bitWriter) ue(v int) {
	width := bits.Len(uint(v) + 1)
	b.u(width-1, 0)
	b.u(width, uint32(v)+1)
}

// se writes a signed Exp-Golomb code.
func (b *bitWriter) se(v int) {
	if v > 0 {
		b.ue(2*v - 1)
	} else {
		b.ue(-2 * v)
	}
}

// code writes bits as the standard prints them: flags, or a table's code word.
func (b *bitWriter) code(word string) {
	for _, bit := range word {
		b.u(1, uint32(bit-'0'))
	}
}

// dcCodes are the coeff_token words of table 9-5 for a block without coefficients, with a single one of ±1, and with
// a single other one. Neighbours have no AC coefficients here, so nC is 0 for luma.
type dcCodes struct{ none, one, other string }

// dcBlock writes a block of which only the first coefficient may be other than zero (9.2).
func (b *bitWriter) dcBlock(level int, codes dcCodes) {
	switch level {
	case 0:
		b.code(codes.none)
		return
	case 1:
		b.code(codes.one + "0") // and trailing_ones_sign_flag
	case -1:
		b.code(codes.one + "1")
	default:
		b.code(codes.other)
		b.level(level)
	}
	b.u(1, 1) // total_zeros 0, tables 9-7 and 9-9
}

// level writes level_prefix and level_suffix of a block's only coefficient, which is not ±1 (9.2.2.1).
func (b *bitWriter) level(level int) {
	code := 2 * (max(level, -level) - 2)
	if level < 0 {
		code++
	}
	switch {
	case code < 14:
		b.u(code+1, 1)
	case code < 30:
		b.u(15, 1)
		b.u(4, uint32(code-14))
	default:
		b.u(16, 1)
		b.u(12, uint32(code-30))
	}
}

// nal ends the payload and returns it as a NAL unit. Two zero bytes before a byte below 4 would look like a start code
// or its escape, so a 3 goes between (7.4.1).
func (b *bitWriter) nal(header byte) []byte {
	b.u(1, 1)
	b.u((8-b.count)%8, 0)
	unit := make([]byte, 1, len(b.out)+8)
	unit[0] = header
	zeros := 0
	for _, c := range b.out {
		if zeros == 2 && c < 4 {
			unit, zeros = append(unit, 3), 0
		}
		unit = append(unit, c)
		if zeros++; c != 0 {
			zeros = 0
		}
	}
	return unit
}
