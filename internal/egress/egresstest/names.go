// Package egresstest has what tests of foreign addresses need: names that lead wherever a test wants, and receivers whose TLS is trusted.
package egresstest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// names is a DNS: each name has answers, of which the last is given for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   map[string]int
}

// Resolver knows the addresses of some names, for each a list of answers, of which the last is given for ever.
func Resolver(answers map[string][][]string) *net.Resolver {
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
