package main

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
)

// view shows what track does: a line for each change, and on a terminal a bar of all tasks below them.
type view struct {
	out io.Writer
	bar *progressbar.ProgressBar // nil unless out is a terminal
}

func newView(out io.Writer) *view { return &view{out: out, bar: newBar(out)} }

// clear takes the bar away, so that a line can be written.
func (v *view) clear() {
	if v.bar != nil {
		_ = v.bar.Clear()
	}
}

// line writes a line that stays.
func (v *view) line(words string) {
	v.clear()
	fmt.Fprintln(v.out, plain(words))
}

func (v *view) progress(percent int, words string) {
	if v.bar != nil {
		v.bar.Describe(plain(words))
		_ = v.bar.Set(percent)
	}
}
