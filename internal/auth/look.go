package auth

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// look reads the file again when it has changed, or waits for who does.
func (t *Tokens) look(ctx context.Context) {
	if !t.due() || !t.enter(ctx) {
		return
	}
	defer func() { <-t.looking }()
	if !t.due() {
		return
	}
	now := t.now()
	t.hangs.Store(false)
	t.began.Store(&now)
	defer func() {
		t.looked.Store(&now)
		t.began.Store(nil)
	}()
	info, err := t.stat(t.path)
	if err == nil && t.seen != nil && same(t.seen, info) && t.read.Sub(info.ModTime()) > settled {
		return
	}
	t.again(now)
}

func (t *Tokens) due() bool { return t.now().Sub(*t.looked.Load()) >= lookEvery }

// enter reports whether this caller is the one to look, after what is left of the patience with another.
func (t *Tokens) enter(ctx context.Context) bool {
	limit := time.NewTimer(patience - t.sinceBegan())
	defer limit.Stop()
	select {
	case t.looking <- struct{}{}:
		return true
	case <-limit.C:
	case <-ctx.Done():
	}
	return false
}

// sinceBegan is for how long the look under way has lasted, 0 without one.
func (t *Tokens) sinceBegan() time.Duration {
	if began := t.began.Load(); began != nil {
		return t.now().Sub(*began)
	}
	return 0
}

// blinded reports whether the disk has not answered for longer than what was read before is good.
func (t *Tokens) blinded() bool {
	if t.sinceBegan() < grace {
		return false
	}
	if !t.hangs.Swap(true) {
		t.logger.Warn("the disk with the file of tokens does not answer: nobody is let in until it does", "path", t.path)
	}
	return true
}

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
