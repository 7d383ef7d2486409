package evolink

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

const opCreate = "create video"

// VideoRequest is the body of a create. Empty and nil fields are left out, and the service uses its defaults. Nothing is
// checked here: which fields a model takes, and their ranges, are the service's to say.
//
// Sources: https://docs.evolink.ai/en/api-manual/video-series/wan2.6/wan2.6-reference-video,
// https://docs.evolink.ai/en/api-manual/video-series/wan2.6/wan2.6-reference-video-flash and
// https://docs.evolink.ai/en/api-manual/video-series/wan2.7/wan2.7-reference-video.
type VideoRequest struct {
	Model          string      `json:"model,omitempty"`
	Prompt         string      `json:"prompt,omitempty"`
	NegativePrompt string      `json:"negative_prompt,omitempty"` // wan2.7 only
	ImageStart     string      `json:"image_start,omitempty"`     // first frame; wan2.7 only
	ImageURLs      []string    `json:"image_urls,omitempty"`      // wan2.7 only
	VideoURLs      []string    `json:"video_urls,omitempty"`
	Quality        string      `json:"quality,omitempty"`        // 720p or 1080p
	AspectRatio    string      `json:"aspect_ratio,omitempty"`   // such as "16:9"
	Duration       *int        `json:"duration,omitempty"`       // seconds
	GenerateAudio  *bool       `json:"generate_audio,omitempty"` // wan2.6 flash only
	Seed           *int64      `json:"seed,omitempty"`           // 1 to 2147483647; wan2.7 only
	PromptExtend   *bool       `json:"prompt_extend,omitempty"`  // wan2.7 only
	CallbackURL    string      `json:"callback_url,omitempty"`   // https, at most 2,048 characters
	ModelParams    ModelParams `json:"model_params,omitzero"`
}

// ModelParams is what only some models know.
type ModelParams struct {
	ShotType      string            `json:"shot_type,omitempty"`      // single or multi; wan2.6 only
	VoiceBindings map[string]string `json:"voice_bindings,omitempty"` // image1, video2 … to the address of a voice; wan2.7 only
}

// IsZero reports whether nothing is set, so that nothing is sent.
func (p ModelParams) IsZero() bool { return p.ShotType == "" && len(p.VoiceBindings) == 0 }

// CreateVideo creates a video task and returns it as accepted, pending as a rule, with the credits that are held for it. It
// costs money once the task succeeds.
//
// The key is 16 to 96 letters, digits, dots, underscores and hyphens, and goes along as Idempotency-Key. Nothing here
// relies on it: EvoLink's own client says that the service may not keep to it yet. Task.Replayed tells when it did.
//
// The request is sent again, for at most about 40 seconds and with the same key, only when it did not leave or was
// throttled. Every failure is an [*Error]; unless its Fate is FateNotSent or FateRefused, a task may exist all the same.
func (c *Client) CreateVideo(ctx context.Context, r *VideoRequest, idempotencyKey string) (*Task, error) {
	if r == nil {
		return nil, c.untried(opCreate, c.api, errors.New("no request"))
	}
	if err := checkIdempotencyKey(idempotencyKey); err != nil {
		return nil, c.untried(opCreate, c.api, err)
	}
	body, err := encode(r)
	if err != nil {
		return nil, c.untried(opCreate, c.api, err)
	}
	a, failure := c.do(ctx, &c.creates, call{
		op:     opCreate,
		method: http.MethodPost,
		path:   "/v1/videos/generations",
		header: map[string]string{"Content-Type": "application/json", "Idempotency-Key": idempotencyKey},
		body:   body,
	})
	if failure != nil {
		return nil, failure
	}
	return c.created(a)
}

func (c *Client) created(a *answer) (*Task, error) {
	t := c.task(a.object)
	switch {
	case t.ID != "":
		return c.signed(t, a), nil
	case a.object.saysNo():
		return nil, c.declined(opCreate, a)
	}
	return nil, c.malformed(opCreate, a, "the answer has no task id")
}

// checkIdempotencyKey is the form that EvoLink's own client keeps to; no page describes it.
func checkIdempotencyKey(key string) error {
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}
	if len(key) < 16 || len(key) > 96 || strings.ContainsFunc(key, foreign) {
		return errors.New("the idempotency key must be 16 to 96 letters, digits, dots, underscores or hyphens")
	}
	return nil
}
