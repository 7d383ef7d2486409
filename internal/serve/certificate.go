package serve

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate makes the TLS settings of a server from a certificate with its chain and a private key, both PEM. The files are
// read again when they change; while what is there is no pair, half of a renewal, the last good one serves on, and the log says so
// once for each change. TLS 1.2 is the oldest version taken. The error says which file cannot be used now.
func Certificate(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	p := &pair{certFile: certFile, keyFile: keyFile}
	if p.refresh(); p.trouble != nil {
		return nil, p.trouble
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.refresh() {
				p.report(logger)
			}
			return p.last, nil // the last good one is better than none
		},
	}, nil
}

type pair struct {
	certFile, keyFile string
	mu                sync.Mutex
	last              *tls.Certificate
	seen              [2]stamp // good or not; zero for a file that could not be looked at
	trouble           error    // with what was seen
}

// stamp tells one content of a file from the next.
type stamp struct {
	changed time.Time
	size    int64
}

// refresh reads the files if they are others than those seen, and tells whether anything has changed.
func (p *pair) refresh() (changed bool) {
	var now [2]stamp
	var missing error
	for i, path := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			missing = cmp.Or(missing, fmt.Errorf("read the TLS certificate: %w", err))
			continue
		}
		now[i] = stamp{info.ModTime(), info.Size()}
	}
	if now == p.seen && (p.last != nil || p.trouble != nil) {
		return false
	}
	p.seen, p.trouble = now, missing
	if missing != nil {
		return true
	}
	certificate, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		p.trouble = fmt.Errorf("read the TLS certificate from %s and %s: %w", p.certFile, p.keyFile, err)
		return true
	}
	p.last = &certificate
	return true
}

func (p *pair) report(logger *slog.Logger) {
	if p.trouble == nil {
		logger.Info("the TLS certificate was read again", "until", until(p.last))
		return
	}
	logger.Error("the new TLS certificate cannot be used, the last good one serves on", "err", p.trouble, "until", until(p.last))
}

// until tells when a certificate ends.
func until(c *tls.Certificate) time.Time {
	if c.Leaf == nil {
		return time.Time{}
	}
	return c.Leaf.NotAfter
}
