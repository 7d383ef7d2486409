package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writePair writes a certificate of this machine and its key, and returns what trusts it.
func writePair(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		next := filepath.Join(dir, name+".next")
		require.NoError(t, os.WriteFile(next, pem.EncodeToMemory(block), 0o600))
		require.NoError(t, os.Rename(next, filepath.Join(dir, name)))
	}
	parsed, err := x509.ParseCertificate(certificate)
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	trusted.AddCert(parsed)
	return trusted
}

func TestACertificateIsRenewedWhileServing(t *testing.T) {
	t.Parallel()
	upstream, home, dir := newService(t, 600), t.TempDir(), t.TempDir()
	tokens, of := tokensIn(t, home, "alice")
	first := writePair(t, dir, 1)
	s := serveHTTP(t, append(upstream.env(home), tokens, "R2V_TLS_CERT="+filepath.Join(dir, "cert.pem"), "R2V_TLS_KEY="+filepath.Join(dir, "key.pem"))...)
	require.Regexp(t, "^https://", s.url)
	trusting := func(pool *x509.CertPool) *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	old := trusting(first)
	s.client = old
	s.gets(of["alice"], "generate_r2v", waving("in private"))
	status, page := s.send(http.MethodPost, "/sign-in", "token="+of["alice"], "Content-Type", "application/x-www-form-urlencoded", "Origin", s.url)
	require.Equal(t, http.StatusOK, status, page) // and away from the form, where the cookie is asked for

	second := writePair(t, dir, 2)
	s.gets(of["alice"], "list_tasks", map[string]any{})
	s.client = trusting(second)
	s.gets(of["alice"], "list_tasks", map[string]any{})
	s.client = trusting(first)
	_, _, err := s.try(t.Context(), http.MethodGet, "/healthz", "")
	require.ErrorContains(t, err, "certificate", "the old one is not given out any more")

	// A renewal that went wrong leaves the last good pair.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half a k"), 0o600))
	s.client = trusting(second)
	s.gets(of["alice"], "list_tasks", map[string]any{})
	plain := &site{T: t, url: "http" + s.url[len("https"):], client: http.DefaultClient}
	status, _ = plain.post(of["alice"], "list_tasks", map[string]any{})
	require.Equal(t, http.StatusBadRequest, status, "nothing is answered without encryption")
	s.client = old
}
