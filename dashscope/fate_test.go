package dashscope_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestTheStatusDecidesTheFateOfACreateAndOnlyThrottlesAreRepeated(t *testing.T) {
	refused, unknown := dashscope.FateRefused, dashscope.FateUnknown
	tests := []struct {
		status int
		file   string
		fate   dashscope.Fate
	}{
		{400, "create-refused-400-field-required.json", refused},
		{400, "create-refused-400-arrearage.json", refused},
		{401, "create-refused-401-bad-key.json", refused},
		{403, "create-refused-403-synchronous.json", refused},
		{404, "create-refused-404-model-not-found.json", refused},
		{408, "", unknown},
		{409, "", refused},
		{429, "", refused},
		{429, "bad-gateway-502.html", refused},
		{429, "refused-429-allocation-quota.json", refused},
		{429, "refused-429-bill-overdue.json", refused},
		{499, "", unknown},
		{500, "failed-500-internal-error.json", unknown},
		{500, "throttled-429-rate-quota.json", unknown},
		{502, "bad-gateway-502.html", unknown},
		{503, "", unknown},
		{504, "", unknown},
		{200, "", unknown},
		{200, "bad-gateway-502.html", unknown},
		{200, "cancel-accepted.json", unknown},
		{200, "throttled-429-rate-quota.json", unknown},
		{204, "", unknown},
		{599, "", unknown},
		{999, "", unknown},
	}
	for _, test := range tests {
		t.Run(strconv.Itoa(test.status)+test.file, func(t *testing.T) {
			body := ""
			if test.file != "" {
				body = text(t, test.file)
			}
			c, u := serve(t, answer(reply{test.status, body, map[string]string{"Retry-After": "0"}}))
			_, err := c.CreateVideo(t.Context(), video())
			e := failure(t, err)
			require.Equal(t, test.status, e.StatusCode)
			require.Equal(t, test.fate, e.Fate())
			require.False(t, e.Throttled())
			require.Len(t, u.requests(), 1)
			require.Equal(t, test.fate == unknown, strings.HasSuffix(err.Error(), "; whether a task was created is not known"))
		})
	}
}

func TestAClosedPortIsNotSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	c := newClient(t, dashscope.Config{BaseURL: "http://" + listener.Addr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.CreateVideo(ctx, video())
	require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
	var dial *net.OpError
	require.ErrorAs(t, err, &dial)
}

func TestABadCertificateIsNotSentAndNotTriedAgain(t *testing.T) {
	u := &upstream{handler: answer(reply{status: 200})}
	server := httptest.NewUnstartedServer(u)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	var shakes atomic.Int32
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { shakes.Add(1); return nil, nil }}
	server.StartTLS()
	c := newClient(t, dashscope.Config{BaseURL: server.URL})
	_, err := c.CreateVideo(t.Context(), video())
	server.Close()
	require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, u.requests())
	require.EqualValues(t, 1, shakes.Load())
}

// hangUp reads the request and closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestAConnectionLostAfterTheRequestIsUnknownAndNotRepeated(t *testing.T) {
	c, u := serve(t, hangUp)
	_, err := c.CreateVideo(t.Context(), video())
	e := failure(t, err)
	require.Equal(t, dashscope.FateUnknown, e.Fate())
	require.ErrorIs(t, err, io.EOF)
	require.ErrorContains(t, err, "whether a task was created is not known")
	require.Len(t, u.requests(), 1)

	require.Equal(t, dashscope.FateUnknown, failure(t, c.CancelTask(t.Context(), "t")).Fate())
	require.Len(t, u.requests(), 2)
}

// A request on a kept connection that the server has just closed would be of unknown fate for no good reason.
func TestEachCreateHasAConnectionOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p := inMemory(t, 0, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
		for n := range 3 {
			_, err := c.CreateVideo(t.Context(), video())
			require.NoError(t, err)
			require.Equal(t, n+1, p.dialed())
		}
	})
}

func TestATruncatedAnswerToACreateIsUnknown(t *testing.T) {
	whole := text(t, "create-accepted.json")
	cut := func(length int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(whole)+1))
			io.WriteString(w, whole[:length])
		}
	}
	c, u := serve(t, cut(len(whole)/2))
	_, err := c.CreateVideo(t.Context(), video())
	e := failure(t, err)
	require.Equal(t, dashscope.FateUnknown, e.Fate())
	require.Equal(t, 200, e.StatusCode)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, u.requests(), 1)

	// When all of the object arrived before the connection broke, the task is known.
	c, _ = serve(t, cut(len(whole)))
	task, err := c.CreateVideo(t.Context(), video())
	require.NoError(t, err)
	require.Equal(t, "0385dc79-5ff8-4d82-bcb6-xxxxxx", task.ID)
}

func TestAContextThatEndsInFlightLeavesTheFateUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := c.CreateVideo(ctx, video())
	require.Equal(t, dashscope.FateUnknown, failure(t, err).Fate())
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, u.requests(), 1)
}

func TestACreateThatIsNotAnsweredEndsAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, _ := inMemory(t, 0, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		began := time.Now()
		_, err := c.CreateVideo(t.Context(), video())
		require.Equal(t, time.Minute, time.Since(began))
		require.Equal(t, dashscope.FateUnknown, failure(t, err).Fate())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, u.requests(), 1)
	})
}

func TestAContextThatEndedBeforeIsNotSent(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.CreateVideo(ctx, video())
	require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, u.requests())
}

func TestAContextThatEndsBetweenAttemptsKeepsTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, _ := inMemory(t, 0, answer(reply{status: 429, body: text(t, "throttled-429-rate-quota.json")}))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := c.CreateVideo(ctx, video())
		e := failure(t, err)
		require.Equal(t, dashscope.FateRefused, e.Fate())
		require.Equal(t, "Throttling.RateQuota", e.Code)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, u.requests(), 1)
	})
}

// A transport that does not report its connections gives no proof that nothing left.
func TestAFailureOfASilentTransportIsUnknown(t *testing.T) {
	calls := 0
	silent := roundTripper(func(*http.Request) (*http.Response, error) { calls++; return nil, errors.New("no luck") })
	c := newClient(t, dashscope.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: silent}})
	_, err := c.CreateVideo(t.Context(), video())
	require.Equal(t, dashscope.FateUnknown, failure(t, err).Fate())
	require.Equal(t, 1, calls)

	nothing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	c = newClient(t, dashscope.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: nothing}})
	_, err = c.CreateVideo(t.Context(), video())
	require.Equal(t, dashscope.FateUnknown, failure(t, err).Fate())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheZeroErrorIsCareful(t *testing.T) {
	require.Equal(t, dashscope.FateUnknown, (&dashscope.Error{}).Fate())
	require.Equal(t, "unknown, not sent, refused",
		fmt.Sprintf("%v, %v, %v", dashscope.FateUnknown, dashscope.FateNotSent, dashscope.FateRefused))
}
