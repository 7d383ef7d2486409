// Package preflight looks at the files that a request refers to before anything is bought: on the web, on this machine, or
// written into the request. It tells what each one is, how long and how large, and whether it is there at all.
package preflight

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"r2v-mcp/internal/local"
	"r2v-mcp/internal/video"
)

const (
	// patience is how long all that a request refers to is looked at: the answer is to be there within five seconds.
	patience = 4 * time.Second
	// mostReferences bounds what is looked at for one request; no model takes as many.
	mostReferences = 8
)

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
	if len(refs) > mostReferences {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Patience, patience))
	defer cancel()
	seen := map[string]*video.Medium{}
	var looking sync.WaitGroup
	for _, ref := range refs {
		for _, address := range []string{ref.URL, ref.VoiceURL} {
			if look := p.way(address); look != nil && seen[address] == nil {
				found := &video.Medium{}
				seen[address] = found
				looking.Go(func() { *found = look(ctx, address) })
			}
		}
	}
	looking.Wait()
	for i := range out {
		out[i].Medium, out[i].VoiceMedium = seen[out[i].URL], seen[out[i].VoiceURL]
	}
	return out
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
