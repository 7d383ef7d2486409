package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	callbackTime = 10 * time.Second
	answerRead   = 64 << 10 // of a receiver's answer, so that its connection serves again
)

// callbackPauses are those after each failed attempt but the last.
func callbackPauses() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}
}

// callbacks are deliveries that are due or under way. The future of a relay's task is known when it is made, so each has a
// goroutine of its own that waits for it; a server whose tasks have no callback has none.
type callbacks struct {
	client *http.Client
	inside bool // internal addresses too
	ctx    context.Context
	end    context.CancelFunc
	ended  bool // under Server.mu
	group  sync.WaitGroup
}

func newCallbacks(given *http.Client) *callbacks {
	k := &callbacks{client: &http.Client{}, inside: given != nil} //nolint:forbidigo // the relay calls whoever an order names; nothing it hears is told
	if given != nil {
		own := *given
		k.client = &own
	}
	k.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	k.client.Timeout = callbackTime
	k.ctx, k.end = context.WithCancel(context.Background())
	return k
}

// Close ends the callbacks that are due or under way, and returns when none is left. The server goes on answering, and no
// task that it makes from now on is told of. Only a server that is to be thrown away while a task with a callback is open
// needs it.
func (s *Server) Close() {
	s.mu.Lock()
	s.callbacks.ended = true
	s.mu.Unlock()
	s.callbacks.end()
	s.callbacks.group.Wait()
}

// callback is one task's.
type callback struct {
	task                       *task
	address, base              string
	early, twice, lost, forged bool
}

// planCallback starts the wait for the end of a task that is to be told of.
func (s *Server) planCallback(c *call, t *task) {
	if t.order.callback == "" || s.callbacks.ended {
		return
	}
	k := callback{task: t, address: t.order.callback, base: baseAddress(c.r)}
	for _, a := range append(t.planned[:len(t.planned):len(t.planned)], s.armed...) {
		if a.on == opCallback && a.use() {
			k.misbehave(a.fault.Name)
		}
	}
	if k.forged && t.failure == nil {
		t.failure = &problem{code: "service_error", message: serviceErrorMessage}
	}
	s.callbacks.group.Go(func() { s.tell(k) })
}

func (k *callback) misbehave(fault string) {
	switch fault {
	case earlyCallback:
		k.early = true
	case twiceCallback:
		k.twice = true
	case lostCallback:
		k.lost = true
	case forgedCallback:
		k.forged = true
	}
}

func (s *Server) tell(k callback) {
	if k.early && s.callbacks.waitUntil(k.task.starts.Add(k.task.ends.Sub(k.task.starts)/2)) {
		s.attempt(k.address, s.callbackBody(k))
	}
	if k.lost || !s.callbacks.waitUntil(k.task.ends) {
		return
	}
	body := s.callbackBody(k)
	s.deliver(k.address, body)
	if k.twice {
		s.deliver(k.address, body)
	}
}

// callbackBody is what GET would say, unless it is forged.
func (s *Server) callbackBody(k callback) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := s.relayed(k.task, time.Now(), k.base)
	if k.forged {
		body.Status, body.Error, body.Results = relayStatus(succeeded), nil, []string{k.base + "/results/" + k.task.id + ".mp4"}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("simulator: a callback that is not JSON: %v", err))
	}
	return text
}

func (s *Server) deliver(address string, body []byte) {
	for _, pause := range callbackPauses() {
		if s.attempt(address, body) || !s.callbacks.waitUntil(time.Now().Add(pause)) {
			return
		}
	}
	s.attempt(address, body)
}

// attempt tells whether the receiver has taken it, which any 2xx says.
func (s *Server) attempt(address string, body []byte) bool {
	s.count(opCallback)
	status, err := s.callbacks.post(address, body)
	s.log.Info("simulator: callback", "status", status, "failed", err != nil) // the error would tell the address
	return err == nil && status/100 == 2
}

func (k *callbacks) post(address string, body []byte) (int, error) {
	r, err := http.NewRequestWithContext(k.ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := k.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, answerRead))
	return resp.StatusCode, err
}

// waitUntil tells whether the time has come, and not the server's end.
func (k *callbacks) waitUntil(then time.Time) bool {
	timer := time.NewTimer(time.Until(then))
	defer timer.Stop()
	select {
	case <-timer.C:
		return k.ctx.Err() == nil
	case <-k.ctx.Done():
		return false
	}
}

// checkCallbackURL says what is wrong with an address, or nothing. Internal addresses are known by their text alone.
func checkCallbackURL(address string, insideToo bool) string {
	u, err := url.Parse(address)
	switch {
	case utf8.RuneCountInString(address) > maxCallbackURL:
		return fmt.Sprintf("it must be at most %d characters", maxCallbackURL)
	case err != nil || u.Scheme != "https" || u.Hostname() == "":
		return "it must be an HTTPS URL"
	case !insideToo && isInside(u.Hostname()):
		return "internal addresses are not allowed"
	}
	return ""
}

func isInside(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	return err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast())
}
