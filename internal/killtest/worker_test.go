package killtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

const buyers = 2 // of one worker at a time

// pace is how fast a worker goes.
type pace struct {
	Poll, Lease, Absence, Turn time.Duration // as the tracker and the ledger name them
	Rest                       time.Duration // between two purchases of a buyer, at the longest
}

// quick lets a task live some hundred milliseconds, so that each is at another step when its worker is killed.
func quick() pace {
	return pace{Poll: 80 * time.Millisecond, Lease: 300 * time.Millisecond, Absence: 2 * time.Second, Turn: 60 * time.Millisecond, Rest: 120 * time.Millisecond}
}

// worker is one process: the real ledger, tracker, client and saver, over real sockets.
type worker struct {
	Host     string // where the service and its boss listen
	Ledger   string // the file
	Database string // instead of the file
	Videos   string
	Log      string
	Name     string // tells it from others in what it sends
	Pace     pace
}

// named puts the worker's name into the requests for clips, as the client of the service does by itself.
type named struct {
	http.RoundTripper
	name string
}

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", n.name)
	return n.RoundTripper.RoundTrip(r)
}

func (w *worker) ledgerOptions() ledger.Options {
	plenty := decimal.New(1, 9)
	return ledger.Options{
		Path: w.Ledger, DatabaseURL: w.Database, Upstream: "simulator", Account: "ours", Window: 10 * time.Minute,
		BudgetPerDay: &plenty, Zone: time.UTC, Lease: w.Pace.Lease,
	}
}

func (w *worker) tracker(log *os.File) (*tracker.Tracker, *video.Catalogue, error) {
	catalogue, err := video.BuiltIn()
	if err != nil {
		return nil, nil, err
	}
	client, err := dashscope.New(dashscope.Config{BaseURL: "http://" + w.Host + "/api/v1", APIKey: "sk-test-key", UserAgent: w.Name})
	if err != nil {
		return nil, nil, err
	}
	door, err := egress.NewClient(egress.Settings{Allow: []string{w.Host}})
	if err != nil {
		return nil, nil, err
	}
	door.Transport = named{door.Transport, w.Name}
	return &tracker.Tracker{
		Provider: provider.NewDashScope(client, catalogue), Ledger: ledger.New(w.ledgerOptions()),
		Saver: clips.Folder{Dir: w.Videos, Client: door}, PollInterval: w.Pace.Poll, Absence: w.Pace.Absence, CreateTurn: w.Pace.Turn,
		Logger: slog.New(slog.NewTextHandler(log, nil)).With("worker", w.Name),
	}, catalogue, nil
}

// work buys what the boss asks for and follows everything, until the boss says that it is enough.
func (w *worker) work(ctx context.Context) error {
	log, err := os.OpenFile(w.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	tr, catalogue, err := w.tracker(log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var following, buying sync.WaitGroup
	following.Go(func() { // as Run, without its first second: many do not live that long
		for pause(ctx, min(tr.Round(ctx), w.Pace.Poll/2)) {
		}
	})
	errs := make([]error, buyers)
	for i := range errs {
		buying.Go(func() { errs[i] = w.buy(ctx, tr, catalogue) })
	}
	buying.Wait()
	stop()
	following.Wait()
	tr.Drain()
	return errors.Join(errors.Join(errs...), tr.Ledger.Close())
}

// job is one thing that the boss asks for.
type job struct {
	Key    string
	Prompt string
}

// buy does one job after the other.
func (w *worker) buy(ctx context.Context, tr *tracker.Tracker, catalogue *video.Catalogue) error {
	for {
		var j job
		status, err := w.ask(ctx, "/boss/next", vitals(), &j)
		switch {
		case err != nil:
			return nil //nolint:nilerr // the boss is gone, and nobody is left to work for
		case status == http.StatusGone:
			return nil
		case status == http.StatusNoContent:
			pause(ctx, 20*time.Millisecond)
			continue
		}
		o, err := orderOf(catalogue, j)
		if err != nil {
			return err
		}
		task, _, err := tr.Create(ctx, o)
		result := "later"
		if err == nil && task.ProviderTaskID != "" {
			result = "bought"
		} else if err != nil && strings.Contains(err.Error(), "another request") {
			return fmt.Errorf("%s: %w", j.Key, err)
		}
		if _, err := w.ask(ctx, "/boss/"+result, j, nil); err != nil {
			return nil //nolint:nilerr // as above
		}
		pause(ctx, rand.N(w.Pace.Rest))
	}
}

// orderOf makes the order of a job: the same one whoever does it.
func orderOf(catalogue *video.Catalogue, j job) (video.Order, error) {
	r := catalogue.Check(video.Request{
		Model: "wan2.6-r2v-flash", Prompt: j.Prompt, References: []video.Reference{{URL: "https://media.example/a.png", Kind: video.Image}},
		Resolution: "720P", Duration: 2,
	}, "simulator")
	if len(r.Problems) > 0 || r.Price == nil {
		return video.Order{}, fmt.Errorf("a bad order: %v", r.Problems)
	}
	cost := billing.Cost(decimal.NewFromInt(int64(r.Request.Duration)), r.Price.PerSecond)
	return video.Order{
		Request: r.Request, Fingerprint: r.Fingerprint(), IdempotencyKey: j.Key,
		// More is held than is billed, so that settling changes something.
		Estimate: video.Cost{Low: cost, High: cost.Mul(decimal.NewFromInt(2)), PerSecond: r.Price.PerSecond, Currency: r.Price.Currency},
	}, nil
}

// ask speaks to the boss.
func (w *worker) ask(ctx context.Context, path string, say, into any) (int, error) {
	text, err := json.Marshal(say)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.Host+path, strings.NewReader(string(text)))
	if err != nil {
		return 0, err
	}
	r.Header.Set("User-Agent", w.Name)
	resp, err := bossClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if into != nil && resp.StatusCode == http.StatusOK {
		err = json.NewDecoder(resp.Body).Decode(into)
	}
	return resp.StatusCode, err
}

var bossClient = &http.Client{Timeout: time.Minute}

// vital is how much a worker needs to live, as only it can tell.
type vital struct{ Goroutines int }

func vitals() vital { return vital{runtime.NumGoroutine()} }
