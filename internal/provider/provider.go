// Package provider is where the words of internal/video meet the wire of those who make clips: the small interface that
// the rest of the program sees, and its adapters. It is the only package that knows both tongues.
package provider

import (
	"context"

	"r2v-mcp/internal/video"
)

// Provider makes clips. Every error it returns is a *[video.Error].
type Provider interface {
	// Create buys a clip and returns the provider's id of the task. It sends at most one create that can take effect. An
	// error with ChargedUnknown means that nobody can tell whether the clip was bought.
	Create(ctx context.Context, r video.Request) (id string, err error)
	// Look reads a task as it stands. An id that the provider does not know, or no longer knows, is no error: its status
	// is UNKNOWN.
	Look(ctx context.Context, id string) (video.Snapshot, error)
}

// WithoutKey is the provider of a server that was started without an API key: it refuses, and says how to get one.
type WithoutKey struct{}

func (WithoutKey) refuse() error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "NoAPIKey", Message: "DASHSCOPE_API_KEY is not set",
		Advice: "Tell the user to get a key (https://www.alibabacloud.com/help/en/model-studio/get-api-key) and to set DASHSCOPE_API_KEY " +
			"and, if it is not a Singapore key, DASHSCOPE_REGION in this server's configuration. Estimates work without one.",
	}}
}

// Create refuses.
func (p WithoutKey) Create(context.Context, video.Request) (string, error) { return "", p.refuse() }

// Look refuses.
func (p WithoutKey) Look(context.Context, string) (video.Snapshot, error) {
	return video.Snapshot{}, p.refuse()
}
