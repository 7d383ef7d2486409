package upload

import (
	"context"
	"slices"
	"time"
)

// wait is one call that waits for its flights.
type wait struct {
	flights []*flight // each once
	total   int64     // bytes
	most    int64     // that were told to be there: an attempt that begins anew does not take them back
}

func (w *wait) add(f *flight) {
	if !slices.Contains(w.flights, f) {
		w.flights = append(w.flights, f)
		w.total += f.file.Size
	}
}

// until waits until every flight has landed, one has failed, or ctx ends.
func (w *wait) until(ctx context.Context, progress func(done, total int64)) error {
	ended := make(chan *flight, len(w.flights))
	for _, f := range w.flights {
		go func() {
			select {
			case <-f.done:
				ended <- f
			case <-ctx.Done():
			}
		}()
	}
	began, had := time.Now(), w.there()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for left := len(w.flights); left > 0; {
		select {
		case f := <-ended:
			left--
			if f.err != nil {
				return f.err
			}
			w.tell(progress)
		case <-tick.C:
			w.tell(progress)
		case <-ctx.Done():
			there := w.there()
			return stillUploading(there, w.total, remaining(there-had, w.total-there, time.Since(began)))
		}
	}
	return nil
}

// tell tells how much is there, if it is more than was told before.
func (w *wait) tell(progress func(done, total int64)) {
	if there := w.there(); there > w.most {
		w.most = there
		progress(there, w.total)
	}
}

func (w *wait) there() int64 {
	var sum int64
	for _, f := range w.flights {
		sum += f.sent.Load()
	}
	return sum
}

// remaining is how long the rest will take at the pace so far, as far as it makes sense to wait before asking again.
func remaining(sent, left int64, took time.Duration) time.Duration {
	const soonest, latest = 5 * time.Second, time.Minute
	if sent <= 0 || took <= 0 {
		return latest / 2
	}
	seconds := float64(left) / float64(sent) * took.Seconds()
	return time.Duration(min(max(seconds, soonest.Seconds()), latest.Seconds()) * float64(time.Second)).Round(time.Second)
}
