package main_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

const (
	crowd       = 1000
	mostOfCrowd = 100 << 10 // kB
	looksMore   = 3         // how far the looks of two servers at the same pace may be apart
)

// memory is what the system says of a process's memory, in kB: at present, and at the most so far.
func memory(t *testing.T, pid int) (now, most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	read := func(name string) int {
		found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
		require.NotNil(t, found, name)
		kB, err := strconv.Atoi(string(found[1]))
		require.NoError(t, err)
		return kB
	}
	return read("VmRSS"), read("VmHWM")
}

// highest is the most that the memory of a process is until some time.
func highest(t *testing.T, pid int, until time.Time) int {
	t.Helper()
	look, end := time.NewTicker(50*time.Millisecond), time.After(time.Until(until))
	defer look.Stop()
	for high := 0; ; {
		now, _ := memory(t, pid)
		high = max(high, now)
		select {
		case <-look.C:
		case <-end:
			return high
		}
	}
}

// followed is a server with one task under way.
type followed struct {
	*site
	task  string
	looks atomic.Int32 // how often the service was asked for news
}

// followOne has a server follow a task, which the service has finished once it is over, and not before: how long a thousand callers take
// to come is the machine's affair.
func followOne(t *testing.T, over *atomic.Bool) *followed {
	t.Helper()
	f, sim := &followed{}, simulator.New(simulator.Options{Speed: 600, APIKey: canaryKey})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/tasks") {
			sim.ServeHTTP(w, r)
			return
		}
		f.looks.Add(1)
		said, ended := httptest.NewRecorder(), over.Load()
		sim.ServeHTTP(said, r)
		w.Header().Set("Content-Type", said.Header().Get("Content-Type"))
		w.WriteHeader(said.Code)
		text := said.Body.String()
		if !ended {
			text = strings.Replace(text, `"task_status":"SUCCEEDED"`, `"task_status":"RUNNING"`, 1)
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(upstream.Close)
	f.site = serveHTTP(t, append((&service{Server: upstream}).env(t.TempDir()), "R2V_RATE_LIMIT=off")...)
	f.task = f.gets("", "generate_r2v", waving("at many")).answer.TaskID
	return f
}

// crowd lets all call at once, and returns what waits for the last of their answers, and tells when it came.
func (f *followed) crowd(call string) (wait func() time.Time) {
	var waiting sync.WaitGroup
	answered, problems := make([]time.Time, crowd), make([]error, crowd)
	for i := range crowd {
		waiting.Go(func() {
			status, text, err := f.try(f.Context(), http.MethodPost, "/mcp", call)
			answered[i] = time.Now()
			if err == nil && (status != http.StatusOK || !strings.Contains(text, `"status":"SUCCEEDED"`)) {
				err = fmt.Errorf("%d %s", status, text)
			}
			problems[i] = err
		})
	}
	return func() time.Time {
		f.Helper()
		waiting.Wait()
		require.NoError(f, errors.Join(problems...))
		return slices.MaxFunc(answered, time.Time.Compare)
	}
}

// Two servers follow a task each, at the same time; a thousand callers wait for one of them, and one for the other.
func TestAThousandCallersWait(t *testing.T) {
	measured(t)
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	var over atomic.Bool
	alone, many := followOne(t, &over), followOne(t, &over)
	before, _ := memory(t, many.cmd.Process.Pid)
	idle, call := many.counted("go_goroutines"), callLine(7, "get_task", map[string]any{"task_id": many.task, "wait_seconds": 50})
	come := many.crowd(call)
	const each = 2 // goroutines of a connection whose request has been read
	require.Eventually(t, func() bool { return many.counted("go_goroutines") >= idle+each*crowd }, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, 1, many.calls(), "all of them wait: none is answered yet")
	during := highest(t, many.cmd.Process.Pid, time.Now().Add(2*time.Second))
	ends := time.Now()
	over.Store(true)
	require.Equal(t, "SUCCEEDED", alone.gets("", "get_task", map[string]any{"task_id": alone.task, "wait_seconds": 50}).answer.Status)
	took := come().Sub(ends)
	again := time.Now() // how long as many answers take of which none is waited for: the machine may be slow, or busy
	plain := many.crowd(call)().Sub(again)
	_, most := memory(t, many.cmd.Process.Pid)
	t.Logf("%d callers were answered within %v of the end, and in %v when all was over; memory: %d kB before, %d kB while they waited, %d kB at the most; the service was asked %d times, and %d times for the other task",
		crowd, took.Round(time.Millisecond), plain.Round(time.Millisecond), before, during, most, many.looks.Load(), alone.looks.Load())
	require.Less(t, during, mostOfCrowd)
	require.Less(t, took, max(time.Second, 2*plain))
	require.LessOrEqual(t, many.looks.Load(), alone.looks.Load()+looksMore)
}
