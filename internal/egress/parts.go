package egress

import (
	"io"
	"maps"
	"net/http"
	"strings"
)

// mostAhead is how many bytes are fetched at once, at most, when reads go on from one to the next.
const mostAhead = 256 << 10

// parts is a file that its server gives in parts. Each part that was fetched is kept, in blocks of the same length, of which the
// file's last is shorter.
type parts struct {
	line   *line
	head   head
	blocks map[int64][]byte
	next   int64 // the block after the last that was fetched
	ahead  int64 // blocks of the last fetch, when it was one of several that follow each other
	err    error // why nothing more is fetched
}

func (p *parts) size() int64 { return p.head.size }
func (p *parts) close()      {}

// first keeps the beginning. A body that is cut off later is an error only for those who read on.
func (p *parts) first(resp *http.Response) error {
	defer resp.Body.Close()
	p.next, p.ahead = 1, 1
	p.err = p.keep(resp, 0, min(p.line.block, p.head.size))
	if !p.has(0) {
		return p.err
	}
	return nil
}

func (p *parts) readAt(buf []byte, off int64) (int, error) {
	want := int(min(int64(len(buf)), p.head.size-off))
	err := p.fill(off, off+int64(want))
	n := p.copy(buf[:want], off)
	switch {
	case n < want && err == nil:
		return n, io.ErrUnexpectedEOF
	case n < want:
		return n, err
	case want < len(buf):
		return n, io.EOF
	}
	return n, nil
}

// copy copies what is there without a gap.
func (p *parts) copy(buf []byte, off int64) int {
	size, n := p.line.block, 0
	for n < len(buf) {
		at := off + int64(n)
		block := p.blocks[at/size]
		if at%size >= int64(len(block)) {
			break
		}
		n += copy(buf[n:], block[at%size:])
	}
	return n
}

// fill fetches what is missing between two places, with one request for each run of missing blocks.
func (p *parts) fill(from, to int64) error {
	size := p.line.block
	for i := from / size; i*size < to; i++ {
		if p.has(i) {
			continue
		}
		if p.err != nil {
			return p.err
		}
		if p.err = p.fetch(i, p.run(i, to)); p.err != nil {
			return p.err
		}
	}
	return p.err
}

func (p *parts) has(block int64) bool { _, ok := p.blocks[block]; return ok }

// run is the end of the run of missing blocks that begins at a block and is needed up to a place, or further when reads
// follow each other and the limit has room.
func (p *parts) run(block, to int64) (end int64) {
	size := p.line.block
	for end = block + 1; end*size < to && !p.has(end); {
		end++
	}
	if p.ahead *= 2; block != p.next {
		p.ahead = 1
	}
	p.ahead = min(p.ahead, max(mostAhead/size, 1))
	further := end
	for further < block+p.ahead && further*size < p.head.size && !p.has(further) {
		further++
	}
	if p.line.read+(further-block)*size <= p.line.limits.Bytes {
		return further
	}
	return end
}

// fetch asks for the blocks from one up to, and not including, another.
func (p *parts) fetch(block, end int64) error {
	size := p.line.block
	from, to := block*size, min(end*size, p.head.size)
	if p.line.read+to-from > p.line.limits.Bytes {
		return errLimit
	}
	conditions := http.Header{}
	if strings.HasPrefix(p.head.etag, `"`) { // a weak one must not stand here: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
		conditions.Set("If-Range", p.head.etag)
	}
	resp, err := p.line.get(from, to-1, conditions)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := p.unchanged(resp, from, to-1); err != nil {
		return err
	}
	p.next = end
	return p.keep(resp, from, to)
}

// unchanged checks that an answer is about the same file as the first. It need not repeat all that the first one said.
func (p *parts) unchanged(resp *http.Response, from, to int64) error {
	now := headOf(resp)
	now.size = totalOf(resp)
	_, different := p.head.compare(now)
	switch {
	case different:
		return errChanged
	case resp.StatusCode != http.StatusPartialContent:
		return errWhole
	}
	_, err := checkPart(resp, from, to)
	return err
}

// totalOf is the whole length that an answer announces, -1 for none.
func totalOf(resp *http.Response) int64 {
	if resp.StatusCode != http.StatusPartialContent && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		return resp.ContentLength
	}
	_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	if n, ok := natural(total); ok {
		return n
	}
	return -1
}

// keep reads the bytes between two places, of which the first begins a block, and not one more.
func (p *parts) keep(resp *http.Response, from, to int64) error {
	size := p.line.block
	buf := make([]byte, to-from)
	n, err := io.ReadFull(resp.Body, buf)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	fetched := map[int64][]byte{}
	for at := 0; at < n; at += int(size) {
		fetched[(from+int64(at))/size] = buf[at:min(at+int(size), n)]
	}
	if err == nil && resp.ContentLength < 0 {
		if more, _ := io.ReadFull(resp.Body, make([]byte, 1)); more > 0 {
			return errRange
		}
	}
	maps.Copy(p.blocks, fetched)
	return err
}
