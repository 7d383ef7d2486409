// Package upload brings files to the provider: each content once for each model, however many ask for it, and whether or not
// they wait for the end of it.
package upload

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

const (
	// atOnce is how many files of a process are sent at a time: more of them share one line, and all get late.
	atOnce = 3
	// limit bounds the sending of one file: 100 MB over a slow line.
	limit = 15 * time.Minute
	// beat is how often progress is told, at the most.
	beat = 250 * time.Millisecond
)

// Uploader gives a file to the provider: see [provider.Provider].
type Uploader interface {
	Upload(ctx context.Context, model string, f provider.File) (provider.Uploaded, error)
}

// Ledger remembers what is at the provider already, by model and by the SHA-256 of the content in hex.
type Ledger interface {
	// Uploaded returns "" for what is not there, or not for long enough.
	Uploaded(ctx context.Context, model, sum string) (url string, err error)
	KeepUpload(ctx context.Context, model, sum, url string, expires time.Time) error
}

// File is what is to be brought to the provider.
type File struct {
	Name        string // without folders, for those who read a refusal
	ContentType string // such as "video/mp4"
	Size        int64  // bytes
	Sum         string // SHA-256 of the content, in hex
	// Open gives the content from its beginning. It may be called several times, and after the call that it came with has
	// returned.
	Open func() (io.ReadCloser, error)
}

// Uploads brings files to one provider. Its fields are set before its first use. It is safe for concurrent use.
type Uploads struct {
	Provider Uploader
	Ledger   Ledger
	Logger   *slog.Logger // a line for each upload, without names and addresses; nil is silent

	mu      sync.Mutex // for what is below
	ending  bool
	flights map[content]*flight
	places  chan struct{} // one for each file that is being sent
	work    sync.WaitGroup
}

// content is what is sent once.
type content struct{ model, sum string }

// Bring returns an address for each of the files, in their order, for use with one model. What the ledger knows is not sent, nor is
// what another call is sending already. An upload goes on when its caller hangs up or loses patience; the next call with the
// same content joins it or finds it done. A nil progress is not told; any other is called from one goroutine, with ever
// more of all files' bytes.
//
// Every error is a *[video.Error] with NotCharged: "StillUploading" when [video.LongestCall] or the caller's patience is over before the end,
// "FileChanged" and "FileUnreadable" for a file that is not what it was, "UploadTooSlow" after 15 minutes, "Ending" when the
// program ends, and what the provider and the ledger say.
func (u *Uploads) Bring(ctx context.Context, model string, files []File, progress func(done, total int64)) ([]string, error) {
	joined := make([]*flight, len(files))
	var w wait
	for i, f := range files {
		f.Sum = strings.ToLower(f.Sum)
		flight := u.join(ctx, model, f)
		if flight == nil {
			return nil, ending()
		}
		joined[i] = flight
		w.add(flight)
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	ctx, cancel := context.WithTimeout(ctx, video.LongestCall)
	defer cancel()
	if err := w.until(ctx, progress); err != nil {
		return nil, err
	}
	urls := make([]string, len(joined))
	for i, f := range joined {
		urls[i] = f.url
	}
	return urls, nil
}

// join returns the flight of a content, which begins with the first who asks for it; nil when the program ends. A flight that is
// over is not joined: it has left what there is to know in the ledger, or it failed and is tried anew.
func (u *Uploads) join(ctx context.Context, model string, f File) *flight {
	u.mu.Lock()
	defer u.mu.Unlock()
	what := content{model, f.Sum}
	if f, ok := u.flights[what]; ok {
		return f
	}
	if u.ending {
		return nil
	}
	if u.flights == nil {
		u.flights, u.places = map[content]*flight{}, make(chan struct{}, atOnce)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	flight := &flight{file: f, model: model, cancel: cancel, done: make(chan struct{})}
	u.flights[what] = flight
	u.work.Go(func() {
		defer cancel(nil)
		u.fly(ctx, flight)
		u.mu.Lock()
		delete(u.flights, what)
		u.mu.Unlock()
		close(flight.done)
	})
	return flight
}

// Drain ends the uploads under way, and returns when nothing of them goes on: only bytes are lost. It is for the end of the
// program.
func (u *Uploads) Drain() {
	u.mu.Lock()
	u.ending = true
	for _, f := range u.flights {
		f.cancel(errEnding)
	}
	u.mu.Unlock()
	u.work.Wait()
}

func (u *Uploads) logger() *slog.Logger {
	if u.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return u.Logger
}
