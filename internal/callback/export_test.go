package callback

import "net/http"

// Over lets a sender of tests speak over another transport, past the door.
func (s *Sender) Over(t http.RoundTripper) { s.client = straight(&http.Client{Transport: t}) }

// Remembered is how many addresses are remembered.
func (s *Sender) Remembered() int {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	return len(s.seen.kept)
}
