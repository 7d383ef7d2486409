package killtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crew is the processes that work on one ledger.
type crew struct {
	t       *testing.T
	service *service
	worker  worker // what all have in common
	random  *rand.Rand

	mu    sync.Mutex
	lives int
	alive map[string]*process
	steps map[string]int // kills by the step at which they came
}

// process is one life of a worker.
type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed at its end
	err  error         // of its end
}

func newCrew(t *testing.T, s *service, p pace, database string) *crew {
	dir := t.TempDir()
	return &crew{t: t, service: s, alive: map[string]*process{}, steps: map[string]int{}, worker: worker{
		Host: s.address, Ledger: filepath.Join(dir, "ledger.db"), Database: database, Pace: p,
		Videos: filepath.Join(dir, "videos"), Log: filepath.Join(dir, "log"),
	}}
}

// start begins a life.
func (c *crew) start() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lives++
	w := c.worker
	w.Name = fmt.Sprintf("worker.%04d", c.lives)
	text, err := json.Marshal(w)
	require.NoError(c.t, err)
	program, err := os.Executable()
	require.NoError(c.t, err)
	log, err := os.OpenFile(w.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(c.t, err)
	defer log.Close()
	p := &process{name: w.Name, cmd: exec.Command(program, "-worker", string(text)), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(c.t, p.cmd.Start())
	c.alive[p.name] = p
	go func() {
		p.err = p.cmd.Wait()
		c.mu.Lock()
		delete(c.alive, p.name)
		c.mu.Unlock()
		c.service.bury(p.name)
		close(p.gone)
	}()
	return p
}

// kill ends a life and waits until it is over. It reports whether there was one to end.
func (c *crew) kill(name string) bool {
	c.mu.Lock()
	p := c.alive[name]
	c.mu.Unlock()
	if p == nil || p.cmd.Process.Kill() != nil {
		return false
	}
	<-p.gone
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		c.t.Errorf("%s ended by itself: %v", p.name, p.err)
	}
	return true
}

// slaughter kills one process after the other, and replaces each.
func (c *crew) slaughter(kills int) {
	for range processes {
		c.start()
	}
	for range kills {
		step := c.killOne()
		c.steps[step]++
		if c.t.Failed() {
			return
		}
		c.start()
	}
}

// patience is how long a doom waits for its request.
const patience = 500 * time.Millisecond

// killOne ends one process at a step or at a moment that chance decides, and tells which.
func (c *crew) killOne() string {
	switch n := c.random.IntN(100); {
	case n < 10:
		pause(c.t.Context(), time.Duration(c.random.Int64N(int64(150*time.Millisecond))))
		c.killAny(1) // the youngest
		return "just begun"
	case n < 25:
		pause(c.t.Context(), time.Duration(c.random.Int64N(int64(300*time.Millisecond))))
		c.killAny(processes)
		return "any moment"
	}
	d := c.doom()
	c.service.condemn(d)
	select {
	case <-d.struck:
		return d.call + " " + d.phase
	case <-time.After(patience):
	}
	if !c.service.pardon(d) {
		<-d.struck
		return d.call + " " + d.phase
	}
	c.killAny(processes)
	return "any moment"
}

func (c *crew) doom() *doom {
	calls := []string{"create", "create", "get", "list", "result"}
	phases := []string{unheard, unanswered, answered, answered}
	d := &doom{call: calls[c.random.IntN(len(calls))], phase: phases[c.random.IntN(len(phases))], struck: make(chan struct{}), kill: c.kill}
	if d.call == "result" && c.random.IntN(3) == 0 {
		d.phase = halved
	}
	if d.phase == answered {
		d.delay = time.Duration(c.random.Int64N(int64(25 * time.Millisecond)))
	}
	return d
}

// killAny kills one of the youngest.
func (c *crew) killAny(youngest int) {
	for {
		c.mu.Lock()
		names := slices.Sorted(maps.Keys(c.alive))
		c.mu.Unlock()
		if c.t.Failed() {
			return
		}
		if len(names) == 0 {
			continue
		}
		names = names[max(0, len(names)-youngest):]
		if c.kill(names[c.random.IntN(len(names))]) {
			return
		}
	}
}

// toll tells where the kills came.
func (c *crew) toll() string {
	var all []string
	for _, step := range slices.Sorted(maps.Keys(c.steps)) {
		all = append(all, fmt.Sprintf("%s %d", step, c.steps[step]))
	}
	return strings.Join(all, ", ")
}
