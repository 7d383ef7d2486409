package tools

import "sync"

const (
	// mostWaiting bounds the calls that wait at a time unless the set says otherwise, below the 100 that the library works on at a time
	// over stdio: a purchase must not stand in line behind those who wait.
	mostWaiting = 64
	// shareOfOne is the part of all places that one named person may hold: one over so many.
	shareOfOne = 4
)

// places are those in which calls wait. Each costs memory, so that they are counted, by person too.
type places struct {
	mu  sync.Mutex
	all int
	by  map[string]int
}

// take takes a place, if the person may have one more; leave gives it back.
func (p *places) take(person string, most int) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= most || person != "" && p.by[person] >= most/shareOfOne {
		return func() {}, false
	}
	if p.by == nil {
		p.by = map[string]int{}
	}
	p.all++
	p.by[person]++
	return func() { p.leave(person) }, true
}

func (p *places) leave(person string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.by[person]--; p.by[person] == 0 {
		delete(p.by, person)
	}
}
