package egress

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// line is the way to one file: it asks for parts, counts, and keeps the limits.
type line struct {
	ctx      context.Context
	client   *http.Client
	address  string // where the last answer came from: later parts need not be led on again
	host     string
	limits   Limits
	block    int64 // bytes of the first read, and of which later reads are multiples
	requests int
	read     int64
}

// get asks for the bytes from and to, both included. Its answer is one of 200, 203, 206, 304 or 416, not compressed, and
// its body counts what is read.
func (l *line) get(from, to int64, conditions http.Header) (*http.Response, error) {
	if l.requests >= l.limits.Requests {
		return nil, errLimit
	}
	req, err := http.NewRequestWithContext(l.ctx, http.MethodGet, l.address, nil)
	if err != nil {
		return nil, err
	}
	req.Header = conditions
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
	req.Header.Set("Accept-Encoding", "identity")
	l.requests++
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.Request != nil && resp.Request.URL != nil {
		l.address, l.host = resp.Request.URL.String(), resp.Request.URL.Hostname()
	}
	if err := l.fit(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	resp.Body = &counted{resp.Body, &l.read}
	return resp, nil
}

func (l *line) fit(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusPartialContent:
		coding := resp.Header.Get("Content-Encoding")
		if resp.Uncompressed || coding != "" && !strings.EqualFold(coding, "identity") {
			return errEncoded
		}
		return nil
	case http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable:
		return nil
	}
	return &Status{resp.StatusCode, l.host}
}

// take makes a source of the first answer, whose body it leaves to be read.
func (l *line) take(resp *http.Response, to int64, h head) (source, error) {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		total, err := checkPart(resp, 0, to)
		if err != nil {
			return nil, err
		}
		h.size = total
		return &parts{line: l, head: h, blocks: map[int64][]byte{}}, nil
	case http.StatusRequestedRangeNotSatisfiable:
		if total := resp.Header.Get("Content-Range"); total != "" && total != "bytes */0" {
			return nil, errRange
		}
		return &whole{line: l, body: resp.Body, total: 0, ended: true}, nil
	case http.StatusNotModified: // nobody asked for that
		return nil, &Status{resp.StatusCode, l.host}
	}
	return &whole{line: l, body: resp.Body, total: resp.ContentLength}, nil
}

type counted struct {
	io.ReadCloser
	read *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.read += int64(n)
	return n, err
}

// checkPart checks that an answer holds the asked bytes and nothing else, and returns the length of the whole file. A shorter part
// is right at the file's end only (https://www.rfc-editor.org/rfc/rfc9110#section-14.4). A server that does not tell the
// whole length does not help to find an end, and is not read.
func checkPart(resp *http.Response, from, to int64) (total int64, err error) {
	if kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), "multipart/byteranges") {
		return 0, errRange
	}
	unit, spec, _ := strings.Cut(resp.Header.Get("Content-Range"), " ")
	span, size, _ := strings.Cut(spec, "/")
	first, last, _ := strings.Cut(span, "-")
	total, ok1 := natural(size)
	start, ok2 := natural(first)
	end, ok3 := natural(last)
	switch {
	case !strings.EqualFold(unit, "bytes") || !ok1 || !ok2 || !ok3,
		start != from || end < start || end != min(to, total-1),
		resp.ContentLength >= 0 && resp.ContentLength != end-start+1:
		return 0, errRange
	}
	return total, nil
}

func natural(s string) (int64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 63)
	return int64(n), err == nil
}

// head is what an answer says of its file besides the bytes.
type head struct {
	etag     string
	modified string
	size     int64 // -1 for unknown
}

const maxValidator = 512 // bytes of an ETag or a date: validators are kept

func headOf(resp *http.Response) head {
	short := func(name string) string {
		if v := resp.Header.Get(name); len(v) <= maxValidator {
			return v
		}
		return ""
	}
	return head{etag: short("ETag"), modified: short("Last-Modified"), size: -1}
}

func (h head) validator() string {
	if h.etag == "" && (h.modified == "" || h.size < 0) {
		return ""
	}
	return url.Values{"etag": {h.etag}, "modified": {h.modified}, "size": {strconv.FormatInt(h.size, 10)}}.Encode()
}

// parseValidator reads what validator wrote. Anything else is no validator.
func parseValidator(s string) head {
	v, err := url.ParseQuery(s)
	size, sizeErr := strconv.ParseInt(v.Get("size"), 10, 64)
	if err != nil || sizeErr != nil {
		return head{size: -1}
	}
	return head{etag: v.Get("etag"), modified: v.Get("modified"), size: size}
}

// compare tells whether two answers are about one content, or about different ones; neither when they do not say enough. No file
// has two lengths. Beyond that an ETag that both give decides alone, since machines that serve one file may date it differently.
func (h head) compare(other head) (same, different bool) {
	told := func(a, b string) bool { return a != "" && b != "" }
	sized := h.size >= 0 && other.size >= 0
	switch {
	case sized && h.size != other.size:
		return false, true
	case told(h.etag, other.etag):
		return h.etag == other.etag, h.etag != other.etag
	case told(h.modified, other.modified):
		return sized && h.modified == other.modified, h.modified != other.modified
	}
	return false, false
}
