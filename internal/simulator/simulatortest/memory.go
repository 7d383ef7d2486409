// Package simulatortest lets tests reach a simulator, or any other handler, without a socket. Only tests import it.
package simulatortest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Transport carries requests to a handler in memory: they take no time in a testing/synctest bubble but what the handler takes. A
// handler that hangs up (http.ErrAbortHandler) is an error, as if the connection had broken.
func Transport(handler http.Handler) http.RoundTripper { return inMemory{handler} }

type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			resp, err = nil, io.ErrUnexpectedEOF
		default:
			panic(p)
		}
	}()
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// Counters are the calls that have reached a simulator: create, get, list, cancel, policy, upload, result and sample; and the
// tasks that came of them.
func Counters(t testing.TB, sim http.Handler) map[string]int {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/control/counters", nil)
	r.RemoteAddr = "" // as in memory
	sim.ServeHTTP(w, r)
	var counters map[string]int
	if err := json.Unmarshal(w.Body.Bytes(), &counters); err != nil || w.Code != http.StatusOK {
		t.Fatal(fmt.Errorf("counters: %d %s: %w", w.Code, w.Body, err))
	}
	return counters
}
