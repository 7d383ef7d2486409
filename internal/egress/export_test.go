package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"
)

// With gives a client of tests a resolver and an idle limit of its own.
func (s Settings) With(r *net.Resolver, idle time.Duration) Settings {
	s.Resolver, s.idle = r, idle
	return s
}

// Trust lets a client of tests speak to a server that has a certificate of its own.
func Trust(client *http.Client, certificate *x509.Certificate) {
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	client.Transport.(*door).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
