package metrics

import (
	"context"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"r2v-mcp/internal/video"
)

const (
	// contentType is that of Prometheus' text format.
	contentType = "text/plain; version=0.0.4; charset=utf-8"
	// fresh is how long a count of the open tasks is good, so that scraping often costs the ledger nothing.
	fresh = 5 * time.Second
	// countTimeout is how long a scrape waits for the ledger: less than the ten seconds after which Prometheus gives up on all of it.
	countTimeout = 3 * time.Second
)

// Handler answers GET with all metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(m.text(r.Context()))
	})
}

func (m *Metrics) text(ctx context.Context) []byte {
	open, err := m.open.count(ctx)
	if err != nil {
		m.failures.of().add(1)
	}
	b := make([]byte, 0, 16<<10)
	b = m.build.write(b)
	b = m.calls.write(b)
	b = m.took.write(b)
	b = m.upstream.write(b)
	b = m.answered.write(b)
	b = writeOpen(b, open)
	b = m.lives.write(b)
	b = m.billed.write(b)
	b = m.estimate.write(b)
	b = m.saves.write(b)
	b = m.hints.write(b)
	b = m.told.write(b)
	b = m.failures.write(b)
	return m.process(b)
}

// writeOpen appends the gauge of open tasks, and nothing where they are not known.
func writeOpen(b []byte, open map[video.Status]int) []byte {
	if open == nil {
		return b
	}
	b = head(b, "r2v_tasks", "Tasks that have not ended, of all processes on the ledger, by status.", "gauge")
	for _, status := range video.Statuses() {
		n, told := open[status]
		if told || status == video.Pending || status == video.Running { // which are 0 where nobody tells of them
			b = line(b, "r2v_tasks", `status="`+string(status)+`"`, strconv.Itoa(n))
		}
	}
	return b
}

// process appends what operators ask of any program, under the names that Go programs commonly use. runtime.ReadMemStats stops the
// program for some microseconds of a scrape; package runtime/metrics does not, but costs every start 0.05 ms and more.
func (m *Metrics) process(b []byte) []byte {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	gauge := func(name, help string, value float64) {
		b = line(head(b, name, help, "gauge"), name, "", strconv.FormatFloat(value, 'f', -1, 64))
	}
	gauge("go_goroutines", "Goroutines that exist now.", float64(runtime.NumGoroutine()))
	gauge("go_memstats_heap_alloc_bytes", "Bytes of the heap that are in use or not collected yet.", float64(memory.HeapAlloc))
	gauge("process_start_time_seconds", "When the server began, in seconds since 1970.", float64(m.started.UnixMilli())/1000)
	if rss, ok := residentBytes(); ok {
		gauge("process_resident_memory_bytes", "Bytes of memory that the process has.", float64(rss))
	}
	if files, ok := openFiles(); ok {
		gauge("process_open_fds", "Files and connections that are open.", float64(files))
	}
	return b
}

// open remembers how many tasks are open, for a while.
type open struct {
	ask  func(context.Context) (map[video.Status]int, error) // nil when nobody counts
	turn chan struct{}                                       // full while somebody asks; guards what is below
	at   time.Time
	n    map[video.Status]int
	err  error
}

func newOpen(ask func(context.Context) (map[video.Status]int, error)) *open {
	return &open{ask: ask, turn: make(chan struct{}, 1)}
}

// count returns how many tasks are open, nil where nobody knows. An error is remembered as well: a ledger in trouble is not asked more.
func (o *open) count(ctx context.Context) (map[video.Status]int, error) {
	if o.ask == nil {
		return nil, nil
	}
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-o.turn }()
	if !o.at.IsZero() && time.Since(o.at) < fresh {
		return o.n, o.err
	}
	// Whoever hangs up leaves the answer to the next one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	n, err := o.ask(ctx)
	o.n, o.err, o.at = nil, err, time.Now()
	if err == nil {
		o.n = map[video.Status]int{}
		maps.Copy(o.n, n)
	}
	return o.n, o.err
}
