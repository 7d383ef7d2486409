package serve

import (
	"math"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/time/rate"

	"r2v-mcp/internal/auth"
)

// maxPeople bounds how many people's rates are kept at once.
const maxPeople = 10_000

// leastBurst is how many messages may come at once in any case: a client sends some before its first call.
const leastBurst = 10

// rates counts the messages of each person.
type rates struct {
	limit  rate.Limit // 0: none
	burst  int
	mu     sync.Mutex
	people map[string]*rate.Limiter
}

func newRates(limit rate.Limit) *rates {
	if limit <= 0 || limit == rate.Inf {
		return &rates{}
	}
	return &rates{limit: limit, burst: max(leastBurst, int(math.Ceil(5*float64(limit)))), people: map[string]*rate.Limiter{}}
}

// allow takes one message of a person, or tells in how many seconds there will be room for it.
func (r *rates) allow(name string) (seconds int, ok bool) {
	if r.limit == 0 {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter := r.people[name]
	if limiter == nil {
		r.makeRoom()
		limiter = rate.NewLimiter(r.limit, r.burst)
		r.people[name] = limiter
	}
	if limiter.Allow() {
		return 0, true
	}
	wait := (1 - limiter.Tokens()) / float64(r.limit)
	return int(max(1, math.Ceil(wait))), false
}

// makeRoom forgets who has not asked for a while: a rate that is full again is as a new one. When nobody rests, somebody is
// forgotten all the same.
func (r *rates) makeRoom() {
	if len(r.people) < maxPeople {
		return
	}
	for name, limiter := range r.people {
		if limiter.Tokens() >= float64(r.burst) {
			delete(r.people, name)
		}
	}
	for name := range r.people {
		if len(r.people) < maxPeople {
			return
		}
		delete(r.people, name)
	}
}

// limited refuses the messages of a person that come too fast.
func (s *surface) limited(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seconds, ok := s.people.allow(auth.From(r.Context()).Name)
		if !ok {
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
			refuse(w, r, http.StatusTooManyRequests, "too many calls at once: nothing was done or charged. Wait "+strconv.Itoa(seconds)+
				" s and call again; get_task with wait_seconds waits in one call. R2V_RATE_LIMIT sets the limit")
			return
		}
		next(w, r)
	})
}
