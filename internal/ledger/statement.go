package ledger

import (
	"context"
	"database/sql"
	"sync"
)

// statements keeps what SQLite makes of a query's text, which takes longer than to answer it.
type statements struct {
	mu   sync.Mutex
	of   *sql.DB
	kept map[string]*sql.Stmt // by text
}

// row asks a question that is asked all day. It reads one row.
func (l *Ledger) row(ctx context.Context, db *sql.DB, query string, args ...any) (*sql.Row, error) {
	if l.DatabaseURL != "" { // PostgreSQL keeps plans of its own, and a pooler between may not keep ours
		return db.QueryRowContext(ctx, query, args...), nil
	}
	statement, err := l.statements.prepared(ctx, db, query)
	if err != nil {
		return nil, err
	}
	return statement.QueryRowContext(ctx, args...), nil
}

// prepared returns the statement of a query. Those of a database that was let go were closed with it.
func (s *statements) prepared(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	if known := s.keep(db, query, nil); known != nil {
		return known, nil
	}
	made, err := db.PrepareContext(ctx, query) // it may wait for another one's writing, and nobody else is to wait for that here
	if err != nil {
		return nil, err
	}
	return s.keep(db, query, made), nil
}

// keep keeps a statement, unless there is one for the query already, and returns the one that is kept.
func (s *statements) keep(db *sql.DB, query string, made *sql.Stmt) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != db {
		s.of, s.kept = db, map[string]*sql.Stmt{}
	}
	if s.kept[query] == nil && made != nil {
		s.kept[query] = made
	}
	return s.kept[query]
}
