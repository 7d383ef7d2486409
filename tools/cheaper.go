package tools

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// cheaper lists what would bring this request down to a limit, each by itself, or else resolution and duration together; empty
// when nothing is known to.
func (q *quote) cheaper(lead string, limit decimal.Decimal) string {
	r, m, e := q.report, q.report.Model, q.estimate
	var ways []string
	lowest := m.Resolutions[0]
	low := q.priceOf(lowest)
	if lowest == r.Request.Resolution {
		low = nil
	}
	if low != nil && within(e.Total.High, low, limit) {
		ways = append(ways, "resolution "+lowest)
	}
	if d := q.shorter(r.Price, limit); d > 0 {
		ways = append(ways, fmt.Sprintf("a duration of %d s or less", d))
	}
	if !e.Input.Known() && within(e.Total.Low, r.Price, limit) {
		ways = append(ways, "duration_seconds of each reference video, if they are short")
	}
	if shortest := m.Media["video"].Seconds.Min; len(e.Clips) > 0 && within(decimal.NewFromInt(int64(r.Request.Duration)+shortest), r.Price, limit) {
		ways = append(ways, "fewer or shorter reference videos")
	}
	if len(ways) == 0 && low != nil {
		if d := q.shorter(low, limit); d > 0 {
			ways = append(ways, fmt.Sprintf("resolution %s with a duration of %d s or less", lowest, d))
		}
	}
	if len(ways) == 0 {
		return ""
	}
	return lead + strings.Join(ways, ", or ")
}

// shorter is the longest duration below the request's that keeps to a limit, 0 when none does.
func (q *quote) shorter(price *video.Price, limit decimal.Decimal) int {
	m, req := q.report.Model, q.report.Request
	withVideo := false
	for _, ref := range req.References {
		withVideo = withVideo || ref.Kind == video.Video
	}
	for d := min(req.Duration-1, m.MaxDuration(withVideo)); d >= m.Duration.Min; d-- {
		if within(q.estimate.Input.High.Add(decimal.NewFromInt(int64(d))), price, limit) {
			return d
		}
	}
	return 0
}

func within(seconds decimal.Decimal, price *video.Price, limit decimal.Decimal) bool {
	return seconds.Mul(price.PerSecond).LessThanOrEqual(limit)
}
