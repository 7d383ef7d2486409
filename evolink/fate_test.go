package evolink_test

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

	"r2v-mcp/evolink"
)

func TestTheStatusDecidesTheFateOfACreateAndOnlyThrottlesAreRepeated(t *testing.T) {
	refused, unknown := evolink.FateRefused, evolink.FateUnknown
	tests := []struct {
		status int
		file   string
		fate   evolink.Fate
	}{
		{400, "refused-400-invalid-request.json", refused},
		{400, "refused-400-integer-code.json", refused},
		{401, "refused-401-unauthorized.json", refused},
		{402, "refused-402-insufficient-quota.json", refused},
		{403, "refused-403-model-access-denied.json", refused},
		{404, "", refused},
		{408, "", unknown},
		{409, "", unknown},
		{409, "refused-409-idempotency-conflict.json", unknown},
		{409, "refused-409-paid-outcome-unknown.json", unknown},
		{429, "", refused},
		{429, "bad-gateway-502.html", refused},
		{429, "refused-402-insufficient-quota.json", refused},
		{429, "refused-429-daily-quota.json", refused},
		{499, "", unknown},
		{500, "failed-500-internal-error.json", unknown},
		{500, "throttled-429-rate-limit.json", unknown},
		{502, "failed-502-upstream-error.json", unknown},
		{502, "bad-gateway-502.html", unknown},
		{503, "failed-503-service-unavailable.json", unknown},
		{504, "", unknown},
		{200, "", unknown},
		{200, "bad-gateway-502.html", unknown},
		{200, "credits.json", unknown},
		{200, "failed-500-internal-error.json", unknown},
		{200, "failed-502-upstream-error.json", unknown},
		{200, "refused-400-invalid-request.json", refused},
		{200, "refused-400-integer-code.json", refused},
		{200, "refused-401-unauthorized.json", refused},
		{200, "refused-402-insufficient-quota.json", refused},
		{200, "throttled-429-rate-limit.json", refused},
		{200, "refused-409-paid-outcome-unknown.json", unknown},
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
			_, err := create(t.Context(), c)
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
	c := newClient(t, evolink.Config{BaseURL: "http://" + listener.Addr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = create(ctx, c)
	require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
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
	c := newClient(t, evolink.Config{BaseURL: server.URL})
	_, err := create(t.Context(), c)
	server.Close()
	require.Equal(t, evolink.FateNotSent, failure(t, err).Fate())
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, u.requests())
	require.EqualValues(t, 1, shakes.Load())
}

// hangUp reads the request and closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestAConnectionLostAfterTheRequestIsUnknownAndNotRepeated(t *testing.T) {
	c, u := serve(t, hangUp)
	_, err := create(t.Context(), c)
	e := failure(t, err)
	require.Equal(t, evolink.FateUnknown, e.Fate())
	require.ErrorIs(t, err, io.EOF)
	require.ErrorContains(t, err, "whether a task was created is not known")
	require.Len(t, u.requests(), 1)
}

// A request on a kept connection that the server has just closed would be of unknown fate for no good reason.
func TestEachCreateHasAConnectionOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p := inMemory(t, 0, answer(reply{status: 200, body: text(t, "create-accepted.json")}))
		for n := range 3 {
			_, err := create(t.Context(), c)
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
	_, err := create(t.Context(), c)
	e := failure(t, err)
	require.Equal(t, evolink.FateUnknown, e.Fate())
	require.Equal(t, 200, e.StatusCode)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, u.requests(), 1)

	// When all of the object arrived before the connection broke, the task is known.
	c, _ = serve(t, cut(len(whole)))
	task, err := create(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, taskID, task.ID)
}

func TestAContextThatEndsInFlightLeavesTheFateUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := create(ctx, c)
	require.Equal(t, evolink.FateUnknown, failure(t, err).Fate())
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, u.requests(), 1)
}

func TestACreateThatIsNotAnsweredEndsAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, _ := inMemory(t, 0, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		began := time.Now()
		_, err := create(t.Context(), c)
		require.Equal(t, time.Minute, time.Since(began))
		require.Equal(t, evolink.FateUnknown, failure(t, err).Fate())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, u.requests(), 1)
	})
}

func TestAContextThatEndsBetweenAttemptsKeepsTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, u, _ := inMemory(t, 0, answer(reply{status: 429, body: text(t, "throttled-429-rate-limit.json")}))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := create(ctx, c)
		e := failure(t, err)
		require.Equal(t, evolink.FateRefused, e.Fate())
		require.Equal(t, "rate_limit_exceeded", e.Code)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, u.requests(), 1)
	})
}

// A transport that does not report its connections gives no proof that nothing left.
func TestAFailureOfASilentTransportIsUnknown(t *testing.T) {
	calls := 0
	silent := roundTripper(func(*http.Request) (*http.Response, error) { calls++; return nil, errors.New("no luck") })
	c := newClient(t, evolink.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: silent}})
	_, err := create(t.Context(), c)
	require.Equal(t, evolink.FateUnknown, failure(t, err).Fate())
	require.Equal(t, 1, calls)

	nothing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	c = newClient(t, evolink.Config{BaseURL: "https://example.com", HTTPClient: &http.Client{Transport: nothing}})
	_, err = create(t.Context(), c)
	require.Equal(t, evolink.FateUnknown, failure(t, err).Fate())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheZeroErrorIsCareful(t *testing.T) {
	require.Equal(t, evolink.FateUnknown, (&evolink.Error{}).Fate())
	require.Equal(t, "unknown, not sent, refused",
		fmt.Sprintf("%v, %v, %v", evolink.FateUnknown, evolink.FateNotSent, evolink.FateRefused))
}

// Under a status of success only the documented envelope is a refusal, whole and alone: anything else may hide a task.
func TestASuccessWithAnErrorIsRefusedOnlyInTheDocumentedForm(t *testing.T) {
	const refusal = `"error":{"code":"invalid_request","message":"no","type":"invalid_request_error"}`
	for body, want := range map[string]evolink.Fate{
		`{` + refusal + `}`:                  evolink.FateRefused,
		`{` + refusal + `,"request_id":"r"}`: evolink.FateRefused,
		`{"error":{"code":400,"message":"no","type":"invalid_request_error","param":"x"}}`:     evolink.FateRefused,
		`{` + refusal + `,"data":{"task":"t-1"}}`:                                              evolink.FateUnknown,
		`{` + refusal + `,"status":"failed"}`:                                                  evolink.FateUnknown,
		`{` + refusal + `,"id":"../t"}`:                                                        evolink.FateUnknown,
		`{"error":{"code":"a","message":"no","type":"invalid_request_error","task_id":"t-1"}}`: evolink.FateUnknown,
		`{"error":{"code":"content_policy_violation","message":"no","type":"task_error"}}`:     evolink.FateUnknown,
		`{"error":{"code":"invalid_request","message":"no"}}`:                                  evolink.FateUnknown,
		`{"error":{"message":"no","type":"invalid_request_error"}}`:                            evolink.FateUnknown,
		`{"error":{"code":"invalid_request","message":"","type":"invalid_request_error"}}`:     evolink.FateUnknown,
		`{"error":"no"}`: evolink.FateUnknown,
		`{"code":"invalid_request","message":"no"}`: evolink.FateUnknown,
		`{"success":false,"code":400,"msg":"no"}`:   evolink.FateUnknown,
		`[{` + refusal + `}]`:                       evolink.FateUnknown,
	} {
		c, u := serve(t, answer(reply{status: 200, body: body}))
		_, err := create(t.Context(), c)
		require.Equal(t, want, failure(t, err).Fate(), body)
		require.Equal(t, 200, failure(t, err).StatusCode)
		require.Len(t, u.requests(), 1)
	}
}
