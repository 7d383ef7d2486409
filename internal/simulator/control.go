package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// opTasks counts tasks made, among the counters of calls.
const opTasks operation = "tasks"

const (
	maxControlBody = 64 << 10
	keptRequests   = 1000
	keptBytes      = 64 << 20
)

// receivedRequest is a create as it came in. The key is not kept, only that there was one.
type receivedRequest struct {
	Time          time.Time         `json:"time"`
	RequestID     string            `json:"request_id"`
	Path          string            `json:"path"`
	Authorization bool              `json:"authorization"`
	Headers       map[string]string `json:"headers"`
	Body          string            `json:"body"`
}

func headersOfInterest() []string {
	return []string{
		"Content-Type", "Accept", "User-Agent", asyncHeader,
		"X-DashScope-OssResourceResolve", "X-DashScope-WorkSpace", "X-DashScope-DataInspection", "Idempotency-Key",
	}
}

// remember keeps a create for /control/requests, and not too much of it all.
func (s *Server) remember(c *call) {
	received := receivedRequest{
		Time: c.now, RequestID: c.id, Path: c.r.URL.Path, Authorization: c.r.Header.Get("Authorization") != "",
		Headers: make(map[string]string), Body: string(c.body),
	}
	for _, name := range headersOfInterest() {
		if value := c.r.Header.Get(name); value != "" {
			received.Headers[name] = value
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, received)
	size := 0
	for _, r := range s.received {
		size += len(r.Body)
	}
	for len(s.received) > keptRequests || (size > keptBytes && len(s.received) > 1) {
		size -= len(s.received[0].Body)
		s.received[0] = receivedRequest{} // the array behind it lives on
		s.received = s.received[1:]
	}
}

func (s *Server) count(op operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters[op]++
}

// control wraps what a test or a curious user asks the simulator itself, and nobody else: only callers on this
// machine, or in this process, where there is no address.
func (s *Server) control(handle func(*http.Request) (int, any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, op: opOther, id: newID(), now: time.Now(), tongue: s.tongue}
		if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && !from.Addr().Unmap().IsLoopback() {
			c.send(c.refuse(refusal{http.StatusForbidden, "AccessDenied", "simulator: /control answers on loopback only"}))
			return
		}
		c.send(c.json(handle(r)))
	})
}

func (s *Server) showRequests(*http.Request) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return http.StatusOK, append([]receivedRequest{}, s.received...)
}

func (s *Server) showCounters(*http.Request) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counters := make(map[operation]int)
	for _, op := range append(s.tongue.calls(), opSample, opRedirected, opTasks) {
		counters[op] = s.counters[op]
	}
	return http.StatusOK, counters
}

// faultOrder is the body of POST /control/faults.
type faultOrder struct {
	Fault   string    `json:"fault"`
	On      operation `json:"on"`
	Times   int       `json:"times"` // absent or 0 is once, below 0 until DELETE
	DelayMS *int      `json:"delay_ms"`
}

type faultList struct {
	Faults []Fault     `json:"faults"`
	Armed  []armedBody `json:"armed"`
}

type armedBody struct {
	Fault   string    `json:"fault"`
	On      operation `json:"on"`
	Left    int       `json:"left"`
	DelayMS int64     `json:"delay_ms"`
}

func (s *Server) showFaults(*http.Request) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := faultList{Faults: listed(s.tongue.faults()), Armed: []armedBody{}}
	for _, a := range s.armed {
		if a.left != 0 {
			list.Armed = append(list.Armed, armedBody{a.fault.Name, a.on, a.left, a.delay.Milliseconds()})
		}
	}
	return http.StatusOK, list
}

func (s *Server) armFault(r *http.Request) (int, any) {
	var o faultOrder
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxControlBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return http.StatusBadRequest, errorBody{Code: "InvalidParameter", Message: fmt.Sprintf("simulator: %v", err)}
	}
	f, ok := s.faults[o.Fault]
	if o.On == "" {
		o.On = operation(f.On)
	}
	if !ok || !f.happensTo(o.On) {
		message := fmt.Sprintf("simulator: there is no fault %q on %q; GET /control/faults lists them", o.Fault, o.On)
		return http.StatusBadRequest, errorBody{Code: "InvalidParameter", Message: message}
	}
	a := &armed{f, o.On, o.Times, s.scaled(f.delay)}
	if o.Times == 0 {
		a.left = 1
	}
	if o.DelayMS != nil {
		a.delay = time.Duration(*o.DelayMS) * time.Millisecond
	}
	s.mu.Lock()
	s.armed = slices.DeleteFunc(s.armed, func(a *armed) bool { return a.left == 0 })
	s.armed = append(s.armed, a)
	s.mu.Unlock()
	return s.showFaults(r)
}

func (s *Server) disarm(r *http.Request) (int, any) {
	s.mu.Lock()
	s.armed = nil
	s.mu.Unlock()
	return s.showFaults(r)
}
