package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/medximity/idp/flows/account"
)

// Move moves the store's clock: tests do not wait.
func (s *Store) Move(d time.Duration) { s.shift.Add(int64(d)) }

// ClearExpiredLocks is the job that ends locks nobody came to see end.
func (s *Store) ClearExpiredLocks(ctx context.Context) error { return s.clearExpiredLocks(ctx, 100) }

// LapseDevices is the job that counts what devices never settled.
func (s *Store) LapseDevices(ctx context.Context) error { return s.lapseDevices(ctx, 100) }

// EndSession ends a session by its ID, as signing out or another in its place does.
func (s *Store) EndSession(ctx context.Context, id []byte, reason account.Reason) error {
	if reason != account.SignedOut {
		return s.update(ctx, func(t *tx) error { return t.endSession(ctx, id, reason) })
	}
	var who string
	if err := s.read.QueryRow("SELECT account FROM sessions WHERE id = $1", id).Scan(&who); err != nil {
		return err
	}
	return s.SignOut(ctx, &Session{ID: id, Account: account.ID(who)})
}

// Count runs a query of a test that returns one number.
func (s *Store) Count(query string, args ...any) (n int, err error) {
	err = s.read.QueryRow(query, args...).Scan(&n)
	return n, err
}

// Do runs a statement of a test.
func (s *Store) Do(query string, args ...any) error {
	_, err := s.write.Exec(query, args...)
	return err
}

// Scan runs a query of a test that returns one value.
func (s *Store) Scan(query string, to *[]byte, args ...any) error {
	return s.read.QueryRow(query, args...).Scan(to)
}

// Occupy takes a connection of the pool until it is closed.
func (s *Store) Occupy(ctx context.Context) (*sql.Conn, error) { return s.write.Conn(ctx) }

// TransferDue does what the job does.
func (s *Store) TransferDue(ctx context.Context) error { return s.transferDue(ctx) }

// CasesDue is the job that carries out cases whose wait is over.
func (s *Store) CasesDue(ctx context.Context) error { return s.casesDue(ctx) }
