package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// straight is how far the clocks of processes may be apart before one takes another's time for one of before the clock was set back.
	straight = time.Minute
	// longestDuty is longer than any duty is put off.
	longestDuty = 15 * time.Minute
)

// Turn takes the next place in a line that all processes of the ledger share, such as the calls of one kind to one service,
// and returns how long to wait for it. Places are every apart. A place further away than longest is not
// taken: then taken is false and the line is as it was, so that who gives up keeps nobody waiting.
func (l *Ledger) Turn(ctx context.Context, line string, every, longest time.Duration) (wait time.Duration, taken bool, err error) {
	db, err := l.database(ctx)
	if err != nil {
		return 0, false, err
	}
	now := time.Now()
	var after int64
	err = db.QueryRowContext(ctx, `INSERT INTO r2v_turn (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
		SET at = (CASE WHEN r2v_turn.at < $3 OR r2v_turn.at > $5 THEN $3 ELSE r2v_turn.at END) + $4
		WHERE r2v_turn.at <= $6 OR r2v_turn.at > $5 RETURNING at`,
		line+" "+l.Upstream, micros(now.Add(every)), micros(now), every.Microseconds(), micros(now.Add(longest+every+straight)), micros(now.Add(longest))).Scan(&after)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, l.explain(err)
	}
	return time.Until(time.UnixMicro(after).Add(-every)), true, nil // not from when it was asked: the answer may have taken a while
}

// Seize gives a duty that all processes of the ledger share to one of them until then, if it is due and nobody has it.
func (l *Ledger) Seize(ctx context.Context, duty string, until time.Time) (bool, error) {
	db, err := l.database(ctx)
	if err != nil {
		return false, err
	}
	now := time.Now()
	result, err := db.ExecContext(ctx, `INSERT INTO r2v_turn (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = $2
		WHERE r2v_turn.at <= $3 OR r2v_turn.at > $4`, duty+" "+l.Upstream, micros(until), micros(now), micros(now.Add(longestDuty)))
	if err != nil {
		return false, l.explain(err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// Settle says when a duty is due next: what its holder does at the end, and while it is at it.
func (l *Ledger) Settle(ctx context.Context, duty string, at time.Time) error {
	return l.turn(ctx, "UPDATE r2v_turn SET at = $2 WHERE name = $1", duty, at)
}

// Hurry makes a duty due by then, if it is later.
func (l *Ledger) Hurry(ctx context.Context, duty string, by time.Time) error {
	return l.turn(ctx, "UPDATE r2v_turn SET at = $2 WHERE name = $1 AND at > $2", duty, by)
}

func (l *Ledger) turn(ctx context.Context, change, duty string, at time.Time) error {
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil // nobody has any duty yet
	}
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, change, duty+" "+l.Upstream, micros(at))
	return l.explain(err)
}

// DueAt is when a duty is due, the zero time when it never was done.
func (l *Ledger) DueAt(ctx context.Context, duty string) (time.Time, error) {
	var at int64
	db, err := l.existing(ctx)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	err = db.QueryRowContext(ctx, "SELECT COALESCE(max(at), 0) FROM r2v_turn WHERE name = $1", duty+" "+l.Upstream).Scan(&at)
	if at > micros(time.Now().Add(longestDuty)) {
		at = 0
	}
	return fromMicros(at), l.explain(err)
}
