package killtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// order answers a worker that asks for work or tells what became of it.
func (b *boss) order(w http.ResponseWriter, r *http.Request) {
	var said struct {
		job
		vital
	}
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := r.UserAgent()
	switch r.URL.Path {
	case "/boss/next":
		b.vitals[name] = said.vital
		b.next(w, name)
	case "/boss/bought":
		b.bought[said.Key] = true
		delete(b.held, name+" "+said.Key)
	case "/boss/later":
		delete(b.held, name+" "+said.Key)
		b.again = append(b.again, returned{said.job, time.Now().Add(200 * time.Millisecond)})
	}
}

// next hands out a key that came back, now and then one that somebody else is at, as agents do who lost patience, or a new one.
func (b *boss) next(w http.ResponseWriter, name string) {
	if b.over {
		w.WriteHeader(http.StatusGone)
		return
	}
	j, ok := b.came()
	if !ok && b.random.IntN(8) == 0 {
		j, ok = b.contested()
	}
	if !ok && b.issued < b.most {
		b.issued++
		j, ok = b.job(b.issued), true
	}
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b.held[name+" "+j.Key] = j.Key
	_ = json.NewEncoder(w).Encode(j)
}

func (b *boss) job(n int) job { return job{Key: fmt.Sprintf("k-%06d", n), Prompt: b.prompt(n)} }

// came takes a key that came back, when it is time.
func (b *boss) came() (job, bool) {
	b.again = slices.DeleteFunc(b.again, func(r returned) bool { return b.bought[r.Key] })
	now := time.Now()
	for i, r := range b.again {
		if r.after.Before(now) {
			b.again = slices.Delete(b.again, i, i+1)
			return r.job, true
		}
	}
	return job{}, false
}

// contested picks a key that somebody is at.
func (b *boss) contested() (job, bool) {
	keys := make([]string, 0, len(b.held))
	for _, key := range b.held {
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return job{}, false
	}
	slices.Sort(keys)
	var n int
	_, _ = fmt.Sscanf(keys[b.random.IntN(len(keys))], "k-%d", &n)
	return b.job(n), true
}

// bury takes back what a dead worker was at.
func (b *boss) bury(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.vitals, name)
	for held, key := range b.held {
		if strings.HasPrefix(held, name+" ") {
			delete(b.held, held)
			var n int
			_, _ = fmt.Sscanf(key, "k-%d", &n)
			b.again = append(b.again, returned{b.job(n), time.Now()})
		}
	}
}

// stopOrders lets no new key be begun.
func (b *boss) stopOrders() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = b.issued
}

// dismiss ends the work.
func (b *boss) dismiss() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

// progress tells how many keys were handed out, and how many of them are known to be bought.
func (b *boss) progress() (issued, bought int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.issued, len(b.bought)
}
