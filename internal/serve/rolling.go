package serve

import (
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// writeLimit is how long a client may take to read one piece of an answer.
const writeLimit = 10 * time.Second

// rolling gives each write a deadline of its own: an answer may take as long as it likes, a client that reads nothing may not.
type rolling struct {
	http.ResponseWriter
	control *http.ResponseController
	origin  string // the foreign origin that may read the answer, * for any
	mcp     bool
	http2   bool // where a deadline is a timer that ends the answer, whether or not a write waits

	mu    sync.Mutex
	begun bool
	over  bool // nothing may be written any more
}

func newRolling(w http.ResponseWriter, r *http.Request) *rolling {
	out := &rolling{ResponseWriter: w, control: http.NewResponseController(w), http2: r.ProtoMajor >= 2}
	if !out.http2 {
		out.extend()
	}
	return out
}

// Unwrap is for [http.ResponseController].
func (w *rolling) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// extend gives the next write its time. What cannot have deadlines, a recorder in a test, goes without.
func (w *rolling) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(writeLimit)) }

// rest takes the deadline away when nothing is being written.
func (w *rolling) rest() {
	if w.http2 {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

// begin has the last word on the headers: the library lets every origin read its streams.
func (w *rolling) begin(status int) {
	if w.begun {
		return
	}
	w.begun = status >= http.StatusOK
	h := w.Header()
	h.Del("Access-Control-Allow-Origin")
	if w.origin != "" {
		h.Set("Access-Control-Allow-Origin", w.origin)
		h.Set("Access-Control-Expose-Headers", "Mcp-Protocol-Version, Mcp-Session-Id, Retry-After, WWW-Authenticate")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if w.mcp {
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // a proxy that waits for the end of a stream waits for ever
	}
}

// WriteHeader is [http.ResponseWriter]'s.
func (w *rolling) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(status)
	w.extend()
	defer w.rest()
	w.ResponseWriter.WriteHeader(status)
}

func (w *rolling) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(http.StatusOK)
	w.extend()
	defer w.rest()
	return w.ResponseWriter.Write(p)
}

// Flush is [http.Flusher]'s.
func (w *rolling) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(http.StatusOK)
	w.extend()
	defer w.rest()
	_ = w.control.Flush() // the request's context ends when the client is gone
}

// comment writes what clients of a stream pass over and proxies take for life.
func (w *rolling) comment() { w.between(": still here\n\n") }

// event writes a message to a stream.
func (w *rolling) event(message []byte) {
	w.between("event: message\ndata: " + string(message) + "\n\n")
}

// between writes between two events of the library's, which come in one Write each.
func (w *rolling) between(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun || w.over {
		return
	}
	w.extend()
	defer w.rest()
	_, _ = io.WriteString(w.ResponseWriter, text)
	_ = w.control.Flush()
}

// close lets nothing be written any more: what belongs to a stream may still be at work when that has ended.
func (w *rolling) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// limitReads gives a body, if there is one, its deadline, whether or not anybody reads it, and returns it.
func (w *rolling) limitReads(r *http.Request) io.ReadCloser {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	body := &timedBody{ReadCloser: r.Body, control: w.control, began: time.Now()}
	body.extend()
	return body
}

// timedBody is cut when it comes too slowly.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	began   time.Time
	bytes   int64
}

func (b *timedBody) extend() {
	_ = b.control.SetReadDeadline(b.began.Add(bodyGrace + time.Duration(b.bytes/50)*time.Millisecond))
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.extend()
	n, err := b.ReadCloser.Read(p)
	b.bytes += int64(n)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{}) // the connection is watched for its end while the call runs
	}
	return n, err
}

// panicked tells where the panic that is being recovered came from. Its value may hold anything, a prompt or a token.
func panicked() string {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for thrown := false; ; {
		frame, more := frames.Next()
		if thrown && !strings.HasPrefix(frame.Function, "runtime.") {
			return frame.File[strings.LastIndexByte(frame.File, '/')+1:] + ":" + strconv.Itoa(frame.Line)
		}
		thrown = thrown || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
