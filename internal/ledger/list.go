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

// List returns a page of the tasks of one person, or of everyone, newest first, and the cursor of the next page, empty on the
// last. A cursor says where a page has ended and opens nothing: with another's, the page has the asker's own tasks. It returns
// ErrCursor for a cursor that no page has given out.
func (l *Ledger) List(ctx context.Context, f video.Filter) (tasks []video.Task, next string, err error) {
	const end = int64(1) << 62                    // later than any task
	f.Limit = min(max(f.Limit, 1), math.MaxInt32) // one more is asked for
	before, id := end, ""
	if f.Cursor != "" {
		if before, id, err = readCursor(f.Cursor); err != nil {
			return nil, "", err
		}
	}
	query, args := listed, []any{f.Status, before, id, f.Limit + 1, f.Owner}
	if f.Everyone {
		query, args = listedAll, args[:4]
	}
	tasks, err = l.some(ctx, query, args...)
	if err != nil || len(tasks) <= f.Limit {
		return tasks, "", err
	}
	tasks = tasks[:f.Limit]
	last := tasks[len(tasks)-1]
	return tasks, writeCursor(micros(last.CreatedAt), last.ID), nil
}

const (
	listedAll   = "SELECT " + columns + " FROM r2v_task WHERE " + page
	listed      = "SELECT " + columns + " FROM r2v_task WHERE owner = $5 AND " + page
	page        = "($1 = '' OR status = $1) AND created_at <= $2 AND (created_at < $2 OR id < $3)" + newestFirst
	newestFirst = " ORDER BY created_at DESC, id DESC LIMIT $4"
)

// Count returns how many tasks a filter lets through, on all of its pages.
func (l *Ledger) Count(ctx context.Context, f video.Filter) (n int, err error) {
	err = l.each(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT count(*) FROM r2v_task WHERE ($1 = '' OR status = $1) AND ($2 = 1 OR owner = $3)", f.Status, flag(f.Everyone), f.Owner)
	return n, err
}

const countOpen = "SELECT status, count(*) FROM r2v_task WHERE status IN ('PENDING', 'RUNNING', 'UNKNOWN') GROUP BY status" // the words of its index

// CountOpen returns how many tasks of all people have not ended or are in doubt, by status.
func (l *Ledger) CountOpen(ctx context.Context) (map[video.Status]int, error) {
	open := map[video.Status]int{video.Pending: 0, video.Running: 0, video.Unknown: 0}
	err := l.each(ctx, func(rows *sql.Rows) error {
		var status video.Status
		var n int
		err := rows.Scan(&status, &n)
		open[status] = n
		return err
	}, countOpen)
	return open, err
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
