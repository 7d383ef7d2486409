package killtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// A release is rolled out: one replica after the other is asked to end, while people buy all the time.
func TestNoCallFailsWhenReplicasAreReplacedInOrder(t *testing.T) {
	t.Parallel()
	const restEvery = time.Second
	restarts := 3
	if *replicas > 0 {
		restarts = 10
	}
	f := newFleet(t, 2, simulator.Options{Speed: 30, Concurrent: 1000}, "R2V_POLL_INTERVAL=1s")
	until, enough := context.WithCancel(t.Context())
	defer enough()
	m := newMarket(until, f)
	m.each, f.service.boss.prompt = 2, untroubled
	traded := make(chan struct{})
	go func() { m.trade(); close(traded) }()
	var longest time.Duration
	for range restarts {
		pause(t.Context(), restEvery)
		oldest := f.balancer.living()[0]
		f.start()
		longest = max(longest, f.stop(oldest))
	}
	enough()
	<-traded
	all, failed := f.balancer.passed()
	t.Logf("restarts %d, calls %d, failed %d, the longest end took %.2f s; answers %v", restarts, len(all), len(failed), longest.Seconds(), m.said)
	for _, p := range failed {
		t.Logf("%s of %s at %s failed after %s: %v", p.tool, p.key, p.to.name, p.ended.Sub(p.began), p.failed)
	}
	require.Empty(t, failed)
	require.Zero(t, m.repeated)
	for said := range m.said {
		require.False(t, strings.Contains(said, "refused") && !strings.Contains(said, "NotPending"), said)
		require.NotContains(t, said, "UNKNOWN", "a purchase under way is finished")
	}
}

// untroubled makes prompts of clips that everything goes well with.
func untroubled(n int) string { return strings.Split(mishaps(n), " [[")[0] }
