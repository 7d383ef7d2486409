package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/serve"
)

var discard = slog.New(slog.DiscardHandler)

func get(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return do(t, client, r)
}

func TestRateIsEachPersonsOwn(t *testing.T) {
	d, a := newDesk(), &fakeAuth{}
	bubble(t, serve.Options{Server: d.tools, Auth: a.require, Rate: 2}, func(t *testing.T, p *pipes) {
		client := p.client(t)
		call := func(who string) *http.Response {
			resp, _ := do(t, client, post(t, "http://srv/mcp", rpc("count"), "Authorization: Bearer "+who))
			return resp
		}
		for range 30 {
			require.Equal(t, http.StatusUnauthorized, call("nobody").StatusCode, "who is not known is not counted")
		}
		for range 10 {
			require.Equal(t, http.StatusOK, call("ann").StatusCode)
		}
		resp, text := do(t, client, post(t, "http://srv/mcp", rpc("count"), ann))
		require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
		require.Equal(t, "1", resp.Header.Get("Retry-After"))
		require.Contains(t, text, "nothing was done or charged")
		require.Equal(t, http.StatusOK, call("bob").StatusCode)
		pass(time.Second)
		require.Equal(t, http.StatusOK, call("ann").StatusCode)
		require.EqualValues(t, 12, d.calls.Load())
	})
}

func TestPanicEndsNothingAndTellsNothing(t *testing.T) {
	t.Parallel()
	d := newDesk()
	var log syncBuffer
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page.css" {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}
		panic("secret words")
	})
	srv := start(t, serve.Options{Server: d.tools, Page: page, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	client, base := newClient(t), "http://"+srv.address
	resp, text := get(t, client, base+"/")
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.NotContains(t, text, "secret")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/page.css", nil)
	require.NoError(t, err)
	resp, err = client.Do(r)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	require.Error(t, err, "half an answer does not look whole")

	_, text = do(t, client, post(t, base+"/mcp", rpc("panic")))
	require.Contains(t, text, "the tool failed")
	require.NotContains(t, text, "secret")
	stream := listen(t, client, base, "")
	do(t, client, post(t, stream.message, rpc("panic")))
	text = stream.next(t)
	require.Contains(t, text, "the tool failed")
	require.NotContains(t, text, "secret")

	require.Contains(t, log.String(), "at=answers_test.go:")
	require.Contains(t, log.String(), "at=http_test.go:")
	require.NotContains(t, log.String(), "secret")
	resp, text = get(t, client, base+"/healthz")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "ok\n", text)
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestReadinessSaysNoSecret(t *testing.T) {
	for name, c := range map[string]struct {
		check  func(context.Context) error
		status int
		text   string
	}{
		"ready":    {func(context.Context) error { return nil }, http.StatusOK, "ok\n"},
		"broken":   {func(context.Context) error { return errors.New("password=hunter2") }, http.StatusServiceUnavailable, "not ready: see the server's log\n"},
		"panics":   {func(context.Context) error { panic("hunter2") }, http.StatusServiceUnavailable, "not ready: see the server's log\n"},
		"obedient": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, http.StatusServiceUnavailable, "not ready"},
		"deaf":     {func(context.Context) error { pass(time.Minute); return nil }, http.StatusServiceUnavailable, "not ready: the check took more than 2 s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, serve.Options{Server: newDesk().tools, Ready: c.check}, func(t *testing.T, p *pipes) {
				began := time.Now()
				resp, text := get(t, p.client(t), "http://srv/readyz")
				require.Equal(t, c.status, resp.StatusCode)
				require.Contains(t, text, c.text)
				require.LessOrEqual(t, time.Since(began), 2*time.Second)
				pass(time.Hour)
			})
		})
	}
}

func TestStoppingServerIsNotReady(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	srv := start(t, serve.Options{Server: newDesk().tools, Ready: func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return nil
	}})
	client := newClient(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.address+"/readyz", nil)
	require.NoError(t, err)
	answered := make(chan string, 1)
	go func() {
		defer close(answered)
		resp, err := client.Do(r)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answered <- resp.Status + " " + string(text)
	}()
	<-asked
	srv.stop()
	require.Equal(t, "503 Service Unavailable not ready: the server is stopping\n", <-answered)
}

func TestAllowedOriginIsToldWhatItMaySend(t *testing.T) {
	t.Parallel()
	srv := start(t, serve.Options{Server: newDesk().tools, Auth: (&fakeAuth{}).require, Origins: []string{"https://friend.example/"}})
	client := newClient(t)
	r := post(t, "http://"+srv.address+"/mcp", "", "Origin: https://friend.example", "Access-Control-Request-Method: POST")
	r.Method = http.MethodOptions
	resp, _ := do(t, client, r)
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Equal(t, "https://friend.example", resp.Header.Get("Access-Control-Allow-Origin"))
	for _, name := range []string{"Authorization", "Content-Type", "Accept", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Last-Event-ID", "traceparent"} {
		require.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), name)
	}
	require.Empty(t, resp.Header.Get("Access-Control-Allow-Credentials"))
	require.Contains(t, strings.Join(resp.Header.Values("Vary"), ","), "Origin")

	resp, _ = do(t, client, post(t, "http://"+srv.address+"/mcp", rpc("count"), "Origin: https://friend.example"))
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Equal(t, "https://friend.example", resp.Header.Get("Access-Control-Allow-Origin"), "it may read the refusal")
	require.Contains(t, resp.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate")
}

func TestOriginBehindAProxyIsThePublicOne(t *testing.T) {
	t.Parallel()
	d := newDesk()
	srv := start(t, serve.Options{Server: d.tools, PublicURL: "https://R2V.example"})
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{"r2v.example", "https://r2v.example", 200}, {"r2v.example", "http://r2v.example", 403}, {"r2v.example:8443", "https://r2v.example", 200},
		{srv.address, "https://r2v.example", 200}, {srv.address, "http://" + srv.address, 200}, {srv.address, "https://evil.example", 403}, {"other.example", "https://r2v.example", 403},
	} {
		status, _, body := exchange(t, srv.address, wireRequest("POST /mcp", rpc("count"), "Host: "+c.host, "Origin: "+c.origin))
		require.Equal(t, c.status, status, "%+v %s", c, body)
	}
}

// certify writes a certificate for localhost and returns what trusts it.
func certify(t *testing.T, certFile, keyFile string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
		at := time.Now().Add(time.Duration(serial) * time.Minute) // two writes may fall into one tick of the clock
		require.NoError(t, os.Chtimes(path, at, at))
	}
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

func TestRenewedCertificateServesAtOnce(t *testing.T) {
	t.Parallel()
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	_, err := serve.Certificate(certFile, keyFile, discard)
	require.ErrorContains(t, err, "cert.pem")
	first := certify(t, certFile, keyFile, 1)
	settings, err := serve.Certificate(certFile, keyFile, discard)
	require.NoError(t, err)
	srv := start(t, serve.Options{Server: newDesk().tools, TLS: settings})
	ask := func(pool *x509.CertPool, highest uint16) (string, error) {
		transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost", MaxVersion: highest}}
		defer transport.CloseIdleConnections()
		r := post(t, "https://"+srv.address+"/mcp", rpc("count"), "Origin: https://"+srv.address)
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
		return resp.Proto, err
	}
	proto, err := ask(first, 0)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", proto)
	_, err = ask(first, tls.VersionTLS11)
	require.Error(t, err, "too old")

	require.NoError(t, os.WriteFile(keyFile, []byte("half of a renewal"), 0o600))
	_, err = ask(first, 0)
	require.NoError(t, err, "the last good pair serves on")
	second := certify(t, certFile, keyFile, 2)
	_, err = ask(second, 0)
	require.NoError(t, err)
	_, err = ask(first, 0)
	require.Error(t, err, "the old one is gone")
}

func TestNestingCostsLittle(t *testing.T) {
	t.Parallel()
	srv := start(t, serve.Options{Server: newDesk().tools})
	client := newClient(t)
	took := func(body string, status int) time.Duration {
		began := time.Now()
		resp, _ := do(t, client, post(t, "http://"+srv.address+"/mcp", body))
		require.Equal(t, status, resp.StatusCode)
		return time.Since(began)
	}
	nested := strings.Repeat(`{"a":[`, 1<<20)
	flat := strings.Replace(rpc("count"), "{", `{"x":"`+strings.Repeat("a", len(nested))+`",`, 1)
	for range 3 {
		deep, plain := took(nested, http.StatusBadRequest), took(flat, http.StatusOK)
		t.Logf("6 MB of nesting: %v; of text: %v", deep, plain)
		if deep < 10*plain {
			return
		}
	}
	require.Fail(t, "nesting costs more than ten times what text does")
}
