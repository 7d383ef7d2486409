package killtest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// sample is what a process takes at one moment.
type sample struct{ rss, files, goroutines int }

// sampled reads what the system and the process itself say.
func (c *crew) sampled(p *process) (sample, error) {
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	rss, err := memory(p.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return sample{}, err
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return sample{}, err
	}
	c.service.boss.mu.Lock()
	defer c.service.boss.mu.Unlock()
	return sample{rss, len(files), c.service.vitals[p.name].Goroutines}, nil
}

// memory reads a figure of a process in bytes.
func memory(pid int, figure string) (int, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, figure+":"); found {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", figure, pid)
}

// troubled makes prompts of which every third meets a mishap, each kind in turn.
func troubled(n int) string {
	prompt := fmt.Sprintf("character1 waves %d times", n)
	if n%3 != 0 {
		return prompt
	}
	faults := simulator.Faults()
	f := faults[n/3%len(faults)]
	if f.On == "policy" || f.On == "upload" {
		return prompt
	}
	return prompt + fmt.Sprintf(" [[fault:%s x%d]]", f.Name, 1+n/3%2)
}

// disturb orders a mishap of any call, whichever task it is about.
func (s *service) disturb(random *rand.Rand) {
	calls := []string{"create", "get", "list", "result"}
	faults := simulator.Faults()
	body := fmt.Sprintf(`{"fault": %q, "on": %q, "times": %d}`, faults[random.IntN(len(faults))].Name, calls[random.IntN(len(calls))], 1+random.IntN(3))
	r := httptest.NewRequest(http.MethodPost, "/control/faults", strings.NewReader(body))
	r.RemoteAddr = ""                              // as in memory
	s.Handler.ServeHTTP(httptest.NewRecorder(), r) // a mishap that this call cannot have is refused
}

func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("it takes long: make soak")
	}
	seed := chosenSeed()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	s := newService(t, simulator.Options{Speed: 60, Unthrottled: true, Concurrent: 1000}, rand.New(rand.NewPCG(seed, 1)))
	s.prompt = troubled
	c := newCrew(t, s, pace{Poll: time.Second, Lease: 3 * time.Second, Absence: time.Minute, Rest: 2 * time.Second}, "")
	steady := []*process{c.start(), c.start()}
	restarted := c.start()
	samples := make([][]sample, len(steady))
	began := time.Now()
	t.Logf("%8s  %s", "seconds", strings.Repeat("  RSS kB  files  goroutines", len(steady)))
	for n := 1; time.Since(began) < *soak; n++ {
		pause(t.Context(), min(10*time.Second, *soak-time.Since(began)))
		row := fmt.Sprintf("%8.0f  ", time.Since(began).Seconds())
		for i, p := range steady {
			now, err := c.sampled(p)
			require.NoError(t, err, "%s ended: %v", p.name, p.err)
			samples[i] = append(samples[i], now)
			row += fmt.Sprintf("%8d%7d%12d", now.rss>>10, now.files, now.goroutines)
		}
		t.Log(row)
		s.disturb(random)
		if n%3 == 0 {
			c.kill(restarted.name)
			restarted = c.start()
		}
	}
	s.dismiss()
	for _, p := range append(steady, restarted) {
		<-p.gone
		require.NoError(t, p.err)
	}
	for i, p := range steady {
		flat(t, p.name, samples[i])
	}
	c.soaked()
}

// flat compares the last third with the one before.
func flat(t *testing.T, name string, samples []sample) {
	third := len(samples) / 3
	require.Positive(t, third, "too short to tell")
	for _, figure := range []struct {
		name  string
		of    func(sample) int
		slack int
	}{
		{"bytes of memory", func(s sample) int { return s.rss }, 3 << 20},
		{"open files", func(s sample) int { return s.files }, 6},
		{"goroutines", func(s sample) int { return s.goroutines }, 12},
	} {
		before, after := median(samples[third:2*third], figure.of), median(samples[len(samples)-third:], figure.of)
		t.Logf("%s: %d %s in the second third, %d in the last", name, before, figure.name, after)
		if after > before+max(before*15/100, figure.slack) {
			t.Errorf("%s grows: %s %d, then %d", name, figure.name, before, after)
		}
	}
}

func median(samples []sample, of func(sample) int) int {
	var values []int
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// soaked tells what was done, and that nothing was bought twice.
func (c *crew) soaked() {
	var tasks []upstream
	c.service.control(c.t, "tasks", &tasks)
	byPrompt := map[string]int{}
	for _, task := range tasks {
		if byPrompt[task.Prompt]++; byPrompt[task.Prompt] == 2 {
			c.t.Errorf("bought twice: %s", task.Prompt)
		}
	}
	clips, err := filepath.Glob(filepath.Join(c.worker.Videos, "*.mp4"))
	require.NoError(c.t, err)
	issued, bought := c.service.progress()
	c.t.Logf("keys %d, bought %d, creates %d, saved %d", issued, bought, len(tasks), len(clips))
	log, err := os.ReadFile(c.worker.Log)
	require.NoError(c.t, err)
	require.NotContains(c.t, string(log), "this is a bug")
}
