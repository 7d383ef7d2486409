package tools

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"r2v-mcp/internal/video"
)

// clip is where a clip can be had, as far as the caller is to know.
type clip struct {
	url     string
	expires time.Time // of url; zero where nobody can say
	savedTo string    // empty where it would be nothing that the caller can open
	gone    bool      // it was saved, and is no longer there
	trouble string    // why there is no link to the saved clip
}

// clipOf tells where a task's clip can be had: from where it is saved if there is a link to it, or else from the service, until its
// own link dies.
func (s *Set) clipOf(ctx context.Context, t *video.Task) clip {
	c := clip{url: t.VideoURL, expires: t.VideoURLExpiresAt()}
	if t.SavedTo == "" {
		return c
	}
	if !s.HidePaths {
		c.savedTo = t.SavedTo
	}
	if s.Link != nil {
		url, expires, err := s.Link(ctx, t)
		if err != nil {
			s.unlinked(&c, t, err)
		} else if url != "" {
			c.url, c.expires = url, expires
			return c
		}
	}
	if (c.savedTo == "" || c.stored()) && dead(t) { // a file is the clip, and a dead link beside it does no harm
		c.url, c.expires = "", time.Time{}
	}
	return c
}

// unlinked notes why there is no link to a saved clip.
func (s *Set) unlinked(c *clip, t *video.Task, err error) {
	switch c.gone = errors.Is(err, fs.ErrNotExist); {
	case c.gone && s.HidePaths:
		c.trouble = "the saved clip is gone from the server"
	case c.gone:
		c.savedTo, c.trouble = "", "the saved clip is gone: it is no longer at "+t.SavedTo
	case s.HidePaths:
		c.trouble = "there is no link to the saved clip now: tell the operator of this server"
	default:
		c.trouble = "there is no link to the saved clip: " + err.Error()
	}
}

// stored reports a clip that is an object in a storage, which no user can open by that name.
func (c *clip) stored() bool { return strings.HasPrefix(c.savedTo, "s3://") }

// nextStep is what to do with a clip that is saved, from a fixed set of sentences.
func (c *clip) nextStep() string {
	switch {
	case c.url != "" && !c.expires.IsZero() && (c.savedTo == "" || c.stored()):
		return "Done: give the user video_url and say when it dies."
	case c.stored() && c.url == "":
		return "Done: tell the user saved_to; it is opened by a client of that storage."
	case c.savedTo != "" && c.url != "":
		return "Done: give the user saved_to, and video_url if they want a link."
	case c.savedTo != "":
		return "Done: give the user saved_to."
	case c.url != "":
		return "Done: give the user video_url. It opens in a browser that is signed in to this server, or with the token of this connection."
	case c.gone:
		return "The clip was made, paid for and saved, but the saved clip is gone and its link has died: tell the user, and do not buy it again unasked."
	}
	return "The clip is made and saved, but there is no link to it now: tell the user to ask the operator of this server for it, and do not buy it again."
}
