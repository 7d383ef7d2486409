package ledger

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"r2v-mcp/internal/video"
)

const (
	// All three states are named, or SQLite does not see that its index of them serves.
	openTasks = "SELECT id, provider_task_id, found, model, status, created_at, submitted_at, looked_at, progress, trouble FROM r2v_task " +
		"WHERE upstream = $1 AND status IN ('PENDING', 'RUNNING', 'UNKNOWN') AND status <> 'UNKNOWN' AND provider_task_id IS NOT NULL ORDER BY created_at"
	inDoubt = "SELECT " + columns + " FROM r2v_task WHERE upstream = $1 AND " + unbought + " AND created_at > $2 ORDER BY created_at"
)

// Open returns the tasks that this process is to follow, oldest first: bought where it buys, and not known to have ended. A
// thousand of them are read every few seconds, so only what following takes is filled in: ids, model, status, times, progress and trouble.
func (l *Ledger) Open(ctx context.Context) ([]video.Task, error) {
	var tasks []video.Task
	err := l.each(ctx, func(rows *sql.Rows) error {
		var t video.Task
		var trouble string
		var found, created, submitted, looked int64
		err := rows.Scan(&t.ID, &t.ProviderTaskID, &found, &t.Request.Model, &t.Status, &created, &submitted, &looked, &t.Progress, &trouble)
		t.Found = found != 0
		t.CreatedAt, t.SubmittedAt, t.LookedAt = fromMicros(created), fromMicros(submitted), fromMicros(looked)
		tasks = append(tasks, t)
		return errors.Join(err, unpack(trouble, &tasks[len(tasks)-1].Trouble))
	}, openTasks, l.Upstream)
	return tasks, err
}

// InDoubt returns the purchases without a provider's id, oldest first: under way (PENDING) or of unknown fate (UNKNOWN). Older
// ones than the provider remembers are left out: nobody will ever know.
func (l *Ledger) InDoubt(ctx context.Context) ([]video.Task, error) {
	return l.some(ctx, inDoubt, l.Upstream, micros(time.Now().Add(-video.Lifetime)))
}

// Mine reports whether a purchase was made with the account that this process has.
func (l *Ledger) Mine(ctx context.Context, id string) (bool, error) {
	db, err := l.existing(ctx)
	if err != nil {
		return false, err
	}
	var account string
	err = db.QueryRowContext(ctx, "SELECT account FROM r2v_task WHERE id = $1", id).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return false, ErrNotFound
	}
	return err == nil && account == l.Account, l.explain(err)
}

// Known returns which of the provider's ids are in this ledger: true for those of purchases, false for those that were adopted.
func (l *Ledger) Known(ctx context.Context, providerTaskIDs []string) (map[string]bool, error) {
	known := map[string]bool{}
	const most = 500 // parameters of one statement
	for ids := range slices.Chunk(providerTaskIDs, most) {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		err := l.each(ctx, func(rows *sql.Rows) error {
			var id, fingerprint string
			err := rows.Scan(&id, &fingerprint)
			known[id] = fingerprint != ""
			return err
		}, "SELECT provider_task_id, fingerprint FROM r2v_task WHERE provider_task_id IN ("+placeholders(1, len(ids))+")", args...)
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// Between returns the provider's ids of the tasks that were submitted between two moments, whatever became of them.
func (l *Ledger) Between(ctx context.Context, from, to time.Time) ([]string, error) {
	return l.between(ctx, "", from, to)
}

// AnsweredBetween is [Ledger.Between] for purchases of this ledger alone whose ids came with the answer to them.
func (l *Ledger) AnsweredBetween(ctx context.Context, from, to time.Time) ([]string, error) {
	return l.between(ctx, " AND found = 0 AND fingerprint <> ''", from, to)
}

func (l *Ledger) between(ctx context.Context, also string, from, to time.Time) ([]string, error) {
	var ids []string
	err := l.each(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT provider_task_id FROM r2v_task WHERE upstream = $1 AND account = $2 AND provider_task_id IS NOT NULL AND submitted_at BETWEEN $3 AND $4"+also,
		l.Upstream, l.Account, micros(from), micros(to))
	return ids, err
}

// doable is what a process can do of what is due: one that saves nothing only waits for links. A clip whose link has long been
// dead is nobody's work; $2 is when it ended at the latest, and $3 tells whether clips are saved.
const doable = "upstream = $1 AND due_at IS NOT NULL AND (status <> 'SUCCEEDED' OR ended_at > $2 AND ($3 = 1 OR video_url = ''))"

// ToSave returns up to limit finished tasks whose clip is to be saved now, the most urgent first; without saves, only those that
// have no link yet.
func (l *Ledger) ToSave(ctx context.Context, saves bool, limit int) ([]video.Task, error) {
	now := time.Now()
	return l.some(ctx, "SELECT "+columns+" FROM r2v_task WHERE "+doable+" AND "+unsaved+" AND (due_at <= $4 OR due_at > $5) ORDER BY ended_at LIMIT $6",
		l.Upstream, micros(now.Add(-LinkLife)), flag(saves), micros(now), micros(now.Add(farAhead)), limit)
}

// SaveAgain makes the clips due at once that could not be saved, while their links may live.
func (l *Ledger) SaveAgain(ctx context.Context) error {
	now := time.Now()
	_, err := l.changeMany(ctx, "UPDATE r2v_task SET due_at = $2, save_error = '', version = version + 1 WHERE upstream = $1 AND "+unsaved+
		" AND ended_at > $3 AND save_error <> ''", micros(now), micros(now.Add(-LinkLife)))
	return err
}

// NextDue is the earliest time at which something is due that this process can do, the zero time when nothing is.
func (l *Ledger) NextDue(ctx context.Context, saves bool) (time.Time, error) {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var at sql.NullInt64
	now := time.Now()
	err = db.QueryRowContext(ctx, "SELECT min(CASE WHEN due_at > $4 THEN $5 ELSE due_at END) FROM r2v_task WHERE "+doable,
		l.Upstream, micros(now.Add(-LinkLife)), flag(saves), micros(now.Add(farAhead)), micros(now)).Scan(&at)
	return fromMicros(at.Int64), l.explain(err)
}

// Take gives a task that is due to exactly one process, until then; who wants it longer calls Keep before that time.
func (l *Ledger) Take(ctx context.Context, id string, until time.Time) (bool, error) {
	now := time.Now()
	n, err := l.changeMany(ctx, "UPDATE r2v_task SET due_at = $2 WHERE upstream = $1 AND id = $3 AND due_at IS NOT NULL AND (due_at <= $4 OR due_at > $5)",
		due(until), id, micros(now), micros(now.Add(farAhead)))
	return n == 1, err
}

// Keep is the sign of life of who buys or saves a task, and holds until then. It reports whether the task is still theirs: not
// when the last sign was too long ago, as after a machine has slept, nor when a claim was set free meanwhile and claimed again.
func (l *Ledger) Keep(ctx context.Context, task video.Task, until time.Time) (bool, error) {
	n, err := l.changeMany(ctx, "UPDATE r2v_task SET due_at = $2 WHERE upstream = $1 AND id = $3 AND created_at = $4 AND due_at > $5",
		due(until), task.ID, micros(task.CreatedAt), micros(time.Now()))
	return n == 1, err
}

// Usual returns how long the quick and the slow ones of a model's latest clips took, zero when there are too few to tell.
func (l *Ledger) Usual(ctx context.Context, model string) (quick, slow time.Duration, err error) {
	const sample, enough = 20, 5
	var took []time.Duration
	err = l.each(ctx, func(rows *sql.Rows) error {
		var submitted, ended int64
		err := rows.Scan(&submitted, &ended)
		took = append(took, time.Duration(ended-submitted)*time.Microsecond)
		return err
	}, "SELECT submitted_at, ended_at FROM r2v_task WHERE model = $1 AND status = 'SUCCEEDED' AND ended_at > submitted_at AND submitted_at > 0 ORDER BY ended_at DESC LIMIT $2", model, sample)
	if err != nil || len(took) < enough {
		return 0, 0, err
	}
	slices.Sort(took)
	return took[len(took)/10], took[len(took)*9/10], nil
}

// some returns the tasks that a query selects, none when there is no ledger yet.
func (l *Ledger) some(ctx context.Context, query string, args ...any) ([]video.Task, error) {
	var tasks []video.Task
	err := l.each(ctx, func(rows *sql.Rows) error {
		task, err := scan(rows)
		tasks = append(tasks, task)
		return err
	}, query, args...)
	return tasks, err
}

func (l *Ledger) each(ctx context.Context, do func(rows *sql.Rows) error, query string, args ...any) error {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return l.explain(err)
	}
	defer func() { _ = rows.Close() }() // what went wrong is in rows.Err
	for rows.Next() {
		if err := do(rows); err != nil {
			return l.explain(err)
		}
	}
	return l.explain(rows.Err())
}
