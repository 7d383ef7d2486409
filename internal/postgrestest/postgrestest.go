// Package postgrestest gives tests a real PostgreSQL: a database of their own on a shared server, or a server of their own
// that they may stop. Only tests import it.
//
// The server is the one that R2V_TEST_POSTGRES_URL names, or one that is started from the programs found on this machine.
// Where there is neither, the test is skipped; where CI is set, it fails.
package postgrestest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
)

// dropTimeout is long enough for a server whose other tests keep it busy.
const dropTimeout = 30 * time.Second

// Any of the tests may be the first that needs it, and only the end of the process tells that none does any more.
var shared = sync.OnceValues(func() (*Server, error) {
	// Nobody looks at what is left of it after a crash, so that it need not wait for the disk.
	return launch("-c fsync=off -c synchronous_commit=off -c full_page_writes=off")
})

// Database returns the postgres:// address of a new, empty database, with the rights of its owner. It is dropped at the end
// of the test, together with the connections that are still open. The server is shared with the other tests of the binary.
// Without any PostgreSQL it skips the test, or fails it where CI is set.
func Database(tb testing.TB) string {
	tb.Helper()
	server := serverURL(tb)
	address, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("R2V_TEST_POSTGRES_URL: %v", err)
	}
	name := "r2v_test_" + strings.ToLower(rand.Text())
	// template0 is empty on every server, and nobody can be connected to it, which would be in the way of a copy.
	create := "CREATE DATABASE " + pq.QuoteIdentifier(name) + " TEMPLATE template0"
	if err := execute(tb.Context(), server, create); err != nil {
		tb.Fatalf("a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropTimeout) // the test's own has ended
		defer cancel()
		drop := "DROP DATABASE " + pq.QuoteIdentifier(name) + " WITH (FORCE)"
		if err := execute(ctx, server, drop); err != nil {
			tb.Errorf("the test's database stays: %v", err)
		}
	})
	address.Path = "/" + name
	return address.String()
}

// serverURL returns the address of the server on which databases are made.
func serverURL(tb testing.TB) string {
	tb.Helper()
	if given := environment("R2V_TEST_POSTGRES_URL"); given != "" {
		return given
	}
	server, err := shared()
	if err != nil {
		giveUp(tb, err)
	}
	return server.URL()
}

func execute(ctx context.Context, address, statement string) error {
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// giveUp ends a test that has no server.
func giveUp(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case !errors.Is(err, errNone):
		tb.Fatalf("PostgreSQL for the test: %v", err)
	case environment("CI") != "":
		tb.Fatalf("%v; nothing is skipped where CI is set", err)
	default:
		tb.Skip(err)
	}
}

var errNone = errors.New("no PostgreSQL for this test: install it (Debian: the package postgresql; macOS: brew install postgresql), " +
	"or set R2V_TEST_POSTGRES_URL to a server on which databases may be created")

// environment reads what decides about the tests alone, and is no setting of the program.
func environment(name string) string {
	return os.Getenv(name) //nolint:forbidigo // config.go knows the program's settings; these two are the tests' own
}
