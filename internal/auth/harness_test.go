package auth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock is one that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time         { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration)   { c.ahead.Add(int64(d)) }
func ago(d time.Duration) float64       { return float64(time.Now().Add(-d).Unix()) }
func in(d time.Duration) float64        { return ago(-d) }
func logTo(b *journal) *slog.Logger     { return slog.New(slog.NewTextHandler(b, nil)) }
func (j *journal) lines() int           { return strings.Count(j.String(), "\n") }
func (j *journal) has(text string) bool { return strings.Contains(j.String(), text) }

// journal is what was logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// hashed is the second word of a token's line.
func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// fileOf writes a file of tokens.
func fileOf(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	rewrite(t, path, lines...)
	return path
}

func rewrite(t *testing.T, path string, lines ...string) {
	t.Helper()
	text := ""
	for _, line := range lines {
		text += line + "\n"
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// Tokens that an operator has brought, for tests that must know them.
const (
	alices  = "alices-own-token-0123456789"
	alices2 = "alices-new-token-0123456789"
	bobs    = "bobs-own-token-0123456789"
	scrapes = "prometheus-token-0123456789"
	nobodys = "nobodys-token-0123456789"
)
