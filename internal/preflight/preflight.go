// Package preflight looks at the files that a request refers to before anything is bought: on the web, on this machine, or
// written into the request. It tells what each one is, how long and how large, and whether it is there at all.
package preflight

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"r2v-mcp/internal/local"
	"r2v-mcp/internal/video"
)

// patience is how long all that a request refers to is looked at: the answer is to be there within five seconds.
const patience = 4 * time.Second

// grace is for those who look to say that their time is over: what was not found out is told with what was.
const grace = 200 * time.Millisecond

// Preflight looks at references. Its fields are set before its first use; it may be used by many at once.
type Preflight struct {
	Client   *http.Client                        // for foreign addresses: see [egress.NewClient]
	Folders  func(context.Context) local.Folders // what may be read of this machine; nil for nothing
	Uploads  Uploader                            // what brings local files to the service
	Service  string                              // host of the service, by which is told whether names can be found from here at all
	Patience time.Duration                       // 0 is four seconds

	remembered memory
}

// Look returns the references with all that their files tell, looked at side by side. What could not be seen in time is told
// with the file; nothing here is an error. An address of a form that leads nowhere is left for [video.Catalogue.Check] to
// tell.
func (p *Preflight) Look(ctx context.Context, refs []video.Reference) []video.Reference {
	out := append([]video.Reference(nil), refs...)
	longest := cmp.Or(p.Patience, patience)
	late := time.NewTimer(longest + grace)
	defer late.Stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	seen := map[string]*video.Medium{}
	found := make(chan sighting, 2*len(refs))
	for _, ref := range refs {
		for _, address := range []string{ref.URL, ref.VoiceURL} {
			if look := p.way(address); look != nil && seen[address] == nil {
				seen[address] = &video.Medium{Local: local.IsPath(address), Unseen: "it could not be read in time"}
				go func() { found <- see(ctx, address, look) }() // a drive that is gone cannot be waited for
			}
		}
	}
	for left := len(seen); left > 0; left-- {
		select {
		case s := <-found:
			*seen[s.address] = s.medium
		case <-late.C:
			left = 0
		}
	}
	for i := range out {
		out[i].Medium, out[i].VoiceMedium = seen[out[i].URL], seen[out[i].VoiceURL]
	}
	return out
}

// sighting is what was seen at an address.
type sighting struct {
	address string
	medium  video.Medium
}

// see looks at an address. A crash in it costs a warning and not the program.
func see(ctx context.Context, address string, look func(context.Context, string) video.Medium) (s sighting) {
	s.address = address
	defer func() {
		if recover() != nil {
			s.medium = video.Medium{Local: local.IsPath(address), Unseen: "looking at it crashed, which is a bug of r2v-mcp"}
		}
	}()
	s.medium = look(ctx, address)
	return s
}

// Forget drops what was seen at addresses, so that it is looked at again: a file that was refused may be mended at once.
func (p *Preflight) Forget(addresses ...string) { p.remembered.drop(addresses) }

// way is how an address is looked at, nil when it is not.
func (p *Preflight) way(address string) func(context.Context, string) video.Medium {
	switch {
	case strings.HasPrefix(address, "http://"), strings.HasPrefix(address, "https://"):
		return p.web
	case strings.HasPrefix(address, "data:"):
		return inRequest
	case strings.HasPrefix(address, "oss://"):
		return atService
	case p.Folders != nil && local.IsPath(address):
		return p.here
	}
	return nil
}
