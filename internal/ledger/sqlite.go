package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errForeign says that the file at the ledger's place is something else.
var errForeign = errors.New("it is no ledger of r2v-mcp, or it is damaged")

// openSQLite opens the file, and makes it and its folder where there is none. One connection serves the process: SQLite
// lets one write at a time anyhow, and waiting for it in Go is fair.
func (l *Ledger) openSQLite(ctx context.Context) (*sql.DB, error) {
	if l.Path == "" {
		return nil, errors.New("no folder for user data is known here: set R2V_DATA_DIR to an absolute path")
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return nil, err
	}
	if err := checkHeader(l.Path); err != nil {
		return nil, err
	}
	pragmas := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()),
		"cache_size(-400)",  // KiB; the system's own cache serves the rest
		"synchronous(FULL)", // a claim that is lost with the power is bought twice
	}}
	db, err := sql.Open("sqlite", dataSource(l.Path, pragmas))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := prepare(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	_ = os.Chmod(l.Path, 0o600) // prompts are the user's own; a file system without rights is as it is
	return db, nil
}

// dataSource is the file as a URI, which takes every character of a path.
func dataSource(path string, pragmas url.Values) string {
	opaque := (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	return (&url.URL{Scheme: "file", Opaque: opaque, RawQuery: pragmas.Encode()}).String()
}

// prepare refuses a database that is not ours, and makes readers and a writer live side by side. SQLite does not wait for
// another process that does the same at the same time, so it is tried again.
func prepare(ctx context.Context, db *sql.DB) error {
	var foreign int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'r2v\_%' ESCAPE '\' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`).Scan(&foreign)
	if err != nil {
		return err
	}
	if foreign > 0 {
		return errForeign
	}
	_, err = backoff.Retry(ctx, func() (string, error) {
		var mode string
		err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		if code(err) != sqlite3.SQLITE_BUSY && err != nil {
			err = backoff.Permanent(err)
		}
		return mode, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)), backoff.WithMaxElapsedTime(busy))
	return err
}

// checkHeader looks at the file before SQLite does, which would take an empty or foreign one for its own.
func checkHeader(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	if n, err := io.ReadFull(file, head); n > 0 && (err != nil || string(head) != magic) {
		return errForeign
	}
	return nil
}

// code is SQLite's own number of an error, 0 for none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff // the rest tells variants of it
	}
	return 0
}

// isBusy reports that another process holds SQLite's file.
func isBusy(err error) bool {
	return code(err) == sqlite3.SQLITE_BUSY || code(err) == sqlite3.SQLITE_LOCKED
}

// sqliteWords says what a failure of SQLite means and what to do about it.
func sqliteWords(err error) (what, advice string) {
	switch c := code(err); {
	case c == sqlite3.SQLITE_FULL:
		return "the disk is full", "Make room on the disk, then call again."
	case c == sqlite3.SQLITE_READONLY, errors.Is(err, fs.ErrPermission), c == sqlite3.SQLITE_CANTOPEN, c == sqlite3.SQLITE_PERM,
		errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.EROFS):
		return "its folder or file may not be written", "Give this user the right to write it, or set R2V_DATA_DIR to another folder."
	case c == sqlite3.SQLITE_BUSY, c == sqlite3.SQLITE_LOCKED:
		return "another program has it locked", "Close what holds it open (a backup, a database browser), then call again."
	case errors.Is(err, errForeign), c == sqlite3.SQLITE_CORRUPT, c == sqlite3.SQLITE_NOTADB:
		return errForeign.Error(), "Nothing was overwritten. Restore it from a backup, or move it and its -wal file away and start again: " +
			"tasks of the last 24 hours can then be asked for by their provider_task_id."
	case strings.Contains(err.Error(), "no such table"):
		return "its tables are gone", "Restore it from a backup, or move it away and start again."
	}
	return "", ""
}
