package egresstest

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// Trusting runs the tests of a package with the certificate of [httptest.NewTLSServer] among those of the system, which Linux lets
// a process say. Call it from TestMain.
func Trusting(m *testing.M) int {
	dir, err := os.MkdirTemp("", "r2v-trust")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left harms nobody
	if err := os.Setenv("SSL_CERT_FILE", CertificateFile(dir)); err != nil {
		panic(err)
	}
	return m.Run()
}

// CertificateFile writes the certificate of [httptest.NewTLSServer] into a folder, and returns the file's path.
func CertificateFile(dir string) string {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	path := filepath.Join(dir, "receivers.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		panic(err)
	}
	return path
}
