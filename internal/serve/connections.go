package serve

import (
	"net"
	"sync"
)

const (
	mostConnections = 12_000
	fewestFiles     = 64 // below which the system's limit is taken for none
)

// connections is how many connections are served at a time by a process that may open so many files: half of them, so that saving
// and buying keep theirs, and no more than callers who may wait need.
func connections(files uint64) int {
	if files < fewestFiles {
		return mostConnections
	}
	return int(min(files/2, mostConnections))
}

// bounded is a listener with so many open connections at most. Others wait in the system's line until one is closed.
type bounded struct {
	net.Listener
	places chan struct{}
	ended  chan struct{}
	end    func()
}

func newBounded(l net.Listener, most int) *bounded {
	ended := make(chan struct{})
	return &bounded{Listener: l, places: make(chan struct{}, most), ended: ended, end: sync.OnceFunc(func() { close(ended) })}
}

// Accept is [net.Listener]'s.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.ended:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
}

// Close is [net.Listener]'s.
func (b *bounded) Close() error {
	b.end()
	return b.Listener.Close()
}

// placed is a connection that has a place.
type placed struct {
	net.Conn
	leave func()
}

// Close is [net.Conn]'s.
func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
