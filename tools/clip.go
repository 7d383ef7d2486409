package tools

import (
	"context"
	"strings"
	"time"

	"r2v-mcp/internal/video"
)

// clip is where a clip can be had, as far as the caller is to know.
type clip struct {
	url     string
	expires time.Time // of url; zero where nobody can say
	savedTo string    // empty where it would be a path of another machine than the caller's
	trouble string    // why there is no link to the saved clip
}

// clipOf tells where a task's clip can be had: from where it is saved if there is a link to it, or else from the service, until its
// own link dies.
func (s *Set) clipOf(ctx context.Context, t *video.Task) clip {
	c := clip{url: t.VideoURL, expires: t.VideoURLExpiresAt()}
	if t.SavedTo == "" {
		return c
	}
	if !s.HidePaths || strings.HasPrefix(t.SavedTo, "s3://") {
		c.savedTo = t.SavedTo
	}
	if s.Link != nil {
		url, expires, err := s.Link(ctx, t)
		if err != nil {
			c.trouble = "there is no link to the saved clip: " + err.Error()
		} else if url != "" {
			c.url, c.expires = url, expires
			return c
		}
	}
	if c.savedTo == "" && dead(t) { // elsewhere the file is the clip, and a dead link beside it does no harm
		c.url, c.expires = "", time.Time{}
	}
	return c
}

// nextStep is what to do with a clip that is saved, from a fixed set of sentences.
func (c *clip) nextStep() string {
	switch {
	case c.savedTo != "" && c.url != "":
		return "Done: give the user saved_to, and video_url if they want a link."
	case c.savedTo != "":
		return "Done: give the user saved_to."
	case c.url != "" && !c.expires.IsZero():
		return "Done: give the user video_url and say when it dies."
	case c.url != "":
		return "Done: give the user video_url. It opens in a browser that is signed in to this server, or with the token of this connection."
	}
	return "The clip is made and saved, but there is no link to it now: tell the user to ask the operator of this server for it, and do not buy it again."
}
