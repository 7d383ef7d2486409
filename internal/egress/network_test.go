package egress_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/egress"
)

// inside is a service of this machine on both loopbacks, at one port. It counts whoever comes.
type inside struct {
	port   string
	visits atomic.Int32
}

func newInside(t *testing.T) *inside {
	t.Helper()
	in := &inside{}
	for range 20 { // the same port may be taken on the other loopback
		v4, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		in.port = strconv.Itoa(v4.Addr().(*net.TCPAddr).Port)
		v6, err := net.Listen("tcp", net.JoinHostPort("::1", in.port))
		if err != nil {
			v4.Close()
			continue
		}
		for _, l := range []net.Listener{v4, v6} {
			t.Cleanup(func() { l.Close() })
			go in.serve(l)
		}
		return in
	}
	require.Fail(t, "no port is free on both loopbacks")
	return nil
}

func (in *inside) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		in.visits.Add(1)
		go func() {
			defer conn.Close()
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			}
		}()
	}
}

func newDoor(t *testing.T, s egress.Settings) *http.Client {
	t.Helper()
	door, err := egress.NewClient(s)
	require.NoError(t, err)
	t.Cleanup(door.CloseIdleConnections)
	return door
}
