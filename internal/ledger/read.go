package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// readLines begins the names of the lines of [Ledger.TakeRead].
const readLines = "read "

// forgotten are reads that keep nobody waiting any more, with room for clocks that are apart.
const forgotten = "DELETE FROM r2v_turn WHERE name LIKE '" + readLines + "%' AND at <= $1"

// readLine is the line of one task's reads. An id may be what anybody has sent.
func readLine(id string) string {
	sum := sha256.Sum256([]byte(id))
	return readLines + hex.EncodeToString(sum[:])
}

// TakeRead gives the next read of a provider's task to exactly one of all processes, where the last one was at least so long ago. The id may
// be any name for what is to be read no more often. Reads that are long over are forgotten with it.
func (l *Ledger) TakeRead(ctx context.Context, id string, apart time.Duration) (bool, error) {
	db, err := l.database(ctx)
	if err != nil {
		return false, err
	}
	now := time.Now()
	result, err := db.ExecContext(ctx, `INSERT INTO r2v_turn (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = $2
		WHERE r2v_turn.at <= $3 OR r2v_turn.at > $4`, readLine(id)+" "+l.Upstream, free(now, apart), micros(now), tooFar(now, apart))
	if err != nil {
		return false, l.explain(err)
	}
	if n, err := result.RowsAffected(); n == 0 || err != nil {
		return false, err
	}
	_, err = db.ExecContext(ctx, forgotten, micros(now.Add(-time.Minute)))
	return err == nil, l.explain(err)
}

// HasRead ends a read that [Ledger.TakeRead] gave: the next one may come so long after it.
func (l *Ledger) HasRead(ctx context.Context, id string, apart time.Duration) error {
	db, err := l.existing(ctx)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "UPDATE r2v_turn SET at = $2 WHERE name = $1", readLine(id)+" "+l.Upstream, free(time.Now(), apart))
	return l.explain(err)
}

// ReadIn returns how long [Ledger.TakeRead] will give no read, 0 where it would now.
func (l *Ledger) ReadIn(ctx context.Context, id string, apart time.Duration) (time.Duration, error) {
	at, err := l.DueAt(ctx, readLine(id))
	if now := time.Now(); err != nil || !at.After(now) || micros(at) > tooFar(now, apart) {
		return 0, err
	}
	return time.Until(at), nil
}

// free is when a task may be read again. A time is kept in whole microseconds, and one that was cut would come too early.
func free(now time.Time, apart time.Duration) int64 {
	return micros(now.Add(apart + time.Microsecond - time.Nanosecond))
}

// tooFar is further ahead than a read is ever put off, although clocks may be apart: what is beyond it was written before the clock was set
// back.
func tooFar(now time.Time, apart time.Duration) int64 { return micros(now.Add(2 * apart)) }
