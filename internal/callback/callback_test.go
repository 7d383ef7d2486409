package callback_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/egress/egresstest"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
)

func TestMain(m *testing.M) { os.Exit(egresstest.Trusting(m)) }

// fixed is a secret of 32 plain bytes.
const fixed = "whsec_cjJ2LXRlc3Qta2V5LTAxMjM0NTY3ODlhYmNkZWZnaGk="

func secrets(t *testing.T, text string) []callback.Secret {
	t.Helper()
	all, err := callback.ParseSecrets(text)
	require.NoError(t, err)
	return all
}

func sender(t *testing.T, o callback.Options) *callback.Sender {
	t.Helper()
	s, err := callback.New(o)
	require.NoError(t, err)
	return s
}

// receiver is a real one on this machine, which the operator has opened.
func receiver(t *testing.T, h http.HandlerFunc) (address string, s *callback.Sender) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	return server.URL + "/hook?token=canary", sender(t, callback.Options{
		Egress: egress.Settings{Allow: []string{server.Listener.Addr().String()}, UserAgent: "r2v-mcp/test"}, Secrets: secrets(t, fixed),
	})
}

const (
	id   = "msg_abc"
	body = `{"status":"SUCCEEDED"}`
)

func TestAMessageHasTheHeadersOfStandardWebhooks(t *testing.T) {
	var got *http.Request
	var text []byte
	address, s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		text, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	require.Equal(t, video.Delivery{Delivered: true}, s.Send(t.Context(), address, id, []byte(body)))
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "/hook?token=canary", got.RequestURI)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "r2v-mcp/test", got.UserAgent())
	require.Equal(t, id, got.Header.Get("webhook-id"))
	verifier, err := standardwebhooks.NewWebhook(fixed)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify(text, got.Header))
	require.NoError(t, verifier.Verify([]byte(body), got.Header), "it came as it was")
	require.Error(t, verifier.Verify([]byte(body+" "), got.Header))
}

// The expected signature was computed with openssl dgst -sha256 -mac HMAC.
func TestASignatureIsThatOfTheSpecification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1_700_000_000, 0)))
		var got http.Header
		s := sender(t, callback.Options{Secrets: secrets(t, fixed)})
		s.Over(simulatortest.Transport(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header })))
		require.True(t, s.Send(t.Context(), "https://hooks.example/", id, []byte(body)).Delivered)
		require.Equal(t, "1700000000", got.Get("webhook-timestamp"))
		require.Equal(t, "v1,wLH6k41EtimBkyPRRPt3eeQoxs8YzKyX7cQKbTOgWwA=", got.Get("webhook-signature"))
	})
}

func TestSeveralSecretsSignNewestFirstAndNoneSignsNothing(t *testing.T) {
	newer := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("n", 24)))
	var got http.Header
	over := simulatortest.Transport(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	s := sender(t, callback.Options{Secrets: secrets(t, newer+"  "+fixed)})
	s.Over(over)
	require.True(t, s.Send(t.Context(), "https://hooks.example/", id, []byte(body)).Delivered)
	signatures := strings.Split(got.Get("webhook-signature"), " ")
	require.Len(t, signatures, 2)
	for i, secret := range []string{newer, fixed} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify([]byte(body), got))
		alone := got.Clone()
		alone.Set("webhook-signature", signatures[i])
		require.NoError(t, verifier.Verify([]byte(body), alone))
		alone.Set("webhook-signature", signatures[1-i])
		require.Error(t, verifier.Verify([]byte(body), alone))
	}
	s = sender(t, callback.Options{})
	s.Over(over)
	require.True(t, s.Send(t.Context(), "https://hooks.example/", id, []byte(body)).Delivered)
	require.NotContains(t, got, "Webhook-Signature")
	require.NotEmpty(t, got.Get("webhook-timestamp"))
}

func TestSecretsAreReadAndNeverShown(t *testing.T) {
	encoded := func(n int) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", n)))
	}
	for _, good := range []string{"", encoded(24), encoded(64), encoded(24) + " " + encoded(32)} {
		all, err := callback.ParseSecrets(good)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", all, all, all, slog.AnyValue(all)), "115")
	}
	for _, bad := range []string{encoded(23), encoded(65), "whsec_", "whsec_canary!", encoded(24)[6:], "WHSEC_" + encoded(24)[6:], encoded(24) + "," + encoded(24), encoded(24) + " canary"} {
		_, err := callback.ParseSecrets(bad)
		require.ErrorContains(t, err, "whsec_ and 24 to 64 bytes", bad)
		require.NotContains(t, err.Error(), "canary")
		require.NotContains(t, err.Error(), encoded(23)[6:])
	}
}

func TestWhatAReceiverAnswers(t *testing.T) {
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for name, c := range map[string]struct {
		status    int
		header    string // of Retry-After or Location
		delivered bool
		gone      bool
		why       string
		wait      time.Duration
	}{
		"200": {status: 200, delivered: true}, "204": {status: 204, delivered: true}, "299": {status: 299, delivered: true},
		"301": {status: 301, header: "/elsewhere", why: "redirects, which is not followed"}, "302": {status: 302, header: "https://169.254.169.254/", why: "redirects, which is not followed"},
		"307": {status: 307, header: "/", why: "redirects, which is not followed"}, "308": {status: 308, header: "http://[::1", why: "redirects, which is not followed"},
		"300": {status: 300, why: "redirects, which is not followed"},
		"400": {status: 400, why: "answered with HTTP 400"}, "404": {status: 404, why: "answered with HTTP 404"},
		"410": {status: 410, gone: true, why: "answered with HTTP 410"}, "500": {status: 500, why: "answered with HTTP 500"},
		"429 in seconds":   {status: 429, header: "120", why: "answered with HTTP 429", wait: 2 * time.Minute},
		"503 with a date":  {status: 503, header: later.Format(http.TimeFormat), why: "answered with HTTP 503", wait: time.Hour},
		"503 with rubbish": {status: 503, header: "soon", why: "answered with HTTP 503"}, "503 negative": {status: 503, header: "-5", why: "answered with HTTP 503"},
		"503 huge": {status: 503, header: "9223372036854775807", why: "answered with HTTP 503", wait: (1 << 31) * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			address, s := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Retry-After", c.header)
				w.Header().Set("Location", c.header)
				w.WriteHeader(c.status)
				if c.status != http.StatusNoContent {
					_, _ = io.WriteString(w, "upstream text")
				}
			})
			d := s.Send(t.Context(), address, id, []byte(body))
			require.Equal(t, c.delivered, d.Delivered)
			require.Equal(t, c.gone, d.Gone)
			require.Equal(t, 1, asked)
			if c.why == "" {
				require.Empty(t, d.Error)
				return
			}
			require.Equal(t, "127.0.0.1 "+c.why, d.Error)
			if c.wait == 0 {
				require.True(t, d.NotBefore.IsZero())
			} else {
				require.InDelta(t, c.wait.Seconds(), time.Until(d.NotBefore).Seconds(), 5)
			}
		})
	}
}

// endless is a body that never ends, read until its reader has had enough.
type endless struct{ read *atomic.Int64 }

func (e endless) Read(p []byte) (int, error) { e.read.Add(int64(len(p))); return len(p), nil }
func (endless) Close() error                 { return nil }

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnAnswerIsReadUpTo64KB(t *testing.T) {
	var read atomic.Int64
	s := sender(t, callback.Options{})
	s.Over(transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: endless{&read}}, nil
	}))
	require.True(t, s.Send(t.Context(), "https://hooks.example/", id, []byte(body)).Delivered)
	require.EqualValues(t, 64<<10, read.Load())
}

func TestAReceiverHasTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, callback.Options{})
		s.Over(transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		from := time.Now()
		d := s.Send(t.Context(), "https://hooks.example/a?token=canary", id, []byte(body))
		require.Equal(t, "hooks.example did not answer in time", d.Error)
		require.Equal(t, 10*time.Second, time.Since(from))
	})
}

func TestAReceiverThatIsNotThereIsToldWithoutItsAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	require.NoError(t, l.Close())
	plain := httptest.NewServer(http.NotFoundHandler()) // which speaks no TLS
	defer plain.Close()
	s := sender(t, callback.Options{Egress: egress.Settings{Allow: []string{at, plain.Listener.Addr().String()}}})
	require.Equal(t, "127.0.0.1 refuses connections", s.Send(t.Context(), "https://"+at+"/canary?canary", id, nil).Error)
	require.Equal(t, "127.0.0.1 offers no secure connection that can be trusted", s.Send(t.Context(), strings.Replace(plain.URL, "http:", "https:", 1), id, nil).Error)
}

// What was opened when it was checked may be private when it is dialled, and what is forbidden since is not called.
func TestAnAddressIsLookedAtAgainAtDelivery(t *testing.T) {
	s := sender(t, callback.Options{Hosts: []string{"hooks.example"}})
	s.Over(transport(func(*http.Request) (*http.Response, error) { panic("nobody may be asked") }))
	for address, why := range map[string]string{
		"https://elsewhere.example/": "elsewhere.example is not one of the hosts that the operator allows (R2V_CALLBACKS)",
		"http://hooks.example/":      "it does not begin with https://",
		"https://u:p@hooks.example/": "it holds credentials",
	} {
		require.Equal(t, video.Delivery{Error: why}, s.Send(t.Context(), address, id, nil))
	}
	require.Equal(t, "127.0.0.1 is a loopback address: only public addresses are reached", sender(t, callback.Options{}).Send(t.Context(), "https://127.0.0.1/", id, nil).Error)
}

func TestHostsThatTheOperatorAllows(t *testing.T) {
	for text, c := range map[string]struct{ yes, no []string }{
		"hooks.example.com": {yes: []string{"hooks.example.com", "HOOKS.example.com.", "hooks.example.com:8443"}, no: []string{"example.com", "a.hooks.example.com", "hooks.example.com.evil.example", "xhooks.example.com"}},
		".example.com":      {yes: []string{"a.example.com", "a.b.Example.com"}, no: []string{"example.com", "badexample.com", "a.example.com.evil.example"}},
		"a.example, .b.example , 192.0.2.7, 2001:DB8::1": {yes: []string{"a.example", "x.b.example", "192.0.2.7", "[2001:db8:0::1]"}, no: []string{"b.example", "192.0.2.8"}},
	} {
		hosts, err := callback.ParseHosts(text)
		require.NoError(t, err)
		s := sender(t, callback.Options{Hosts: hosts})
		s.Over(transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		}))
		for _, host := range c.yes {
			require.True(t, s.Send(t.Context(), "https://"+host+"/", id, nil).Delivered, host)
		}
		for _, host := range c.no {
			require.Contains(t, s.Send(t.Context(), "https://"+host+"/", id, nil).Error, "is not one of the hosts", host)
		}
	}
	for _, bad := range []string{"", ",", "a.example,", "https://a.example", "a.example:443", "a.example/x", "*.example", "user@a.example", "münchen.example", ".", "on off", "127.1"} {
		_, err := callback.ParseHosts(bad)
		require.ErrorContains(t, err, "is no host", bad)
	}
}

func TestACheckAsksOnceInFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, status := 0, 200
		var last *http.Request
		s := sender(t, callback.Options{Egress: egress.Settings{Allow: []string{"hooks.example"}}})
		s.Over(simulatortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			last = r
			w.WriteHeader(status)
		})))
		check := func(path string) (string, string) {
			problem, warning := s.Check(t.Context(), "https://hooks.example/"+path)
			if problem != nil {
				return problem.String(), warning
			}
			return "", warning
		}
		for range 3 {
			problem, warning := check("")
			require.Empty(t, problem+warning)
		}
		require.Equal(t, 1, asked)
		require.Equal(t, http.MethodHead, last.Method)
		require.NotContains(t, last.Header, "Webhook-Id")
		time.Sleep(5 * time.Minute)
		check("")
		require.Equal(t, 2, asked)
		for status = range map[int]bool{400: true, 401: true, 403: true, 405: true, 501: true} {
			problem, warning := check(fmt.Sprint(status))
			require.Empty(t, problem+warning, "a receiver that takes POST alone is as it should be")
		}
		for status = range map[int]bool{404: true, 500: true, 502: true} {
			problem, warning := check(fmt.Sprint(status))
			require.Empty(t, problem)
			require.Equal(t, fmt.Sprintf("callback_url: hooks.example answered with HTTP %d; the callback is tried for 24 hours all the same", status), warning)
		}
		status = 302
		asked = 0
		for range 2 {
			problem, _ := check("canary?canary")
			require.Equal(t, "callback_url: hooks.example redirects, which is not followed; allowed: an https:// address of at most 2,048 characters on a public host, without credentials or fragment, that does not redirect", problem)
		}
		require.Equal(t, 1, asked)
		time.Sleep(30 * time.Second)
		check("canary?canary")
		require.Equal(t, 2, asked, "what is refused may be mended soon")
		asked, status = 0, 200
		for i := range 2000 {
			check(fmt.Sprint("many", i))
		}
		require.Equal(t, 2000, asked)
		require.LessOrEqual(t, s.Remembered(), 500)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Over(transport(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }))
		_, warning := s.Check(ctx, "https://hooks.example/hung-up")
		require.NotEmpty(t, warning)
		s.Over(transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		}))
		_, warning = s.Check(t.Context(), "https://hooks.example/hung-up")
		require.Empty(t, warning, "what a caller who hung up has seen is nothing to remember")
	})
}

func TestAnAddressThatDoesNotAnswerIsAWarningAfterThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sender(t, callback.Options{Egress: egress.Settings{Allow: []string{"hooks.example"}}})
		s.Over(transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, &url.Error{Op: "Head", URL: r.URL.String(), Err: r.Context().Err()}
		}))
		from := time.Now()
		problem, warning := s.Check(t.Context(), "https://hooks.example/canary")
		require.Nil(t, problem)
		require.Equal(t, "callback_url: hooks.example did not answer in time; the callback is tried for 24 hours all the same", warning)
		require.Equal(t, 3*time.Second, time.Since(from))
	})
}
