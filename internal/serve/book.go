package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"r2v-mcp/internal/auth"
)

var (
	errTheirs = errors.New("too many streams are open with this token: close one first")
	errAll    = errors.New("too many streams are open on this server")
)

// book holds the open streams, each with the person who opened it. A session is its stream and nothing else: it is found by
// nobody but that person, and gone with the stream.
type book struct {
	mu      sync.Mutex
	streams map[string]*stream
	open    map[string]int // by person
}

// stream is one open stream.
type stream struct {
	life
	id     string
	person auth.Person
	used   atomic.Int64 // when the last message came, in nanoseconds since 1970
	end    context.CancelFunc

	out     *rolling             // what its client reads
	session server.ClientSession // the library's, before the client knows the id
}

func (st *stream) touch() { st.used.Store(time.Now().UnixNano()) }

type streamKey struct{}

// streamID gives the library's session the id of the stream.
func streamID(ctx context.Context, _ *http.Request) (string, error) {
	st, ok := ctx.Value(streamKey{}).(*stream)
	if !ok {
		return "", errors.New("no stream is open")
	}
	return st.id, nil
}

// opened keeps the library's session with its stream.
func opened(ctx context.Context, session server.ClientSession) {
	if st, ok := ctx.Value(streamKey{}).(*stream); ok {
		st.session = session
	}
}

// enter opens a stream of a person, whose context ends with parent.
func (b *book) enter(parent context.Context, p auth.Person) (*stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open[p.Name] >= maxStreamsOne:
		return nil, errTheirs
	case len(b.streams) >= maxStreams:
		return nil, errAll
	}
	st := &stream{id: rand.Text(), person: p}
	st.ctx, st.end = context.WithCancel(parent)
	st.left = make(chan struct{}, 1)
	st.touch()
	b.streams[st.id] = st
	b.open[p.Name]++
	return st, nil
}

// leave closes a stream, and ends its calls.
func (b *book) leave(st *stream) {
	st.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, st.id)
	if b.open[st.person.Name]--; b.open[st.person.Name] == 0 {
		delete(b.open, st.person.Name)
	}
}

// find tells the stream with an id, nil when there is none or it is another person's.
func (b *book) find(id string, p auth.Person) *stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	if st := b.streams[id]; st != nil && st.person == p && st.ctx.Err() == nil {
		return st
	}
	return nil
}
