package killtest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

const openTasks = 1000

// seen is a saver that keeps no file.
type seen struct{}

func (seen) Save(_ context.Context, name, _ string) (video.Clip, error) {
	return video.Clip{Path: name}, nil
}

// scene is trackers on one ledger, in fake time.
type scene struct {
	*testing.T
	sim      *simulator.Server
	trackers []*tracker.Tracker
}

func newScene(t *testing.T, trackers int) *scene {
	s := &scene{T: t, sim: simulator.New(simulator.Options{Concurrent: openTasks})}
	path := filepath.Join(t.TempDir(), "ledger.db")
	for range trackers {
		l := ledger.New(ledger.Options{Path: path, Upstream: "simulator", Account: "ours", Window: 10 * time.Minute, Zone: time.UTC})
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		client, err := dashscope.New(dashscope.Config{
			BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test-key", HTTPClient: &http.Client{Transport: simulatortest.Transport(s.sim)},
		})
		require.NoError(t, err)
		s.trackers = append(s.trackers, &tracker.Tracker{
			Provider: provider.NewDashScope(client, catalogue(t)), Ledger: l, Saver: seen{}, PollInterval: 15 * time.Second,
			Logger: slog.New(slog.DiscardHandler),
		})
	}
	return s
}

func (s *scene) control(path string, into any) {
	s.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.Context(), http.MethodGet, "/control/"+path, strings.NewReader(""))
	r.RemoteAddr = "" // as in memory
	s.sim.ServeHTTP(w, r)
	require.NoError(s, json.Unmarshal(w.Body.Bytes(), into), w.Body.String())
}

// buy orders clips of 1 to 5 minutes as fast as the account may, each from the next tracker.
func (s *scene) buy() {
	lengths := []int{2, 6, 10}
	models := []string{"wan2.6-r2v-flash", "wan2.6-r2v", "wan2.7-r2v"}
	jobs := make(chan int)
	var buying sync.WaitGroup
	for i := range 8 {
		tr := s.trackers[i%len(s.trackers)]
		buying.Go(func() {
			for n := range jobs {
				model := models[n%len(models)]
				prompt := fmt.Sprintf("the subject waves %d times", n)
				r := catalogue(s.T).Check(video.Request{
					Model: model, Prompt: prompt, References: []video.Reference{{URL: "https://media.example/a.png", Kind: video.Image}},
					Resolution: "720P", Duration: lengths[n/3%3],
				}, "simulator")
				_, _, err := tr.Create(s.Context(), video.Order{Request: r.Request, Fingerprint: r.Fingerprint(), IdempotencyKey: prompt})
				require.NoError(s, err)
			}
		})
	}
	for n := range openTasks {
		jobs <- n
	}
	close(jobs)
	buying.Wait()
}

// follow runs all trackers until all that is bought meanwhile has been saved.
func (s *scene) follow(buy func()) {
	ctx, stop := context.WithCancel(s.Context())
	var following sync.WaitGroup
	for _, tr := range s.trackers {
		following.Go(func() { tr.Run(ctx) })
	}
	buy()
	l := s.trackers[0].Ledger
	for {
		time.Sleep(5 * time.Second)
		open, err := l.Open(ctx)
		require.NoError(s, err)
		due, err := l.NextDue(ctx, true)
		require.NoError(s, err)
		if len(open) == 0 && due.IsZero() {
			break
		}
	}
	stop()
	following.Wait()
	for _, tr := range s.trackers {
		tr.Drain()
	}
}

// seenEnds tells when the ledger knew each task's end: a task that has ended is not looked at again.
func (s *scene) seenEnds() map[string]time.Time {
	tasks, _, err := s.trackers[0].Ledger.List(s.Context(), video.Filter{Limit: 2 * openTasks})
	require.NoError(s, err)
	ends := map[string]time.Time{}
	for _, task := range tasks {
		require.Equal(s, video.Succeeded, task.Status)
		require.NotEmpty(s, task.SavedTo)
		ends[task.ProviderTaskID] = task.LookedAt
	}
	return ends
}

func (s *scene) judge() {
	ended := s.seenEnds()
	var tasks []struct {
		TaskID          string `json:"task_id"`
		Submitted, Ends time.Time
	}
	s.control("tasks", &tasks)
	require.Len(s, tasks, openTasks)
	var late, took []time.Duration
	for _, task := range tasks {
		at, known := ended[task.TaskID]
		require.True(s, known)
		late = append(late, at.Sub(task.Ends))
		took = append(took, task.Ends.Sub(task.Submitted))
	}
	slices.Sort(late)
	slices.Sort(took)
	var counters, rates map[string]int
	s.control("counters", &counters)
	s.control("rates", &rates)
	reads := float64(counters["get"]+counters["list"]) / openTasks
	s.Logf("%d processes, %d tasks of %v to %v: %d gets + %d lists = %.2f reads a task; at most %d gets, %d lists, %d creates in a second; end seen after %v (50 %%), %v (95 %%), %v (100 %%)",
		len(s.trackers), openTasks, took[0], took[len(took)-1], counters["get"], counters["list"], reads, rates["get"], rates["list"], rates["create"],
		late[len(late)/2], late[len(late)*95/100], late[len(late)-1])
	require.Equal(s, openTasks, counters["create"])
	require.LessOrEqual(s, reads, 3.0)
	require.LessOrEqual(s, rates["get"], 20)
	require.LessOrEqual(s, rates["list"], 20)
	require.LessOrEqual(s, rates["create"], 5)
	require.LessOrEqual(s, late[len(late)*95/100], 5*time.Second)
}

func TestThousandOpen(t *testing.T) {
	t.Parallel()
	if racing {
		t.Skip("it is measured without the race detector: there it takes minutes")
	}
	for _, trackers := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d processes", trackers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, trackers)
				s.follow(s.buy)
				s.judge()
			})
		})
	}
}
