package egress_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
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

// names is a DNS: each name has answers, of which the last is given for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   map[string]int
}

func resolver(answers map[string][][]string) *net.Resolver {
	n := &names{answers: answers, asked: map[string]int{}}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // no packets: the resolver speaks as over TCP
		go n.serve(server)
		return client, nil
	}}
}

func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := n.answer(query)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer is RFC 1035, section 4.1, as far as a resolver asks for addresses.
func (n *names) answer(query []byte) []byte {
	var labels []string
	at := 12
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	kind := binary.BigEndian.Uint16(query[at+1:])
	addrs, known := n.next(strings.ToLower(strings.Join(labels, ".")), kind)
	flags := uint16(0x8180)
	if !known {
		flags |= 3 // the name does not exist
	}
	out := append([]byte{query[0], query[1]}, byte(flags>>8), byte(flags), 0, 1, 0, byte(len(addrs)), 0, 0, 0, 0)
	out = append(out, query[12:at+5]...)
	for _, addr := range addrs {
		out = append(out, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(addr)))
		out = append(out, addr...)
	}
	return out
}

// next is the answer of one kind. Each question for the older kind of address moves on to the next answer.
func (n *names) next(name string, kind uint16) (addrs [][]byte, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answers, known := n.answers[name]
	if !known {
		return nil, false
	}
	answer := answers[min(n.asked[name], len(answers)-1)]
	if kind == 1 {
		n.asked[name]++
	}
	for _, text := range answer {
		addr := netip.MustParseAddr(text)
		if addr.Is4() == (kind == 1) && (kind == 1 || kind == 28) {
			addrs = append(addrs, addr.AsSlice())
		}
	}
	return addrs, true
}

func newDoor(t *testing.T, s egress.Settings) *http.Client {
	t.Helper()
	door, err := egress.NewClient(s)
	require.NoError(t, err)
	t.Cleanup(door.CloseIdleConnections)
	return door
}
