package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	modernc "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// sqlite is one file on one machine: a single writer, so that its transactions
// queue in us rather than fail in the library, and readers beside it (WAL).
func sqlite() engine {
	return engine{
		name:     "sqlite",
		open:     openSQLite,
		hasTable: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
		duplicate: func(err error) bool {
			e, ok := errors.AsType[*modernc.Error](err)
			return ok && (e.Code() == codes.SQLITE_CONSTRAINT_UNIQUE ||
				e.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY)
		},
		river: func(d *sql.DB) riverdriver.Driver[*sql.Tx] {
			return riversqlite.New(d)
		},
		migrate: migrateSQLite,
	}
}

// readers is how many may read at once.
const readers = 4

func openSQLite(ctx context.Context, c Config) (*pools, error) {
	path := strings.TrimPrefix(c.URL, "sqlite:")
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("sqlite: needs the path of a file")
	}
	write, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	// The writer comes first: it makes the file and turns the WAL on.
	if err := wake(ctx, write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := sql.Open("sqlite", dsn(path, "deferred"))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &pools{write: write, read: read, close: func() error {
		return errors.Join(read.Close(), write.Close())
	}}, nil
}

// wake connects the writer. Its busy timeout does not cover turning the WAL on,
// which fails at once while another process does the same: we wait instead.
func wake(ctx context.Context, d *sql.DB) error {
	for late := time.Now().Add(10 * time.Second); ; {
		err := d.PingContext(ctx)
		e, ok := errors.AsType[*modernc.Error](err)
		if !ok || e.Code()&0xff != codes.SQLITE_BUSY || time.Now().After(late) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// dsn opens a file durably: what was committed survives a loss of power.
func dsn(path, lock string) string {
	q := url.Values{
		"_pragma":       {"journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"},
		"_txlock":       {lock},
		"_busy_timeout": {"10000"},
	}
	return fileURL(path, q)
}

func fileURL(path string, q url.Values) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}
