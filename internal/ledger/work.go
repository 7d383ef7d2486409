package ledger

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"r2v-mcp/internal/video"
)

// Open returns the tasks that this process is to follow, oldest first: bought where it buys, and not known to have ended. A
// thousand of them are read every few seconds, so only what following takes is filled in: ids, model, status, times and trouble.
func (l *Ledger) Open(ctx context.Context) ([]video.Task, error) {
	var tasks []video.Task
	err := l.each(ctx, func(rows *sql.Rows) error {
		var t video.Task
		var trouble string
		var found, created, submitted, looked int64
		err := rows.Scan(&t.ID, &t.ProviderTaskID, &found, &t.Request.Model, &t.Status, &created, &submitted, &looked, &trouble)
		t.Found = found != 0
		t.CreatedAt, t.SubmittedAt, t.LookedAt = fromMicros(created), fromMicros(submitted), fromMicros(looked)
		tasks = append(tasks, t)
		return errors.Join(err, unpack(trouble, &tasks[len(tasks)-1].Trouble))
	}, `SELECT id, provider_task_id, found, model, status, created_at, submitted_at, looked_at, trouble FROM r2v_task
		WHERE upstream = $1 AND provider_task_id IS NOT NULL AND status IN ('PENDING', 'RUNNING') ORDER BY created_at`, l.Upstream)
	return tasks, err
}

// InDoubt returns the purchases without a provider's id, oldest first: under way (PENDING) or of unknown fate (UNKNOWN). Older
// ones than the provider remembers are left out: nobody will ever know.
func (l *Ledger) InDoubt(ctx context.Context) ([]video.Task, error) {
	return l.some(ctx, "SELECT "+columns+" FROM r2v_task WHERE upstream = $1 AND status IN ('PENDING', 'UNKNOWN') AND "+unbought+" AND created_at > $2 ORDER BY created_at",
		l.Upstream, micros(time.Now().Add(-video.Lifetime)))
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

// Known returns those of the provider's ids that belong to purchases of this ledger.
func (l *Ledger) Known(ctx context.Context, providerTaskIDs []string) (map[string]bool, error) {
	known := map[string]bool{}
	const most = 500 // parameters of one statement
	for ids := range slices.Chunk(providerTaskIDs, most) {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		err := l.each(ctx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			known[id] = true
			return err
		}, "SELECT provider_task_id FROM r2v_task WHERE fingerprint <> '' AND provider_task_id IN ("+placeholders(1, len(ids))+")", args...)
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// ToSave returns up to limit finished tasks whose clip is to be saved now, the most urgent first.
func (l *Ledger) ToSave(ctx context.Context, limit int) ([]video.Task, error) {
	now := time.Now()
	return l.some(ctx, "SELECT "+columns+" FROM r2v_task WHERE upstream = $1 AND due_at IS NOT NULL AND (due_at <= $2 OR due_at > $3) AND "+unsaved+
		" ORDER BY ended_at LIMIT $4", l.Upstream, micros(now), micros(now.Add(farAhead)), limit)
}

// SaveAgain makes those clips due whose link may be alive and that nobody is to save: made while saving was off, and, when
// retry says so, those that failed, whatever the time of their next attempt.
func (l *Ledger) SaveAgain(ctx context.Context, retry bool) error {
	now := time.Now()
	_, err := l.changeMany(ctx, "UPDATE r2v_task SET due_at = $2, save_error = '', version = version + 1 WHERE upstream = $1 AND "+unsaved+
		" AND ended_at > $3 AND (due_at IS NULL OR save_error <> '' AND $4 = 1)", micros(now), micros(now.Add(-video.Lifetime)), flag(retry))
	return err
}

// NextDue is the earliest time at which something of this process's is due, the zero time when nothing is.
func (l *Ledger) NextDue(ctx context.Context) (time.Time, error) {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var at sql.NullInt64
	now := time.Now()
	err = db.QueryRowContext(ctx, "SELECT min(CASE WHEN due_at > $2 THEN $3 ELSE due_at END) FROM r2v_task WHERE upstream = $1 AND due_at IS NOT NULL",
		l.Upstream, micros(now.Add(farAhead)), micros(now)).Scan(&at)
	return fromMicros(at.Int64), l.explain(err)
}

// Take gives a task that is due to exactly one process, until then; Keep is to be called before.
func (l *Ledger) Take(ctx context.Context, id string, until time.Time) (bool, error) {
	now := time.Now()
	n, err := l.changeMany(ctx, "UPDATE r2v_task SET due_at = $2 WHERE upstream = $1 AND id = $3 AND due_at IS NOT NULL AND (due_at <= $4 OR due_at > $5)",
		due(until), id, micros(now), micros(now.Add(farAhead)))
	return n == 1, err
}

// Keep is the sign of life of who buys or saves a task, and holds until then. It reports whether the task is still theirs: a claim
// that was set free meanwhile and claimed again is another's.
func (l *Ledger) Keep(ctx context.Context, task video.Task, until time.Time) (bool, error) {
	n, err := l.changeMany(ctx, "UPDATE r2v_task SET due_at = $2 WHERE upstream = $1 AND id = $3 AND created_at = $4 AND due_at IS NOT NULL",
		due(until), task.ID, micros(task.CreatedAt))
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
