package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// busy is how long a process waits for another one's writing.
const busy = 10 * time.Second

// existing returns the database for reading. A SQLite file that is not there has no task: it is not made.
func (l *Ledger) existing(ctx context.Context) (*sql.DB, error) {
	if l.DatabaseURL == "" {
		select {
		case l.opening <- struct{}{}:
		case <-ctx.Done():
			return nil, l.explain(ctx.Err())
		}
		open := l.db != nil && l.inPlace()
		db := l.db
		<-l.opening
		if open {
			return db, nil
		}
		if _, err := os.Stat(l.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotFound
		}
	}
	return l.database(ctx)
}

// database returns the database, opened, and made where there is none.
func (l *Ledger) database(ctx context.Context) (*sql.DB, error) {
	select {
	case l.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, l.explain(ctx.Err())
	}
	defer func() { <-l.opening }()
	if l.db != nil && l.inPlace() {
		return l.db, nil
	}
	if l.closed {
		return nil, l.explain(errClosed)
	}
	open := l.openSQLite
	if l.DatabaseURL != "" {
		open = l.openPostgreSQL
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*busy) // half a migration helps nobody
	defer cancel()
	db, err := open(ctx)
	if err != nil {
		return nil, l.explain(err)
	}
	if err := l.migrate(ctx, db); err != nil {
		return nil, l.explain(errors.Join(err, db.Close()))
	}
	l.db = db
	l.file, _ = os.Stat(l.Path)
	return db, nil
}

// inPlace reports whether the open database is the one that others find. What is written to a file that was deleted or moved
// away is lost with the process, so it is let go.
func (l *Ledger) inPlace() bool {
	if l.DatabaseURL != "" || l.file == nil {
		return true
	}
	if now, err := os.Stat(l.Path); err == nil && os.SameFile(l.file, now) {
		return true
	}
	_ = l.db.Close()
	l.db = nil
	return false
}

// steps lists the migrations in their order; the version of a database is how many it has been through.
func steps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var texts []string
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

// errClosed says that the program is about to end.
var errClosed = errors.New("it is closed: the program ends")

// errNewer says that a later version of the program has made the database.
var errNewer = errors.New("it was made by a newer r2v-mcp")

// migrate brings the database up to date. Any number of processes may start at once: all but one wait, and find it done.
func (l *Ledger) migrate(ctx context.Context, db *sql.DB) error {
	texts, err := steps()
	if err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, "SELECT version FROM r2v_ledger").Scan(&version); err == nil && version == len(texts) {
		return nil
	}
	return l.transaction(ctx, db, func(tx *sql.Tx) error {
		for _, text := range []string{
			"CREATE TABLE IF NOT EXISTS r2v_ledger (version BIGINT NOT NULL)",
			"INSERT INTO r2v_ledger SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM r2v_ledger)",
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		if err := tx.QueryRowContext(ctx, "SELECT version FROM r2v_ledger").Scan(&version); err != nil {
			return err
		}
		if version < 0 {
			return errForeign
		}
		if version > len(texts) {
			return fmt.Errorf("%w: version %d, this one knows %d", errNewer, version, len(texts))
		}
		for _, text := range texts[version:] {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return fmt.Errorf("migrate: %w", err)
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE r2v_ledger SET version = $1", len(texts))
		return err
	})
}

// transaction runs a function in a transaction that no other writer of claims or tables runs beside.
func (l *Ledger) transaction(ctx context.Context, db *sql.DB, do func(tx *sql.Tx) error) error {
	options := &sql.TxOptions{} // on SQLite BEGIN IMMEDIATE: see openSQLite
	if l.DatabaseURL != "" {
		options.Isolation = sql.LevelReadCommitted // a stricter default would show the world of before the lock, and spend twice
	}
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once committed
	if l.DatabaseURL != "" {
		const lock = 0x723276 // "r2v"
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", lock); err != nil {
			return err
		}
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// placeholders are the $n of an IN (…), from the first of them.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}
