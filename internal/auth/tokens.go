package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	lookEvery = time.Second     // at most so often the file is looked at
	settled   = 2 * time.Second // a file that was changed within it may change again without showing
	grace     = time.Minute     // what was read before is good for so long when the file cannot be read
	sayEvery  = time.Minute     // so often a trouble that lasts is logged
	patience  = time.Second     // so long a look at the file is waited for, from its beginning
)

// Tokens are the people of a file and their hashed tokens, a line for each token:
//
//	NAME sha256:HASH [metrics]
//
// Empty lines and lines that begin with # are left out. Several lines of one name are several tokens of one person, so that a new
// one can be handed out before the old one goes; the word metrics belongs to its token alone.
//
// The file is looked at when it is used, at most once a second, and read again when it has changed. Who asks meanwhile waits for
// that until it has taken a second. A deleted line opens nothing from then on, whatever the state of the file:
//   - while a line is wrong, others than the owner may write to it, or it has more than a megabyte, those of the people read before
//     are let in whose lines are still there and say the same. Nobody is added, or comes back, before the file is in order;
//   - while it cannot be read, or the disk does not answer, those read before are let in for one minute, and then nobody;
//   - when it or all its lines are gone, nobody is.
//
// Each is logged, again once a minute while it is used; a disk that does not answer is logged once.
type Tokens struct {
	path   string
	logger *slog.Logger
	now    func() time.Time
	stat   func(string) (fs.FileInfo, error)

	state atomic.Pointer[state]

	looked  atomic.Pointer[time.Time] // when the last look began that has ended
	began   atomic.Pointer[time.Time] // when the look under way did, nil without one
	hangs   atomic.Bool               // whether it was logged that it does not end
	looking chan struct{}             // holds one while somebody looks, who alone has what follows
	read    time.Time
	seen    fs.FileInfo // of a file in order, else nil: the next look is to read it in any case
	blind   time.Time   // when it could not be read for the first time since it could; zero when it can
	said    string      // what was logged last
	at      time.Time   // when
}

// state is who is let in, and what is wrong with the file, if anything.
type state struct {
	people  map[hash]Person
	trouble error
}

// OpenTokens reads a file of tokens. It returns an error when it cannot be read, when others than its owner may write to it, when a
// line is wrong, which is named by its number and never repeated, or when there is no token in it.
func OpenTokens(path string, logger *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, logger: logger, now: time.Now, stat: os.Stat, looking: make(chan struct{}, 1)}
	c, err := readContent(path)
	if err != nil {
		return nil, about(path, err)
	}
	people, err := c.people()
	if err == nil && len(people) == 0 {
		err = errEmpty
	}
	if err != nil {
		return nil, about(path, err)
	}
	t.state.Store(&state{people: people})
	now := t.now()
	t.read, t.seen = now, c.info
	t.looked.Store(&now)
	return t, nil
}

var errEmpty = errors.New("there is no token in it; r2v-mcp token NAME makes one")

// about names the file in an error, once.
func about(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Verify returns whose a token is, or [ErrUnknown]. A token that the operator has brought is as good as one of ours from 20
// characters on: a shorter one could be found by trying all, given its hash. More than 512 are not looked at.
func (t *Tokens) Verify(ctx context.Context, token string) (Person, error) {
	if len(token) < shortest || len(token) > longest {
		return Person{}, ErrUnknown
	}
	if t.look(ctx); t.blinded() {
		return Person{}, ErrUnknown
	}
	p, known := t.state.Load().people[hashOf(token)]
	if !known {
		return Person{}, ErrUnknown
	}
	return p, nil
}
