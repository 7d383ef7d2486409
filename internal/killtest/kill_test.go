package killtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/postgrestest"
	"r2v-mcp/internal/simulator"
)

const (
	processes  = 4
	roundKills = 200 // of one round: each has a ledger of its own and can be repeated alone
	// settleTime is how long unharmed processes may take to finish what the dead have left.
	settleTime = time.Minute
)

func TestNothingIsLostOrBoughtTwiceWhoeverIsKilled(t *testing.T) {
	rounds(t, *kills, func(*testing.T) string { return "" })
}

func TestNothingIsLostOrBoughtTwiceOnPostgreSQL(t *testing.T) {
	rounds(t, min(*kills, 40), func(t *testing.T) string { return postgrestest.Database(t) })
}

func rounds(t *testing.T, kills int, database func(*testing.T) string) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no kill -9")
	}
	first := chosenSeed()
	for i := 0; kills > 0; i++ {
		n := min(kills, roundKills)
		kills -= n
		seed := first + uint64(i)
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { round(t, seed, n, database(t)) })
		if !ok {
			t.Fatalf("to repeat: go test ./internal/killtest -run '%s' -count=1 -kills %d -seed %d", t.Name(), n, seed)
		}
	}
}

// round kills processes of one ledger, lets others finish, and looks at what became of it all.
func round(t *testing.T, seed uint64, kills int, database string) {
	began := time.Now()
	s := newService(t, simulator.Options{Speed: 1000, Unthrottled: true, Concurrent: 1000}, rand.New(rand.NewPCG(seed, 1)))
	c := newCrew(t, s, quick(), database)
	c.random = rand.New(rand.NewPCG(seed, 2))
	c.slaughter(kills)
	killing := time.Since(began)
	s.stopOrders()
	l := ledger.New(c.worker.ledgerOptions())
	defer l.Close()
	c.finish(l)
	a := audit{t: t, crew: c, ledger: l}
	a.all()
	t.Logf("kills %d, %s, seconds %.0f killing + %.0f", kills, a.summary(), killing.Seconds(), (time.Since(began) - killing).Seconds())
	t.Logf("killed at: %s", c.toll())
	if t.Failed() {
		a.show()
	}
}

// finish lets unharmed processes do what the dead have left.
func (c *crew) finish(l *ledger.Ledger) {
	c.mu.Lock()
	unharmed := slices.Collect(maps.Values(c.alive))
	c.mu.Unlock()
	deadline := time.Now().Add(settleTime)
	for !c.settled(l) && time.Now().Before(deadline) {
		pause(c.t.Context(), 50*time.Millisecond)
	}
	c.service.dismiss()
	for _, p := range unharmed {
		select {
		case <-p.gone:
			require.NoError(c.t, p.err)
		case <-time.After(settleTime):
			c.kill(p.name)
			c.t.Errorf("%s does not end", p.name)
		}
	}
}

// settled reports whether nothing is left to be done.
func (c *crew) settled(l *ledger.Ledger) bool {
	ctx := c.t.Context()
	if issued, bought := c.service.progress(); bought < issued {
		return false
	}
	open, err := l.Open(ctx)
	require.NoError(c.t, err)
	doubts, err := l.InDoubt(ctx)
	require.NoError(c.t, err)
	due, err := l.NextDue(ctx, true)
	require.NoError(c.t, err)
	return len(open)+len(doubts) == 0 && due.IsZero()
}
