package serve

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// Certificate makes the TLS settings of a server from a certificate with its chain and a private key, both PEM. The files are
// read again when they change; while what is there is no pair, half of a renewal, the last good one serves on. TLS 1.2 is the
// oldest version taken. The error says which file cannot be used now.
func Certificate(certFile, keyFile string) (*tls.Config, error) {
	p := &pair{certFile: certFile, keyFile: keyFile}
	if err := p.refresh(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			_ = p.refresh() // the last good one is better than none
			return p.last, nil
		},
	}, nil
}

type pair struct {
	certFile, keyFile string
	mu                sync.Mutex
	last              *tls.Certificate
	seen              [2]stamp
}

// stamp tells one content of a file from the next.
type stamp struct {
	changed time.Time
	size    int64
}

func (p *pair) refresh() error {
	var now [2]stamp
	for i, path := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read the TLS certificate: %w", err)
		}
		now[i] = stamp{info.ModTime(), info.Size()}
	}
	if p.last != nil && now == p.seen {
		return nil
	}
	certificate, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("read the TLS certificate from %s and %s: %w", p.certFile, p.keyFile, err)
	}
	p.last, p.seen = &certificate, now
	return nil
}
