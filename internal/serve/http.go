package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/time/rate"
)

const (
	headerLimit   = 10 * time.Second       // to send all headers of a request
	headerBytes   = 32 << 10               // of all headers of a request
	idleLimit     = 120 * time.Second      // between two requests of a connection
	notice        = 500 * time.Millisecond // from the first 503 of /readyz to the end of service, for balancers to go elsewhere
	endingLimit   = 1400 * time.Millisecond
	defaultBody   = 32 << 20
	otherBody     = 64 << 10 // bytes of a body that is not for a tool: the sign-in's form
	tooManyRetry  = "60"     // seconds after which a stream may be asked for again
	maxStreams    = 1024
	maxStreamsOne = 32
)

// ErrStopping is the cause of a call's context that ends because the server stops: the call is to answer with what it has.
var ErrStopping = errors.New("the server is stopping")

// Options are what an HTTP server is made of. Server and Logger are needed, and Listener by [HTTP]; the rest may be zero.
type Options struct {
	Server    *server.MCPServer // not serving yet, given to one handler only; what wraps its tools is in their handlers, not in its Use
	Listener  net.Listener      // [HTTP] closes it
	TLS       *tls.Config       // nil: plain HTTP. See [Certificate]
	Hosts     []string          // allowed Host headers, as name or name:port; a name alone is allowed with any port
	Origins   []string          // allowed Origin headers beside the server's own, as https://name[:port]
	PublicURL string            // where users reach the server, when a proxy stands in front; its host and origin are allowed

	Auth      func(http.Handler) http.Handler // puts the [auth.Person] into the context or refuses; nil: everybody is the zero Person
	Page      http.Handler                    // the task page, which checks its visitors itself; nil: none
	Metrics   http.Handler                    // nil: none
	WellKnown http.Handler                    // the metadata of the protected resource (RFC 9728); nil: none
	Ready     func(context.Context) error     // nil: always. Its error is logged and not shown
	Rate      rate.Limit                      // messages a second of one person, five times as many at once; 0 and [rate.Inf]: no limit
	MaxBody   int64                           // bytes of a message, 0: 32 MB
	MostOpen  int                             // connections at a time, others wait; 0: half of the files that the process may open, 12,000 at most
	Logger    *slog.Logger

	// Callback takes a callback of the provider's: what its path ends in, below /callbacks/, and the id that its body tells, empty where it
	// tells none. Either may be anything. It returns at once, false where it has no room. Nil: there is no such path.
	Callback        func(hint, id string) bool
	CallbackRefused func() // a callback came too fast; nil: nobody wants to know
}

// Handler serves the tools over HTTP: /mcp, /sse with /message, /healthz, /readyz, and what the options add. It has no end;
// use [HTTP] for a server that stops in order. The deadlines of slow readers and writers need a server of net/http under it.
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
func Handler(o Options) http.Handler { return newSurface(o) }

// HTTP serves until ctx ends, then stops within two seconds: /readyz answers 503 and connections close after their next answer;
// half a second later the listener closes, contexts of calls end with [ErrStopping] and the calls answer, streams end, and what
// is still open is cut. A call that is younger than half a second goes on until it is as old. The error is the listener's; it is
// nil when ctx has ended.
func HTTP(ctx context.Context, o Options) error {
	s := newSurface(o)
	srv := &http.Server{
		Handler:                      s,
		TLSConfig:                    o.TLS,
		ReadHeaderTimeout:            headerLimit,
		MaxHeaderBytes:               headerBytes,
		IdleTimeout:                  idleLimit,
		ErrorLog:                     slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug), // anybody can cause its lines
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	listener := newBounded(o.Listener, cmp.Or(o.MostOpen, connections(openFiles())))
	failed := make(chan error, 1)
	go func() {
		if o.TLS != nil {
			failed <- srv.ServeTLS(listener, "", "")
			return
		}
		failed <- srv.Serve(listener)
	}()
	select {
	case err := <-failed:
		s.end(ErrStopping)
		_ = srv.Close() // the listener's error says more
		return err
	case <-ctx.Done():
	}
	s.leave()
	sleep(context.WithoutCancel(ctx), notice) // net/http drops without an answer what it reads while it shuts down
	s.end(ErrStopping)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingLimit)
	defer cancel()
	if srv.Shutdown(within) != nil {
		_ = srv.Close() // whoever has not read the answer by now does not get it
	}
	<-failed //nolint:errcheck // that it was closed
	return nil
}
