// Package provider is where the words of internal/video meet the wire of those who make clips: the small interface that
// the rest of the program sees, and its adapters. It is the only package that knows both tongues.
package provider

import (
	"context"
	"io"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// NotSupported is the code of what a provider has no call for.
const NotSupported = "NotSupported"

// Provider makes clips. Every error it returns is a *[video.Error].
type Provider interface {
	// Create buys a clip. It sends at most one create that can take effect. An error with ChargedUnknown means that nobody can
	// tell whether the clip was bought.
	Create(ctx context.Context, p Purchase) (Bought, error)
	// Look reads a task as it stands. An id that the provider does not know, or no longer knows, is no error: its status
	// is UNKNOWN.
	Look(ctx context.Context, id string) (video.Snapshot, error)
	// Bill reads what a clip that was submitted then and has ended was charged, where Look does not tell it: nil where the provider does not
	// say, or not yet.
	Bill(ctx context.Context, id string, submitted time.Time) (*decimal.Decimal, error)
	// Cancel stops a task that is still PENDING. A refusal because it is not PENDING any more has the code "NotPending".
	// After an error that is Retryable the task may or may not be cancelled, and asking again is free. A provider that has no such call
	// says so with the code [NotSupported].
	Cancel(ctx context.Context, id string) error
	// List reads one page, from 1 on, of the account's tasks that were submitted between from and to, at most 24 h apart,
	// whoever created them. The provider keeps whole seconds: a few tasks from just outside the span may be among them. One that has no
	// list says so with the code [NotSupported].
	List(ctx context.Context, from, to time.Time, page int) (Page, error)
	// Upload gives a file to the provider, for use with one model, and returns the address to put into a request for that
	// model. It buys nothing: its errors have NotCharged. It is one attempt, and another is free where the error is Retryable. A file
	// is sent whole or not at all, and its content is not read any more once Upload has returned.
	Upload(ctx context.Context, model string, f File) (Uploaded, error)
	// Words are how the provider, and what belongs to it, are called in texts for people.
	Words() Words
}

// Purchase is a clip to be bought.
type Purchase struct {
	Request video.Request
	// Key tells this purchase from every other, for providers that know such keys: 16 to 96 letters, digits, dots, hyphens. It promises nothing.
	Key string
	// CallbackURL is where a provider that does so may tell of the task's end; empty for nowhere.
	CallbackURL string
}

// Bought is what a provider answers to a purchase.
type Bought struct {
	ID   string           // its own of the task
	Hold *decimal.Decimal // what it has set aside for it, in the account's currency; nil where it does not say
}

// Words are how a provider, and what belongs to it, are called in texts for people.
type Words struct {
	Console string // where its tasks and bills are seen, such as "the Model Studio console"
	Key     string // the variable of its key
	GetKey  string // how to get one, in a sentence to the user
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
	Broken   bool      // the list ends here, and nobody can tell whether more belongs to it
	Doubtful bool      // nobody vouches that every task is in the list: it is to be trusted as far as it shows what is known
	ServedAt time.Time // when the provider answered, by its own clock, to the second; zero where it does not say
}

// Listed is a task as a list shows it. Times are zero where the list lacks them.
type Listed struct {
	ID          string
	Status      video.Status
	Model       string // empty where it may be any
	SubmittedAt time.Time
	StartedAt   time.Time
	EndedAt     time.Time
	Progress    int // percent that are done, 0 where the list does not say
}

// WithoutKey is the provider of a server that was started without an API key: it refuses, and says how to get one.
type WithoutKey struct{ Of Words }

func (p WithoutKey) refuse() error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: "NoAPIKey", Message: p.Of.Key + " is not set", Advice: p.Of.GetKey + " Estimates work without one.",
	}}
}

// Words are those of the provider that lacks the key.
func (p WithoutKey) Words() Words { return p.Of }

// Create refuses.
func (p WithoutKey) Create(context.Context, Purchase) (Bought, error) { return Bought{}, p.refuse() }

// Look refuses.
func (p WithoutKey) Look(context.Context, string) (video.Snapshot, error) {
	return video.Snapshot{}, p.refuse()
}

// Bill refuses.
func (p WithoutKey) Bill(context.Context, string, time.Time) (*decimal.Decimal, error) {
	return nil, p.refuse()
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
