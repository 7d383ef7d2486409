package ledger

import (
	"context"
	"strings"

	"r2v-mcp/internal/video"
)

const (
	byHint = "SELECT " + columns + " FROM r2v_task WHERE hint = $1 AND hint <> '' AND upstream = $2" // the index has no empty ones
	taken  = "SELECT COUNT(*) FROM r2v_task WHERE provider_task_id = $1 AND id <> $2 AND fingerprint <> '' AND found = 0"
)

// hintLength is how many characters a hint has: see newHint.
const hintLength = 26

// ByHint finds the task of the service that this process reaches by the name that only its provider was told, whoever's it is. What
// cannot be such a name is not asked for.
func (l *Ledger) ByHint(ctx context.Context, hint string) (video.Task, error) {
	if len(hint) != hintLength || strings.ContainsFunc(hint, notOfHint) {
		return video.Task{}, ErrNotFound
	}
	db, err := l.existing(ctx)
	if err != nil {
		return video.Task{}, err
	}
	row, err := l.row(ctx, db, byHint, hint, l.Upstream)
	if err != nil {
		return video.Task{}, l.explain(err)
	}
	task, err := scan(row)
	return task, l.explain(err)
}

// notOfHint reports what is no letter of lower-case Base32.
func notOfHint(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') }

// Takeable reports whether a purchase may still turn out to have made the provider's task: not when another purchase has it by the
// answer to it.
func (l *Ledger) Takeable(ctx context.Context, id, providerTaskID string) (bool, error) {
	db, err := l.existing(ctx)
	if err != nil {
		return false, err
	}
	var n int
	err = db.QueryRowContext(ctx, taken, providerTaskID, id).Scan(&n)
	return n == 0, l.explain(err)
}
