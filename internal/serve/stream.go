package serve

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"r2v-mcp/internal/auth"
)

const (
	keepAlive   = 15 * time.Second // between two signs of life; proxies end what is silent for a minute or half of one
	checkEvery  = time.Minute      // whether the token still holds
	silentLimit = time.Hour        // of a stream without any message
)

// stream serves /sse: the legacy transport, where answers come over a stream and messages by POST.
// https://modelcontextprotocol.io/specification/2024-11-05/basic/transports
func (s *surface) stream(w http.ResponseWriter, r *http.Request) {
	s.keep(w, r, s.sse.SSEHandler())
}

// keep serves a stream for as long as it may last: until its client leaves, its token ends, nothing came for an hour, or the
// server stops.
func (s *surface) keep(w http.ResponseWriter, r *http.Request, next http.Handler) {
	st, err := s.book.enter(s.life.ctx, auth.From(r.Context()))
	if err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, errTheirs) {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", tooManyRetry)
		refuse(w, r, status, err.Error())
		return
	}
	st.logger = s.Logger
	defer s.book.leave(st)
	out := outermost(w)
	if out == nil {
		refuse(w, r, http.StatusInternalServerError, "this server cannot keep streams open: something hides their writer")
		return
	}
	defer out.close()
	out.mcp, st.out = true, out
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), streamKey{}, st))
	var tending sync.WaitGroup
	tending.Go(func() {
		defer cancel()
		s.tend(ctx, st, out, r)
	})
	defer tending.Wait()
	defer cancel()
	next.ServeHTTP(w, r.WithContext(ctx))
}

// tend returns when a stream has to end.
func (s *surface) tend(ctx context.Context, st *stream, w *rolling, r *http.Request) {
	alive, check := time.NewTicker(keepAlive), time.NewTicker(checkEvery)
	defer alive.Stop()
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-st.ctx.Done():
			st.drain(ctx)
			return
		case <-alive.C:
			if r.URL.Path == "/sse" { // the library's other streams have writers that do not expect company
				w.comment()
			}
			if time.Since(time.Unix(0, st.used.Load())) >= silentLimit {
				return
			}
		case <-check.C:
			if !holds(ctx) {
				return
			}
		}
	}
}

// holds asks again whether a stream's token is good. An outage of who knows is no answer.
func holds(ctx context.Context) bool {
	good, err := auth.Holds(ctx)
	return good || err != nil
}

// outermost finds the writer that this package has put round the server's, below those of others.
func outermost(w http.ResponseWriter) *rolling {
	for {
		switch v := w.(type) {
		case *rolling:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
}
