// Package ledger keeps tasks, the claims to buy them and what they cost, in SQL: in a SQLite file that several processes
// share, or in PostgreSQL. Every change of a task is one statement that applies only to the states it is for.
package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
)

// Doubt is how long an order of unknown fate is looked for at the provider before it may count as never bought, and how long
// it keeps an equal one from being bought under another key.
const Doubt = 30 * time.Minute

// unanswered is how long a purchase may be under way before an equal one under another key would repeat it rather than be
// meant beside it.
const unanswered = 30 * time.Second

// LinkLife is how long after its end the link to a clip is tried: its announced life, and an hour of grace.
const LinkLife = video.Lifetime + time.Hour

// farAhead is further than anything is ever put off. A time beyond it was written before the clock was set back.
const farAhead = time.Hour

// IDPrefix begins every task id that a ledger gives out, and no provider's.
const IDPrefix = "r2v-"

// ErrNotFound says that the ledger has no such task.
var ErrNotFound = errors.New("there is no such task in the ledger")

// ErrDown says that the ledger's database is not up, not reached, or held by another program, and may be had later; every other failure
// to open it lasts until somebody mends it.
var ErrDown = errors.New("the database is not up")

// Options says where a ledger is and what it is to hold people to.
type Options struct {
	Path        string // the SQLite file, made with the first task; used where DatabaseURL is empty
	DatabaseURL string // postgres://…
	// Upstream names the service that this process buys from: a task is followed by those who reach the one it was bought from.
	Upstream string
	// Account tells the accounts of one service apart: only its own can tell that a task is not there.
	Account         string
	Window          time.Duration    // within it, equal requests without a key count as one
	BudgetPerDay    *decimal.Decimal // of all people together, nil for none
	BudgetPerPerson *decimal.Decimal // what of a day one person may spend, nil for no limit but BudgetPerDay
	Zone            *time.Location   // where the budget's days begin; nil for the system's
	// Lease is how long a purchase may go without a sign of life before another process takes it for interrupted; 0 is 30 s.
	Lease time.Duration
	// Patience is how long the caller of a purchase waits before it is told that it is under way; 0 is 40 s.
	Patience time.Duration
}

// Ledger is a ledger in SQL. It opens its database when it is first needed, and again after a failure. It is safe for
// concurrent use, by any number of processes.
//
// Methods that change a task return it as it is afterwards: whoever comes too late changes nothing. They return ErrNotFound
// for a task that is not there, and a *[video.Error] that says what to do when the database cannot be used.
type Ledger struct {
	Options

	opening chan struct{} // full while db is looked at or opened: a channel, so that a caller can give up waiting
	db      *sql.DB       // nil until needed
	file    os.FileInfo   // of the open SQLite file
	closed  bool

	statements statements
	watch      watch
}

// New makes a ledger without touching any file.
func New(o Options) *Ledger {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	return &Ledger{Options: o, opening: make(chan struct{}, 1)}
}

// Close lets go of the database for good.
func (l *Ledger) Close() error {
	l.opening <- struct{}{}
	defer func() { <-l.opening }()
	l.closed = true
	if l.db == nil {
		return nil
	}
	err := l.db.Close()
	l.db = nil
	return err
}

// Ready returns nil when the ledger can be used. One that is not there is made: whether that can be is known only then. A database that
// cannot be reached now, and may be later, is [ErrDown] too.
func (l *Ledger) Ready(ctx context.Context) error {
	db, err := l.database(ctx)
	if err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, "SELECT version FROM r2v_ledger").Scan(&version); err != nil || l.DatabaseURL != "" {
		return l.explain(err)
	}
	tx, err := db.BeginTx(ctx, nil) // which takes the place of a writer: see openSQLite
	if err != nil {
		return l.explain(err)
	}
	return l.explain(tx.Rollback())
}

// TaskOf finds a task of one person by our id, by its provider's or by an id that was given out for it earlier. Another's task
// is ErrNotFound, as is one that does not exist.
func (l *Ledger) TaskOf(ctx context.Context, owner, id string) (video.Task, error) {
	// The owner is no condition of the query: it might then be answered by reading all that a person has.
	task, err := l.Task(ctx, id)
	if err == nil && task.Owner != owner {
		return video.Task{}, ErrNotFound
	}
	return task, err
}

// Task finds a task by our id or by its provider's, whoever's it is. What a person asks for is found by [Ledger.TaskOf].
func (l *Ledger) Task(ctx context.Context, id string) (video.Task, error) {
	if id != storable(id) {
		return video.Task{}, ErrNotFound // PostgreSQL would not even look for it
	}
	db, err := l.existing(ctx)
	if err != nil {
		return video.Task{}, err
	}
	row, err := l.row(ctx, db, "SELECT "+columns+" FROM r2v_task WHERE id = $1 OR provider_task_id = $1 OR id = (SELECT task FROM r2v_alias WHERE id = $1)", id)
	if err != nil {
		return video.Task{}, l.explain(err)
	}
	task, err := scan(row)
	return task, l.explain(err)
}

// newID makes an id that nobody can guess: 130 random bits.
func newID() string { return IDPrefix + strings.ToLower(rand.Text()) }
