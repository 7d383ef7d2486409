package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/metrics"
	"r2v-mcp/internal/video"
)

// scraped is what Prometheus reads, by family.
type scraped map[string]*dto.MetricFamily

func scrape(t *testing.T, m *metrics.Metrics) scraped {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, expfmt.TypeTextPlain, expfmt.ResponseFormat(w.Header()).FormatType())
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(w.Body.Bytes()))
	require.NoError(t, err, w.Body.String())
	for name, f := range families {
		require.NotEmpty(t, f.GetHelp(), name)
		require.NotEqual(t, dto.MetricType_UNTYPED, f.GetType(), name)
	}
	return families
}

// series returns the one series of a family with these labels, as name=value, nil where there is none.
func (s scraped) series(name string, labels ...string) *dto.Metric {
	for _, m := range s[name].GetMetric() {
		var has []string
		for _, l := range m.GetLabel() {
			has = append(has, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(has, " ") == strings.Join(labels, " ") {
			return m
		}
	}
	return nil
}

func (s scraped) counter(name string, labels ...string) float64 {
	return s.series(name, labels...).GetCounter().GetValue()
}

func TestPrometheusReadsEverything(t *testing.T) {
	m := everything(t)
	got := scrape(t, m)
	for name, kind := range map[string]dto.MetricType{
		"r2v_build_info": dto.MetricType_GAUGE, "r2v_calls_total": dto.MetricType_COUNTER, "r2v_call_duration_seconds": dto.MetricType_HISTOGRAM,
		"r2v_upstream_calls_total": dto.MetricType_COUNTER, "r2v_upstream_call_duration_seconds": dto.MetricType_HISTOGRAM,
		"r2v_tasks": dto.MetricType_GAUGE, "r2v_task_seconds": dto.MetricType_HISTOGRAM, "r2v_billed_total": dto.MetricType_COUNTER,
		"r2v_estimated_total": dto.MetricType_COUNTER, "r2v_saves_total": dto.MetricType_COUNTER, "r2v_scrape_errors_total": dto.MetricType_COUNTER,
		"r2v_hints_total":     dto.MetricType_COUNTER,
		"r2v_callbacks_total": dto.MetricType_COUNTER,
		"go_goroutines":       dto.MetricType_GAUGE, "go_memstats_heap_alloc_bytes": dto.MetricType_GAUGE, "process_start_time_seconds": dto.MetricType_GAUGE,
	} {
		require.NotNil(t, got[name], name)
		require.Equal(t, kind, got[name].GetType(), name)
	}
	require.Equal(t, 1.0, got.series("r2v_build_info", "version=1.2.3").GetGauge().GetValue())
	require.Positive(t, got.series("go_goroutines").GetGauge().GetValue())
	require.Positive(t, got.series("go_memstats_heap_alloc_bytes").GetGauge().GetValue())
	require.InDelta(t, time.Now().Unix(), got.series("process_start_time_seconds").GetGauge().GetValue(), 60)
}

func TestANewServerCountsNothingYet(t *testing.T) {
	got := scrape(t, metrics.New("dev"))
	require.Equal(t, 0.0, got.series("r2v_scrape_errors_total").GetCounter().GetValue())
	require.NotContains(t, got, "r2v_calls_total", "a family without series is not announced")
	require.NotContains(t, got, "r2v_tasks", "nobody counts")
}

// everything is a server that has done one of each.
func everything(t *testing.T) *metrics.Metrics {
	t.Helper()
	m := metrics.New("1.2.3")
	m.Call("get_task", "ok", time.Second)
	m.Called("delivered")
	m.CountOpen(func(context.Context) (map[video.Status]int, error) {
		return map[video.Status]int{video.Running: 3}, nil
	})
	bill := decimal.RequireFromString("0.5")
	m.Ended(video.Task{Snapshot: video.Snapshot{Status: video.Succeeded}, Billed: &bill, Estimate: &video.Cost{Currency: "USD"}})
	m.Hint("looked")
	_, err := m.Saves(saver{}).Save(t.Context(), "a", "u")
	require.NoError(t, err)
	_, err = m.Provider(&fake{}).Look(t.Context(), "a")
	require.NoError(t, err)
	return m
}

func TestHintsAreCounted(t *testing.T) {
	m := metrics.New("dev")
	for _, outcome := range []string{"looked", "ignored", "looked", "found", "refused"} {
		m.Hint(outcome)
	}
	got := scrape(t, m)
	for outcome, want := range map[string]float64{"looked": 2, "ignored": 1, "found": 1, "refused": 1} {
		require.Equal(t, want, got.counter("r2v_hints_total", "outcome="+outcome), outcome)
	}
}

func TestCallsAreCountedAndTimed(t *testing.T) {
	m := metrics.New("dev")
	m.Call("get_task", "ok", 2*time.Second)
	m.Call("get_task", "ok", 500*time.Millisecond) // on a bound: it belongs to it
	m.Call("get_task", "refused", time.Hour)
	m.Call("get_task", "failed", -time.Second)
	m.Call("estimate_cost", "ok", time.Millisecond)
	got := scrape(t, m)
	require.Equal(t, 2.0, got.counter("r2v_calls_total", "tool=get_task", "outcome=ok"))
	require.Equal(t, 1.0, got.counter("r2v_calls_total", "tool=get_task", "outcome=refused"))
	require.Equal(t, 1.0, got.counter("r2v_calls_total", "tool=estimate_cost", "outcome=ok"))
	h := got.series("r2v_call_duration_seconds", "tool=get_task").GetHistogram()
	require.Equal(t, uint64(4), h.GetSampleCount())
	require.Equal(t, 3602.5, h.GetSampleSum())
	at := map[float64]uint64{}
	last := uint64(0)
	for _, b := range h.GetBucket() {
		require.GreaterOrEqual(t, b.GetCumulativeCount(), last)
		last, at[b.GetUpperBound()] = b.GetCumulativeCount(), b.GetCumulativeCount()
	}
	require.Equal(t, []uint64{1, 1, 2, 2, 3, 3}, []uint64{at[0.005], at[0.1], at[0.5], at[1], at[2.5], at[60]})
	require.Equal(t, uint64(4), last, "the last bucket has no end")
}

// A label that goes wrong must not fill Prometheus.
func TestSeriesHaveAnEnd(t *testing.T) {
	m := metrics.New("dev")
	for i := range 1000 {
		m.Call("tool"+strings.Repeat("x", i), "ok", 0)
	}
	m.Call("a\"b\\c\nd\xff", "ok", 0)
	got := scrape(t, m)
	require.LessOrEqual(t, len(got["r2v_calls_total"].GetMetric()), 101)
	require.Equal(t, 901.0, got.counter("r2v_calls_total", "tool=other", "outcome=other"))
	odd := metrics.New("dev")
	odd.Call("a\"b\\c\nd\xff", "ok", 0)
	require.Equal(t, 1.0, scrape(t, odd).counter("r2v_calls_total", "tool=a\"b\\c\nd?", "outcome=ok"))
}

func TestEndedTasksCountTheirTimeAndTheirMoney(t *testing.T) {
	m := metrics.New("dev")
	began := time.Now()
	ended := func(status video.Status, took time.Duration, bill, high, currency string) {
		task := video.Task{CreatedAt: began, Snapshot: video.Snapshot{Status: status, EndedAt: began.Add(took)}}
		if bill != "" {
			d := decimal.RequireFromString(bill)
			task.Billed = &d
		}
		if high != "" {
			task.Estimate = &video.Cost{High: decimal.RequireFromString(high), Currency: currency}
		}
		m.Ended(task)
	}
	for range 10 {
		ended(video.Succeeded, 90*time.Second, "0.1", "0.3", "USD")
	}
	ended(video.Succeeded, time.Minute, "7", "7", "CNY")
	ended(video.Succeeded, time.Minute, "", "5", "USD")   // the bill is not known
	ended(video.Succeeded, time.Minute, "5", "", "")      // made elsewhere
	ended(video.Succeeded, time.Minute, "-1", "1", "USD") // a counter never falls
	ended(video.Failed, 5*time.Second, "", "5", "USD")    // costs nothing
	ended(video.Canceled, -5*time.Second, "", "", "")     // two clocks
	credits := decimal.RequireFromString("63.24")
	m.Ended(video.Task{CreatedAt: began, Currency: "credits", Billed: &credits, Snapshot: video.Snapshot{Status: video.Succeeded, EndedAt: began}}) // without a rate
	late := decimal.RequireFromString("0.25")
	m.Billed(video.Task{Billed: &late, Estimate: &video.Cost{High: decimal.RequireFromString("5"), Currency: "USD"}}) // known by now
	got := scrape(t, m)
	require.Equal(t, 1.25, got.counter("r2v_billed_total", "currency=USD"), "ten tenths are one")
	require.Equal(t, 8.0, got.counter("r2v_estimated_total", "currency=USD"))
	require.Equal(t, 7.0, got.counter("r2v_billed_total", "currency=CNY"))
	require.Equal(t, 63.24, got.counter("r2v_billed_total", "currency=credits"), "a bill counts without an estimate")
	require.Len(t, got["r2v_billed_total"].GetMetric(), 3)
	require.Len(t, got["r2v_estimated_total"].GetMetric(), 2)
	h := got.series("r2v_task_seconds", "status=SUCCEEDED").GetHistogram()
	require.Equal(t, []any{uint64(15), 10*90.0 + 4*60}, []any{h.GetSampleCount(), h.GetSampleSum()})
	require.Equal(t, 5.0, got.series("r2v_task_seconds", "status=FAILED").GetHistogram().GetSampleSum())
	require.Equal(t, 0.0, got.series("r2v_task_seconds", "status=CANCELED").GetHistogram().GetSampleSum())
}

func TestOpenTasksAreCountedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New("dev")
		asked, fails := 0, false
		m.CountOpen(func(ctx context.Context) (map[video.Status]int, error) {
			asked++
			_, hasEnd := ctx.Deadline()
			require.True(t, hasEnd)
			if fails {
				return nil, errors.New("the ledger is away")
			}
			return map[video.Status]int{video.Pending: 2, video.Unknown: 1, "NONSENSE": 5}, nil
		})
		gauge := func(s scraped, status string) float64 {
			return s.series("r2v_tasks", "status="+status).GetGauge().GetValue()
		}
		got := scrape(t, m)
		require.Equal(t, []float64{2, 0, 1}, []float64{gauge(got, "PENDING"), gauge(got, "RUNNING"), gauge(got, "UNKNOWN")})
		require.Len(t, got["r2v_tasks"].GetMetric(), 3)
		time.Sleep(4 * time.Second)
		fails = true
		require.Contains(t, scrape(t, m), "r2v_tasks")
		require.Equal(t, 1, asked)
		time.Sleep(2 * time.Second)
		got = scrape(t, m)
		require.NotContains(t, got, "r2v_tasks", "an old count is not shown as if it were new")
		require.Equal(t, 1.0, got.counter("r2v_scrape_errors_total"))
		require.Equal(t, 2.0, scrape(t, m).counter("r2v_scrape_errors_total"))
		require.Equal(t, 2, asked, "a ledger in trouble is not asked more often")
		time.Sleep(6 * time.Second)
		fails = false
		require.Contains(t, scrape(t, m), "r2v_tasks")
	})
}

// A ledger that hangs costs one scrape three seconds, and a scraper that hangs up spoils nothing.
func TestALedgerThatHangsHoldsNoScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New("dev")
		m.CountOpen(func(ctx context.Context) (map[video.Status]int, error) { <-ctx.Done(); return nil, ctx.Err() })
		began := time.Now()
		require.NotContains(t, scrape(t, m), "r2v_tasks")
		require.Equal(t, 3*time.Second, time.Since(began))

		m.CountOpen(func(ctx context.Context) (map[video.Status]int, error) { return map[video.Status]int{}, ctx.Err() })
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 { // whichever of turn and hang-up is seen first
			m.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodGet, "/metrics", nil))
		}
		require.Contains(t, scrape(t, m), "r2v_tasks")
	})
}

func TestMetricsAreOnlyRead(t *testing.T) {
	w := httptest.NewRecorder()
	metrics.New("dev").Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/metrics", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}

func TestNothingIsLostAmongMany(t *testing.T) {
	m := metrics.New("dev")
	bill := decimal.RequireFromString("0.01")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 250 {
				m.Call("get_task", "ok", time.Millisecond)
				m.Ended(video.Task{Snapshot: video.Snapshot{Status: video.Succeeded}, Billed: &bill, Estimate: &video.Cost{Currency: "USD"}})
			}
		})
	}
	for range 20 {
		scrape(t, m)
	}
	all.Wait()
	got := scrape(t, m)
	require.Equal(t, 2000.0, got.counter("r2v_calls_total", "tool=get_task", "outcome=ok"))
	require.Equal(t, 20.0, got.counter("r2v_billed_total", "currency=USD"))
}

func BenchmarkCall(b *testing.B) {
	m := metrics.New("dev")
	b.ReportAllocs()
	for b.Loop() {
		m.Call("get_task", "ok", 3*time.Millisecond)
	}
}

func BenchmarkCallFromMany(b *testing.B) {
	m := metrics.New("dev")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Call("get_task", "ok", 3*time.Millisecond)
		}
	})
}
