package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
)

// postgres is PostgreSQL 15 or newer. Statements run at READ COMMITTED: each
// is a compare-and-set, so nothing is gained, and much lost, by more.
func postgres() engine {
	return engine{
		name:  "postgres",
		open:  openPostgres,
		clock: "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
		hasTable: `SELECT COUNT(*) FROM pg_catalog.pg_class
			WHERE oid = to_regclass($1)`,
		duplicate: func(err error) bool {
			e, ok := errors.AsType[*pgconn.PgError](err)
			return ok && e.Code == "23505" // unique_violation
		},
		river: func(d *sql.DB) riverdriver.Driver[*sql.Tx] {
			return riverdatabasesql.New(d)
		},
		migrate: migratePostgres,
	}
}

func openPostgres(ctx context.Context, c Config) (*pools, error) {
	conf, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("the database URL cannot be read") // err may quote its password
	}
	conf.MaxConns = int32(c.maxConns())
	if _, set := conf.ConnConfig.RuntimeParams["application_name"]; !set {
		conf.ConnConfig.RuntimeParams["application_name"] = "idp"
	}
	// A server that says nothing, and connections that a firewall forgot, are
	// found out before a request has waited for them; the URL may say longer.
	if conf.ConnConfig.ConnectTimeout == 0 {
		conf.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	conf.PingTimeout = time.Second
	done := &doneLast{}
	conf.ConnConfig.Tracer = done
	pool, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, unreachable(&conf.ConnConfig.Config, err)
	}
	d := sql.OpenDB(unstalled{stdlib.GetPoolConnector(pool), done})
	d.SetMaxIdleConns(0) // the pool keeps them
	return &pools{write: d, read: d, close: func() error {
		err := d.Close()
		pool.Close()
		return err
	}}, nil
}
