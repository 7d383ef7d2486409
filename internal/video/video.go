// Package video holds the words of the field: what is asked for (Request, Reference), what becomes of it (Task, Status,
// Charged), and the catalogue of models with every limit, size, region and price. It knows no wire form and does no I/O.
package video

import "github.com/shopspring/decimal"

// Kind says what a reference is.
type Kind string

// The kinds of reference. A first frame only sets how the clip begins: it is no character and never costs anything.
const (
	Image      Kind = "image"
	Video      Kind = "video"
	FirstFrame Kind = "first_frame"
)

// Kinds lists every kind of reference in the order in which they are offered to callers.
func Kinds() []Kind { return []Kind{Image, Video, FirstFrame} }

// Request asks for one clip. The zero value of an optional field means "not given": [Catalogue.Check] fills in the
// model's defaults, so that a request that spells a default out equals one that leaves it out.
type Request struct {
	Model          string      `json:"model"`
	Prompt         string      `json:"prompt"`
	NegativePrompt string      `json:"negative_prompt,omitempty"`
	References     []Reference `json:"references"`
	Resolution     string      `json:"resolution,omitempty"` // "720P" or "1080P"
	Ratio          string      `json:"ratio,omitempty"`      // width:height, such as "16:9"
	Duration       int         `json:"duration,omitempty"`   // seconds of the new clip
	ShotType       string      `json:"shot_type,omitempty"`
	Audio          *bool       `json:"audio,omitempty"`
	PromptExtend   *bool       `json:"prompt_extend,omitempty"`
	Watermark      *bool       `json:"watermark,omitempty"`
	Seed           *int64      `json:"seed,omitempty"`
}

// Reference is one picture or clip whose subject acts in the new clip.
type Reference struct {
	URL      string `json:"url"`
	Kind     Kind   `json:"type,omitempty"`
	VoiceURL string `json:"voice_url,omitempty"`
	// Seconds is the length of a reference clip, nil when it is not known. It changes the price, never the request.
	Seconds *decimal.Decimal `json:"duration_seconds,omitempty"`
	// Medium and VoiceMedium are what looking at the files has told, nil when nobody looked.
	Medium      *Medium `json:"-"`
	VoiceMedium *Medium `json:"-"`
}

// Cost is what a clip will cost or did cost, in the account's currency. Low equals High when nothing is left open. Where no rate
// is known, only Currency is told.
type Cost struct {
	Low, High decimal.Decimal
	PerSecond decimal.Decimal
	Currency  string
}

// Known reports whether there is a rate: no price is 0.
func (c Cost) Known() bool { return c.PerSecond.IsPositive() }

// Miss is how far a bill is outside the estimate, below 0 when it is lower, 0 inside. Off reports whether that is more than one
// percent of the nearest end.
func (c Cost) Miss(bill decimal.Decimal) (miss decimal.Decimal, off bool) {
	nearest := decimal.Min(decimal.Max(bill, c.Low), c.High)
	miss = bill.Sub(nearest)
	return miss, miss.Abs().Shift(2).GreaterThan(nearest)
}

// Problem is one thing that is wrong with a request and stops it before anything is spent.
type Problem struct {
	Field   string `json:"field"`   // as the caller spells it, such as "references[2].url"
	Wrong   string `json:"problem"` // what is wrong, with the bad value
	Allowed string `json:"allowed"` // what would be right
	OfFile  bool   `json:"-"`       // it is about what an address leads to, which may have been good before
}

func (p Problem) String() string { return p.Field + ": " + p.Wrong + "; allowed: " + p.Allowed }

// Order asks for a clip to be bought: a request that [Catalogue.Check] found nothing wrong with, and what it may cost.
type Order struct {
	Request        Request
	Estimate       Cost
	IdempotencyKey string // the caller's, empty for none: then equal requests within a while count as one
	Replay         bool   // return the task of an earlier order with this key, and buy nothing if there is none
	AnyFiles       bool   // with Replay and a key: whatever it bought, since what the files of this order are is not known
	Fingerprint    string // equal for orders of the same clip: see [Report.Fingerprint]
	Owner          string // who asks; empty where there is only one person
	CallbackURL    string // who is to be told of the task's end, empty for nobody; it is no part of what is bought
}
