package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	upstream *service
	task     string
	looks    atomic.Int32 // how often the service was asked for news
}

func followOne(t *testing.T) *followed {
	t.Helper()
	f := &followed{}
	f.upstream = newService(t, 40, func(r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/tasks") {
			f.looks.Add(1)
		}
	})
	f.site = serveHTTP(t, append(f.upstream.env(t.TempDir()), "R2V_RATE_LIMIT=off")...)
	f.task = f.gets("", "generate_r2v", waving("at many")).answer.TaskID
	return f
}

// ends is when the service has finished the task.
func (f *followed) ends() time.Time {
	f.Helper()
	resp, err := http.Get(f.upstream.URL + "/control/tasks")
	require.NoError(f, err)
	defer resp.Body.Close()
	var tasks []struct{ Ends time.Time }
	require.NoError(f, json.NewDecoder(resp.Body).Decode(&tasks))
	require.Len(f, tasks, 1)
	return tasks[0].Ends
}

// Two servers follow a task each, at the same time; a thousand callers wait for one of them, and one for the other.
func TestAThousandCallersWait(t *testing.T) {
	measured(t)
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	alone, many := followOne(t), followOne(t)
	before, _ := memory(t, many.cmd.Process.Pid)
	idle, call := many.counted("go_goroutines"), callLine(7, "get_task", map[string]any{"task_id": many.task, "wait_seconds": 50})
	var waiting sync.WaitGroup
	answered, problems := make([]time.Time, crowd), make([]error, crowd)
	for i := range crowd {
		waiting.Go(func() {
			status, text, err := many.try(t.Context(), http.MethodPost, "/mcp", call)
			answered[i] = time.Now()
			if err == nil && (status != http.StatusOK || !strings.Contains(text, `"status":"SUCCEEDED"`)) {
				err = fmt.Errorf("%d %s", status, text)
			}
			problems[i] = err
		})
	}
	const each = 2 // goroutines of a connection whose request has been read
	require.Eventually(t, func() bool { return many.counted("go_goroutines") >= idle+each*crowd }, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, 1, many.calls(), "all of them wait: none is answered yet")
	during := highest(t, many.cmd.Process.Pid, many.ends())
	require.Equal(t, "SUCCEEDED", alone.gets("", "get_task", map[string]any{"task_id": alone.task, "wait_seconds": 50}).answer.Status)
	waiting.Wait()
	require.NoError(t, errors.Join(problems...))
	took := slices.MaxFunc(answered, time.Time.Compare).Sub(many.ends())
	_, most := memory(t, many.cmd.Process.Pid)
	t.Logf("%d callers were answered within %v of the end; memory: %d kB before, %d kB while they waited, %d kB at the most; the service was asked %d times, and %d times for the other task",
		crowd, took.Round(time.Millisecond), before, during, most, many.looks.Load(), alone.looks.Load())
	require.Less(t, during, mostOfCrowd)
	require.Less(t, took, time.Second)
	require.LessOrEqual(t, many.looks.Load(), alone.looks.Load()+looksMore)
}
