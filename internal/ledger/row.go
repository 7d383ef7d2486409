package ledger

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// columns of a task, in the order in which they are scanned.
const columns = "id, owner, upstream, idempotency_key, COALESCE(provider_task_id, ''), found, model, request, " +
	"status, estimate_low, estimate_high, per_second, currency, billed, created_at, submitted_at, scheduled_at, ended_at, " +
	"looked_at, video_url, usage, failure, trouble, saved_to, save_error, hold, progress, callback_url, callback, COALESCE(callback_due_at, 0), hint, COALESCE(bill_due_at, 0)"

// row is anything that one row can be scanned from.
type row interface{ Scan(into ...any) error }

// scan reads a task from a row of columns. It returns ErrNotFound for a row that is not there.
func scan(r row) (video.Task, error) {
	var (
		t                                      video.Task
		found                                  int64
		request, usage, failure, trouble       string
		low, high, perSecond, currency, billed string
		times                                  [5]int64
		hold, callbackURL, callback            string
		callbackAt, billAt                     int64
	)
	err := r.Scan(&t.ID, &t.Owner, &t.Upstream, &t.IdempotencyKey, &t.ProviderTaskID, &found, &t.Request.Model, &request,
		&t.Status, &low, &high, &perSecond, &currency, &billed, &times[0], &times[1], &times[2], &times[3],
		&times[4], &t.VideoURL, &usage, &failure, &trouble, &t.SavedTo, &t.SaveError, &hold, &t.Progress, &callbackURL, &callback, &callbackAt, &t.Hint, &billAt)
	if errors.Is(err, sql.ErrNoRows) {
		return video.Task{}, ErrNotFound
	}
	if err != nil {
		return video.Task{}, err
	}
	t.Found, t.Currency, t.BillAt = found != 0, currency, fromMicros(billAt)
	for i, to := range []*time.Time{&t.CreatedAt, &t.SubmittedAt, &t.ScheduledAt, &t.EndedAt, &t.LookedAt} {
		*to = fromMicros(times[i])
	}
	if low != "" {
		t.Estimate = &video.Cost{Currency: currency}
		err = errors.Join(read(low, &t.Estimate.Low), read(high, &t.Estimate.High), read(perSecond, &t.Estimate.PerSecond))
	}
	t.Billed, err = amount(billed, err)
	t.Hold, err = amount(hold, err)
	if callbackURL != "" {
		t.Callback = &video.Callback{}
		err = errors.Join(err, unpack(callback, t.Callback))
		t.Callback.URL, t.Callback.NextAt = callbackURL, fromMicros(callbackAt)
	}
	err = errors.Join(err, unpack(request, &t.Request), unpack(usage, &t.Usage), unpack(failure, &t.Failure), unpack(trouble, &t.Trouble))
	if err != nil {
		return video.Task{}, fmt.Errorf("task %s: %w", t.ID, err)
	}
	return t, nil
}

// amount reads a column that may hold none, unless there was an error before.
func amount(text string, before error) (*decimal.Decimal, error) {
	if text == "" || before != nil {
		return nil, before
	}
	d, err := decimal.NewFromString(text)
	return &d, err
}

// amountText is the column of an amount that may not be known.
func amountText(d *decimal.Decimal) string {
	if d == nil {
		return ""
	}
	return d.String()
}

func read(text string, into *decimal.Decimal) (err error) {
	*into, err = decimal.NewFromString(text)
	return err
}

func unpack(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

// pack writes what a column keeps as JSON, ” for nothing.
func pack[T any](v *T) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and flags: there is nothing that could fail
	}
	return string(text)
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// due is the column of a time at which something is to be done; the zero time is never.
func due(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// nano is the unit in which amounts are added up: a billionth of the currency.
const nano = 9

// most is what one clip can hold of a budget, so that the sum of a million clips can be added up: 9,223 of the currency.
const most = math.MaxInt64 / 1_000_000

// nanos rounds up: a budget is never overdrawn by what cannot be counted. It lies between 0 and most.
func nanos(d decimal.Decimal) int64 {
	n := d.Shift(nano).Ceil()
	if n.GreaterThan(decimal.NewFromInt(most)) {
		return most
	}
	return max(0, n.IntPart()) // nothing gives a budget more than it has
}

// storable is text as both databases take it: PostgreSQL refuses a NUL and what is no UTF-8.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}

func fromNanos(n int64) decimal.Decimal { return decimal.New(n, -nano) }

// withoutData cuts pictures that came within the request: up to a hundred megabytes that nobody needs again.
func withoutData(r video.Request) video.Request {
	r.References = slices.Clone(r.References)
	for i, ref := range r.References {
		if head, _, found := strings.Cut(ref.URL, ","); found && strings.HasPrefix(strings.ToLower(head), "data:") {
			r.References[i].URL = strings.Clone(head) + ","
		}
	}
	return r
}
