package egress

import (
	"context"
	"io"
	"net/http"
	"time"
)

// errIdle is the error of a body that sent nothing for 30 s while it was read.
var errIdle error = complaint("stopped sending")

// watched sends a request and ends its body when nothing comes for too long. A slow body that goes on is let be.
func (d *door) watched(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	resp, err := d.Transport.RoundTrip(d.named(req.WithContext(ctx)))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Request = req
	timer := time.AfterFunc(d.idle, func() { cancel(errIdle) })
	timer.Stop() // it runs while somebody waits for bytes, not while they make up their mind
	resp.Body = &watchedBody{resp.Body, ctx, cancel, timer, d.idle}
	return resp, nil
}

type watchedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && context.Cause(b.ctx) == errIdle { //nolint:errorlint // a reader's end is never wrapped
		err = errIdle
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
