package preflight

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/video"
)

const (
	// mostRequests and mostBytes bound the reading of one file on the web. A clip of 100 MB takes two requests and 150 KB.
	mostRequests, mostBytes = 8, 1 << 20
	// fresh is how long what was seen is believed without asking again: from an estimate to the purchase that follows it.
	fresh = 5 * time.Minute
	// mostRemembered bounds how many files are remembered.
	mostRemembered = 256
)

// web looks at a file on the web with a few small requests.
func (p *Preflight) web(ctx context.Context, address string) video.Medium {
	before, known := p.remembered.get(address)
	if known && time.Since(before.at) < fresh {
		return before.medium
	}
	file, err := egress.Open(ctx, p.Client, address, egress.Limits{Requests: mostRequests, Bytes: mostBytes, Known: before.validator})
	if file != nil {
		defer func() { _ = file.Close() }() // it was only read
	}
	if errors.Is(err, egress.ErrUnchanged) {
		p.remembered.put(address, memo{before.medium, before.validator, time.Now()})
		return before.medium
	}
	if err != nil {
		return p.unreachable(ctx, err)
	}
	if file.Size() < 0 {
		_, _ = file.ReadAt(make([]byte, 1), mostBytes-1) // a server that tells no size has told it by the end
	}
	medium := measure(file, file.Size())
	if err := file.Err(); err != nil { // what was cut on the way is no broken file
		cut := p.unreachable(ctx, err)
		medium.Wrong, medium.Right, medium.Unseen = cut.Wrong, cut.Right, cut.Unseen
	}
	if medium.Unseen == "" {
		p.remembered.put(address, memo{medium, file.Validator(), time.Now()})
	}
	return medium
}

// unreachable tells an address that leads nowhere from one that could not be looked at from here, now.
func (p *Preflight) unreachable(ctx context.Context, err error) video.Medium {
	why, dead := egress.Dead(err)
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound && p.nameless(ctx) {
		return video.Medium{Unseen: why + " for this server, which does not find the service's either: if it reaches the web through a proxy only, the operator sets R2V_EGRESS_PROXY"}
	}
	if dead {
		right := "a public link at which anybody finds the file without a sign-in (a signed one must not have expired), or a "
		if p.Folders == nil { // the files of whoever asks are elsewhere
			right += "picture as data:image/…;base64 where the model takes one"
		} else {
			right += "local file where the model takes one"
		}
		return video.Medium{Wrong: why, Right: right}
	}
	return video.Medium{Unseen: why}
}

// nameless reports whether not even the service's name can be found from here: then other names tell nothing.
func (p *Preflight) nameless(ctx context.Context) bool {
	if p.Service == "" || net.ParseIP(p.Service) != nil {
		return false
	}
	_, err := net.DefaultResolver.LookupHost(ctx, p.Service)
	return err != nil
}

// memory keeps what was seen at addresses, so that what was looked at for an estimate is not looked at again for the purchase.
type memory struct {
	mu    sync.Mutex
	memos map[string]memo
}

type memo struct {
	medium    video.Medium
	validator string // what the server called this content
	at        time.Time
}

func (m *memory) get(address string) (memo, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.memos[address]
	return found, ok
}

func (m *memory) put(address string, seen memo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.memos == nil {
		m.memos = map[string]memo{}
	}
	if len(m.memos) >= mostRemembered {
		m.forgetOldest()
	}
	m.memos[address] = seen
}

func (m *memory) drop(addresses []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, address := range addresses {
		delete(m.memos, address)
	}
}

func (m *memory) forgetOldest() {
	oldest := ""
	for address, seen := range m.memos {
		if oldest == "" || seen.at.Before(m.memos[oldest].at) {
			oldest = address
		}
	}
	delete(m.memos, oldest)
}
