package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// statusLine shows how a task goes on: a bar on a terminal, a plain line for each change elsewhere.
type statusLine struct {
	out   io.Writer
	usual time.Duration
	bar   *progressbar.ProgressBar // nil unless out is a terminal
	last  string
}

func newStatusLine(out io.Writer, usual time.Duration) *statusLine {
	return &statusLine{out: out, usual: usual, bar: newBar(out)}
}

// newBar makes a bar of 100 parts, nil where out is no terminal.
func newBar(out io.Writer) *progressbar.ProgressBar {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return drawBar(out)
	}
	return nil
}

// barWidth is how many columns a bar takes beside its words; on a narrow terminal it is shorter.
const barWidth = 30

func drawBar(out io.Writer) *progressbar.ProgressBar {
	return progressbar.NewOptions(100, progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(barWidth),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
}

// percent is how far a clip seems to be: the service tells no share of the work, so it goes by how long others took.
func percent(elapsed, usual time.Duration) int {
	const almost = 99 // however long it takes, it is not done before it is
	return max(0, min(almost, int(100*elapsed/usual)))
}

func (s *statusLine) show(status string, elapsed time.Duration) {
	if s.bar != nil {
		s.bar.Describe(fmt.Sprintf("get_task       %-9s %3.0f s", status, elapsed.Seconds()))
		_ = s.bar.Set(percent(elapsed, s.usual))
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
