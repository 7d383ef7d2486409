package tracker_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// keeper saves at once.
type keeper struct{}

func (keeper) Save(_ context.Context, name, _ string) (video.Clip, error) {
	return video.Clip{Path: "/clips/" + name}, nil
}

// bill settles what a task costs: its own answer tells it from then on.
func (r *relay) bill(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, d := r.tasks[id], decimal.NewFromInt(34)
	s.Bill = &d
	r.tasks[id] = s
}

// endedAlone makes a clip whose end tells no bill.
func endedAlone(t *testing.T, tr *tracker.Tracker, r *relay, prompt string) video.Task {
	t.Helper()
	task := create(t, tr, hooked(t, prompt))
	time.Sleep(20 * time.Second)
	r.endAlone(task.ProviderTaskID, video.Succeeded)
	for known(t, tr, task.ID).Status != video.Succeeded {
		time.Sleep(100 * time.Millisecond)
	}
	return task
}

// billedAfter is how long it takes from now until a clip's bill is known.
func billedAfter(t *testing.T, tr *tracker.Tracker, id string) time.Duration {
	t.Helper()
	began := time.Now()
	for known(t, tr, id).Billed == nil && time.Since(began) < 26*time.Hour {
		time.Sleep(time.Second)
	}
	return time.Since(began)
}

func TestABillIsHadSoonHoweverManyLackTheirs(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.Saver, tr.PollInterval = keeper{}, 5*time.Minute
		for i := range 60 {
			task := ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i))
			r.endAlone(task.ProviderTaskID, video.Succeeded)
		}
		run(t, tr)
		time.Sleep(time.Hour)
		task := endedAlone(t, tr, r, "Image 1 is new")
		r.bill(task.ProviderTaskID)
		require.Less(t, billedAfter(t, tr, task.ID), time.Minute)
		r.spaced(t)
	})
}

func TestAClockThatIsSetBackKeepsNoBillFromBeingKnown(t *testing.T) {
	for _, back := range []time.Duration{50 * time.Minute, 3 * time.Hour} {
		inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
			stop := run(t, tr)
			task := endedAlone(t, tr, r, "Image 1 waves")
			time.Sleep(20 * time.Second)
			stop()
			setBack(t, tr, back)
			changeLedger(t, tr, "UPDATE r2v_task SET ended_at = ended_at + $1, bill_due_at = bill_due_at + $1", back.Microseconds())
			r.bill(task.ProviderTaskID)
			again, _ := overRelay(t, tr.Ledger.Path, r)
			run(t, again)
			require.Less(t, billedAfter(t, tr, task.ID), 61*time.Minute, "a time up to an hour ahead is believed")
		})
	}
}

func changeLedger(t *testing.T, tr *tracker.Tracker, change string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", tr.Ledger.Path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), change, args...)
	require.NoError(t, err)
}

// stranger is the relay as a process sees it that it refuses, or that has another account.
type stranger struct {
	*relay
	asked *atomic.Int64
	err   error
}

func (s stranger) Look(context.Context, string) (video.Snapshot, error) {
	s.asked.Add(1)
	return video.Snapshot{Status: video.Unknown}, s.err
}

func refusedKey() error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "unauthorized", Message: "Invalid key"}}
}

// A process that cannot know a bill keeps nobody from it who can.
func TestABillIsKnownBesideAProcessThatMayNotAsk(t *testing.T) {
	for name, tt := range map[string]struct {
		account string
		err     error
	}{"a wrong key": {"ours", refusedKey()}, "another account": {"theirs", nil}, "a wrong key of another account": {"theirs", refusedKey()}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
				var asked atomic.Int64
				other, _ := overRelay(t, tr.Ledger.Path, r)
				tr.PollInterval, other.PollInterval = 5*time.Minute, 5*time.Minute
				other.Provider, other.Ledger.Account = stranger{r, &asked, tt.err}, tt.account
				run(t, other)
				run(t, tr)
				task := endedAlone(t, tr, r, "Image 1 waves")
				time.Sleep(2 * time.Hour)
				r.bill(task.ProviderTaskID)
				require.Less(t, billedAfter(t, tr, task.ID), 45*time.Minute, "pauses of half an hour, and some minutes where the other was first")
				require.Less(t, asked.Load(), int64(40))
			})
		})
	}
}

func TestAServiceThatRefusesIsSeldomAskedForBills(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.Saver, tr.PollInterval = keeper{}, 20*time.Second
		for i := range 20 {
			task := ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i))
			r.endAlone(task.ProviderTaskID, video.Succeeded)
		}
		stop := run(t, tr)
		time.Sleep(time.Minute)
		stop()
		var asked atomic.Int64
		other, _ := overRelay(t, tr.Ledger.Path, r)
		other.Provider, other.PollInterval = stranger{r, &asked, refusedKey()}, 10*time.Minute
		stop = run(t, other)
		time.Sleep(6 * time.Hour)
		stop()
		require.Greater(t, asked.Load(), int64(30))
		require.Less(t, asked.Load(), int64(120), "three in ten minutes")
		keyless, _ := overRelay(t, tr.Ledger.Path, r)
		keyless.Provider = provider.WithoutKey{Of: provider.EvoLinkWords()}
		reads := r.spaced(t)
		run(t, keyless)
		time.Sleep(time.Hour)
		require.Equal(t, reads, r.spaced(t))
	})
}

// Whether clips are saved or not, their end is told as soon as their bill is there.
func TestAnEndIsToldWithItsBill(t *testing.T) {
	for _, saver := range []tracker.Saver{nil, keeper{}} {
		inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
			tr.Saver = saver
			rec := calling(tr, delivered)
			run(t, tr)
			task := endedAlone(t, tr, r, "Image 1 waves")
			r.bill(task.ProviderTaskID)
			require.Less(t, billedAfter(t, tr, task.ID), 15*time.Second)
			time.Sleep(2 * time.Second)
			require.Len(t, rec.all(), 1)
			require.Contains(t, string(rec.all()[0].body), `"billed":"34"`)
			time.Sleep(time.Hour)
			require.Len(t, rec.all(), 1)
		})
	}
}

func TestALedgerThatFailsPutsNoBillOff(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		run(t, tr)
		task := endedAlone(t, tr, r, "Image 1 waves")
		r.bill(task.ProviderTaskID)
		changeLedger(t, tr, "ALTER TABLE r2v_task RENAME TO gone")
		time.Sleep(12 * time.Second)
		changeLedger(t, tr, "ALTER TABLE gone RENAME TO r2v_task")
		require.Less(t, billedAfter(t, tr, task.ID), time.Minute)
	})
}

func TestManyProcessesAskForBillsNoMoreThanOne(t *testing.T) {
	reads := map[int]int{}
	for _, n := range []int{1, 5} {
		inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
			tr.Saver, tr.ReadInterval, tr.PollInterval, r.slow = keeper{}, 0, 5*time.Minute, 300*time.Millisecond
			for i := range 10 {
				task := ordered(t, tr, fmt.Sprintf("Image 1 waves %d", i))
				r.endAlone(task.ProviderTaskID, video.Succeeded)
			}
			run(t, tr)
			for range n - 1 {
				other, _ := overRelay(t, tr.Ledger.Path, r)
				other.ReadInterval, other.PollInterval = 0, 5*time.Minute
				run(t, other)
			}
			time.Sleep(2 * time.Hour)
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, all := range r.reads {
				reads[n] += len(all)
			}
		})
	}
	require.InEpsilon(t, reads[1], reads[5], 0.1)
}

// The relay's list fails and wants to be left alone: whoever buys meanwhile has their clips as soon as ever.
func TestAListThatFailsHoldsUpNoClip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{Provider: simulator.EvoLink, APIKey: "k", Concurrent: 99})
		t.Cleanup(sim.Close)
		tr, _ := overRelay(t, filepath.Join(t.TempDir(), "ledger.db"), newRelay())
		wire := simulatortest.Transport(sim)
		var failing atomic.Bool
		var lists atomic.Int64
		client, err := evolink.New(evolink.Config{BaseURL: "http://127.0.0.1", APIKey: "k", HTTPClient: &http.Client{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
			if !failing.Load() || q.Method != http.MethodGet || q.URL.Path != "/v1/tasks" {
				return wire.RoundTrip(q)
			}
			lists.Add(1)
			return &http.Response{
				StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}, "Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"error":{"code":"rate_limit_exceeded","message":"later","type":"rate_limit_error"}}`)), Request: q,
			}, nil
		})}})
		require.NoError(t, err)
		whole, err := video.BuiltIn()
		require.NoError(t, err)
		models := whole.For("evolink")
		tr.Provider, tr.HintURL, tr.Saver = provider.NewEvoLink(client, models), "", keeper{}
		buy := func(prompt string) video.Task {
			report := models.Check(video.Request{Prompt: prompt, References: []video.Reference{{URL: "https://media.example/a.png"}}}, "evolink-simulator")
			require.Empty(t, report.Problems)
			return create(t, tr, video.Order{Request: report.Request, Fingerprint: report.Fingerprint()})
		}
		run(t, tr)
		for i := range 20 {
			buy(fmt.Sprintf("Image 1 waves %d [[fault:no-usage]]", i))
		}
		time.Sleep(2 * time.Hour)
		failing.Store(true)
		for i := range 5 {
			task, from := buy(fmt.Sprintf("Image 1 is new %d", i)), time.Now()
			for known(t, tr, task.ID).SavedTo == "" {
				time.Sleep(time.Second)
			}
			require.Less(t, time.Since(from), 5*time.Minute)
		}
		require.Less(t, lists.Load(), int64(100))
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func TestAClipIsSavedAsSoonAsItsEndIsSeen(t *testing.T) {
	inBubble(t, func(t *testing.T, tr *tracker.Tracker, r *relay, _ *outcomes) {
		tr.Saver, tr.PollInterval = keeper{}, time.Minute
		run(t, tr)
		task := endedAlone(t, tr, r, "Image 1 waves")
		time.Sleep(100 * time.Millisecond)
		require.NotEmpty(t, known(t, tr, task.ID).SavedTo)
	})
}
