package killtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/video"
)

const killEvery = 10 * time.Second

// Real processes, one PostgreSQL, a balancer, and people who buy all the time. Every ten seconds one replica is ended with -9.
func TestReplicasLoseAndDoubleNothingWhenOneIsKilled(t *testing.T) {
	if *replicas == 0 {
		t.Skip("it takes its time: -replicas 5m")
	}
	f := newFleet(t, 2, simulator.Options{Speed: 30, Concurrent: 1000}, "R2V_POLL_INTERVAL=1s")
	until, stop := context.WithCancel(t.Context())
	defer stop()
	m := newMarket(until, f)
	traded := make(chan struct{})
	began := time.Now()
	go func() { m.trade(); close(traded) }()
	kills := 0
	for ; !t.Failed() && kills < int(*replicas/killEvery); kills++ {
		moment := began.Add(time.Duration(kills+1) * killEvery)
		pause(t.Context(), time.Until(moment)-rand.N(time.Second))
		living := f.balancer.living()
		f.kill(living[rand.IntN(len(living))])
		f.start()
		pause(t.Context(), time.Until(moment))
	}
	stop()
	<-traded
	trading := time.Since(began)
	m.audit(kills)
	t.Logf("seconds %.0f of trade + %.0f until all was settled and looked at", trading.Seconds(), (time.Since(began) - trading).Seconds())
}

// living are the replicas that run.
func (b *balancer) living() []*replica {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*replica
	for _, m := range b.members {
		select {
		case <-m.gone:
		default:
			all = append(all, m.replica)
		}
	}
	return all
}

// audit waits until nothing is left to do, and holds the ledger, the folder and the balancer's book against the service's account.
func (m *market) audit(kills int) {
	t := m.t
	failures := m.failures()
	l := ledger.New(ledger.Options{DatabaseURL: m.database, Zone: time.UTC})
	defer l.Close()
	a := &audit{t: t, ledger: l, lost: failures, crew: &crew{t: t, service: m.service, worker: worker{Database: m.database, Videos: m.videos(), Log: m.log()}}}
	m.settle(a)
	m.again(a)
	a.read()
	a.purchases()
	a.clips()
	a.money()
	lost := 0
	for key, row := range a.rows {
		require.Equal(t, m.owners[key], row.Owner, "%s", key)
		require.Equal(t, m.ids[key], row.ID, "%s", key)
		if row.Status == video.Unknown {
			lost++
		}
	}
	all, failed := m.balancer.passed()
	perReplica := map[string]int{}
	for _, p := range all {
		perReplica[p.to.name]++
	}
	var rates map[string]int
	m.service.control(t, "rates", &rates)
	t.Logf("kills %d, calls %d by %d replicas, failed %d, all in flight on the killed one, sent again %d", kills, len(all), len(perReplica), len(failed), m.repeated)
	t.Logf("%s, killed before they were bought %d, most calls a second %v", a.summary(), lost, rates)
	for _, said := range slices.Sorted(maps.Keys(m.said)) {
		t.Logf("%6d %s", m.said[said], said)
	}
	for said := range m.said {
		if strings.Contains(said, "refused") && !strings.Contains(said, "cancel_task refused: NotPending") && !strings.Contains(said, "InternalError") {
			t.Errorf("nothing but a late cancellation is refused: %s", said)
		}
	}
	if t.Failed() {
		a.show()
	}
}

// failures holds every call that failed against the moment at which its replica was killed, and returns the keys of purchases
// among them.
func (m *market) failures() map[string]bool {
	all, failed := m.balancer.passed()
	keys := map[string]bool{}
	for _, p := range failed {
		if p.tool == "generate_r2v" {
			keys[p.key] = true
		}
		if !p.inFlight() {
			m.t.Errorf("%s of %s at %s failed from %s to %s, when nobody killed it: %v", p.tool, p.key, p.to.name, p.began, p.ended, p.failed)
		}
	}
	require.NotEmpty(m.t, all)
	require.Equal(m.t, len(failed), m.repeated, "the customers saw the failures that the balancer saw")
	return keys
}

// settle waits until every order is decided and every clip saved, as far as anybody can tell.
func (m *market) settle(a *audit) {
	var left []string
	for deadline := time.Now().Add(2 * settleTime); time.Now().Before(deadline); pause(m.t.Context(), 500*time.Millisecond) {
		a.read()
		left = nil
		for key, row := range a.rows {
			if bought := len(a.byPrompt[row.Request.Prompt]); !settled(&row, bought) {
				left = append(left, fmt.Sprintf("%s upstream %d: %s", key, bought, inShort(row)))
			}
		}
		if len(left) == 0 {
			return
		}
	}
	m.t.Errorf("not settled: %s", strings.Join(left, "\n"))
}

func settled(row *video.Task, bought int) bool {
	switch row.Status {
	case video.Succeeded:
		return row.SavedTo != ""
	case video.Failed, video.Canceled:
		return true
	case video.Unknown:
		return bought == 0
	}
	return false
}

// again sends every order once more: each must find what it bought.
func (m *market) again(a *audit) {
	var before, after map[string]int
	m.service.control(m.t, "counters", &before)
	for n := 1; n <= len(a.rows); n++ {
		j := m.service.job(n)
		if row := a.rows[j.Key]; row.ProviderTaskID != "" {
			got := m.buy(m.owners[j.Key], j)
			require.True(m.t, got.Replayed && got.Status == string(row.Status), "%s is %s: %+v", j.Key, row.Status, got)
		}
	}
	m.service.control(m.t, "counters", &after)
	require.Equal(m.t, before["create"], after["create"])
}

// The first replica buys, and is killed. Nobody calls the second one: the clip is saved all the same, with the usual settings.
func TestAReplicaTakesOverFromOneThatDied(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		phase    string // of the create at which the replica dies; none: after its answer
		slow     bool
		settings []string
	}{
		"bought, looked at each second":     {"", false, []string{"R2V_POLL_INTERVAL=1s"}},
		"bought, the usual settings":        {"", true, nil},
		"in flight, its answer is lost":     {unanswered, true, nil},
		"in flight, it dies with an answer": {answered, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.slow && *replicas == 0 {
				t.Skip("it takes a minute: -replicas")
			}
			f := newFleet(t, 2, simulator.Options{Speed: 100}, tt.settings...)
			m := newMarket(t.Context(), f)
			doomed := f.balancer.living()[1] // the balancer begins with it
			j := job{Key: "k", Prompt: "character1 waves"}
			if tt.phase == "" {
				require.NotEmpty(t, m.buy("anna", j).TaskID)
				f.kill(doomed)
			} else {
				f.service.condemn(&doom{call: "create", phase: tt.phase, struck: make(chan struct{}), kill: func(string) bool { f.kill(doomed); return true }})
				_, _ = m.send("anna", j.Key, "generate_r2v", m.arguments(j))
				<-doomed.gone
			}
			l := ledger.New(ledger.Options{DatabaseURL: f.database, Zone: time.UTC})
			defer l.Close()
			task := f.saved(l)
			t.Logf("saved %.1f s after the kill", time.Since(doomed.ended).Seconds())
			require.Less(t, time.Since(doomed.ended), time.Minute)
			require.Equal(t, video.Succeeded, task.Status)
			clip, err := os.ReadFile(task.SavedTo)
			require.NoError(t, err)
			require.Equal(t, "ftyp", string(clip[4:8]))
			var tasks []upstream
			f.service.control(t, "tasks", &tasks)
			require.Len(t, tasks, 1)
			all, _ := f.balancer.passed()
			require.True(t, len(all) == 1 && all[0].to == doomed, "nobody has called the other one")
			if again := m.buy("anna", j); !again.Replayed || again.TaskID != task.ID {
				t.Errorf("another answer: %+v", again)
			}
		})
	}
}

// saved waits for the only task's clip.
func (f *fleet) saved(l *ledger.Ledger) video.Task {
	f.t.Helper()
	for deadline := time.Now().Add(2 * settleTime); time.Now().Before(deadline); pause(f.t.Context(), 50*time.Millisecond) {
		tasks, _, err := l.List(f.t.Context(), video.Filter{Limit: 2, Everyone: true})
		require.NoError(f.t, err)
		if len(tasks) == 1 && tasks[0].SavedTo != "" {
			return tasks[0]
		}
	}
	require.Fail(f.t, "the clip is never saved")
	return video.Task{}
}
