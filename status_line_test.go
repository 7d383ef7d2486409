package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// screen is what a terminal shows after all that was written to it.
func screen(written string) []string {
	var shown []string
	for line := range strings.SplitSeq(written, "\n") {
		var cells []rune
		at := 0
		for _, r := range line {
			if r == '\r' {
				at = 0
				continue
			}
			if at == len(cells) {
				cells = append(cells, r)
			}
			cells[at] = r
			at++
		}
		shown = append(shown, strings.TrimRight(string(cells), " "))
	}
	return shown
}

func TestLinesStayAboveTheBar(t *testing.T) {
	var out bytes.Buffer
	v := &view{out: &out, bar: drawBar(&out)}
	v.progress(50, "2 of 3 open")
	shown := screen(out.String())
	require.Len(t, shown, 1)
	require.Contains(t, shown[0], "2 of 3 open")
	require.Contains(t, shown[0], "50%")
	v.line("r2v-1  saved")
	v.progress(66, "1 of 3 open")
	v.line("r2v-2  \x1b[2JFAILED")
	v.clear()
	require.Equal(t, []string{"r2v-1  saved", "r2v-2  \ufffd[2JFAILED", ""}, screen(out.String()), "nothing is left of the bar")
}

// The library makes the bar itself as short as it must be, but not the words before it.
func TestABarFitsOnANarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	f := &following{view: &view{out: &out, bar: drawBar(&out)}, follower: &tracker.Tracker{}}
	f.add(&followed{Task: video.Task{
		ID: ledger.IDPrefix + strings.Repeat("a", 26), ProviderTaskID: "id", CreatedAt: time.Now().Add(-23 * time.Hour), Snapshot: video.Snapshot{Status: video.Running},
	}})
	f.show()
	lines := strings.Split(out.String(), "\r")
	line := lines[len(lines)-1]
	require.Contains(t, line, "r2v-aaaaaa… RUNNING 82800 s")
	require.LessOrEqual(t, len([]rune(line))-barWidth, 40)
}

func TestAClipIsNotDoneBeforeItIs(t *testing.T) {
	require.Zero(t, percent(-time.Second, time.Minute))
	require.Equal(t, 50, percent(30*time.Second, time.Minute))
	require.Equal(t, 99, percent(time.Hour, time.Minute))
}

func TestASimulatedTrialHasNothingOfTheRealLedger(t *testing.T) {
	require.Equal(t, []string{"HOME=/home/u", "R2V_DATA_DIR=/data/simulated", "R2V_LOG_LEVEL=warn", "R2V_DATA_DIR= "}, apart([]string{
		"HOME=/home/u", "DASHSCOPE_API_KEY=sk-1", "DASHSCOPE_REGION=beijing", "R2V_DATA_DIR=/data", "R2V_BUDGET_PER_DAY=1",
		"R2V_BUDGET_PER_TASK=0.01", "R2V_DATABASE_URL=postgres://db/r2v", "R2V_LOG_LEVEL=warn", "R2V_DATA_DIR= ",
	}))
}
