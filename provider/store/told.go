package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/medximity/idp/provider/store/db"
)

// told wraps connections so that Config.Queries hears of every statement. The
// name is the one that sqlc leaves in the text; arguments are never told.
func (s *Store) told(d db.DBTX) db.DBTX {
	if s.Queries == nil {
		return d
	}
	return toldDB{d, s.Queries}
}

type toldDB struct {
	db.DBTX
	tell func(name string, took time.Duration, err error)
}

func (d toldDB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	start := time.Now()
	r, err := d.DBTX.ExecContext(ctx, query, args...)
	d.tell(nameOf(query), time.Since(start), err)
	return r, err
}

func (d toldDB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	start := time.Now()
	r, err := d.DBTX.QueryContext(ctx, query, args...)
	d.tell(nameOf(query), time.Since(start), err)
	return r, err
}

func (d toldDB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	start := time.Now()
	r := d.DBTX.QueryRowContext(ctx, query, args...)
	d.tell(nameOf(query), time.Since(start), r.Err())
	return r
}

// nameOf takes the name out of "-- name: ReadGuard :one\n…".
func nameOf(query string) string {
	rest, ok := strings.CutPrefix(query, "-- name: ")
	if !ok {
		return "other"
	}
	name, _, _ := strings.Cut(rest, " ")
	return name
}
