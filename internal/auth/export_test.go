package auth

import (
	"context"
	"io/fs"
	"time"
)

// SetClock gives the file's reader a clock of a test.
func (t *Tokens) SetClock(now func() time.Time) { t.now = now }

// SetStat gives the file's reader a disk of a test.
func (t *Tokens) SetStat(stat func(string) (fs.FileInfo, error)) { t.stat = stat }

// SetClock gives the provider's tokens a clock of a test.
func (o *OIDC) SetClock(now func() time.Time) { o.now, o.gate.now = now, now }

// Ready looks at the file, and returns what is wrong with it.
func (t *Tokens) Ready() error {
	t.look(context.Background())
	return t.state.Load().trouble
}
