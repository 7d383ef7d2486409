package killtest

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"
)

var (
	kills    = flag.Int("kills", 15, "how many processes the kill test ends with -9, in rounds of 200")
	seed     = flag.Uint64("seed", 0, "what decides whom the kill test ends when; 0 picks one and prints it")
	soak     = flag.Duration("soak", 0, "how long the soak goes on; 0 leaves it out")
	replicas = flag.Duration("replicas", 0, "how long replicas serve over HTTP while one after the other is ended with -9; 0 leaves it out")
	asWorker = flag.String("worker", "", "what a process that a test has started is to do, as JSON")
)

// binaries holds the program that build made; TestMain removes it.
var binaries string

// TestMain makes the test binary a worker where a test has started it as one.
func TestMain(m *testing.M) {
	// Of any other kind an httptest.Server that is closed closes the connections of all tests.
	http.DefaultTransport = struct{ http.RoundTripper }{http.DefaultTransport}
	flag.Parse()
	if *asWorker == "" {
		m.Run() // the testing package ends the process with its result
		_ = os.RemoveAll(binaries)
		return
	}
	var w worker
	if err := json.Unmarshal([]byte(*asWorker), &w); err != nil {
		panic(err)
	}
	if err := w.work(context.Background()); err != nil {
		panic(err)
	}
}

// chosenSeed is the seed that was given, or a new one.
func chosenSeed() uint64 {
	if *seed != 0 {
		return *seed
	}
	return rand.Uint64N(1 << 32)
}

// pause waits, or returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
