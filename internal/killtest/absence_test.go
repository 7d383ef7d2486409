package killtest

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// late delivers answers, or takes requests, long after they were sent.
type late struct {
	http.RoundTripper
	list, get, create time.Duration
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		time.Sleep(l.create)
		return l.RoundTripper.RoundTrip(r)
	}
	resp, err := l.RoundTripper.RoundTrip(r)
	if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/tasks") {
		time.Sleep(l.list)
	} else {
		time.Sleep(l.get)
	}
	return resp, err
}

// delay makes a tracker's way to the service a long one.
func (s *scene) delay(tr *tracker.Tracker, by late) {
	by.RoundTripper = simulatortest.Transport(s.sim)
	client, err := dashscope.New(dashscope.Config{BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test-key", HTTPClient: &http.Client{Transport: by}})
	require.NoError(s, err)
	tr.Provider = provider.NewDashScope(client, catalogue(s.T))
}

// order buys a clip of a model through a tracker.
func (s *scene) order(tr *tracker.Tracker, model, prompt string) video.Task {
	r := catalogue(s.T).Check(video.Request{
		Model: model, Prompt: prompt, References: []video.Reference{{URL: "https://media.example/a.png", Kind: video.Image}},
	}, "simulator")
	require.Empty(s, r.Problems)
	task, _, err := tr.Create(s.Context(), video.Order{Request: r.Request, Fingerprint: r.Fingerprint(), IdempotencyKey: prompt})
	require.NoError(s, err)
	return task
}

func (s *scene) now(task video.Task) video.Task {
	now, err := s.trackers[0].Ledger.Task(s.Context(), task.ID)
	require.NoError(s, err)
	return now
}

// A round over many tasks takes time. What was bought after its list was written is not in that list.
func TestAListProvesNothingAboutWhatWasBoughtAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 1)
		tr := s.trackers[0]
		tr.Absence = 2 * time.Second
		s.delay(tr, late{list: 5 * time.Second})
		first := s.order(tr, "wan2.6-r2v", "character1 waves [[fault:drop-before]]")
		require.Equal(t, video.Unknown, first.Status)
		time.Sleep(3 * time.Second)
		s.follow(func() {
			time.Sleep(2 * time.Second) // its list has been written, and is on its way
			second := s.order(tr, "wan2.6-r2v", "character1 dances [[fault:drop-after]]")
			require.Equal(t, video.Unknown, second.Status)
			time.Sleep(5 * time.Second)
			require.Equal(t, video.Failed, s.now(first).Status, "it was looked for in vain")
			require.Equal(t, "NeverArrived", s.now(first).Failure.Code)
			require.NotEqual(t, video.Failed, s.now(second).Status, "it was bought")
			time.Sleep(time.Minute)
			require.NotEmpty(t, s.now(second).ProviderTaskID)
		})
	})
}

// Two processes may come to the same finding, one of them late. Meanwhile the purchase may have been begun anew.
func TestALateFindingDoesNotEndTheNextClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 2)
		prompt, slow := s.trackers[0], s.trackers[1]
		for _, tr := range s.trackers {
			tr.Absence, tr.Ledger.Lease = 2*time.Second, time.Second
		}
		bought := s.order(prompt, "wan2.6-r2v-flash", "character1 waves [[fault:drop-after]]")
		lost := s.order(prompt, "wan2.6-r2v", "character1 dances [[fault:drop-before x1]]")
		time.Sleep(16 * time.Second)
		s.delay(slow, late{get: 10 * time.Second})
		var working sync.WaitGroup
		working.Go(func() { slow.Round(t.Context()) }) // it has its list, and looks at what it found before it goes on
		time.Sleep(2 * time.Second)
		require.NotEmpty(t, s.now(bought).ProviderTaskID)
		prompt.Round(t.Context())
		require.Equal(t, video.Failed, s.now(lost).Status)

		s.delay(prompt, late{create: 20 * time.Second})
		working.Go(func() { s.order(prompt, "wan2.6-r2v", "character1 dances [[fault:drop-before x1]]") })
		time.Sleep(15 * time.Second)
		require.Equal(t, video.Pending, s.now(lost).Status, "the new purchase is under way")
		working.Wait()
		require.NotEmpty(t, s.now(lost).ProviderTaskID)
		for _, tr := range s.trackers {
			tr.Drain()
		}
	})
}
