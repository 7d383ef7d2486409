package main

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"

	"r2v-mcp/internal/ledger"
)

// view shows what track does: a line for each change, and on a terminal a bar of all tasks below them.
type view struct {
	out io.Writer
	bar *progressbar.ProgressBar // nil unless out is a terminal
}

func newView(out io.Writer) *view { return &view{out: out, bar: newBar(out)} }

// shortID is the beginning of a task's id, so that a bar fits on a terminal of 40 columns: the whole one stands above it.
func shortID(id string) string {
	const most = len(ledger.IDPrefix) + 6
	if len(id) <= most {
		return id
	}
	return id[:most] + "…"
}

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
