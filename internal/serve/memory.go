package serve

import (
	"errors"
	"io"
	"sync"
)

const (
	smallBody   = 64 << 10  // bytes of a message that is not counted
	leastMemory = 128 << 20 // bytes of all messages beyond that size
	mostLarge   = 8         // of them of one person at a time: pictures come inside purchases, of which several may be under way
	memoryRetry = "5"       // seconds after which a large message may be sent again
)

var (
	errLarge  = errors.New("eight large messages of one person are being answered: nothing was done or charged. Wait for one of them, or give files as links")
	errMemory = errors.New("as many large messages are being answered as there is memory for: nothing was done or charged. Call again in 5 s, or give files as links")
)

// memory bounds what large messages take together, from their arrival until they are answered. A message costs several times its
// size while it is read, so the bound is far below what a server has.
type memory struct {
	most  int64
	mu    sync.Mutex
	taken int64
	large map[string]int // by person
}

func newMemory(maxBody int64) *memory {
	return &memory{most: max(leastMemory, 2*maxBody), large: map[string]int{}}
}

// hold is what one message takes; nil is that of a small one.
type hold struct {
	*memory
	person string
	bytes  int64
}

// begin makes the hold of a message that turns out to be large.
func (m *memory) begin(person string) (*hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.large[person] >= mostLarge {
		return nil, errLarge
	}
	m.large[person]++
	return &hold{memory: m, person: person}, nil
}

func (h *hold) grow(by int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken+by > h.most {
		return errMemory
	}
	h.taken += by
	h.bytes += by
	return nil
}

// release gives everything back.
func (h *hold) release() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken -= h.bytes
	h.bytes = 0
	if h.large[h.person]--; h.large[h.person] == 0 {
		delete(h.large, h.person)
	}
}

// read reads a message whole. Memory is taken for what has come: a length that is only announced takes none. length is below zero
// when none was, and nothing beyond limit comes.
func (m *memory) read(from io.Reader, length, limit int64, person string) (body []byte, h *hold, err error) {
	defer func() {
		if err != nil {
			h.release()
			body, h = nil, nil
		}
	}()
	whole := limit + 1 // so that the end is read without growing
	if length >= 0 {
		whole = length + 1
	}
	body = make([]byte, 0, min(whole, 4<<10))
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF { //nolint:errorlint // a reader's end is this value itself
			return body, h, nil
		}
		if err != nil {
			return nil, h, err
		}
		if len(body) < cap(body) {
			continue
		}
		size := min(4*int64(cap(body)), max(whole, int64(cap(body))+1))
		if size > smallBody+1 {
			if h == nil {
				if h, err = m.begin(person); err != nil {
					return nil, nil, err
				}
			}
			if err = h.grow(size - h.bytes); err != nil {
				return nil, h, err
			}
		}
		body = append(make([]byte, 0, size), body...)
	}
}
