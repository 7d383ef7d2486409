package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// The states of docs/states.md, as conditions of SQL: a change names the states that it is for, and applies to no other.
const (
	unbought = "provider_task_id IS NULL AND status IN ('PENDING', 'UNKNOWN')"                                                                    // claimed or in doubt
	followed = "provider_task_id IS NOT NULL AND (status IN ('PENDING', 'RUNNING') OR status = 'SUCCEEDED' AND video_url = '' AND saved_to = '')" // open, or its link is still missing
	unsaved  = "status = 'SUCCEEDED' AND saved_to = ''"
)

// Bought records the provider's id of a purchase, also of one that was given up for lost; found says that the id comes from the
// provider's list and not from its answer. An answer is better than a finding: the id is taken from a purchase that only
// found it. It returns an error, and changes nothing, when the task has another id or the id is another one's for good.
func (l *Ledger) Bought(ctx context.Context, id, providerTaskID string, found bool) (video.Task, error) {
	return l.bought(ctx, id, providerTaskID, found, nil)
}

// Answered is [Ledger.Bought] by the answer to the purchase, with what the provider has set aside for it, nil where it has not said.
// The budget holds no less than that from then on.
func (l *Ledger) Answered(ctx context.Context, id, providerTaskID string, hold *decimal.Decimal) (video.Task, error) {
	return l.bought(ctx, id, providerTaskID, false, hold)
}

func (l *Ledger) bought(ctx context.Context, id, providerTaskID string, found bool, hold *decimal.Decimal) (video.Task, error) {
	db, err := l.existing(ctx)
	if err != nil {
		return video.Task{}, err
	}
	var task video.Task
	err = l.transaction(ctx, db, func(tx *sql.Tx) error {
		before, err := scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM r2v_task WHERE id = $1", id))
		switch other := before.ProviderTaskID != "" && before.ProviderTaskID != providerTaskID; {
		case err != nil || !other:
		case before.Found && !found: // what it found was another's
			_, err = tx.ExecContext(ctx, doubtAgain+" WHERE id = $1", id, disowned(), held(&before))
		default:
			err = fmt.Errorf("task %s is %s, not %s", id, before.ProviderTaskID, providerTaskID)
		}
		if err == nil {
			err = l.yield(ctx, tx, id, providerTaskID, found)
		}
		if err != nil {
			return err // an id that cannot be recorded here stays where it is
		}
		var fresh bool
		task, fresh, err = l.apply(ctx, tx, id, `UPDATE r2v_task SET provider_task_id = $2, found = $3, submitted_at = $4, status = 'PENDING', failure = '',
			trouble = '', due_at = NULL, hold = $5, callback = '', callback_due_at = NULL, version = version + 1 WHERE id = $1 AND provider_task_id IS NULL RETURNING `+columns,
			providerTaskID, flag(found), micros(time.Now()), amountText(hold))
		if err == nil && !fresh && hold != nil {
			task, err = l.holdLate(ctx, tx, task, hold)
		}
		if err != nil {
			return err
		}
		// One that was set free has to be held again, and one whose provider holds more is held at that.
		_, err = tx.ExecContext(ctx, "UPDATE r2v_task SET reserved = $2 WHERE id = $1 AND reserved < $2 AND status = 'PENDING'", id, held(&task))
		if err == nil && task.Found && !found { // what was found is now known
			task, _, err = l.apply(ctx, tx, id, "UPDATE r2v_task SET found = 0, version = version + 1 WHERE id = $1 AND found = 1 RETURNING "+columns)
		}
		return err
	})
	return task, l.explain(err)
}

// holdLate writes down what the provider holds where the id was known before the answer was. What is billed, or came to nothing, is held for
// no more.
func (l *Ledger) holdLate(ctx context.Context, tx *sql.Tx, task video.Task, hold *decimal.Decimal) (video.Task, error) {
	answered := task
	answered.Hold = hold
	now, _, err := l.apply(ctx, tx, task.ID, `UPDATE r2v_task SET hold = $2, version = version + 1,
		reserved = CASE WHEN reserved < $3 AND billed = '' AND status NOT IN ('FAILED', 'CANCELED') THEN $3 ELSE reserved END
		WHERE id = $1 AND hold = '' RETURNING `+columns, amountText(hold), held(&answered))
	return now, err
}

// yield makes the provider's id free for a purchase: a task that was adopted by it becomes another name of the purchase, and a
// purchase that only found it is in doubt again where this one has it by answer. It returns an error when the id is another one's for good.
func (l *Ledger) yield(ctx context.Context, tx *sql.Tx, id, providerTaskID string, found bool) error {
	if providerTaskID == "" {
		return fmt.Errorf("task %s: an empty id is none", id)
	}
	const adopted = " FROM r2v_task WHERE provider_task_id = $1 AND fingerprint = '' AND id <> $2"
	for _, text := range []string{"INSERT INTO r2v_alias SELECT id, CAST($2 AS TEXT)" + adopted, "DELETE" + adopted} {
		if _, err := tx.ExecContext(ctx, text, providerTaskID, id); err != nil {
			return err
		}
	}
	holder, err := scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM r2v_task WHERE provider_task_id = $1 AND id <> $2", providerTaskID, id))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case found || !holder.Found:
		return fmt.Errorf("%s is another task's, not that of %s", providerTaskID, id) // whose: it may be another person's
	}
	_, _, err = l.apply(ctx, tx, holder.ID, doubtAgain+" WHERE id = $1 AND provider_task_id = $4 AND found = 1 RETURNING "+columns,
		disowned(), held(&holder), providerTaskID)
	return err
}

// doubtAgain takes from a purchase the id that it found, and all that is known by it: the whole estimate is held again.
const doubtAgain = `UPDATE r2v_task SET provider_task_id = NULL, found = 0, status = 'UNKNOWN', failure = $2, reserved = $3, billed = '', usage = '',
	submitted_at = 0, scheduled_at = 0, ended_at = 0, video_url = '', saved_to = '', save_error = '', trouble = '', due_at = NULL,
	progress = 0, callback = '', callback_due_at = NULL, bill_due_at = NULL, version = version + 1`

func disowned() string {
	return pack(&video.Failure{Code: "Disowned", Message: "the task that was found for it is another one's"})
}

// held is what a purchase holds of the budget while its bill is open: its highest estimate, or what the provider holds where that is
// more.
func held(t *video.Task) (most int64) {
	if t.Estimate != nil {
		most = nanos(t.Estimate.High)
	}
	if t.Hold != nil {
		most = max(most, nanos(*t.Hold))
	}
	return most
}

// NotBought records that a purchase came to nothing, which sets its budget free, or that nobody can tell, which does not. It
// concerns the claim that was looked at: one that was set free meanwhile and claimed again is another's. Who is to be called back is told
// where the caller cannot have been: of a purchase that was in doubt, or under way for longer than its caller waits.
func (l *Ledger) NotBought(ctx context.Context, task video.Task, reason *video.Error) (video.Task, error) {
	if reason.Charged == video.ChargedUnknown {
		return l.become(ctx, task.ID, `UPDATE r2v_task SET status = 'UNKNOWN', failure = $2, due_at = NULL, version = version + 1
			WHERE id = $1 AND created_at = $3 AND `+unbought+` RETURNING `+columns, pack(&reason.Failure), micros(task.CreatedAt))
	}
	const late = "(status = 'UNKNOWN' OR created_at <= $6)"
	now := time.Now()
	return l.become(ctx, task.ID, `UPDATE r2v_task SET status = 'FAILED', failure = $2, reserved = 0, due_at = NULL, version = version + 1,
		callback = CASE WHEN callback_url <> '' AND callback = '' THEN CASE WHEN `+late+` THEN CAST($4 AS TEXT) ELSE CAST($7 AS TEXT) END ELSE callback END,
		callback_due_at = `+told(late, number("$5"), "callback_due_at")+`
		WHERE id = $1 AND created_at = $3 AND `+unbought+` RETURNING `+columns, pack(&reason.Failure), micros(task.CreatedAt),
		newMessage(), micros(now), micros(now.Add(-cmp.Or(l.Patience, video.LongestCall)/2)), toldByCall())
}

// Interrupted puts the purchases in doubt whose process has given no sign of life, and tells how many there were.
func (l *Ledger) Interrupted(ctx context.Context) (int64, error) {
	now := time.Now()
	return l.changeMany(ctx, `UPDATE r2v_task SET status = 'UNKNOWN', failure = $2, due_at = NULL, version = version + 1
		WHERE upstream = $1 AND provider_task_id IS NULL AND status = 'PENDING' AND due_at IS NOT NULL AND (due_at <= $3 OR due_at > $4)`,
		pack(&video.Failure{Code: "Interrupted", Message: "the process that was buying it ended half way"}), micros(now), micros(now.Add(farAhead)))
}

// Looked records what the provider said of a task that is open; what it is silent about stays as it was known. A bill replaces
// what was held for it, a failure sets it free. A success stays one, whatever an older view of it says. A clip that is to be
// saved is due at next; the zero time is never. It reports whether this call has ended the task: of all calls of all processes
// one does, that after which the provider is asked no more. A success ends with its link. Where it tells no bill, that is to be asked for: see [Ledger.DueBills]. The end's callback is
// due at once; that of a clip that is to be saved, or whose bill is not told yet, waits for that, see [Ledger.Saved] and [Ledger.Billed], but for
// no longer than a minute. A success whose link never comes is told by [Ledger.CallLost].
func (l *Ledger) Looked(ctx context.Context, id string, s video.Snapshot, next time.Time) (task video.Task, ended bool, err error) {
	before, err := l.Task(ctx, id)
	if err != nil {
		return video.Task{}, false, err
	}
	billed, reserved := billOf(&before, s)
	if s.Status == video.Failed || s.Status == video.Canceled {
		reserved = 0
	}
	s.VideoURL = storable(s.VideoURL)
	tellAt := time.Now()
	if s.Status == video.Succeeded && (!next.IsZero() || billed == "" && s.Usage == nil && before.Billed == nil && before.Usage == nil) {
		tellAt = tellAt.Add(callGrace)
	}
	if !s.Status.Open() && s.EndedAt.IsZero() && before.EndedAt.IsZero() {
		s.EndedAt = time.Now()
	}
	task, changed, err := l.change(ctx, id, `UPDATE r2v_task SET status = CASE WHEN status = 'SUCCEEDED' THEN status ELSE CAST($2 AS TEXT) END, looked_at = $3, trouble = '',
		submitted_at = CASE WHEN CAST($4 AS BIGINT) > 0 THEN CAST($4 AS BIGINT) ELSE submitted_at END,
		scheduled_at = CASE WHEN CAST($5 AS BIGINT) > 0 THEN CAST($5 AS BIGINT) ELSE scheduled_at END,
		ended_at     = CASE WHEN CAST($6 AS BIGINT) > 0 THEN CAST($6 AS BIGINT) ELSE ended_at END,
		video_url    = CASE WHEN CAST($7 AS TEXT) <> '' THEN CAST($7 AS TEXT) ELSE video_url END,
		usage        = CASE WHEN CAST($8 AS TEXT) <> '' THEN CAST($8 AS TEXT) ELSE usage END,
		failure = CASE WHEN status = 'SUCCEEDED' THEN failure ELSE CAST($9 AS TEXT) END,
		billed   = CASE WHEN CAST($10 AS TEXT) <> '' THEN CAST($10 AS TEXT) ELSE billed END,
		reserved = CASE WHEN CAST($11 AS BIGINT) >= 0 AND (status <> 'SUCCEEDED' OR CAST($2 AS TEXT) = 'SUCCEEDED') THEN CAST($11 AS BIGINT) ELSE reserved END,
		due_at = $12, progress = CASE WHEN CAST($13 AS BIGINT) > 0 THEN CAST($13 AS BIGINT) ELSE progress END, version = version + 1, `+tell(ends, "$14", "$15")+`,
		bill_due_at = CASE WHEN `+unsettled+` THEN $3 WHEN CAST($8 AS TEXT) <> '' OR CAST($10 AS TEXT) <> '' THEN NULL ELSE bill_due_at END WHERE id = $1 AND `+followed+` RETURNING `+columns,
		s.Status, micros(time.Now()), micros(s.SubmittedAt), micros(s.ScheduledAt), micros(s.EndedAt), s.VideoURL, pack(s.Usage), pack(s.Failure),
		billed, reserved, due(next), s.Progress, newMessage(), micros(tellAt))
	return task, changed && !task.Status.Open() && !task.Linkless(), err // it was open or without a link: the statement applies to no other
}

// Relinked records a newer link to a clip that is not saved yet.
func (l *Ledger) Relinked(ctx context.Context, id, videoURL string) (video.Task, error) {
	return l.become(ctx, id, `UPDATE r2v_task SET video_url = $2, version = version + 1 WHERE id = $1 AND `+unsaved+` RETURNING `+columns, storable(videoURL))
}

// Saved records where the clip of a finished task is, and what is wrong with it; without a path it could not be saved, and is
// tried again at next. The zero time is never. The callback of the task's end need not wait any longer, unless for its bill: see
// [Ledger.Billed].
func (l *Ledger) Saved(ctx context.Context, id, path string, failure error, next time.Time) (video.Task, error) {
	words := ""
	if failure != nil {
		words = failure.Error()
	}
	return l.become(ctx, id, `UPDATE r2v_task SET saved_to = $2, save_error = $3, due_at = $4, version = version + 1,
		callback = `+told("(video_url <> '' OR CAST($2 AS TEXT) <> '')", text("$5"), "callback")+`,
		callback_due_at = CASE WHEN `+untried+` AND `+settled+` THEN $6 ELSE `+told("(video_url <> '' OR CAST($2 AS TEXT) <> '')", number("$6"), "callback_due_at")+` END
		WHERE id = $1 AND `+unsaved+` RETURNING `+columns, storable(path), storable(words), due(next), newMessage(), micros(time.Now()))
}

// Disowned puts a purchase in doubt again that found an id in the provider's list, when it turns out to be another one's.
func (l *Ledger) Disowned(ctx context.Context, id, providerTaskID string) (video.Task, error) {
	before, err := l.Task(ctx, id)
	if err != nil {
		return video.Task{}, err
	}
	return l.become(ctx, id, doubtAgain+" WHERE id = $1 AND provider_task_id = $4 AND found = 1 AND "+followed+" RETURNING "+columns,
		disowned(), held(&before), providerTaskID)
}

// Troubled records why the newest state of a task could not be had, nil when it could again; without an id, of all that are
// open. A refusal for good, such as that of a key, is told of those alone that were bought with the same account; that the
// others were asked for is kept as well.
func (l *Ledger) Troubled(ctx context.Context, id string, trouble *video.Failure) error {
	_, err := l.changeMany(ctx, `UPDATE r2v_task SET trouble = CASE WHEN account = $5 OR $6 = 1 THEN CAST($2 AS TEXT) ELSE trouble END, looked_at = CASE WHEN id = $3 THEN CAST($4 AS BIGINT) ELSE looked_at END, version = version + 1
		WHERE upstream = $1 AND status IN ('PENDING', 'RUNNING', 'UNKNOWN') AND (id = $3 OR $3 = '' AND trouble <> $2 AND (account = $5 OR $6 = 1))`,
		pack(trouble), id, micros(time.Now()), l.Account, flag(trouble == nil || trouble.Retryable))
	return err
}

// Adopt records a task that was made elsewhere, once, as its owner's, and returns it under an id of ours. It returns ErrNotFound
// when it is another's already.
func (l *Ledger) Adopt(ctx context.Context, owner, providerTaskID string, s video.Snapshot, next time.Time) (video.Task, error) {
	db, err := l.database(ctx)
	if err != nil {
		return video.Task{}, err
	}
	now := time.Now()
	if s.SubmittedAt.IsZero() {
		s.SubmittedAt = now
	}
	if !s.Status.Open() && s.EndedAt.IsZero() { // its link is as old as it can be
		s.EndedAt = s.SubmittedAt
	}
	task, err := scan(db.QueryRowContext(ctx, `INSERT INTO r2v_task (id, owner, idempotency_key, fingerprint, upstream, account, provider_task_id, found, model,
		request, status, estimate_low, estimate_high, per_second, currency, billed, reserved, created_at, submitted_at, scheduled_at, ended_at,
		looked_at, video_url, usage, failure, trouble, saved_to, save_error, due_at, version)
		VALUES ($1, $15, $2, '', $3, $4, $5, 0, '', '', $6, '', '', '', '', '', 0, $7, $8, $9, $10, $7, $11, $12, $13, '', '', '', $14, 1)
		ON CONFLICT DO NOTHING RETURNING `+columns,
		newID(), "adopted-"+strings.TrimPrefix(newID(), IDPrefix), l.Upstream, l.Account, providerTaskID, s.Status, micros(now), micros(s.SubmittedAt), micros(s.ScheduledAt),
		micros(s.EndedAt), storable(s.VideoURL), pack(s.Usage), pack(s.Failure), due(next), owner))
	if errors.Is(err, ErrNotFound) {
		return l.TaskOf(ctx, owner, providerTaskID)
	}
	return task, l.explain(err)
}

// queryer is a database or a transaction in it.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// apply makes a change and returns the task afterwards, changed or not.
func (l *Ledger) apply(ctx context.Context, q queryer, id, change string, args ...any) (task video.Task, changed bool, err error) {
	task, err = scan(q.QueryRowContext(ctx, change, append([]any{id}, args...)...))
	if errors.Is(err, ErrNotFound) {
		task, err = scan(q.QueryRowContext(ctx, "SELECT "+columns+" FROM r2v_task WHERE id = $1", id))
		return task, false, err
	}
	if err == nil {
		l.watch.wake(id)
	}
	return task, err == nil, err
}

// change makes a change and returns the task afterwards, and whether this was what changed it.
func (l *Ledger) change(ctx context.Context, id, change string, args ...any) (task video.Task, changed bool, err error) {
	db, err := l.existing(ctx)
	if err != nil {
		return video.Task{}, false, err
	}
	task, changed, err = l.apply(ctx, db, id, change, args...)
	return task, changed, l.explain(err)
}

// become makes a change and returns the task afterwards, whoever has changed it.
func (l *Ledger) become(ctx context.Context, id, change string, args ...any) (video.Task, error) {
	task, _, err := l.change(ctx, id, change, args...)
	return task, err
}

// changeMany makes a change of all tasks of this upstream, and tells how many it applied to.
func (l *Ledger) changeMany(ctx context.Context, change string, args ...any) (int64, error) {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	result, err := db.ExecContext(ctx, change, append([]any{l.Upstream}, args...)...)
	if err != nil {
		return 0, l.explain(err)
	}
	n, err := result.RowsAffected()
	if n > 0 {
		l.watch.wake("")
	}
	return n, err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
