package tools

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Each notification is above the one before, whatever the service says, and counts what the first one counted.
func TestProgressOnlyRises(t *testing.T) {
	after := func(change time.Duration, before, then int) func(time.Duration) int {
		return func(d time.Duration) int {
			if d < change {
				return before
			}
			return then
		}
	}
	const waiting = "still waiting for news of this task"
	for name, tt := range map[string]struct {
		percent func(time.Duration) int
		total   any
		told    []float64
		last    string
	}{
		"the service tells nothing":       {after(0, 0, 0), nil, []float64{5, 10, 15, 20}, waiting},
		"it tells more and more":          {func(d time.Duration) int { return int(d.Seconds()) * 4 }, 100, []float64{20, 40, 60, 80}, "the service says that 80 % are done"},
		"it says the same":                {after(0, 0, 50), 100, []float64{50, 50.05, 50.09995, 50.14985}, "the service says that 50 % are done"},
		"it says less":                    {after(12*time.Second, 50, 20), 100, []float64{50, 50.05, 50.09995, 50.14985}, "the service says that 20 % are done"},
		"it says no more":                 {after(12*time.Second, 30, 0), 100, []float64{30, 30.07, 30.13993, 30.20979}, "the service says that 30 % are done"},
		"it says all before the end":      {after(0, 0, 100), 100, []float64{99, 99.001, 99.002, 99.002997}, "the service says that 100 % are done"},
		"it begins when seconds are told": {after(8*time.Second, 0, 60), nil, []float64{5, 10, 15, 20}, waiting},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var told []float64
				var last any
				stop := progress(func(params map[string]any) {
					require.Equal(t, tt.total, params["total"])
					switch at := params["progress"].(type) {
					case int:
						told = append(told, float64(at))
					case float64:
						told = append(told, at)
					}
					last = params["message"]
				}, func() int { return tt.percent(time.Since(began)) })
				time.Sleep(22 * time.Second)
				stop()
				require.Len(t, told, len(tt.told))
				require.InDeltaSlice(t, tt.told, told, 1e-5)
				require.IsIncreasing(t, told)
				require.Equal(t, tt.last, last)
			})
		})
	}
}
