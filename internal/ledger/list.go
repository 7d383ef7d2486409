package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"r2v-mcp/internal/video"
)

// ErrCursor says that a cursor was not made by [Ledger.List].
var ErrCursor = errors.New("it is no cursor that a list has returned")

// List returns a page of tasks, newest first, and the cursor of the next page, empty on the last. It returns ErrCursor for a
// cursor that no page has given out.
func (l *Ledger) List(ctx context.Context, f video.Filter) (tasks []video.Task, next string, err error) {
	const end = int64(1) << 62                    // later than any task
	f.Limit = min(max(f.Limit, 1), math.MaxInt32) // one more is asked for
	before, id := end, ""
	if f.Cursor != "" {
		if before, id, err = readCursor(f.Cursor); err != nil {
			return nil, "", err
		}
	}
	tasks, err = l.some(ctx, "SELECT "+columns+" FROM r2v_task WHERE ($1 = '' OR status = $1) AND (created_at < $2 OR created_at = $2 AND id < $3)"+
		" ORDER BY created_at DESC, id DESC LIMIT $4", f.Status, before, id, f.Limit+1)
	if err != nil || len(tasks) <= f.Limit {
		return tasks, "", err
	}
	tasks = tasks[:f.Limit]
	last := tasks[len(tasks)-1]
	return tasks, writeCursor(micros(last.CreatedAt), last.ID), nil
}

// Count returns how many tasks of a status there are, with an empty one how many in all.
func (l *Ledger) Count(ctx context.Context, status video.Status) (n int, err error) {
	err = l.each(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) }, "SELECT count(*) FROM r2v_task WHERE ($1 = '' OR status = $1)", status)
	return n, err
}

func writeCursor(before int64, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(before, 36) + " " + id))
}

func readCursor(cursor string) (before int64, id string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, found := strings.Cut(string(text), " ")
	before, wrong := strconv.ParseInt(at, 36, 64)
	if err != nil || wrong != nil || !found || before <= 0 || writeCursor(before, id) != cursor || !isID(id) {
		return 0, "", ErrCursor
	}
	return before, id, nil
}

// isID reports whether an id looks like those of [newID].
func isID(id string) bool {
	random, ours := strings.CutPrefix(id, IDPrefix)
	return ours && len(random) == len(rand.Text()) && strings.Trim(random, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
