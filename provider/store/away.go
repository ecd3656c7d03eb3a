package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	modernc "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// Away reports whether an error means that the database does not answer, or
// has no room, or was not waited for: trying again may help, and nothing in the
// request is wrong.
func Away(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return awayPostgres(e.Code)
	}
	if e, ok := errors.AsType[*modernc.Error](err); ok {
		return awaySQLite(e.Code())
	}
	return errors.Is(err, errStalled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, sql.ErrTxDone) || // rolled back when its time was over
		errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err)
}

// awayPostgres knows the classes of SQLSTATE that are about the server:
// connections, transactions that lost to others, resources, the operator, the
// system.
func awayPostgres(code string) bool {
	for _, class := range []string{"08", "40", "53", "57", "58"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// awaySQLite knows the codes that are about the file; the low byte says which.
func awaySQLite(code int) bool {
	switch code & 0xff {
	case codes.SQLITE_FULL, codes.SQLITE_IOERR, codes.SQLITE_BUSY, codes.SQLITE_CANTOPEN, codes.SQLITE_READONLY,
		codes.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// unreachable says in one line, to an operator, why there is no connection.
func unreachable(c *pgconn.Config, err error) error {
	why := strings.Join(strings.Fields(err.Error()), " ")
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("the database at %s:%d refuses us: %s", c.Host, c.Port, e.Message)
	}
	return fmt.Errorf("the database at %s:%d does not answer: %s", c.Host, c.Port, why)
}
