package postgrestest

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, address string) *sql.DB {
	db, err := sql.Open("postgres", address)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func ask[T any](t *testing.T, db *sql.DB, query string) (answer T) {
	require.NoError(t, db.QueryRowContext(context.Background(), query).Scan(&answer))
	return answer
}

func tell(t *testing.T, db *sql.DB, statement string) {
	_, err := db.ExecContext(context.Background(), statement)
	require.NoError(t, err)
}

const tables = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"

func TestEachDatabaseIsEmptyAndItsOwnOnOneServer(t *testing.T) {
	t.Parallel()
	one, other := open(t, Database(t)), open(t, Database(t))
	require.Zero(t, ask[int](t, one, tables))
	tell(t, one, "CREATE TABLE tasks (id text)")
	require.Equal(t, 1, ask[int](t, one, tables))
	require.Zero(t, ask[int](t, other, tables))
	const started = "SELECT pg_postmaster_start_time()"
	require.Equal(t, ask[time.Time](t, one, started), ask[time.Time](t, other, started))
	if os.Getenv("R2V_TEST_POSTGRES_URL") == "" {
		require.Equal(t, "200", ask[string](t, one, "SHOW max_connections"))
		require.Equal(t, "off", ask[string](t, one, "SHOW fsync"))
	}
}

func TestTheDatabaseIsGoneAfterItsTestAlthoughItIsInUse(t *testing.T) {
	t.Parallel()
	count := func(db *sql.DB, address string) int {
		u, err := url.Parse(address)
		require.NoError(t, err)
		return ask[int](t, db, "SELECT count(*) FROM pg_database WHERE datname = '"+u.Path[1:]+"'")
	}
	lasting := open(t, Database(t))
	var address string
	var db *sql.DB
	t.Run("a test of its own", func(t *testing.T) {
		address = Database(t)
		var err error
		db, err = sql.Open("postgres", address)
		require.NoError(t, err)
		require.NoError(t, db.PingContext(t.Context()))
		require.Equal(t, 1, count(lasting, address))
	})
	defer db.Close()
	require.Zero(t, count(lasting, address))
	require.Error(t, db.PingContext(t.Context()))
}

func TestAGivenServerIsUsed(t *testing.T) {
	given, err := url.Parse(serverURL(t))
	require.NoError(t, err)
	query := given.Query()
	query.Set("application_name", "given")
	given.RawQuery = query.Encode()
	t.Setenv("R2V_TEST_POSTGRES_URL", given.String())
	db := open(t, Database(t))
	require.Equal(t, "given", ask[string](t, db, "SHOW application_name"))
	require.Zero(t, ask[int](t, db, tables))
}

func TestAServerOfOnesOwnCanBeStopped(t *testing.T) {
	t.Parallel()
	server := Start(t)
	db := open(t, server.URL())
	require.Equal(t, "on", ask[string](t, db, "SHOW fsync"))
	require.Zero(t, ask[int](t, db, tables))
	tell(t, db, "CREATE TABLE tasks (id text)")
	tell(t, db, "INSERT INTO tasks VALUES ('committed')")
	under, err := db.Begin()
	require.NoError(t, err)
	_, err = under.Exec("INSERT INTO tasks VALUES ('under way')")
	require.NoError(t, err)

	server.Restart(t)
	require.Error(t, under.Commit())
	require.Equal(t, "committed", ask[string](t, db, "SELECT string_agg(id, ', ') FROM tasks"))

	server.Stop(t)
	require.ErrorIs(t, open(t, server.URL()).PingContext(t.Context()), syscall.ECONNREFUSED)
	server.StartAgain(t)
	err = server.do("start")
	require.ErrorContains(t, err, "another server might be running") // in PostgreSQL's own words
	require.Equal(t, "committed", ask[string](t, db, "SELECT string_agg(id, ', ') FROM tasks"))

	guessed, err := url.Parse(server.URL())
	require.NoError(t, err)
	guessed.User = url.UserPassword("tester", "guessed")
	require.ErrorContains(t, open(t, guessed.String()).PingContext(t.Context()), "password")
}

// spy is a test that only remembers how it was ended.
type spy struct {
	testing.TB
	skipped, failed string
}

func (s *spy) Helper() {}

func (s *spy) Skip(args ...any) { s.skipped = args[0].(error).Error() }

func (s *spy) Fatalf(_ string, args ...any) { s.failed = args[0].(error).Error() }

func TestWithoutPostgreSQLATestIsSkippedButNotInCI(t *testing.T) {
	t.Setenv("CI", "")
	desk := &spy{}
	giveUp(desk, errNone)
	require.Empty(t, desk.failed)
	require.Contains(t, desk.skipped, "install it")
	require.Contains(t, desk.skipped, "R2V_TEST_POSTGRES_URL")

	t.Setenv("CI", "true")
	ci := &spy{}
	giveUp(ci, errNone)
	require.Empty(t, ci.skipped)
	require.Contains(t, ci.failed, "R2V_TEST_POSTGRES_URL")
}

func TestWithAPostgreSQLThatDoesNotStartATestFails(t *testing.T) {
	t.Setenv("CI", "")
	desk := &spy{}
	giveUp(desk, errors.New("initdb failed"))
	require.Empty(t, desk.skipped)
	require.Contains(t, desk.failed, "initdb failed")
}
