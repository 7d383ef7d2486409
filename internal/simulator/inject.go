package simulator

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// armed is a fault that waits for its call.
type armed struct {
	fault fault
	on    operation
	left  int // times; below 0 is always
	delay time.Duration
}

func (a *armed) use() bool {
	if a.left > 0 {
		a.left--
		return true
	}
	return a.left < 0
}

// marker is a fault ordered in a prompt.
type marker struct {
	armed
	key string // in Server.spent: how often this marker of this prompt has acted; a hash, for a prompt may be long
}

var markerText = lazily(`\[\[fault:([a-z0-9-]+)(?:@([a-z]+))?(?: x([1-9][0-9]{0,3}))?\]\]`)

const always = -1

// readMarkers finds the faults in the prompt. One it does not know is refused, so that a misspelt one is no success.
func (s *Server) readMarkers(c *call) *refusal {
	for i, found := range markerText().FindAllStringSubmatch(c.prompt, -1) {
		f, ok := s.faults[found[1]]
		on := operation(found[2])
		if found[2] == "" {
			on = operation(f.On)
		}
		// A list is about many tasks: only what concerns one row of it can come from a prompt.
		if !ok || !f.happensTo(on) || aboutNoTask(on) || (on == opList && f.Name != hideFault && f.Name != lateFault) {
			return &refusal{http.StatusBadRequest, "InvalidParameter", "simulator: there is no fault " + found[0]}
		}
		times := always
		if found[3] != "" {
			times, _ = strconv.Atoi(found[3]) // one to four digits
		}
		c.markers = append(c.markers, marker{
			armed: armed{f, on, times, s.scaled(f.delay)},
			key:   fmt.Sprintf("%d of %x", i, sha256.Sum256([]byte(c.prompt))),
		})
	}
	return nil
}

// aboutNoTask tells of calls that no prompt can reach, for they are about no task.
func aboutNoTask(op operation) bool {
	return op == opPolicy || op == opUpload || op == opBatch || op == opCredits
}

// plannedFaults are the prompt's faults for calls after the create.
func (c *call) plannedFaults() []*armed {
	var planned []*armed
	for _, m := range c.markers {
		if m.on != opCreate {
			planned = append(planned, &m.armed)
		}
	}
	return planned
}

// hidden uses up one hiding of the task from a list, if there is one at its age.
func (t *task) hidden(now time.Time) bool {
	for _, a := range t.planned {
		if a.on == opList && (a.fault.Name != lateFault || t.age(now) < a.delay) && a.use() {
			return true
		}
	}
	return false
}

// withFault lets the next fault for this call act, or else the handler.
func (s *Server) withFault(c *call, handle func(*call) answer) answer {
	a := s.nextFault(c)
	if a == nil {
		return handle(c)
	}
	s.log.Info("simulator: fault", "fault", a.fault.Name, "op", c.op, "request_id", c.id)
	if a.fault.Name == lateFault || a.fault.Name == lateBillFault { // its delay is that of the rows or the bill, not of the answer
		c.hideYoung = a.delay
		return handle(c)
	}
	answered := a.fault.act(c, func() answer { return handle(c) })
	if !c.wait(a.delay) {
		return answer{lost: true}
	}
	return answered
}

// nextFault takes the prompt's faults first, in their order, then those of /control/faults.
func (s *Server) nextFault(c *call) *armed {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range c.markers {
		if m.on == opCreate && (m.left < 0 || s.spent[m.key] < m.left) {
			s.spent[m.key]++
			return &m.armed
		}
	}
	if t, ok := s.tasks[c.taskID()]; ok && c.op != opCreate {
		for _, a := range t.planned {
			if a.on == c.op && a.use() {
				return a
			}
		}
	}
	for _, a := range s.armed {
		if a.on == c.op && a.use() {
			return a
		}
	}
	return nil
}

// taskID is the task a call is about, or empty.
func (c *call) taskID() string {
	switch c.op {
	case opGet, opCancel:
		return c.r.PathValue("id")
	case opResult:
		return resultID(c.r)
	}
	return ""
}

// wait passes the delay, unless the asker leaves first.
func (c *call) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
		return false
	}
}

// lazily compiles an expression when it is first needed: the program is started all day, and most starts need none.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
