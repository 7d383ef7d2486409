package simulator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const downloadTime = 10 * time.Second

// download is what came of a reference's address.
type download struct {
	medium
	failed *problem
}

// fetch downloads the clips of an order whose length no address tells. The service does so in the task; here it is done before the
// task is made, since nothing runs in the background, and before the lock is taken, so that nobody else waits for it.
func (s *Server) fetch(c *call, o order) map[string]download {
	var mu sync.Mutex
	var wait sync.WaitGroup
	found := make(map[string]download)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), downloadTime) // whoever hangs up has ordered
	defer cancel()
	asked := make(map[string]bool)
	for _, ref := range o.references {
		_, stated := statedLength(ref.url)
		if s.client == nil || ref.kind != videoKind || stated || asked[ref.url] || !strings.HasPrefix(ref.url, "http") || s.holds(ref.url) {
			continue
		}
		asked[ref.url] = true
		wait.Go(func() {
			d := s.downloaded(ctx, ref.url)
			mu.Lock()
			defer mu.Unlock()
			found[ref.url] = d
		})
	}
	wait.Wait()
	return found
}

// holds tells whether the file at an address was uploaded here.
func (s *Server) holds(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, held := s.objects[address]
	return held
}

func (s *Server) downloaded(ctx context.Context, address string) download {
	content, err := s.readAll(ctx, address)
	if err != nil {
		s.log.Info("simulator: a reference cannot be downloaded", "err", err)
		return download{failed: &problem{code: "InvalidParameter.DataInspection", message: notDownloadable}}
	}
	return download{medium: inspect(content)}
}

// readAll reads one byte more than is allowed, to tell a clip that is too large.
func (s *Server) readAll(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxClip+1))
}
