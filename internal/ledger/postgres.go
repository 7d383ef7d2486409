package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/lib/pq"
)

// mostConnections bounds what one process takes of a database that others use as well.
const mostConnections = 8

var errAddress = errors.New("R2V_DATABASE_URL cannot be read; it looks like postgres://user:password@host:5432/database")

// openPostgreSQL reaches the database. Its own words for what is wrong with the address may repeat the password in it, so
// they are not passed on.
func (l *Ledger) openPostgreSQL(ctx context.Context) (*sql.DB, error) {
	connector, err := pq.NewConnector(l.DatabaseURL)
	if err != nil {
		return nil, errAddress
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(mostConnections)
	db.SetMaxIdleConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// postgresWords says what a failure of PostgreSQL means and what to do about it.
func postgresWords(err error) (what, advice string) {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch e.Code.Class() {
		case "28": // invalid authorization specification
			return "it refuses the user or the password", "Check R2V_DATABASE_URL."
		case "53": // insufficient resources
			return fmt.Sprintf("it has no room left (%s)", e.Code.Name()), "Give the database room, then call again."
		case "3D": // invalid catalog name
			return "there is no database of that name", "Create it, or check R2V_DATABASE_URL."
		case "42": // a table or a right is missing
			return fmt.Sprintf("it refuses the tables (%s)", e.Code.Name()), "Let this user create tables in its schema."
		}
		return fmt.Sprintf("it answered %s", e.Code.Name()), "Call again in a minute."
	}
	if errors.Is(err, pq.ErrSSLNotSupported) {
		return "it speaks no TLS, which R2V_DATABASE_URL asks for unless it says otherwise",
			"Add ?sslmode=disable to R2V_DATABASE_URL if nobody else is on the way to it, or give the database a certificate, for sslmode=require."
	}
	if errors.Is(err, errAddress) {
		return err.Error(), "Correct R2V_DATABASE_URL."
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Sprintf("it could not be reached (%v)", e.Err), "Start it or check R2V_DATABASE_URL, then call again."
	}
	return "", ""
}

// down tells a database that is not up, or not reached, from one that refuses.
func down(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch e.Code.Class() {
		case "08", "53", "57": // connection exception, insufficient resources, operator intervention: it starts or stops
			return true
		}
		return false
	}
	_, unreached := errors.AsType[net.Error](err)
	return unreached || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn)
}
