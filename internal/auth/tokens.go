package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookEvery = time.Second     // at most so often the file is looked at
	settled   = 2 * time.Second // a file that was changed within it may change again without showing
)

// Tokens are the people of a file and their hashed tokens, a line for each token:
//
//	NAME sha256:HASH [metrics]
//
// Empty lines and lines that begin with # are left out. Several lines of one name are several tokens of one person, so that a new
// one can be handed out before the old one goes; the word metrics belongs to its token alone.
//
// The file is looked at when it is used, at most once a second, and read again when it has changed. While it is broken, what was
// read last stays in force, which is logged once; when it or all its lines are gone, nobody is let in.
type Tokens struct {
	path   string
	logger *slog.Logger
	now    func() time.Time

	people atomic.Pointer[map[hash]Person]

	looking sync.Mutex // guards what follows; who does not get it uses what is there
	looked  time.Time
	read    time.Time
	seen    fs.FileInfo // nil when the next look is to read the file in any case
	trouble string      // what was logged last
}

// OpenTokens reads a file of tokens. It returns an error when it cannot be read, when others than its owner may write to it, when a
// line is wrong, which is named by its number and never repeated, or when there is no token in it.
func OpenTokens(path string, logger *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, logger: logger, now: time.Now}
	people, info, err := readTokens(path)
	if err != nil {
		return nil, about(path, err)
	}
	if len(people) == 0 {
		return nil, about(path, errors.New("there is no token in it; r2v-mcp token NAME makes one"))
	}
	t.people.Store(&people)
	t.read, t.seen = t.now(), info
	t.looked = t.read
	return t, nil
}

// about names the file in an error, once.
func about(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Verify returns whose a token is, or [ErrUnknown]. A token that the operator has brought is as good as one of ours from 20
// characters on: a shorter one could be found by trying all, given its hash. More than 512 are not looked at.
func (t *Tokens) Verify(_ context.Context, token string) (Person, error) {
	t.look()
	if len(token) < shortest || len(token) > longest {
		return Person{}, ErrUnknown
	}
	p, known := (*t.people.Load())[hashOf(token)]
	if !known {
		return Person{}, ErrUnknown
	}
	return p, nil
}

// look reads the file again when it has changed. It never makes two callers wait for one disk.
func (t *Tokens) look() {
	if !t.looking.TryLock() {
		return
	}
	defer t.looking.Unlock()
	now := t.now()
	if now.Sub(t.looked) < lookEvery {
		return
	}
	t.looked = now
	info, err := os.Stat(t.path)
	if err == nil && t.seen != nil && same(t.seen, info) && t.read.Sub(info.ModTime()) > settled {
		return
	}
	t.again(now)
}

// same reports whether nothing tells two looks at a file apart. An editor may put another file in its place.
func same(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode() && os.SameFile(a, b)
}

func (t *Tokens) again(now time.Time) {
	people, info, err := readTokens(t.path)
	t.read, t.seen = now, info
	switch {
	case errors.Is(err, fs.ErrNotExist):
		people = map[hash]Person{}
		t.people.Store(&people)
		t.report("the file of tokens is gone: nobody is let in until it is back", err)
	case err != nil:
		t.report("the file of tokens cannot be used: what was read before stays in force", about(t.path, err))
	default:
		before := *t.people.Swap(&people)
		if len(people) == 0 {
			t.report("the file of tokens has no token left: nobody is let in", about(t.path, errors.New("no token")))
			return
		}
		if t.trouble != "" || len(before) != len(people) {
			t.logger.Info("the file of tokens was read again", "tokens", len(people))
		}
		t.trouble = ""
	}
}

// report logs a trouble once.
func (t *Tokens) report(message string, err error) {
	if text := message + err.Error(); t.trouble != text {
		t.trouble = text
		t.logger.Warn(message, "err", err)
	}
}
