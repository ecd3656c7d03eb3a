package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/medximity/idp/migrations"
)

// Migrate brings the schema up to this program's: our migrations, then those
// of River. It holds a lock meanwhile, so replicas may start it together; the
// later ones find it done.
func Migrate(ctx context.Context, c Config) error {
	e, err := engineOf(c.URL)
	if err != nil {
		return err
	}
	c.MaxConns = 4 // one holds the lock, others work
	p, err := e.open(ctx, c)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := e.migrate(ctx, p, c); err != nil {
		return errors.Join(fmt.Errorf("store: migrate: %w", err), p.close())
	}
	return p.close()
}

// migrateWait is how long a second migration waits for the first.
const migrateWait = 5 * time.Minute

func migratePostgres(ctx context.Context, p *pools, _ Config) (err error) {
	l, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrateWait.Seconds())))
	if err != nil {
		return err
	}
	conn, err := p.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := l.SessionLock(ctx, conn); err != nil {
		return err
	}
	err = up(ctx, goose.DialectPostgres, p.write, postgres().river(p.write))
	return errors.Join(err, l.SessionUnlock(context.WithoutCancel(ctx), conn))
}

// migrateSQLite takes its lock on a file of its own beside the database: an
// exclusive transaction, which ends with the process whatever happens.
func migrateSQLite(ctx context.Context, p *pools, c Config) (err error) {
	path := strings.TrimPrefix(c.URL, "sqlite:") + "-migrate"
	q := url.Values{
		"_txlock":       {"exclusive"},
		"_busy_timeout": {strconv.FormatInt(migrateWait.Milliseconds(), 10)},
	}
	d, err := sql.Open("sqlite", fileURL(path, q))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	held, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	err = up(ctx, goose.DialectSQLite3, p.write, sqlite().river(p.write))
	return errors.Join(err, held.Rollback())
}

// up applies what is missing. The caller holds the lock.
func up(ctx context.Context, d goose.Dialect, w *sql.DB, r riverdriver.Driver[*sql.Tx]) error {
	ours, err := goose.NewProvider(d, w, migrations.Files, goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	if _, err := ours.Up(ctx); err != nil {
		return err
	}
	theirs, err := riverMigrator(r)
	if err != nil {
		return err
	}
	_, err = theirs.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func riverMigrator(r riverdriver.Driver[*sql.Tx]) (*rivermigrate.Migrator[*sql.Tx], error) {
	return rivermigrate.New(r, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
}

// checkSchema refuses a database that this program was not made for.
func (s *Store) checkSchema(ctx context.Context) error {
	ours, err := newest()
	if err != nil {
		return err
	}
	theirs, err := riverMigrator(s.engine.river(s.write))
	if err != nil {
		return err
	}
	all := theirs.AllVersions()
	if err := s.checkVersion(ctx, "goose_db_version", "version_id", ours); err != nil {
		return err // the one remedy is for both
	}
	return s.checkVersion(ctx, "river_migration", "version", int64(all[len(all)-1].Version))
}

// checkVersion compares the newest migration applied, 0 if none ever was, with
// the newest one that this program knows.
func (s *Store) checkVersion(ctx context.Context, table, column string, want int64) error {
	var n int
	var have int64
	err := s.read.QueryRowContext(ctx, s.engine.hasTable, table).Scan(&n)
	if err == nil && n > 0 {
		err = s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX("+column+"), 0) FROM "+table).Scan(&have)
	}
	switch {
	case err != nil:
		return fmt.Errorf("store: version of %s: %w", table, err)
	case have < want:
		return fmt.Errorf("store: %s is at %d and this program needs %d: run `idp migrate`", table, have, want)
	case have > want:
		return fmt.Errorf("store: %s is at %d and this program knows only %d: it needs a newer idp, not `idp migrate`", table, have, want)
	}
	return nil
}

// newest is the version of our last migration file.
func newest() (v int64, err error) {
	names, err := fs.Glob(migrations.Files, "*.sql")
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		v = max(v, n)
	}
	return v, err
}
