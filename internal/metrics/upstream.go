package metrics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// What came of a call to the service.
const (
	wentWell    = "ok"
	throttled   = "throttled"   // too fast, or too much at once
	refused     = "refused"     // the service said no
	broken      = "failed"      // the service said that it failed, or something that is no answer
	unreachable = "unreachable" // nothing could be sent
	unanswered  = "unanswered"  // it was sent, and no answer came; it cost nothing
	unknown     = "unknown"     // a purchase that may have cost money
	canceled    = "canceled"    // the caller went away first
	withheld    = "withheld"    // refused here: nothing was to be sent
)

// Provider wraps a provider so that each call of it is counted. One that has no key calls nobody and comes back as it is: there is
// nothing to count, and whoever asks what it is must find it.
func (m *Metrics) Provider(p provider.Provider) provider.Provider {
	if _, keyless := p.(provider.WithoutKey); keyless || p == nil {
		return p
	}
	return counted{to: p, m: m}
}

type counted struct {
	to provider.Provider
	m  *Metrics
}

// Create counts as "create".
func (c counted) Create(ctx context.Context, p provider.Purchase) (provider.Bought, error) {
	return watch(ctx, c.m, "create", func() (provider.Bought, error) { return c.to.Create(ctx, p) })
}

// Words are passed on.
func (c counted) Words() provider.Words { return c.to.Words() }

// Look counts as "look".
func (c counted) Look(ctx context.Context, id string) (video.Snapshot, error) {
	return watch(ctx, c.m, "look", func() (video.Snapshot, error) { return c.to.Look(ctx, id) })
}

// Bill counts as "bill".
func (c counted) Bill(ctx context.Context, id string, submitted time.Time) (*decimal.Decimal, error) {
	return watch(ctx, c.m, "bill", func() (*decimal.Decimal, error) { return c.to.Bill(ctx, id, submitted) })
}

// Cancel counts as "cancel".
func (c counted) Cancel(ctx context.Context, id string) error {
	_, err := watch(ctx, c.m, "cancel", func() (struct{}, error) { return struct{}{}, c.to.Cancel(ctx, id) })
	return err
}

// List counts as "list".
func (c counted) List(ctx context.Context, from, to time.Time, page int) (provider.Page, error) {
	return watch(ctx, c.m, "list", func() (provider.Page, error) { return c.to.List(ctx, from, to, page) })
}

// Upload counts as "upload".
func (c counted) Upload(ctx context.Context, model string, f provider.File) (provider.Uploaded, error) {
	return watch(ctx, c.m, "upload", func() (provider.Uploaded, error) { return c.to.Upload(ctx, model, f) })
}

// watch counts a call. One that crashes counts as unknown.
func watch[T any](ctx context.Context, m *Metrics, call string, do func() (T, error)) (T, error) {
	began, outcome := time.Now(), unknown
	defer func() {
		m.upstream.of(call, outcome).add(1)
		m.answered.of(call).observe(time.Since(began))
	}()
	v, err := do()
	outcome = outcomeOf(ctx, err)
	return v, err
}

// outcomeOf sorts the error of a provider. That money may be gone comes before everything else.
func outcomeOf(ctx context.Context, err error) string {
	if err == nil {
		return wentWell
	}
	e, ok := errors.AsType[*video.Error](err)
	if !ok || e.Charged == video.ChargedUnknown {
		return unknown
	}
	if (e.Code == "NotSent" || e.Code == "NoAnswer" || e.Code == "Unexpected") && errors.Is(ctx.Err(), context.Canceled) {
		return canceled
	}
	return byCode(e.Code)
}

// byCode sorts the codes of DashScope and of its adapter. A code that nobody has listed is a refusal.
// Source: https://www.alibabacloud.com/help/en/model-studio/error-code.
func byCode(code string) string {
	switch first, _, _ := strings.Cut(code, "."); first {
	case "NotSent":
		return unreachable
	case "NoAnswer", "Unexpected":
		return unanswered
	case "NoAPIKey", "ModelUnknown", "EmptyFile", "FileTooLarge":
		return withheld
	case "Throttling", "limit_requests":
		if code == "Throttling.AllocationQuota" { // a spent quota, which waiting does not mend
			return refused
		}
		return throttled
	case "InternalError", "SystemError", "RequestTimeOut", "ModelServiceFailed", "ModelServingError", "ModelUnavailable", "RewriteFailed", "WrongPage":
		return broken
	}
	status, isStatus := strings.CutPrefix(code, "HTTP ")
	switch {
	case isStatus && strings.HasPrefix(status, "429"):
		return throttled
	case isStatus && !strings.HasPrefix(status, "4"): // an answer without a code: of a gateway, or cut short
		return broken
	case isStatus && (strings.HasPrefix(status, "408") || strings.HasPrefix(status, "499")): // words about its delivery
		return unanswered
	}
	return refused
}
