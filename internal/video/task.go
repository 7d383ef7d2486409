package video

import (
	"log/slog"
	"net/url"
	"time"

	"github.com/shopspring/decimal"
)

// Status is where a task stands, in DashScope's words.
type Status string

// The states of a task. UNKNOWN is DashScope's word for an id that does not exist or is older than 24 hours; here it is
// also the state of a task whose create was sent and never answered.
const (
	Pending   Status = "PENDING"
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Canceled  Status = "CANCELED"
	Unknown   Status = "UNKNOWN"
)

// Statuses lists every state in the order of a task's life.
func Statuses() []Status { return []Status{Pending, Running, Succeeded, Failed, Canceled, Unknown} }

// Open reports whether the task may still change by itself.
func (s Status) Open() bool { return s != Succeeded && s != Failed && s != Canceled && s != Unknown }

// Charged says whether money was spent on a task.
type Charged string

// The answers to "did this cost anything?". A task that is still open counts as unknown only when its very creation is
// in doubt; otherwise nothing is charged before it succeeds.
const (
	NotCharged     Charged = "no"
	WasCharged     Charged = "yes"
	ChargedUnknown Charged = "unknown"
)

// Lifetime is how long the service keeps a task id and a result link.
// Source: "task_id validity" and "Result link" in Wan - reference-to-video (2.6), 2026-04-29.
const Lifetime = 24 * time.Hour

// Alarm is how long before the service forgets a task without a known end that is raised: time enough to look for the clip by
// hand.
const Alarm = 2 * time.Hour

// Task is one clip on its way: what was asked, what it may cost, where it stands and what came of it.
type Task struct {
	ID             string // ours: opaque and stable
	ProviderTaskID string // empty while the create is under way, or when its fate is unknown
	IdempotencyKey string
	Request        Request
	Estimate       *Cost // nil for a task that was made elsewhere, and where no rate is known
	Snapshot
	CreatedAt time.Time // when we claimed it
	LookedAt  time.Time // when the provider was last asked
	SavedTo   string    // the file on this machine, empty until saved
	SaveError string    // why the last attempt to save failed

	Billed  *decimal.Decimal // what the usage costs, nil until it is known
	BillAt  time.Time        // when the bill is asked for next that was not told with the end; zero where it is not
	Trouble *Failure         // why the newest state could not be had, nil when it could
	Found   bool             // the provider's id was found in its list: the answer to the create was lost
	Owner   string           // whose task it is; empty where there is only one person

	Upstream string // the service that it was bought from

	Currency string           // of the account it was bought with, empty for a task that was made elsewhere
	Hold     *decimal.Decimal // what the provider has set aside for it, nil where it has not said
	Callback *Callback        // who is told of its end, nil for nobody
	Hint     string           // its name in the provider's own callbacks, which nobody else is told
}

// Callback is who is told of a task's end, and what has come of it.
type Callback struct {
	URL         string    `json:"-"`
	NextAt      time.Time `json:"-"`                  // when it is tried next; zero before the end, and when it is over
	ID          string    `json:"id,omitempty"`       // of the message, the same at each attempt; empty before the end
	Attempts    int       `json:"attempts,omitempty"` // begun
	LastAt      time.Time `json:"last_at,omitzero"`   // when the last one began
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	Error       string    `json:"error,omitempty"` // why the last one failed
	Told        bool      `json:"told,omitempty"`  // nothing is sent: the purchase was refused within its call, which has told it
}

// Delivery is what came of one attempt to deliver a callback.
type Delivery struct {
	Delivered bool
	Gone      bool      // the receiver wants to hear of it no more
	Error     string    // why it was not delivered: a sentence with the receiver's host and nothing else of its address
	NotBefore time.Time // before it the receiver wants no other attempt; zero where it has not said
}

// Host is the host of the address, and all of it that may be shown: the rest may be secret.
func (c *Callback) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Over reports whether nothing more is sent: it was delivered, or given up, or the call has told all.
func (c *Callback) Over() bool { return c.Told || c.ID != "" && c.NextAt.IsZero() }

// LogValue shows a cost in a log line, also one that is not known.
func (c *Cost) LogValue() slog.Value {
	if c == nil {
		return slog.StringValue("not known")
	}
	return slog.StringValue(c.High.String() + " " + c.Currency)
}

// Snapshot is what the provider says of a task at one moment.
type Snapshot struct {
	Status      Status
	SubmittedAt time.Time
	ScheduledAt time.Time
	EndedAt     time.Time
	VideoURL    string
	Usage       *Usage
	Failure     *Failure
	Prompt      string           // what the provider says it was asked; empty where it does not say
	Model       string           // what it is made with, in the catalogue's words; empty where the provider does not say
	Progress    int              // percent that are done, 0 where the provider does not say
	Bill        *decimal.Decimal // what the provider says it has charged, in the account's currency; nil where it does not say
}

// Usage is what the provider counted for a finished task, in seconds, exactly as it said.
type Usage struct {
	Duration decimal.Decimal // the billed seconds: input and output together
	Input    decimal.Decimal
	Output   decimal.Decimal
	Size     string // "1280*720", empty where the provider does not say
	Ratio    string
	SR       int // 720 or 1080, 0 where the provider does not say
}

// Failure is why a task was refused or failed. Message comes from upstream: capped, cleaned, and data only.
type Failure struct {
	Code      string
	Message   string
	Advice    string // ours: what to do about it
	Retryable bool   // whether the same request may succeed later
	RequestID string
}

// InDoubt reports a purchase of unknown fate: nobody has told that it was bought, nor that it was not.
func (t *Task) InDoubt() bool { return t.Status == Unknown && t.ProviderTaskID == "" }

// Linkless reports a success whose link has not been seen: it is paid for, and nobody has it yet.
func (t *Task) Linkless() bool {
	return t.Status == Succeeded && t.VideoURL == "" && t.SavedTo == ""
}

// Charged tells whether the task cost money: only a success does, and only an unanswered create leaves it open, also while
// its task is found and not yet confirmed by its prompt.
// Source: "Failed model calls or processing faults do not incur charges", Wan reference-to-video guide.
func (t *Task) Charged() Charged {
	switch {
	case t.Status == Succeeded && !t.Found:
		return WasCharged
	case t.Status == Succeeded:
		return ChargedUnknown // somebody paid for it, who may be another
	case t.Status == Unknown, t.Status.Open() && (t.ProviderTaskID == "" || t.Found):
		return ChargedUnknown
	default:
		return NotCharged
	}
}

// Held is what the provider has set aside for the task and may still charge, nil where it has not said, or nothing is to be charged
// any more.
func (t *Task) Held() *decimal.Decimal {
	if t.Billed != nil || t.Status == Failed || t.Status == Canceled {
		return nil
	}
	return t.Hold
}

// ExpiresAt is when the provider forgets the task's id.
func (t *Task) ExpiresAt() time.Time {
	if t.SubmittedAt.IsZero() {
		return t.CreatedAt.Add(Lifetime)
	}
	return t.SubmittedAt.Add(Lifetime)
}

// VideoURLExpiresAt is when the result link dies, the zero time when there is none.
func (t *Task) VideoURLExpiresAt() time.Time {
	if t.VideoURL == "" {
		return time.Time{}
	}
	if t.EndedAt.IsZero() {
		return t.ExpiresAt()
	}
	return t.EndedAt.Add(Lifetime)
}

// Error is why something could not be done, and what that means for the money.
type Error struct {
	Failure
	Charged Charged // ChargedUnknown when a create was sent and nobody knows what became of it

	RetryAfter time.Duration // how long the provider wants to be left alone, 0 where it does not say
}

// Error says what happened, in the provider's words where it gave any.
func (e *Error) Error() string {
	s := e.Code
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Clip is a finished clip that was saved.
type Clip struct {
	Path   string        // where it is: a file, or s3://bucket/prefix/name.mp4
	Length time.Duration // by its own index, 0 when it does not say
}

// Budget is what may be spent on one day, and how much of it is left. Amounts are in Currency.
type Budget struct {
	Own      bool // it is one person's part of the day's budget, and Used their own spending; else all have it together
	PerDay   decimal.Decimal
	Used     decimal.Decimal // billed, and held for clips that are not billed yet
	Left     decimal.Decimal
	Currency string
	ResetsAt time.Time // the next midnight where the operator lives
}

// LongestCall is how long a purchase with all that belongs to it holds a call, unless the operator says less: clients give up at
// 60 seconds, and looking at the references has taken some before it. What is under way then goes on.
const LongestCall = 40 * time.Second

// Filter selects a page of one person's tasks.
type Filter struct {
	Owner    string // whose tasks; empty for those of whoever has no name
	Everyone bool   // all tasks, whoever's they are: for operators alone
	Status   Status // empty for every one
	Limit    int    // of tasks on the page, from 1
	Cursor   string // of an earlier page; empty for the first
}
