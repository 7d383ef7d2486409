package simulator

import (
	"net/http"
	"time"
)

// The providers that a Server can be, for Options.Provider.
const (
	// DashScope is Alibaba Cloud Model Studio, and what an empty name means.
	DashScope = "dashscope"
	// EvoLink is the relay.
	EvoLink = "evolink"
)

// tongue is what one provider does in its own way. Tasks, their queue, clips, samples, downloads and the mechanics of
// faults are the same for all.
type tongue interface {
	// routes adds the provider's own paths.
	routes(s *Server, add func(pattern string, methods byMethod))
	// refuse writes an error. What all providers share refuses in DashScope's words, which this translates.
	refuse(c *call, r refusal) answer
	jsonType(op operation) string
	// failure puts what is wrong with a reference into the words of a failed task.
	failure(p *problem) *problem
	newTaskID(now time.Time) string
	faults() []fault
	calls() []operation   // that are counted, and that faults may happen to
	metered() []operation // whose most within a second is known
	limits() map[operation]int
}

// tongueOf panics for a provider that there is not: only a programmer names one here.
func tongueOf(provider string) tongue {
	switch provider {
	case "", DashScope:
		return dashscope{}
	case EvoLink:
		return relay{}
	}
	panic("simulator: there is no provider " + provider)
}

type dashscope struct{}

func (dashscope) routes(s *Server, add func(pattern string, methods byMethod)) {
	add("/api/v1/services/aigc/video-generation/video-synthesis", byMethod{http.MethodPost: s.operation(opCreate, s.create,
		s.receive, s.authenticate, s.throttle, s.requireAsync, s.parse, s.readMarkers)})
	add("/api/v1/tasks", byMethod{http.MethodGet: s.operation(opList, s.list, s.authenticate, s.throttle, s.refuseAsync)})
	add("/api/v1/tasks/{id}", byMethod{http.MethodGet: s.operation(opGet, s.get, s.noteRead, s.authenticate, s.throttle, s.refuseAsync)})
	add("/api/v1/tasks/{id}/cancel", byMethod{http.MethodPost: s.operation(opCancel, s.cancel, s.authenticate, s.throttle)})
	add("/api/v1/uploads", byMethod{http.MethodGet: s.operation(opPolicy, s.policy, s.authenticate, s.throttle)})
	add("/upload", byMethod{http.MethodPost: s.operation(opUpload, s.upload)})
}

// refuse: DashScope speaks JSON, the storage behind it XML.
func (dashscope) refuse(c *call, r refusal) answer {
	if c.op == opUpload || c.op == opResult {
		return c.refuseInXML(r)
	}
	return c.json(r.status, errorBody{r.code, r.message, c.id})
}

// The two types were recorded: create answers without a charset, the other calls with one.
func (dashscope) jsonType(op operation) string {
	if op == opCreate {
		return "application/json"
	}
	return "application/json;charset=UTF-8"
}

func (dashscope) failure(p *problem) *problem { return p }

func (dashscope) newTaskID(time.Time) string { return newID() }

func (dashscope) faults() []fault { return catalogue() }

func (dashscope) calls() []operation { return anyCall() }

func (dashscope) metered() []operation { return []operation{opCreate, opGet, opList, opCancel} }

func (dashscope) limits() map[operation]int { return callsPerSecond() }
