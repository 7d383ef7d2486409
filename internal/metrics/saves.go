package metrics

import (
	"context"

	"r2v-mcp/internal/video"
)

// Saver keeps a clip and tells where it is.
type Saver interface {
	Save(ctx context.Context, name, url string) (video.Clip, error)
}

// Saves wraps a saver so that each attempt is counted, as "ok" or "failed". A nil saver stays nil.
func (m *Metrics) Saves(s Saver) Saver {
	if s == nil {
		return nil
	}
	return saving{to: s, m: m}
}

type saving struct {
	to Saver
	m  *Metrics
}

// Save passes on and counts. One that crashes counts as failed.
func (s saving) Save(ctx context.Context, name, url string) (video.Clip, error) {
	outcome := "failed"
	defer func() { s.m.saves.of(outcome).add(1) }()
	clip, err := s.to.Save(ctx, name, url)
	if err == nil {
		outcome = "ok"
	}
	return clip, err
}
