package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"r2v-mcp/internal/simulator/clip"
)

// resultLink is where a succeeded task's clip is until it expires.
func (s *Server) resultLink(base string, t *task) string {
	expires := strconv.FormatInt(t.ends.Add(linkMemory).Unix(), 10)
	query := url.Values{"Expires": {expires}, "Signature": {s.sign(t.id + " " + expires)}}
	return base + "/results/" + t.id + ".mp4?" + query.Encode()
}

func linkExpired() refusal {
	return refusal{http.StatusForbidden, "AccessDenied", "Request has expired."}
}

// result serves a clip, in ranges if asked to. It is made on demand and the same every time.
func (s *Server) result(c *call) answer {
	id := resultID(c.r)
	expires, signature := c.r.URL.Query().Get("Expires"), c.r.URL.Query().Get("Signature")
	if !hmac.Equal([]byte(signature), []byte(s.sign(id+" "+expires))) {
		return c.refuse(*badSignature())
	}
	deadline, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || c.now.Unix() >= deadline {
		return c.refuse(linkExpired())
	}
	s.mu.Lock()
	t, ok := s.tasks[id]
	s.mu.Unlock()
	if !ok {
		return c.refuse(refusal{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."})
	}
	spec := clip.Spec{Width: t.order.width, Height: t.order.height, Duration: time.Duration(t.order.seconds) * time.Second, Seed: seed(id)}
	if c.cutShort {
		spec.Duration -= time.Second
	}
	content, err := s.clips.bytes(spec)
	if err != nil {
		return c.refuse(refusal{http.StatusInternalServerError, "InternalError", fmt.Sprintf("simulator: %v", err)})
	}
	if c.halved {
		content = content[:len(content)/2]
	}
	return answer{status: http.StatusOK, file: &file{"video/mp4", t.ends, content}}
}

func resultID(r *http.Request) string {
	return strings.TrimSuffix(r.PathValue("file"), ".mp4")
}

func seed(text string) uint64 {
	hash := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(hash[:])
}

// clipCache keeps the last few clips, so that a download in ranges makes its clip once.
type clipCache struct {
	mu     sync.Mutex
	recent []keptClip
}

type keptClip struct {
	spec    clip.Spec
	content []byte
}

const keptClips = 4

func (k *clipCache) bytes(spec clip.Spec) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, kept := range k.recent {
		if kept.spec == spec {
			return kept.content, nil
		}
	}
	content, err := clip.Bytes(spec)
	if err != nil {
		return nil, err
	}
	if len(k.recent) == keptClips {
		k.recent = k.recent[1:]
	}
	k.recent = append(k.recent, keptClip{spec, content})
	return content, nil
}
