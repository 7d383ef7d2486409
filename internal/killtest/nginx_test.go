package killtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// publicURL is the name for which httptest's certificate is made.
const publicURL = "https://example.com"

// deploy/nginx.conf, with other paths and with the replicas' addresses, before two replicas.
func TestNginxServesReplicasAsDeployedHere(t *testing.T) {
	t.Parallel()
	program := nginx(t)
	f := newFleet(t, 2, simulator.Options{Speed: 300}, "R2V_POLL_INTERVAL=200ms", "R2V_PUBLIC_URL="+publicURL)
	m := newMarket(t.Context(), f)
	d := door{publicURL, f.tokens["anna"], f.behind(program)}
	t.Run("a clip over TLS, with progress as it comes", func(t *testing.T) {
		for name, dial := range map[string]dial{"streamable": dialOfficial, "SSE": dialSSE} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m.waits(t, d, dial)
			})
		}
	})
	for path, status := range map[string]int{"/metrics": http.StatusNotFound, "/readyz": http.StatusOK, "/healthz": http.StatusOK, "/": http.StatusOK, "/no": http.StatusNotFound} {
		got, _ := d.get(t, path)
		require.Equal(t, status, got, path)
	}
	t.Run("one replica is killed, the other answers", func(t *testing.T) {
		f.kill(f.balancer.living()[0])
		for range 6 {
			status, _ := d.get(t, "/readyz")
			require.Equal(t, http.StatusOK, status)
		}
		m.makeClip(t, dialOfficial(t, d, "2025-11-25", func() {}))
	})
}

// waits makes a call that waits for a task that does not end, and is told so meanwhile.
func (m *market) waits(t *testing.T, d door, dial dial) {
	t.Helper()
	told := make(chan time.Time, 100)
	a := dial(t, d, "2025-11-25", func() { told <- time.Now() })
	task := m.makeClip(t, a)
	require.Equal(t, publicURL+"/clips/"+task.TaskID+".mp4", task.VideoURL)
	status, clip := d.get(t, strings.TrimPrefix(task.VideoURL, publicURL)) // with the cookie of who is signed in
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ftyp", string(clip[4:8]))

	request := m.arguments(job{Key: t.Name(), Prompt: "character1 waves for long [[fault:fail-timeout]] " + t.Name()})
	endless := ask(t, a, "generate_r2v", request, "")
	endless = ask(t, a, "get_task", map[string]any{"task_id": endless.TaskID, "wait_seconds": 7}, "a-token")
	ended := time.Now()
	require.Equal(t, "RUNNING", endless.Status)
	require.NotEmpty(t, told, "nothing was told while the call waited")
	require.Greater(t, ended.Sub(<-told), time.Second, "what was told was held back until the answer")
}

func (d door) get(t *testing.T, path string) (status int, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
	require.NoError(t, err)
	r.AddCookie(&http.Cookie{Name: "__Host-r2v", Value: d.token})
	resp, err := d.http.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, body
}

// nginx is the program, which Debian keeps out of a user's PATH.
func nginx(t *testing.T) string {
	t.Helper()
	const debian = "/usr/sbin/nginx"
	path, err := exec.LookPath("nginx")
	if _, failed := os.Stat(debian); err != nil && failed == nil {
		path, err = debian, nil
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("nginx is not installed")
	}
	require.NoError(t, err, "nothing is skipped where CI is set")
	return path
}

// behind starts nginx before the replicas, and returns the way to it.
func (f *fleet) behind(program string) http.RoundTripper {
	f.t.Helper()
	dir := f.t.TempDir()
	socket := filepath.Join(dir, "nginx.sock")
	trusted := selfSigned(f.t, filepath.Join(dir, "tls"))
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(f.t, os.WriteFile(file, []byte(f.nginxConf(dir, socket)), 0o600))
	main := "daemon off; error_log stderr; pid " + filepath.Join(dir, "pid") + ";"
	if os.Getuid() == 0 {
		main += " user root;" // the test's folders are nobody else's
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "-p", dir, "-c", file, "-g", main)
	cmd.Stderr = &said
	require.NoError(f.t, cmd.Start())
	f.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if f.t.Failed() {
			f.t.Logf("nginx said: %s", &said)
		}
	})
	way := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	f.t.Cleanup(way.CloseIdleConnections)
	for deadline := time.Now().Add(10 * time.Second); ; pause(f.t.Context(), 20*time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return way
		}
		require.True(f.t, time.Now().Before(deadline), "nginx never listens: %s", &said)
	}
}

// nginxConf is the file as it is deployed, but for its addresses and folders.
func (f *fleet) nginxConf(dir, socket string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "nginx.conf"))
	require.NoError(f.t, err)
	conf := string(text)
	require.NotContains(f.t, conf, "consistent", "it hashes names, and of several addresses of one name takes turns")
	replace := func(old string, times int, replacement string) {
		require.Equal(f.t, times, strings.Count(conf, old), "%q in deploy/nginx.conf", old)
		conf = strings.ReplaceAll(conf, old, replacement)
	}
	var servers strings.Builder
	for _, r := range f.balancer.living() {
		fmt.Fprintf(&servers, "server %s max_fails=1 fail_timeout=5s; ", r.address)
	}
	replace("server r2v:8787 max_fails=1 fail_timeout=5s;", 2, servers.String())
	replace("listen 443 ssl;", 1, "listen unix:"+socket+" ssl;")
	folders := "http {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		folders += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	replace("http {\n", 1, folders)
	return conf
}

// selfSigned writes a certificate and its key into a folder, and returns those who trust it.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(dir, 0o700))
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}
