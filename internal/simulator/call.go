package simulator

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// operation names what a caller asks for; faults, limits and counters go by it.
type operation string

const (
	opCreate     operation = "create"
	opGet        operation = "get"
	opList       operation = "list"
	opCancel     operation = "cancel"
	opPolicy     operation = "policy"
	opUpload     operation = "upload"
	opResult     operation = "result"
	opSample     operation = "sample"
	opRedirected operation = "redirected"
	opOther      operation = "other"

	// Of the relay alone.
	opBatch    operation = "batch"
	opCredits  operation = "credits"
	opFile     operation = "file"
	opCallback operation = "callback"
)

// call is one request on its way through the checks, a fault and the handler.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	op     operation
	id     string // the answer's request_id
	tongue tongue
	now    time.Time

	// Of a create only.
	body    []byte
	order   map[string]any // the body as JSON
	prompt  string         // as sent, whole
	markers []marker
	failure *problem // how the task shall end, when a fault says so

	ids []string // of a batch only

	downloads map[string]download // references, by address

	// Set by faults for the handler.
	hideYoung time.Duration // list: no rows of tasks that are younger; the relay's get: no bill of a task that has ended more recently
	halved    bool          // result: half of the file, as if it were whole
	cutShort  bool          // result: a clip shorter than ordered
	unbilled  bool          // the relay's get: no bill
	nested    bool          // the relay's get: the link in result_data alone
	refused   bool          // the relay's upload: a refusal with status 200
}

// refusal is an error answer as the service writes it.
type refusal struct {
	status        int
	code, message string
}

// answer is what goes back: a body, or a file, or nothing at all.
type answer struct {
	status      int
	contentType string
	location    string
	body        []byte
	file        *file
	lost        bool // the connection is closed without an answer
	cut         bool // the connection is closed half way through the body
}

type file struct {
	contentType string
	modified    time.Time
	content     []byte
}

// operation makes an http.Handler of a handler and the checks that come before it, in the service's order.
func (s *Server) operation(op operation, handle func(*call) answer, checks ...func(*call) *refusal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, op: op, id: newID(), now: s.rates.arrive(op), tongue: s.tongue}
		s.count(op)
		w.Header().Set("X-Request-ID", c.id)
		a := s.perform(c, handle, checks)
		s.log.Info("simulator", "op", op, "status", a.status, "request_id", c.id, "connection_closed", a.lost || a.cut)
		c.send(a)
	})
}

func (s *Server) perform(c *call, handle func(*call) answer, checks []func(*call) *refusal) answer {
	for _, check := range checks {
		if r := check(c); r != nil {
			return c.refuse(*r)
		}
	}
	return s.withFault(c, handle)
}

func (c *call) send(a answer) {
	w := c.w
	if a.lost {
		closeConnection(w)
		return
	}
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat)) // a listener would add it, but there may be none
	if a.cut {
		w = &cutWriter{ResponseWriter: w}
	}
	if a.file != nil {
		w.Header().Set("Content-Type", a.file.contentType)
		http.ServeContent(w, c.r, "", a.file.modified, bytes.NewReader(a.file.content))
		return
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if c.r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // the asker may have gone
	}
}

// json is the only place that writes JSON.
func (c *call) json(status int, body any) answer {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // the service writes the & of its links as it is
	if err := encoder.Encode(body); err != nil {
		panic(fmt.Sprintf("simulator: a body that is not JSON: %v", err)) // only our own structs get here
	}
	return answer{status: status, contentType: c.tongue.jsonType(c.op), body: bytes.TrimSpace(buffer.Bytes())}
}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

type errorXML struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	RequestID string   `xml:"RequestId"`
	HostID    string   `xml:"HostId"`
}

func (c *call) refuse(r refusal) answer { return c.tongue.refuse(c, r) }

// refuseInXML writes an error as a storage does.
func (c *call) refuseInXML(r refusal) answer {
	body, err := xml.MarshalIndent(errorXML{Code: r.code, Message: r.message, RequestID: c.id, HostID: c.r.Host}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("simulator: an error that is not XML: %v", err))
	}
	return answer{status: r.status, contentType: "application/xml", body: append([]byte(xml.Header), body...)}
}

// closeConnection ends the answer where it stands. Where there is no connection to take over, it panics in net/http's
// way of doing the same.
func closeConnection(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = connection.Close() // nobody is left to be told
}

// cutWriter passes on half of the announced body and then closes the connection.
type cutWriter struct {
	http.ResponseWriter
	left    int
	started bool
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if !w.started {
		w.started = true
		announced, _ := strconv.Atoi(w.Header().Get("Content-Length")) // absent is 0: nothing passes
		w.left = announced / 2
	}
	if len(p) < w.left {
		w.left -= len(p)
		return w.ResponseWriter.Write(p)
	}
	n, _ := w.ResponseWriter.Write(p[:w.left]) // the connection ends here anyway
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	closeConnection(w.ResponseWriter)
	return n, io.ErrClosedPipe
}

// newID is a random id in the service's shape.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
