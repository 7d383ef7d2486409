package serve

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/time/rate"
)

// callbacks is the folder of the paths at which the provider tells that a task has ended. What follows is a secret between it and this
// server, so it is asked for nothing else, and the path is in no log line, error or label.
const callbacks = "/callbacks/"

const (
	callbackRate     = 20 // a second, of all callers together, and as many at once
	callbackRateOne  = 10 // of one address, so that nobody alone takes up all room
	callbackRetry    = 1  // seconds after which there may be room again
	callbackIPv6Bits = 64 // of an address that tell who it is: whoever has one has all of these
)

// callbackDoor takes callbacks in. Whatever a path ends in, the answer is the same, and given before anything is looked up: nobody learns
// which of them exist.
type callbackDoor struct {
	take    func(hint, id string) bool
	refused func()
	all     *rate.Limiter
	callers *rates
}

func newCallbackDoor(o Options) *callbackDoor {
	refused := o.CallbackRefused
	if refused == nil {
		refused = func() {}
	}
	return &callbackDoor{
		take: o.Callback, refused: refused, all: rate.NewLimiter(callbackRate, callbackRate),
		callers: &rates{limit: callbackRateOne, burst: callbackRateOne, people: map[string]*rate.Limiter{}},
	}
}

func (d *callbackDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isJSON(r.Header) {
		refuse(w, r, http.StatusUnsupportedMediaType, "the Content-Type has to be application/json, without a Content-Encoding")
		return
	}
	seconds, ok := d.callers.allow(caller(r))
	if ok && !d.all.Allow() {
		seconds, ok = callbackRetry, false
	}
	if !ok {
		d.refuse(w, r, seconds)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		status, _ := unread(err)
		refuse(w, r, status, "the body is larger than "+count(otherBody)+", too slow or incomplete")
		return
	}
	var said struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &said) != nil {
		said.ID = "" // the rest of the callback is as good
	}
	if !d.take(strings.TrimPrefix(r.URL.Path, callbacks), said.ID) {
		d.refuse(w, r, callbackRetry)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (d *callbackDoor) refuse(w http.ResponseWriter, r *http.Request, seconds int) {
	d.refused()
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	refuse(w, r, http.StatusTooManyRequests, "too many callbacks at once: nothing came of this one")
}

// caller tells who asks by the address, which may be a proxy's.
func caller(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := peer.Addr().Unmap()
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.WithZone("").Prefix(callbackIPv6Bits)
	if err != nil {
		return addr.String()
	}
	return network.String()
}
