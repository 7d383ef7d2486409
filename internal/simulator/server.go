// Package simulator is a DashScope on loopback, or an EvoLink relay: the paths, bodies, states, errors, queue, bills and
// result files of Alibaba Cloud Model Studio's reference-to-video models, without a key, a bill or a network.
//
// It reads the service's rules for itself and shares no code with the clients of this module, so that a misreading
// on one side shows as a failing test and not as an agreement of both. Nothing runs in the background but the relay's
// callbacks: whatever state a task is in is worked out from the clock when somebody asks.
package simulator

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Options sets up a Server. The zero value is a service at its documented pace that accepts any key.
type Options struct {
	// Provider is whose API is spoken: DashScope, which empty means too, or EvoLink.
	Provider string
	// Speed divides the time a task is queued for and runs: 60 makes a minute a second. 0 and below mean 1.
	// What the service counts in days and calls per second is not divided.
	Speed float64
	// APIKey is the one key accepted; empty accepts every bearer token that is not empty.
	APIKey string
	// Logger gets one line for each request. It never sees a prompt, a key or a signed link. Nil is silent.
	Logger *slog.Logger
	// Concurrent is how many tasks run at a time, the others being queued. 0 and below mean the documented 5.
	Concurrent int
	// Unthrottled switches off the documented limits on calls per second.
	Unthrottled bool
	// Client downloads reference videos at http(s) addresses that do not tell their length, as the service does: their own length
	// is billed, and a task whose video cannot be had or is none fails. Nil downloads nothing and counts each of them as 5 s.
	Client *http.Client
	// CallbackClient delivers the relay's callbacks, and opens them to any https address. Nil is a plain client, and internal
	// addresses are refused. No redirect is followed in either case.
	CallbackClient *http.Client
}

// Server is the simulated service, an http.Handler for any listener or in-memory transport. It learns the address it
// is reached at from each request's Host. It must come from New.
//
// Beside the service's own paths below /api/v1 it has /upload (the storage that upload policies name), /results (the
// clips that video_url names), /samples (references to order with, such as /samples/dancer-8s.mp4, /samples/hat.png and
// /samples/voice-4s.wav), and for callers on this machine: /control/requests, the creates as they came in; /control/tasks,
// every remembered task in order of submission, with its bill; /control/counters, the calls so far; /control/rates, the
// most of them within one second; /control/reads, how soon after one another each task was read; and /control/faults, to
// order mishaps. An EvoLink has its paths below /v1 and /api/v1/files, and /files (what was uploaded) instead of /upload.
// A fault that closes the connection panics with http.ErrAbortHandler where there is no connection to close.
type Server struct {
	tongue tongue
	apiKey string
	speed  float64
	log    *slog.Logger
	client *http.Client
	secret []byte
	faults map[string]fault
	limits map[operation]*rate.Limiter
	mux    *http.ServeMux
	clips  clipCache
	rates  *rateMeter

	maxOrder, maxUpload int64 // bytes

	callbacks *callbacks

	mu       sync.Mutex
	tasks    map[string]*task
	queue    []*task           // every remembered task, in order of submission
	slots    []time.Time       // when each place to run at is free
	grants   map[string]grant  // by policy
	objects  map[string]object // by key, the relay's by address
	files    []relayFile       // the newest of them
	armed    []*armed
	spent    map[string]int // how often a marker in a prompt has acted
	received []receivedRequest
	counters map[operation]int
}

// New returns a Server without tasks. Servers share nothing with one another; a result link of one is refused by the
// next. It panics for a provider that there is not.
func New(o Options) *Server {
	t := tongueOf(o.Provider)
	s := &Server{
		tongue:   t,
		apiKey:   o.APIKey,
		speed:    1,
		log:      o.Logger,
		client:   o.Client,
		secret:   []byte(rand.Text()),
		faults:   make(map[string]fault),
		limits:   make(map[operation]*rate.Limiter),
		tasks:    make(map[string]*task),
		grants:   make(map[string]grant),
		objects:  make(map[string]object),
		spent:    make(map[string]int),
		counters: make(map[operation]int),
		slots:    make([]time.Time, concurrentTasks),
		rates:    newRateMeter(t.metered()),

		maxOrder:  maxOrder,
		maxUpload: maxUploadSize,

		callbacks: newCallbacks(o.CallbackClient),
	}
	if o.Speed > 0 {
		s.speed = o.Speed
	}
	if o.Concurrent > 0 {
		s.slots = make([]time.Time, o.Concurrent)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, f := range t.faults() {
		s.faults[f.Name] = f
	}
	if !o.Unthrottled {
		for op, perSecond := range t.limits() {
			s.limits[op] = rate.NewLimiter(rate.Limit(perSecond), perSecond)
		}
	}
	s.mux = s.routes()
	return s
}

// callsPerSecond holds the limits of the rate limit page (create), the asynchronous task page (each of the three task
// calls) and the temporary upload page (policies), per account.
func callsPerSecond() map[operation]int {
	return map[operation]int{opCreate: 5, opGet: 20, opList: 20, opCancel: 20, opPolicy: 100}
}

// ServeHTTP answers every path with and without a final slash alike and never redirects on its own: the official SDK
// asks both ways, and a redirect would turn its POST into a GET.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plain, address := *r, *r.URL
	address.Path, address.RawPath = path.Clean("/"+r.URL.Path), ""
	plain.URL = &address
	if plain.Body == nil { // handed over in memory, not by a listener
		plain.Body = http.NoBody
	}
	if plain.Host == "" {
		plain.Host = address.Host
	}
	s.mux.ServeHTTP(w, &plain)
}

type byMethod map[string]http.Handler

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	add := func(pattern string, methods byMethod) { mux.Handle(pattern, s.dispatch(methods)) }

	s.tongue.routes(s, add)
	result, sample := s.operation(opResult, s.result), s.operation(opSample, s.sample)
	add("/results/{file}", byMethod{http.MethodGet: result, http.MethodHead: result})
	add("/samples/{file}", byMethod{http.MethodGet: sample, http.MethodHead: sample})

	add("/control/faults", byMethod{
		http.MethodGet: s.control(s.showFaults), http.MethodPost: s.control(s.armFault), http.MethodDelete: s.control(s.disarm),
	})
	for path, show := range map[string]func(*http.Request) (int, any){
		"/control/requests": s.showRequests, "/control/tasks": s.showTasks,
		"/control/counters": s.showCounters, "/control/rates": s.showRates,
		"/control/reads": s.showReads,
	} {
		add(path, byMethod{http.MethodGet: s.control(show)})
	}

	// Both spellings, or the mux would redirect from one to the other.
	mux.Handle("/redirected", s.operation(opRedirected, notFound))
	mux.Handle("/redirected/", s.operation(opRedirected, notFound))
	mux.Handle("/", s.operation(opOther, notFound))
	return mux
}

func notFound(c *call) answer {
	return c.refuse(refusal{http.StatusNotFound, "NotFound", "Request path not found."})
}

func (s *Server) dispatch(methods byMethod) http.Handler {
	allowed := ""
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		if methods[method] != nil && allowed != "" {
			allowed += ", "
		}
		if methods[method] != nil {
			allowed += method
		}
	}
	refuse := s.operation(opOther, func(c *call) answer {
		c.w.Header().Set("Allow", allowed)
		message := fmt.Sprintf("Request method '%s' is not supported.", c.r.Method)
		return c.refuse(refusal{http.StatusMethodNotAllowed, "InvalidParameter", message})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, ok := methods[r.Method]; ok {
			handler.ServeHTTP(w, r)
			return
		}
		refuse.ServeHTTP(w, r)
	})
}

// baseAddress is where the asker reached the server, so that links work through whatever port or name they used.
func baseAddress(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// scaled is a pace of the service's, divided by Speed.
func (s *Server) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.speed)
}
