// Package clip makes real, playable H.264 videos in MP4 files, of any even size and of any length up to a minute,
// for the simulator to serve where the service would serve a generated one. It needs no encoder: the pictures are flat
// colours, a new one every second, above a white bar that shows how much of the clip has gone by.
package clip

import (
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	minSide, maxSide         = 8, 4096
	minDuration, maxDuration = 100 * time.Millisecond, time.Minute
	defaultFPS, maxFPS       = 30, 120
)

// Spec describes a clip. Equal Specs give equal files, byte for byte.
type Spec struct {
	// Width and Height are in pixels: even, 8 to 4096.
	Width, Height int
	// Duration is 100 ms to 60 s, rounded to the millisecond. When it is not a whole number of frames,
	// the last frame is shown for the remainder only.
	Duration time.Duration
	// FPS is in frames a second, 1 to 120; 0 means 30.
	FPS int
	// Seed picks the colours and their order.
	Seed uint64
}

// Bytes returns the whole file, its index ahead of its pictures, so that players can start before they have all of it.
// A clip of 15 s at 1920x1080 is about 130 kB. The error tells which field of s is out of its range.
func Bytes(s Spec) ([]byte, error) {
	if s.FPS == 0 {
		s.FPS = defaultFPS
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	v := video{s, ceilDiv(s.Width, 16), ceilDiv(s.Height, 16)}
	return writeMP4(v, v.samples()), nil
}

func (s Spec) check() error {
	for _, side := range []int{s.Width, s.Height} {
		if side < minSide || side > maxSide || side%2 != 0 {
			return fmt.Errorf("clip: size %dx%d: both sides must be even and %d to %d pixels", s.Width, s.Height, minSide, maxSide)
		}
	}
	if s.Duration < minDuration || s.Duration > maxDuration {
		return fmt.Errorf("clip: duration %v: must be %v to %v", s.Duration, minDuration, maxDuration)
	}
	if s.FPS < 1 || s.FPS > maxFPS {
		return fmt.Errorf("clip: %d frames a second: must be 1 to %d", s.FPS, maxFPS)
	}
	return nil
}

// frameTicks is the length of a frame in ticks. A thousand ticks a frame make every millisecond a whole number of
// ticks, whatever the frame rate.
const frameTicks = 1000

func (s Spec) ticksPerSecond() int { return s.FPS * frameTicks }

// ticks is the exact length of the clip.
func (s Spec) ticks() int { return int(s.Duration.Round(time.Millisecond).Milliseconds()) * s.FPS }

func (s Spec) frames() int { return ceilDiv(s.ticks(), frameTicks) }

func (s Spec) seconds() int { return ceilDiv(s.frames(), s.FPS) }

// samples returns the coded frames: a picture at the start of each second, then repeats of it.
func (v video) samples() [][]byte {
	pictures := v.pictures()
	samples := make([][]byte, v.frames())
	for i := range samples {
		second, frame := i/v.FPS, i%v.FPS
		if frame == 0 {
			samples[i] = v.keyFrame(second, pictures[second])
		} else {
			samples[i] = v.repeat(frame)
		}
	}
	return samples
}

// colour is in BT.709 video levels. The differences between two colours' cb, and between their cr, must be even:
// the coder's chroma step is 2.
type colour struct{ y, cb, cr int }

// picture is a mosaic of one colour for each macroblock.
type picture func(column, row int) colour

// pictures returns one picture for each second, no two neighbours of the same colour.
func (v video) pictures() []picture {
	bars := [...]colour{ // 75% colour bars
		{168, 44, 136}, // yellow
		{145, 148, 44}, // cyan
		{134, 62, 52},  // green
		{63, 194, 204}, // magenta
		{51, 108, 212}, // red
		{28, 212, 120}, // blue
	}
	random := rand.New(rand.NewPCG(v.Seed, 0))
	pictures := make([]picture, v.seconds())
	at := random.IntN(len(bars))
	for i := range pictures {
		pictures[i] = v.progress(bars[at], i+1, len(pictures))
		at = (at + 1 + random.IntN(len(bars)-1)) % len(bars)
	}
	return pictures
}

// progress is a flat picture with a white bar at the bottom, done/all of the width; pictures lower than 12 macroblocks
// have no bar.
func (v video) progress(ground colour, done, all int) picture {
	white := colour{235, 128, 128}
	barTop, barEnd := v.rows-v.rows/12, v.columns*done/all
	return func(column, row int) colour {
		if row >= barTop && column < barEnd {
			return white
		}
		return ground
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
