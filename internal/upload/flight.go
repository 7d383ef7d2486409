package upload

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// attempts is how often a file is sent, the second time at once, where a new policy or connection may do: it costs nothing but time.
const attempts = 2

// errEnding is why uploads are cancelled at the program's end.
var errEnding = errors.New("the program ends")

// flight is one content on its way to the provider, whoever waits for it.
type flight struct {
	file   File
	model  string
	cancel context.CancelCauseFunc
	sent   atomic.Int64  // bytes of the attempt under way
	done   chan struct{} // closed at the end

	// Set before done is closed.
	url string
	err error
}

// fly finds the content at the provider or sends it there.
func (u *Uploads) fly(ctx context.Context, f *flight) {
	url, err := u.Ledger.Uploaded(ctx, f.model, f.file.Sum)
	if err == nil && url == "" {
		url, err = u.send(ctx, f)
	}
	switch {
	case err == nil:
		f.sent.Store(f.file.Size)
	case ctx.Err() != nil:
		err = ending()
	default:
		err = known(err)
	}
	f.url, f.err = url, err
}

// send sends the file when there is a place for it, and writes down where it is.
func (u *Uploads) send(ctx context.Context, f *flight) (string, error) {
	select {
	case u.places <- struct{}{}:
		defer func() { <-u.places }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	up, err := backoff.Retry(limited, func() (provider.Uploaded, error) { return u.attempt(limited, f) }, backoff.WithBackOff(&backoff.ZeroBackOff{}), backoff.WithMaxTries(attempts))
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = tooSlow(f)
	}
	if err != nil {
		u.logger().WarnContext(ctx, "not uploaded", "model", f.model, "bytes", f.file.Size, "err", err)
		return "", err
	}
	u.logger().InfoContext(ctx, "uploaded", "model", f.model, "bytes", f.file.Size, "seconds", time.Since(began).Seconds())
	if err := u.Ledger.KeepUpload(context.WithoutCancel(ctx), f.model, f.file.Sum, up.URL, up.Expires); err != nil {
		// It is there all the same: the next call has to send it again, which costs nothing.
		u.logger().WarnContext(ctx, "an upload could not be recorded", "err", err)
	}
	return up.URL, nil
}

// attempt sends the file once. What another attempt will not mend is a permanent error.
func (u *Uploads) attempt(ctx context.Context, f *flight) (provider.Uploaded, error) {
	f.sent.Store(0)
	opened, err := f.file.Open()
	if err != nil {
		return provider.Uploaded{}, backoff.Permanent(unreadable(f.file, err))
	}
	defer func() { _ = opened.Close() }() // it was only read
	r := newReader(opened, f)
	up, err := u.Provider.Upload(ctx, f.model, provider.File{
		Name: f.file.Name, ContentType: f.file.ContentType, Size: f.file.Size, Content: r,
	})
	if failure := r.trouble(); failure != nil {
		return provider.Uploaded{}, backoff.Permanent(failure) // the provider can only say that the connection broke
	}
	if e, ok := errors.AsType[*video.Error](err); err != nil && (!ok || !e.Retryable) {
		err = backoff.Permanent(err)
	}
	return up, err
}
