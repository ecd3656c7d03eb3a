// Package store remembers: guards, flows, people, sessions, grants, keys,
// mails and the audit trail, in PostgreSQL or in one SQLite file. It is the
// only place with SQL. Decisions are made in the WHERE of a statement, so any
// number of replicas may share a database; nothing here decides anything about
// people, and no secret is ever stored that a hash or a seal would do for.
//
// A change, its audit rows and its jobs are one transaction (update). Events
// are told to Config.Observe only after the commit.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river/riverdriver"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/seal"
	"github.com/medximity/idp/provider/store/db"
)

// ErrDuplicate means that a name is taken: a username, an address, an id.
var ErrDuplicate = errors.New("store: taken already")

// Config says which database to use, and whom to tell.
type Config struct {
	// URL is postgres://… or sqlite:PATH.
	URL string
	// Ring seals what must be readable again: signing keys, mails, secrets.
	Ring *seal.Ring
	// Observe, if set, gets every event once it is committed.
	Observe func(account.Event)
	// Logger gets faults of background work; nil is slog.Default.
	Logger *slog.Logger
	// MaxConns bounds the connections to PostgreSQL; 0 is 16.
	MaxConns int
	// Queries, if set, is told of every statement: its name, how long it took
	// and its error. It must be quick.
	Queries func(name string, took time.Duration, err error)
}

func (c Config) maxConns() int {
	if c.MaxConns > 0 {
		return min(c.MaxConns, 10_000)
	}
	return 16
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	Config
	engine engine
	write  *sql.DB // on SQLite one connection, on PostgreSQL the same as read
	read   *sql.DB
	q      *db.Queries // reads, each its own statement
	w      *db.Queries // writes, each its own statement
	close  func() error

	offset atomic.Int64 // the database's clock less ours
	shift  atomic.Int64 // by how much a test moved the clock
	stop   context.CancelFunc
	done   sync.WaitGroup

	queue   *queue      // of jobs; inserts only
	clients clientCache // public, and ten seconds old at most
}

// engine is all in which the two databases differ.
type engine struct {
	name      string
	open      func(ctx context.Context, c Config) (*pools, error)
	clock     string // selects the database's clock in microseconds; "" is ours
	hasTable  string // reports whether a table exists
	duplicate func(error) bool
	river     func(*sql.DB) riverdriver.Driver[*sql.Tx]
	migrate   func(ctx context.Context, p *pools, c Config) error
}

// pools are the open connections of an engine.
type pools struct {
	write, read *sql.DB
	close       func() error
}

func engineOf(url string) (engine, error) {
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return postgres(), nil
	case strings.HasPrefix(url, "sqlite:"):
		return sqlite(), nil
	}
	return engine{}, errors.New("store: the database URL is neither postgres://… nor sqlite:PATH")
}

// Open opens the database. It refuses one whose schema is older or newer than
// this program's, naming `idp migrate`.
func Open(ctx context.Context, c Config) (*Store, error) {
	e, err := engineOf(c.URL)
	if err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	p, err := e.open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{Config: c, engine: e, write: p.write, read: p.read, close: p.close}
	s.q, s.w = db.New(s.told(p.read)), db.New(s.told(p.write))
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	s.keepClock()
	return s, nil
}

func (s *Store) begin(ctx context.Context) error {
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	if err := s.readClock(ctx); err != nil {
		return err
	}
	return s.newQueue()
}

// Close ends the background work and closes the connections.
func (s *Store) Close() error {
	s.stop()
	s.done.Wait()
	return s.close()
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return errors.Join(s.read.PingContext(ctx), s.write.PingContext(ctx))
}

// Engine names the database: "postgres" or "sqlite".
func (s *Store) Engine() string { return s.engine.name }

// tx is one transaction: its statements, its time, and what it will tell.
type tx struct {
	*db.Queries
	sql    *sql.Tx
	at     time.Time
	events []account.Event
}

// now is the transaction's time, as stored.
func (t *tx) now() int64 { return micros(t.at) }

// tell records an event. It is written to the audit trail in the transaction,
// and observed after the commit.
func (t *tx) tell(e account.Event) {
	e.At = t.at
	t.events = append(t.events, e)
}

// update runs f in a transaction and commits it if f returns nil. The pool is
// asked for one connection, never for two.
func (s *Store) update(ctx context.Context, f func(*tx) error) error {
	sqlTx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // after a commit it does nothing
	t := &tx{Queries: db.New(s.told(sqlTx)), sql: sqlTx, at: s.Now()}
	if err := f(t); err != nil {
		return err
	}
	for _, e := range t.events {
		if err := t.audit(ctx, e); err != nil {
			return fmt.Errorf("store: audit: %w", err)
		}
	}
	if err := s.queueLogouts(ctx, t); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	for _, e := range t.events {
		s.observe(e)
	}
	return nil
}

func (s *Store) observe(e account.Event) {
	if s.Observe != nil {
		s.Observe(e)
	}
}

// micros is how times are stored: microseconds since 1970 UTC, 0 for never.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// at is the time that micros stored.
func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// missing reports that a query found no row.
func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }
