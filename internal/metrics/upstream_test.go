package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/metrics"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
)

// fake is a provider whose every call waits and ends as it is told.
type fake struct {
	takes time.Duration
	err   error
	crash bool
	got   []any
}

func (f *fake) call(args ...any) error {
	f.got = args
	if f.takes > 0 {
		time.Sleep(f.takes)
	}
	if f.crash {
		panic("crashed")
	}
	return f.err
}

func (f *fake) Words() provider.Words { return provider.Words{} }
func (f *fake) Create(_ context.Context, p provider.Purchase) (provider.Bought, error) {
	return provider.Bought{ID: "id"}, f.call(p.Request)
}
func (f *fake) Look(_ context.Context, id string) (video.Snapshot, error) {
	return video.Snapshot{Prompt: "p"}, f.call(id)
}
func (f *fake) Bill(_ context.Context, id string, submitted time.Time) (*decimal.Decimal, error) {
	return &decimal.Zero, f.call(id, submitted)
}
func (f *fake) Cancel(_ context.Context, id string) error { return f.call(id) }
func (f *fake) List(_ context.Context, from, to time.Time, page int) (provider.Page, error) {
	return provider.Page{Total: 7}, f.call(from, to, page)
}
func (f *fake) Upload(_ context.Context, model string, file provider.File) (provider.Uploaded, error) {
	return provider.Uploaded{URL: "oss://a"}, f.call(model, file)
}

// calls makes each call of a provider once.
func calls(ctx context.Context, p provider.Provider) map[string]func() error {
	return map[string]func() error{
		"create": func() error {
			_, err := p.Create(ctx, provider.Purchase{Request: video.Request{Model: "wan2.7-r2v"}})
			return err
		},
		"look":   func() error { _, err := p.Look(ctx, "a"); return err },
		"bill":   func() error { _, err := p.Bill(ctx, "a", time.Now()); return err },
		"cancel": func() error { return p.Cancel(ctx, "a") },
		"list":   func() error { now := time.Now(); _, err := p.List(ctx, now.Add(-time.Hour), now, 1); return err },
		"upload": func() error { _, err := p.Upload(ctx, "wan2.7-r2v", provider.File{}); return err },
	}
}

func TestEachCallUpstreamIsCountedAndTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "InvalidParameter"}}
		m := metrics.New("dev")
		inner := &fake{takes: 2 * time.Second}
		p := m.Provider(inner)
		for name, call := range calls(t.Context(), p) {
			inner.err = nil
			require.NoError(t, call(), name)
			inner.err = failure
			require.ErrorIs(t, call(), failure, name)
		}
		got := scrape(t, m)
		for name := range calls(t.Context(), p) {
			require.Equal(t, 1.0, got.counter("r2v_upstream_calls_total", "call="+name, "outcome=ok"), name)
			require.Equal(t, 1.0, got.counter("r2v_upstream_calls_total", "call="+name, "outcome=refused"), name)
			require.Equal(t, 4.0, got.series("r2v_upstream_call_duration_seconds", "call="+name).GetHistogram().GetSampleSum(), name)
		}
	})
}

func TestWhatIsAskedAndAnsweredPassesUnchanged(t *testing.T) {
	inner := &fake{}
	p := metrics.New("dev").Provider(inner)
	ctx := t.Context()
	bought, _ := p.Create(ctx, provider.Purchase{Request: video.Request{Prompt: "x"}})
	require.Equal(t, []any{"id", []any{video.Request{Prompt: "x"}}}, []any{bought.ID, inner.got})
	snapshot, _ := p.Look(ctx, "a")
	require.Equal(t, []any{"p", []any{"a"}}, []any{snapshot.Prompt, inner.got})
	bill, _ := p.Bill(ctx, "c", time.Unix(3, 0))
	require.Equal(t, []any{&decimal.Zero, []any{"c", time.Unix(3, 0)}}, []any{bill, inner.got})
	require.NoError(t, p.Cancel(ctx, "b"))
	require.Equal(t, []any{"b"}, inner.got)
	from, to := time.Unix(1, 0), time.Unix(2, 0)
	page, _ := p.List(ctx, from, to, 3)
	require.Equal(t, []any{7, []any{from, to, 3}}, []any{page.Total, inner.got})
	file := provider.File{Name: "n", Size: 1}
	up, _ := p.Upload(ctx, "m", file)
	require.Equal(t, []any{"oss://a", []any{"m", file}}, []any{up.URL, inner.got})
}

// The tracker asks whether its provider is without a key.
func TestAProviderWithoutAKeyIsStillKnown(t *testing.T) {
	m := metrics.New("dev")
	p := m.Provider(provider.WithoutKey{})
	_, keyless := p.(provider.WithoutKey)
	require.True(t, keyless)
	for _, call := range calls(t.Context(), p) {
		require.Error(t, call())
	}
	require.NotContains(t, scrape(t, m), "r2v_upstream_calls_total", "nothing went anywhere")
	require.Nil(t, m.Provider(nil))
}

func TestACrashIsCountedAndGoesOn(t *testing.T) {
	m := metrics.New("dev")
	p := m.Provider(&fake{crash: true})
	require.PanicsWithValue(t, "crashed", func() { _, _ = p.Create(t.Context(), provider.Purchase{}) })
	require.Panics(t, func() { _, _ = m.Saves(saver{crash: true}).Save(t.Context(), "a", "u") })
	got := scrape(t, m)
	require.Equal(t, 1.0, got.counter("r2v_upstream_calls_total", "call=create", "outcome=unknown"))
	require.Equal(t, 1.0, got.counter("r2v_saves_total", "outcome=failed"))
}

// answering is the real adapter, whose service answers everything alike; with a status of 0 no connection to it is had.
func answering(t *testing.T, status int, body string) *provider.DashScope {
	t.Helper()
	transport := simulatortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	if status == 0 {
		transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody is there") }}
	}
	client, err := dashscope.New(dashscope.Config{BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test", Region: "beijing", HTTPClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	return provider.NewDashScope(client, catalogue)
}

// The errors are those that the real adapter makes of real answers.
func TestEveryKindOfErrorHasItsOutcome(t *testing.T) {
	for _, tt := range []struct {
		status               int
		code                 string
		create, look, upload string
	}{
		{400, "InvalidParameter", "refused", "refused", "withheld"},
		{400, "DataInspectionFailed", "refused", "refused", "withheld"},
		{400, "Arrearage", "refused", "refused", "withheld"},
		{401, "InvalidApiKey", "refused", "refused", "withheld"},
		{403, "AccessDenied.Unpurchased", "refused", "refused", "withheld"},
		{404, "ModelNotFound", "refused", "refused", "withheld"},
		{404, "", "refused", "refused", "withheld"},
		{400, "SomethingNew", "refused", "refused", "withheld"},
		{429, "Throttling.RateQuota", "throttled", "throttled", "withheld"},
		{429, "limit_requests", "throttled", "throttled", "withheld"},
		{429, "", "throttled", "throttled", "withheld"},
		{429, "Throttling.AllocationQuota", "refused", "refused", "withheld"},
		{429, "insufficient_quota", "refused", "refused", "withheld"},
		{500, "InternalError", "unknown", "failed", "withheld"},
		{503, "ModelUnavailable", "unknown", "failed", "withheld"},
		{502, "", "unknown", "failed", "withheld"},
		{408, "", "unknown", "unanswered", "withheld"},
		{499, "", "unknown", "unanswered", "withheld"},
		{200, "InternalError.Algo", "unknown", "failed", "withheld"},
		{0, "", "unreachable", "unreachable", "withheld"},
	} {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := ""
				if tt.code != "" {
					body = `{"code":"` + tt.code + `","message":"said the service","request_id":"r"}`
				}
				m := metrics.New("dev")
				asked := calls(t.Context(), m.Provider(answering(t, tt.status, body)))
				delete(asked, "bill") // DashScope is not asked for it
				for _, call := range asked {
					require.Error(t, call())
				}
				got := scrape(t, m)
				for call, outcome := range map[string]string{"create": tt.create, "look": tt.look, "list": tt.look, "cancel": tt.look, "upload": tt.upload} {
					require.Equal(t, 1.0, got.counter("r2v_upstream_calls_total", "call="+call, "outcome="+outcome), "%s: %v", call, got["r2v_upstream_calls_total"])
				}
				require.Len(t, got["r2v_upstream_calls_total"].GetMetric(), 5)
			})
		})
	}
}

// Errors that no one answer makes.
func TestErrorsBesideTheAnswers(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	known := func(code string, charged video.Charged) error {
		return fmt.Errorf("wrapped: %w", &video.Error{Charged: charged, Failure: video.Failure{Code: code}})
	}
	for _, tt := range []struct {
		ctx     context.Context
		err     error
		outcome string
	}{
		{t.Context(), errors.New("of no kind"), "unknown"},
		{t.Context(), known("NoAnswer", video.ChargedUnknown), "unknown"},
		{gone, known("NoAnswer", video.ChargedUnknown), "unknown"}, // the money comes first
		{gone, known("NotSent", video.NotCharged), "canceled"},
		{gone, known("NoAnswer", video.NotCharged), "canceled"},
		{gone, known("Unexpected", video.NotCharged), "canceled"},
		{gone, known("InvalidParameter", video.NotCharged), "refused"},
		{t.Context(), known("NotSent", video.NotCharged), "unreachable"},
		{t.Context(), known("NoAnswer", video.NotCharged), "unanswered"},
		{t.Context(), known("NotPending", video.NotCharged), "refused"},
		{t.Context(), known("WrongPage", video.NotCharged), "failed"},
		{t.Context(), known("ModelUnknown", video.NotCharged), "withheld"},
		{t.Context(), known("FileTooLarge", video.NotCharged), "withheld"},
		{t.Context(), known("HTTP 200 OK", video.NotCharged), "failed"},
	} {
		m := metrics.New("dev")
		_, _ = m.Provider(&fake{err: tt.err}).Create(tt.ctx, provider.Purchase{})
		require.Equal(t, 1.0, scrape(t, m).counter("r2v_upstream_calls_total", "call=create", "outcome="+tt.outcome), "%v", tt.err)
	}
}

type saver struct {
	err   error
	crash bool
}

func (s saver) Save(_ context.Context, name, url string) (video.Clip, error) {
	if s.crash {
		panic("crashed")
	}
	return video.Clip{Path: name + url}, s.err
}

func TestSavesAreCounted(t *testing.T) {
	m := metrics.New("dev")
	full := errors.New("the disk is full")
	for _, want := range []error{nil, nil, full} {
		got, err := m.Saves(saver{err: want}).Save(t.Context(), "a", "u")
		require.Equal(t, want, err)
		require.Equal(t, video.Clip{Path: "au"}, got)
	}
	require.Nil(t, m.Saves(nil), "nobody saves")
	s := scrape(t, m)
	require.Equal(t, []float64{2, 1}, []float64{s.counter("r2v_saves_total", "outcome=ok"), s.counter("r2v_saves_total", "outcome=failed")})
}

func TestTheProcessIsDescribedOnLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("read from /proc")
	}
	got := scrape(t, metrics.New("dev"))
	require.Greater(t, got.series("process_resident_memory_bytes").GetGauge().GetValue(), 1e6)
	require.GreaterOrEqual(t, got.series("process_open_fds").GetGauge().GetValue(), 3.0)
}
