// Package provider is where the words of internal/video meet the wire of those who make clips: the small interface that
// the rest of the program sees, and its adapters. It is the only package that knows both tongues.
package provider

import (
	"context"
	"io"
	"time"

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
	// Cancel stops a task that is still PENDING. A refusal because it is not PENDING any more has the code "NotPending".
	// After an error that is Retryable the task may or may not be cancelled, and asking again is free.
	Cancel(ctx context.Context, id string) error
	// List reads one page, from 1 on, of the account's tasks that were submitted between from and to, at most 24 h apart,
	// whoever created them. The provider keeps whole seconds: a few tasks from just outside the span may be among them.
	List(ctx context.Context, from, to time.Time, page int) (Page, error)
	// Upload gives a file to the provider, for use with one model, and returns the address to put into a request for that
	// model. It buys nothing: its errors have NotCharged. It is one attempt, and another is free where the error is Retryable. A file
	// is sent whole or not at all, and its content is not read any more once Upload has returned.
	Upload(ctx context.Context, model string, f File) (Uploaded, error)
}

// File is a local file on its way to the provider.
type File struct {
	Name        string // its own, with or without folders: they are not passed on
	ContentType string // such as "video/mp4"
	Size        int64  // bytes, exactly as many as Content holds
	Content     io.Reader
}

// Uploaded is a file that the provider keeps for a while.
type Uploaded struct {
	URL     string    // for the account that uploaded it and the model that it is for; nobody else can read it
	Expires time.Time // it can be used until then
}

// Page is a part of a list of tasks.
type Page struct {
	Tasks    []Listed
	Total    int       // of tasks on all pages, 0 where the provider does not say
	Last     bool      // no page follows
	ServedAt time.Time // when the provider answered, by its own clock, to the second; zero where it does not say
}

// Listed is a task as a list shows it. Times are zero where the list lacks them.
type Listed struct {
	ID          string
	Status      video.Status
	Model       string
	SubmittedAt time.Time
	StartedAt   time.Time
	EndedAt     time.Time
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

// Cancel refuses.
func (p WithoutKey) Cancel(context.Context, string) error { return p.refuse() }

// List refuses.
func (p WithoutKey) List(context.Context, time.Time, time.Time, int) (Page, error) {
	return Page{}, p.refuse()
}

// Upload refuses.
func (p WithoutKey) Upload(context.Context, string, File) (Uploaded, error) {
	return Uploaded{}, p.refuse()
}
