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
	patience  = time.Second     // so long who asks waits for another's look at the file
)

// Tokens are the people of a file and their hashed tokens, a line for each token:
//
//	NAME sha256:HASH [metrics]
//
// Empty lines and lines that begin with # are left out. Several lines of one name are several tokens of one person, so that a new
// one can be handed out before the old one goes; the word metrics belongs to its token alone.
//
// The file is looked at when it is used, at most once a second, and read again when it has changed. Who asks meanwhile waits for
// that, a second at most, so that a disk that hangs holds up nobody for long. A deleted line opens nothing from then on, whatever
// the state of the file:
//   - while a line is wrong, others than the owner may write to it, or it has more than a megabyte, those of the people read before
//     are let in whose lines are still there and say the same. Nobody is added, or comes back, before the file is in order;
//   - while it cannot be read, those read before are let in for one minute, and then nobody;
//   - when it or all its lines are gone, nobody is.
//
// Each is logged, again once a minute while it is used.
type Tokens struct {
	path   string
	logger *slog.Logger
	now    func() time.Time

	state atomic.Pointer[state]

	looked  atomic.Pointer[time.Time]
	looking chan struct{} // holds one while somebody looks, who alone has what follows
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
	t := &Tokens{path: path, logger: logger, now: time.Now, looking: make(chan struct{}, 1)}
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
func (t *Tokens) Verify(_ context.Context, token string) (Person, error) {
	t.look()
	if len(token) < shortest || len(token) > longest {
		return Person{}, ErrUnknown
	}
	p, known := t.state.Load().people[hashOf(token)]
	if !known {
		return Person{}, ErrUnknown
	}
	return p, nil
}

// look reads the file again when it has changed, or waits for who does.
func (t *Tokens) look() {
	if !t.due() {
		return
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case t.looking <- struct{}{}:
	case <-limit.C:
		return
	}
	defer func() { <-t.looking }()
	if !t.due() {
		return
	}
	now := t.now()
	defer t.looked.Store(&now)
	info, err := os.Stat(t.path)
	if err == nil && t.seen != nil && same(t.seen, info) && t.read.Sub(info.ModTime()) > settled {
		return
	}
	t.again(now)
}

func (t *Tokens) due() bool { return t.now().Sub(*t.looked.Load()) >= lookEvery }

// same reports whether nothing tells two looks at a file apart. An editor may put another file in its place.
func same(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode() && os.SameFile(a, b)
}

func (t *Tokens) again(now time.Time) {
	c, err := readContent(t.path)
	t.read, t.seen = now, nil
	if err != nil {
		t.unreadable(now, err)
		return
	}
	t.blind = time.Time{}
	before := t.state.Load()
	people, err := c.people()
	switch {
	case err != nil:
		t.spoil(now, stillThere(before.people, c.text), err, "the file of tokens is not in order: mend it. Until then nobody new is let in, "+
			"and of those read before the ones whose lines are unchanged")
	case len(people) == 0:
		t.spoil(now, nil, errEmpty, "the file of tokens has no token left: nobody is let in until it has one")
	default:
		t.seen, t.said = c.info, ""
		t.state.Store(&state{people: people})
		if before.trouble != nil || len(before.people) != len(people) {
			t.logger.Info("the file of tokens was read again", "tokens", len(people))
		}
	}
}

// unreadable is for a file of which it cannot be told who was deleted from it.
func (t *Tokens) unreadable(now time.Time, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		t.blind = time.Time{}
		t.spoil(now, nil, err, "the file of tokens is gone: nobody is let in until it is back")
		return
	}
	if t.blind.IsZero() {
		t.blind = now
	}
	if now.Sub(t.blind) < grace {
		t.spoil(now, t.state.Load().people, err, "the file of tokens cannot be read: make it a file that this server's user may read. "+
			"Those read before are let in for one minute, then nobody")
		return
	}
	t.spoil(now, nil, err, "the file of tokens cannot be read: nobody is let in until it is a file that this server's user may read")
}

// spoil lets in who is left, and logs a trouble: not again for the same within a minute.
func (t *Tokens) spoil(now time.Time, left map[hash]Person, err error, message string) {
	err = about(t.path, err)
	t.state.Store(&state{people: left, trouble: err})
	if text := message + err.Error(); t.said != text || now.Sub(t.at) >= sayEvery {
		t.said, t.at = text, now
		t.logger.Warn(message, "err", err, "tokens", len(left))
	}
}
