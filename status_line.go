package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// statusLine shows how a task goes on: a moving line on a terminal, a plain line for each change elsewhere.
type statusLine struct {
	out  io.Writer
	bar  *progressbar.ProgressBar // nil unless out is a terminal
	last string
}

func newStatusLine(out io.Writer) *statusLine {
	s := &statusLine{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(out), progressbar.OptionSpinnerType(14), progressbar.OptionClearOnFinish())
	}
	return s
}

func (s *statusLine) show(status string, elapsed time.Duration) {
	if s.bar != nil {
		s.bar.Describe(fmt.Sprintf("get_task       %s, %.0f s", status, elapsed.Seconds()))
		_ = s.bar.Add(1)
	} else if status != s.last {
		fmt.Fprintf(s.out, "get_task       %s\n", status)
	}
	s.last = status
}

func (s *statusLine) done() {
	if s.bar != nil {
		_ = s.bar.Finish()
		fmt.Fprintf(s.out, "get_task       %s\n", s.last)
	}
}
