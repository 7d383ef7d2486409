package media

// mpegFrame is what the four bytes before a frame of MPEG audio tell.
type mpegFrame struct {
	layer   int // 1 to 3
	bitRate int // bits a second; 0 is a free format, whose frames have no told length
	rate    int // samples a second
	samples int // of each channel
	length  int // bytes; of layer III only
	side    int // bytes of side information after the header; of layer III only
}

// parseFrame reads a frame header (ISO/IEC 11172-3, section 2.4.1.3, 13818-3 for the half rates; the quarter rates of MPEG 2.5
// are common practice). It reports false when there is none.
func parseFrame(b []byte) (mpegFrame, bool) {
	version, layer, index, rate := b[1]>>3&3, 4-int(b[1]>>1&3), b[2]>>4, b[2]>>2&3
	if b[0] != 0xff || b[1]&0xe0 != 0xe0 || version == 1 || layer == 4 || index == 15 || rate == 3 {
		return mpegFrame{}, false
	}
	f := mpegFrame{layer: layer, rate: [...]int{44100, 48000, 32000}[rate], samples: 1152, side: 32}
	if b[3]>>6 == 3 { // mono
		f.side = 17
	}
	// In kbit/s, for layer III.
	rates := [...]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	if version != 3 {
		rates = [...]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
		f.samples, f.rate, f.side = 576, f.rate/2, (f.side+2)/2
		if version == 0 { // MPEG 2.5
			f.rate /= 2
		}
	}
	f.bitRate = rates[index] * 1000
	f.length = f.samples/8*f.bitRate/f.rate + int(b[2]>>1&1)
	return f, true
}
