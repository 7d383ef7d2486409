package callback_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/egress/egresstest"
)

func TestANameMustLeadToPublicAddressesOnly(t *testing.T) {
	dns := egresstest.Resolver(map[string][][]string{
		"mixed.example": {{"93.184.216.34", "10.0.0.1"}}, "inside.example": {{"127.0.0.1"}}, "mixed6.example": {{"93.184.216.34", "fd00::1"}},
		"wrapped.example": {{"::ffff:10.0.0.1"}}, "good.example": {{"93.184.216.34", "2606:2800:220:1::1"}},
	})
	s := sender(t, callback.Options{Egress: egress.Settings{Resolver: dns}})
	var asked atomic.Int32
	s.Over(transport(func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	for address, wrong := range map[string]string{
		"https://mixed.example/x":   "mixed.example leads to a private address: only public addresses are reached",
		"https://mixed6.example/x":  "mixed6.example leads to a private address: only public addresses are reached",
		"https://inside.example/x":  "inside.example leads to a loopback address: only public addresses are reached",
		"https://wrapped.example/x": "wrapped.example leads to a private address: only public addresses are reached",
		"https://nobody.example/x":  "nobody.example is a name that does not exist",
		"https://inside/x":          "inside is a name that only a private network knows",
		"https://hooks.internal/x":  "hooks.internal is a name that only a private network knows",
	} {
		problem, _ := s.Check(t.Context(), address)
		require.NotNil(t, problem, address)
		require.Equal(t, wrong, problem.Wrong)
	}
	require.Zero(t, asked.Load())
	problem, warning := s.Check(t.Context(), "https://good.example/x")
	require.Nil(t, problem)
	require.Empty(t, warning)
	require.EqualValues(t, 1, asked.Load())
}

func TestANameThatCannotBeLookedUpNowIsAWarning(t *testing.T) {
	dead := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	problem, warning := sender(t, callback.Options{Egress: egress.Settings{Resolver: dead}}).Check(t.Context(), "https://hooks.example.com/x")
	require.Nil(t, problem)
	require.Equal(t, "callback_url: hooks.example.com is a name that could not be looked up now; the callback is tried for 24 hours all the same", warning)
}

// The name leads where the operator allows while it is checked, and inside when it is called.
func TestANameThatChangesItsMindIsNotCalled(t *testing.T) {
	var visits atomic.Int32
	listen := func(at string) net.Listener {
		l, err := net.Listen("tcp", at)
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				visits.Add(1)
				conn.Close()
			}
		}()
		return l
	}
	_, port, err := net.SplitHostPort(listen("127.0.0.1:0").Addr().String())
	require.NoError(t, err)
	dns := egresstest.Resolver(map[string][][]string{"hooks.example": {{"127.0.0.2"}, {"127.0.0.2"}, {"127.0.0.1"}}})
	s := sender(t, callback.Options{Egress: egress.Settings{Allow: []string{"127.0.0.2/32"}, Resolver: dns}})
	problem, _ := s.Check(t.Context(), "https://hooks.example:"+port+"/x")
	require.Nil(t, problem)
	d := s.Send(t.Context(), "https://hooks.example:"+port+"/x", id, []byte(body))
	require.Equal(t, "hooks.example leads to a loopback address: only public addresses are reached", d.Error)
	require.Zero(t, visits.Load())
}
