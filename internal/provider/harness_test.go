package provider_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
	"r2v-mcp/testdata"
)

// recorded returns a recorded answer of the service.
func recorded(t *testing.T, name string) string {
	t.Helper()
	b, err := testdata.FS.ReadFile("dashscope/" + name)
	require.NoError(t, err)
	return string(b)
}

// serving is a provider whose service is a handler in memory.
func serving(t *testing.T, handler http.HandlerFunc) *provider.DashScope {
	t.Helper()
	client, err := dashscope.New(dashscope.Config{
		BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test", HTTPClient: &http.Client{Transport: simulatortest.Transport(handler)},
	})
	require.NoError(t, err)
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	return provider.NewDashScope(client, catalogue)
}

// simulated is a provider whose service is a simulator in memory.
type simulated struct {
	*provider.DashScope
	t   *testing.T
	sim http.Handler
}

func simulate(t *testing.T) simulated {
	t.Helper()
	sim := simulator.New(simulator.Options{})
	return simulated{serving(t, sim.ServeHTTP), t, sim}
}

func (s simulated) create(prompt string) string {
	s.t.Helper()
	bought, err := s.Create(context.Background(), provider.Purchase{Request: video.Request{
		Model: "wan2.7-r2v", Prompt: prompt, Resolution: "720P", Ratio: "16:9", Duration: 5,
		References: []video.Reference{{Kind: video.Image, URL: "https://media.example/a.png"}},
	}})
	require.NoError(s.t, err)
	return bought.ID
}

// arm makes a call go wrong, in this way alone, until further notice.
func (s simulated) arm(fault, on string) {
	s.t.Helper()
	for _, order := range []struct{ method, body string }{
		{http.MethodDelete, ""}, {http.MethodPost, `{"fault":"` + fault + `","on":"` + on + `","times":-1}`},
	} {
		r := httptest.NewRequestWithContext(s.t.Context(), order.method, "http://127.0.0.1/control/faults", strings.NewReader(order.body))
		r.RemoteAddr = "" // as in memory
		w := httptest.NewRecorder()
		s.sim.ServeHTTP(w, r)
		require.Equal(s.t, http.StatusOK, w.Code, w.Body.String())
	}
}

// failure takes an error for what every error of a provider is.
func failure(t *testing.T, err error) *video.Error {
	t.Helper()
	var e *video.Error
	require.ErrorAs(t, err, &e)
	return e
}
