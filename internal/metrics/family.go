package metrics

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"
)

const (
	// mostSeries is how many series one family has at the most. There are never so many, unless a label is not what it should be.
	mostSeries = 100
	// elsewhere is the label of what comes after them.
	elsewhere = "other"
)

// values are those of a family's labels: two at the most, so that a map can be asked without an allocation.
type values [2]string

// series is one line, or one group of lines, of a family. name is without the braces, labels are what goes between them.
type series interface {
	write(b []byte, name, labels string) []byte
}

// family is a metric with all its series.
type family[S series] struct {
	name, help, kind string
	labels           []string
	fresh            func() S

	mu  sync.RWMutex
	all map[values]S
}

func newFamily[S series](name, help, kind string, fresh func() S, labels ...string) *family[S] {
	return &family[S]{name: name, help: help, kind: kind, labels: labels, fresh: fresh, all: map[values]S{}}
}

func newCounters(name, help string, labels ...string) *family[*counter] {
	return newFamily(name, help, "counter", func() *counter { return &counter{} }, labels...)
}

func newAmounts(name, help string, labels ...string) *family[*amount] {
	return newFamily(name, help, "counter", func() *amount { return &amount{} }, labels...)
}

// newHistograms takes the upper bounds of the buckets in seconds, ascending.
func newHistograms(name, help string, bounds []float64, labels ...string) *family[*histogram] {
	fresh := func() *histogram { return &histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)} }
	return newFamily(name, help, "histogram", fresh, labels...)
}

// of returns the series with these values of the labels.
func (f *family[S]) of(labels ...string) S {
	var key values
	copy(key[:], labels)
	f.mu.RLock()
	s, ok := f.all[key]
	f.mu.RUnlock()
	if ok {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) >= mostSeries {
		for i := range f.labels {
			key[i] = elsewhere
		}
	}
	if s, ok = f.all[key]; !ok {
		s = f.fresh()
		f.all[key] = s
	}
	return s
}

// write appends the family in Prometheus' text format, its series in order, and nothing where it has none.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
func (f *family[S]) write(b []byte) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if len(f.all) == 0 {
		return b
	}
	b = head(b, f.name, f.help, f.kind)
	keys := make([]values, 0, len(f.all))
	for key := range f.all {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b values) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		pairs := make([]string, 0, len(f.labels))
		for i, name := range f.labels {
			pairs = append(pairs, name+`="`+escape(key[i])+`"`)
		}
		b = f.all[key].write(b, f.name, strings.Join(pairs, ","))
	}
	return b
}

func head(b []byte, name, help, kind string) []byte {
	return append(b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// line appends one sample.
func line(b []byte, name, labels, value string) []byte {
	if labels != "" {
		name += "{" + labels + "}"
	}
	return append(b, name+" "+value+"\n"...)
}

// escape writes a label's value as the format wants it.
func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(value, "?"))
}

// counter counts whole things.
type counter struct{ n atomic.Uint64 }

func (c *counter) add(n uint64) { c.n.Add(n) }

func (c *counter) write(b []byte, name, labels string) []byte {
	return line(b, name, labels, strconv.FormatUint(c.n.Load(), 10))
}

// amount adds up money, exactly.
type amount struct {
	mu  sync.Mutex
	sum decimal.Decimal
}

func (a *amount) add(d decimal.Decimal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sum = a.sum.Add(d)
}

func (a *amount) write(b []byte, name, labels string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return line(b, name, labels, a.sum.String())
}

// histogram counts durations by how long they are.
type histogram struct {
	bounds []float64       // seconds, ascending
	counts []atomic.Uint64 // one for each bound, and one for what is beyond the last
	sum    atomic.Int64    // nanoseconds: 292 years
}

// observe counts a duration. One below zero, between two clocks, is none.
func (h *histogram) observe(d time.Duration) {
	d = max(d, 0)
	at, _ := slices.BinarySearch(h.bounds, d.Seconds()) // the first bound that is not below it: bounds are inclusive
	h.counts[at].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) write(b []byte, name, labels string) []byte {
	before, total := labels, uint64(0)
	if before != "" {
		before += ","
	}
	for i := range h.counts {
		le := "+Inf"
		if i < len(h.bounds) {
			le = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		total += h.counts[i].Load()
		b = line(b, name+"_bucket", before+`le="`+le+`"`, strconv.FormatUint(total, 10))
	}
	b = line(b, name+"_sum", labels, strconv.FormatFloat(time.Duration(h.sum.Load()).Seconds(), 'f', -1, 64))
	return line(b, name+"_count", labels, strconv.FormatUint(total, 10))
}
