package serve

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// surface is all that can be reached over HTTP.
type surface struct {
	Options
	guard
	routes map[string]route
	book   book
	people *rates
	ready  readiness
	plain  *plain
	memory *memory
	mcp    http.Handler
	sse    *server.SSEServer
	life   *life // of calls that do not come over a stream
	end    context.CancelCauseFunc

	leaving context.Context // ends before the server does, so that nobody comes any more
	leave   context.CancelFunc
}

// route is what answers at a path, and to which methods: with GET goes HEAD.
type route struct {
	methods []string
	http.Handler
	public bool // pages of every origin may read it
}

func newSurface(o Options) *surface {
	o.MaxBody = cmp.Or(o.MaxBody, defaultBody)
	if o.Auth == nil {
		o.Auth = func(next http.Handler) http.Handler { return next }
	}
	ending, end := context.WithCancelCause(context.Background())
	leaving, leave := context.WithCancel(ending)
	s := &surface{
		Options: o,
		guard:   newGuard(o),
		people:  newRates(o.Rate),
		ready:   readiness{check: o.Ready, ending: leaving, logger: o.Logger},
		life:    &life{ctx: ending, logger: o.Logger},
		memory:  newMemory(o.MaxBody),
		end:     end, leaving: leaving, leave: leave,
	}
	s.plain = newPlain(o.Server, hang)
	s.mcp = server.NewStreamableHTTPServer(o.Server,
		server.WithStateLess(true),
		server.WithDisableStreaming(true),
		server.WithDisableLocalhostProtection(true), // the guard is stricter, and knows a proxy's names
		server.WithStreamableHTTPLogger(o.Logger),
	)
	s.sse = server.NewSSEServer(o.Server,
		server.WithUseFullURLForMessageEndpoint(false), // a proxy has another address
		server.WithSSEDisableLocalhostProtection(true),
		server.WithSessionIDGenerator(streamID),
	)
	s.book.streams, s.book.open = map[string]*stream{}, map[string]int{}
	s.routes = s.table()
	return s
}

func (s *surface) table() map[string]route {
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	routes := map[string]route{
		"/mcp":     {methods: post, Handler: s.Auth(s.limited(s.streamable))},
		"/message": {methods: post, Handler: s.Auth(s.limited(s.message))},
		"/sse":     {methods: []string{http.MethodGet}, Handler: s.Auth(http.HandlerFunc(s.stream))},
		"/healthz": {methods: get, Handler: http.HandlerFunc(healthy)},
		"/readyz":  {methods: get, Handler: &s.ready},
	}
	if s.Metrics != nil {
		routes["/metrics"] = route{methods: get, Handler: s.Auth(s.Metrics)}
	}
	if s.WellKnown != nil {
		for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
			routes[path] = route{append(get, http.MethodOptions), s.WellKnown, true}
		}
	}
	if s.Callback != nil {
		routes[callbacks] = route{methods: post, Handler: newCallbackDoor(s.Options)}
	}
	if s.Page != nil {
		for _, path := range []string{"/", "/page.css", "/page.js", clips} {
			routes[path] = route{methods: get, Handler: s.Page}
		}
		routes["/sign-in"], routes["/sign-out"] = route{methods: post, Handler: s.Page}, route{methods: post, Handler: s.Page}
	}
	return routes
}

// clips is the folder of the clips' paths. Nothing else but callbacks has paths below it.
const clips = "/clips/"

// find tells the route of a path. Paths are compared as they were sent: nothing is cleaned, decoded or redirected, so no
// other spelling reaches what stands behind a path.
func (s *surface) find(r *http.Request) (route, bool) {
	path := r.URL.Path
	if r.URL.RawPath != "" || path == clips || path == callbacks {
		return route{}, false
	}
	for _, folder := range []string{clips, callbacks} {
		if name, ok := strings.CutPrefix(path, folder); ok && !strings.ContainsFunc(name, notOfName) && !strings.Contains(name, "..") {
			path = folder
		}
	}
	found, ok := s.routes[path]
	return found, ok
}

func notOfName(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
}

// ServeHTTP gives each request its deadlines, and outlives a handler that panics.
func (s *surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := newRolling(w, r)
	defer out.extend() // what is still in buffers is sent after the return
	defer func() {
		p := recover()
		switch {
		case p == nil:
			return
		case p == http.ErrAbortHandler: //nolint:errorlint // a panic's value is compared as net/http does
			panic(p)
		}
		s.Logger.Error("a handler panicked", "at", panicked())
		if out.begun {
			panic(http.ErrAbortHandler) // an answer that stops short is not to look whole
		}
		refuse(out, r, http.StatusInternalServerError, "the server failed in answering this request; it is not the caller's fault")
	}()
	s.serve(out, r)
}

func (s *surface) serve(w *rolling, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // under no-referrer, browsers post a form of our own with the Origin null
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if s.leaving.Err() != nil {
		h.Set("Connection", "close")
	}
	body := w.limitReads(r)
	found, ok := s.find(r)
	public := found.public && slices.Contains(found.methods, r.Method)
	origin, reason := s.admit(r, public)
	if reason != "" {
		refuse(w, r, http.StatusForbidden, reason)
		return
	}
	if !ok {
		refuse(w, r, http.StatusNotFound, "there is nothing at this path")
		return
	}
	if w.origin = origin; origin != "" && !public {
		h.Add("Vary", "Origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			preflight(w, found.methods)
			return
		}
	}
	if !slices.Contains(found.methods, r.Method) {
		h.Set("Allow", strings.Join(found.methods, ", "))
		refuse(w, r, http.StatusMethodNotAllowed, "this path answers to "+strings.Join(found.methods, " and ")+" only")
		return
	}
	if body != nil {
		limit := int64(otherBody)
		if path := r.URL.Path; path == "/mcp" || path == "/message" {
			limit = s.MaxBody
		}
		r.Body = http.MaxBytesReader(w.ResponseWriter, body, limit)
	}
	found.ServeHTTP(w, r)
}

// refuse answers with a sentence. What the client still sends is not waited for.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	http.Error(w, text, status)
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// bodyGrace is how long a body may take, besides a millisecond for each 50 bytes.
const bodyGrace = 30 * time.Second
