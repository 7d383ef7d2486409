// Package metrics counts what a server does, for Prometheus: calls, calls upstream, tasks, money and saved clips. No label names
// a person, a task, an address or anything else that callers can invent.
package metrics

import (
	"context"
	"time"

	"r2v-mcp/internal/video"
)

// Metrics are the counts of one server. All methods may be called by any number of goroutines.
type Metrics struct {
	started time.Time

	build    *family[*counter]
	calls    *family[*counter]
	took     *family[*histogram]
	upstream *family[*counter]
	answered *family[*histogram]
	lives    *family[*histogram]
	billed   *family[*amount]
	estimate *family[*amount]
	saves    *family[*counter]
	hints    *family[*counter]
	told     *family[*counter]
	failures *family[*counter]
	open     *open
}

// New returns the metrics of a server that begins now.
func New(version string) *Metrics {
	m := &Metrics{
		started: time.Now(),

		build: newCounters("r2v_build_info", "The version that runs.", "version"),
		calls: newCounters("r2v_calls_total", "Calls of tools, by how they ended.", "tool", "outcome"),
		took: newHistograms("r2v_call_duration_seconds", "How long calls of tools took, what they waited for included.",
			[]float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60}, "tool"),
		upstream: newCounters("r2v_upstream_calls_total", "Calls to the service, its own retries included in one, by what came of them.", "call", "outcome"),
		answered: newHistograms("r2v_upstream_call_duration_seconds", "How long calls to the service took, waiting for their turn and retries included.",
			[]float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}, "call"),
		lives: newHistograms("r2v_task_seconds", "How long tasks took from their claim to their end.",
			[]float64{15, 30, 60, 120, 180, 300, 450, 600, 900, 1800, 3600, 4 * 3600, 24 * 3600}, "status"),
		billed:   newAmounts("r2v_billed_total", "What ended tasks were billed, in the currency of the label.", "currency"),
		estimate: newAmounts("r2v_estimated_total", "What the tasks of r2v_billed_total were estimated at, at the most; 0 for those without a rate.", "currency"),
		saves:    newCounters("r2v_saves_total", "Attempts to save a clip, by whether they went well.", "outcome"),
		hints:    newCounters("r2v_hints_total", "Callbacks of the service's own, by what came of them.", "outcome"),
		told:     newCounters("r2v_callbacks_total", "Attempts to deliver a callback, by what came of them: delivered, failed, given_up.", "outcome"),
		failures: newCounters("r2v_scrape_errors_total", "Scrapes for which the open tasks could not be counted."),
		open:     newOpen(nil),
	}
	m.build.kind = "gauge" // that is always 1
	m.build.of(version).add(1)
	m.failures.of().add(0) // so that the first failure is seen as a change
	return m
}

// Call counts a call of a tool that is over: its outcome is "ok", "refused" or "failed".
func (m *Metrics) Call(tool, outcome string, took time.Duration) {
	m.calls.of(tool, outcome).add(1)
	m.took.of(tool).observe(took)
}

// Ended counts a task whose end has been recorded. Estimates count for tasks that are billed, and only then; a bill counts also where
// there was no rate to estimate it with.
func (m *Metrics) Ended(t video.Task) {
	ended := t.EndedAt
	if ended.IsZero() {
		ended = time.Now()
	}
	m.lives.of(string(t.Status)).observe(ended.Sub(t.CreatedAt))
	m.Billed(t)
}

// Billed counts the bill of a task, where it has one, and its estimate beside it. One whose end had its bill was counted with that.
func (m *Metrics) Billed(t video.Task) {
	currency := t.Currency
	if t.Estimate != nil {
		currency = t.Estimate.Currency
	}
	if t.Billed == nil || currency == "" || t.Billed.IsNegative() {
		return
	}
	m.billed.of(currency).add(*t.Billed)
	if t.Estimate != nil {
		m.estimate.of(currency).add(t.Estimate.High)
	}
}

// Hint counts a callback of the service's own: its outcome is "looked", "found", "ignored" or "refused".
func (m *Metrics) Hint(outcome string) { m.hints.of(outcome).add(1) }

// Called counts an attempt at a callback: its outcome is "delivered", "failed" or "given_up".
func (m *Metrics) Called(outcome string) { m.told.of(outcome).add(1) }

// CountOpen sets who counts the tasks that are open, by status. It is set before the first scrape, and asked once in
// five seconds at most; where it fails, r2v_tasks is left out and r2v_scrape_errors_total grows.
func (m *Metrics) CountOpen(count func(context.Context) (map[video.Status]int, error)) {
	m.open = newOpen(count)
}
