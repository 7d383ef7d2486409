package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/serve"
)

// secure makes the settings of a server with a certificate for localhost.
func secure(t *testing.T) *tls.Config {
	t.Helper()
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certify(t, certFile, keyFile, 1)
	settings, err := serve.Certificate(certFile, keyFile, discard)
	require.NoError(t, err)
	return settings
}

// overTLS reaches a server in a bubble as https://srv, by HTTP/2.
func overTLS(t *testing.T, p *pipes) *http.Client {
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is not the question
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestCallsAndStreamsOverTLSLastBeyondTheTimeOfAWrite(t *testing.T) {
	settings, d, a := secure(t), newDesk(), &fakeAuth{}
	bubble(t, serve.Options{Server: d.tools, Auth: a.require, TLS: settings}, func(t *testing.T, p *pipes) {
		d.waiting, d.ended = make(chan string, 2), make(chan string, 2)
		client := overTLS(t, p)
		defer client.CloseIdleConnections()
		stream := listen(t, client, "https://srv", "ann")
		require.Equal(t, "HTTP/2.0", stream.response.Proto)
		ctx, leave := context.WithCancel(t.Context())
		call := post(t, "https://srv/mcp", rpc("wait"), ann).WithContext(ctx)
		left := make(chan error)
		go func() {
			resp, err := client.Do(call)
			if err == nil {
				resp.Body.Close()
			}
			left <- err
		}()
		<-d.waiting
		time.Sleep(5 * time.Minute)
		require.Empty(t, d.ended, "the call goes on")
		resp, _ := do(t, client, post(t, stream.message, rpc("count"), ann))
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		require.Equal(t, "caller ann", textOf(t, stream.next(t)))
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		<-d.ended
		stream.response.Body.Close()
	})
}

func TestWhoReadsNothingOverTLSIsCut(t *testing.T) {
	settings := secure(t)
	cut := make(chan time.Duration, 1)
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		began := time.Now()
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				cut <- time.Since(began)
				return
			}
		}
	})
	bubble(t, serve.Options{Server: newDesk().tools, Page: endless, TLS: settings}, func(t *testing.T, p *pipes) {
		cut = make(chan time.Duration, 1)
		client := overTLS(t, p)
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://srv/", nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 10*time.Second, <-cut)
	})
}

func TestStreamsAskAgainAboutTheTokensOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	line := func(name, token string) string {
		sum := sha256.Sum256([]byte(token))
		return name + " sha256:" + hex.EncodeToString(sum[:]) + "\n"
	}
	anns, bobs := strings.Repeat("a", 24), strings.Repeat("b", 24)
	require.NoError(t, os.WriteFile(path, []byte(line("ann", anns)+line("bob", bobs)), 0o600))
	synctest.Test(t, func(t *testing.T) {
		tokens, err := auth.OpenTokens(path, discard)
		require.NoError(t, err)
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = serve.HTTP(ctx, serve.Options{Server: newDesk().tools, Auth: auth.Require(tokens, nil), Listener: p, Hosts: []string{"srv"}, Logger: discard})
		}()
		client := p.client(t)
		open := func(token string) (call func() int, closed chan struct{}) {
			stream := listen(t, client, "http://srv", token)
			closed = make(chan struct{})
			go func() {
				defer close(closed)
				_, _ = io.Copy(io.Discard, stream.response.Body) // who reads nothing is cut for that
			}()
			return func() int {
				resp, _ := do(t, client, post(t, stream.message, rpc("count"), "Authorization: Bearer "+token))
				return resp.StatusCode
			}, closed
		}
		ann, annClosed := open(anns)
		bob, bobClosed := open(bobs)
		time.Sleep(10 * time.Minute)
		require.Equal(t, http.StatusAccepted, ann())
		require.Equal(t, http.StatusAccepted, bob())
		require.NoError(t, os.WriteFile(path, []byte(line("ann", anns)), 0o600))
		began := time.Now()
		<-bobClosed
		require.LessOrEqual(t, time.Since(began), 61*time.Second)
		time.Sleep(10 * time.Minute)
		require.Equal(t, http.StatusAccepted, ann(), "the other goes on")
		stop()
		<-annClosed
		<-ended
	})
}

// unfinished sends a message of a megabyte but for its last byte, and returns what ends it.
func unfinished(t *testing.T, client *http.Client, token string) (finish func() *http.Response) {
	t.Helper()
	body, sender := io.Pipe()
	text := strings.Replace(rpc("count"), "{", `{"x":"`+strings.Repeat("a", 1<<20)+`",`, 1)
	r := post(t, "http://srv/mcp", "", token)
	r.Body, r.ContentLength = body, -1
	answered := make(chan *http.Response, 1)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		answered <- resp
	}()
	_, err := io.WriteString(sender, text[:len(text)-1])
	require.NoError(t, err)
	return func() *http.Response {
		go func() { _, _ = io.WriteString(sender, text[len(text)-1:]); sender.Close() }()
		return <-answered
	}
}

func TestLargeMessagesOfOnePersonAreFew(t *testing.T) {
	bubble(t, serve.Options{Server: newDesk().tools, Auth: (&fakeAuth{}).require}, func(t *testing.T, p *pipes) {
		client := p.client(t)
		large := strings.Replace(rpc("count"), "{", `{"x":"`+strings.Repeat("a", 70<<10)+`",`, 1)
		send := func(text, token string) (*http.Response, string) {
			return do(t, client, post(t, "http://srv/mcp", text, token))
		}
		var held []func() *http.Response
		for range 8 {
			held = append(held, unfinished(t, client, ann))
		}
		synctest.Wait() // until all of it is read
		resp, text := send(large, ann)
		require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
		require.Contains(t, text, "nothing was done or charged")
		resp, _ = send(rpc("count"), ann)
		require.Equal(t, http.StatusOK, resp.StatusCode, "small ones pass")
		resp, _ = send(large, "Authorization: Bearer bob")
		require.Equal(t, http.StatusOK, resp.StatusCode, "and another's")
		require.Equal(t, http.StatusOK, held[0]().StatusCode)
		resp, _ = send(large, ann)
		require.Equal(t, http.StatusOK, resp.StatusCode, "an answered one makes room")
		for _, finish := range held[1:] {
			require.Equal(t, http.StatusOK, finish().StatusCode)
		}
	})
}

func TestManyValuesAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk()
	srv := start(t, serve.Options{Server: d.tools})
	client := newClient(t)
	send := func(n int) (*http.Response, string) {
		array := strings.TrimSuffix(strings.Repeat("1,", n), ",")
		return do(t, client, post(t, "http://"+srv.address+"/mcp", toolCall(`"name":"count","arguments":{"a":[`+array+`]}`)))
	}
	resp, _ := send(9_000)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	resp, text := send(10_001)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Contains(t, text, "more than 10000 values")
	require.EqualValues(t, 1, d.calls.Load())
}

func TestConnectionsAreBounded(t *testing.T) {
	bubble(t, serve.Options{Server: newDesk().tools, MostOpen: 2}, func(t *testing.T, p *pipes) {
		silent := [2]net.Conn{p.dial(), p.dial()}
		late := make(chan net.Conn)
		go func() { late <- p.dial() }()
		synctest.Wait()
		require.Empty(t, late, "there is no place")
		began := time.Now()
		c := <-late
		require.Equal(t, 10*time.Second, time.Since(began), "who never asks anything loses the place")
		_, err := fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: srv\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		text, _ := io.ReadAll(c)
		require.Contains(t, string(text), "200 OK")
		for _, c := range silent {
			c.Close()
		}
	})
}

func TestReadinessIsLookedForOnceASecondAndLoggedSeldom(t *testing.T) {
	var log syncBuffer
	var checks int
	trouble := errors.New("the database is down")
	synctest.Test(t, func(t *testing.T) {
		h := serve.Handler(serve.Options{
			Server: newDesk().tools, Hosts: []string{"srv"}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Ready: func(context.Context) error { checks++; return trouble },
		})
		ask := func(seconds int) (last int) {
			for range seconds * 100 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://srv/readyz", nil))
				last = w.Code
				time.Sleep(10 * time.Millisecond)
			}
			return last
		}
		require.Equal(t, http.StatusServiceUnavailable, ask(65))
		require.InDelta(t, 65, checks, 1)
		require.Equal(t, 3, strings.Count(log.String(), "\n"), "at once, after 30 s and after 60 s: %s", &log)
		trouble = errors.New("the database refuses the password")
		ask(2)
		require.Equal(t, 4, strings.Count(log.String(), "\n"), "a change at once: %s", &log)
		trouble = nil
		require.Equal(t, http.StatusOK, ask(60))
		require.Equal(t, 5, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), "ready again")
	})
}

func TestMetadataAreForPagesOfEveryOrigin(t *testing.T) {
	t.Parallel()
	known := auth.Metadata(func(*http.Request) string { return "https://r2v.example/mcp" }, "https://login.example")
	srv := start(t, serve.Options{Server: newDesk().tools, Auth: (&fakeAuth{}).require, WellKnown: known})
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 204} {
			raw := wireRequest(method+" "+path, "", "-Content-Length", "-Content-Type", "-Authorization", "Origin: https://client.example", "Sec-Fetch-Site: cross-site",
				"Access-Control-Request-Method: GET", "Access-Control-Request-Headers: mcp-protocol-version")
			status, header, body := exchange(t, srv.address, raw)
			require.Equal(t, want, status, "%s %s: %s", method, path, body)
			require.Equal(t, "*", header.Get("Access-Control-Allow-Origin"), method)
			require.Equal(t, "cross-origin", header.Get("Cross-Origin-Resource-Policy"), method)
			if method == "GET" {
				require.Contains(t, body, "https://login.example")
			}
			status, _, _ = exchange(t, srv.address, strings.Replace(raw, "Host: ADDR", "Host: evil.example", 1))
			require.Equal(t, http.StatusForbidden, status, "the Host is looked at here too")
		}
		status, header, _ := exchange(t, srv.address, wireRequest("POST "+path, "", "Origin: https://client.example"))
		require.Equal(t, http.StatusForbidden, status)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	}
}

func TestFailedRenewalIsLoggedOnce(t *testing.T) {
	t.Parallel()
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certify(t, certFile, keyFile, 1)
	var log syncBuffer
	settings, err := serve.Certificate(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	shake := func(n int) {
		for range n {
			got, err := settings.GetCertificate(nil)
			require.NoError(t, err)
			require.NotNil(t, got)
		}
	}
	shake(3)
	require.Empty(t, log.String())
	require.NoError(t, os.WriteFile(keyFile, []byte("half of a renewal"), 0o600))
	shake(5)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), &log)
	require.Contains(t, log.String(), "level=ERROR")
	require.Contains(t, log.String(), keyFile)
	require.NoError(t, os.Remove(keyFile))
	shake(5)
	require.Equal(t, 2, strings.Count(log.String(), "\n"), &log)
	certify(t, certFile, keyFile, 2)
	shake(5)
	require.Equal(t, 3, strings.Count(log.String(), "\n"), &log)
	require.True(t, bytes.Contains([]byte(log.String()), []byte("read again")))
}

func TestStoppingServerSaysSoBeforeItStops(t *testing.T) {
	d := newDesk()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = serve.HTTP(ctx, serve.Options{Server: d.tools, Listener: p, Hosts: []string{"srv"}, Logger: discard})
		}()
		client := p.client(t)
		resp, _ := get(t, client, "http://srv/readyz")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		began := time.Now()
		stop()
		synctest.Wait()
		time.Sleep(200 * time.Millisecond)
		resp, _ = get(t, client, "http://srv/readyz")
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		resp, _ = do(t, client, post(t, "http://srv/mcp", rpc("count")))
		require.Equal(t, http.StatusOK, resp.StatusCode, "calls are still answered")
		require.True(t, resp.Close, "and their connections end")
		time.Sleep(200 * time.Millisecond)
		d.waiting, d.ended = make(chan string, 1), make(chan string, 1)
		_, text := do(t, client, post(t, "http://srv/mcp", rpc("wait")))
		require.Contains(t, text, "state so far")
		require.Equal(t, 900*time.Millisecond, time.Since(began), "a young call is not disturbed at once")
		<-ended
		require.LessOrEqual(t, time.Since(began), 2*time.Second)
	})
}

func TestStoppingServerAnswersEveryMessageOfAStream(t *testing.T) {
	d := newDesk()
	server.WithToolFilter(func(_ context.Context, tools []mcp.Tool) []mcp.Tool {
		time.Sleep(time.Second) // before the stream has a call under way
		return tools
	})(d.tools)
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = serve.HTTP(ctx, serve.Options{Server: d.tools, Listener: p, Hosts: []string{"srv"}, Logger: discard})
		}()
		client := p.client(t)
		stream := listen(t, client, "http://srv", "")
		resp, _ := do(t, client, post(t, stream.message, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		stop()
		require.Contains(t, stream.next(t), `"count"`)
		<-ended
	})
}
