package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/provider/store/db"
)

// Push keeps an authorization request for a client (RFC 9126 section 2.2), until
// a time or until it is answered. The id is the SHA-256 of its request_uri.
func (s *Store) Push(ctx context.Context, id []byte, client, request string, until time.Time) error {
	err := s.w.Push(ctx, db.PushParams{ID: id, Client: client, Request: request, ExpiresAt: micros(until)})
	if err != nil {
		return fmt.Errorf("store: push: %w", err)
	}
	return nil
}

// Pushed returns a request that the client pushed. One that is over, was
// answered or is another client's is ErrGone. To look is not to use.
func (s *Store) Pushed(ctx context.Context, id []byte, client string) (request string, err error) {
	request, err = s.q.Pushed(ctx, db.PushedParams{ID: id, Client: client, Now: micros(s.Now())})
	if missing(err) {
		return "", ErrGone
	}
	if err != nil {
		return "", fmt.Errorf("store: pushed: %w", err)
	}
	return request, nil
}

// UsePushed notes that a visit to a pushed request is answered. Of any number of
// visits one is: to the others the request is ErrGone. That one may be answered
// again, as when somebody clicks twice. It is known until a time, after which
// no visit may be answered any more.
func (s *Store) UsePushed(ctx context.Context, id []byte, client, visit string, until time.Time) error {
	if !s.Now().Before(until) {
		return ErrGone
	}
	n, err := s.w.UsePushed(ctx, db.UsePushedParams{ID: id, Client: client, Visit: visit, ExpiresAt: micros(until)})
	if err != nil {
		return fmt.Errorf("store: pushed: %w", err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}
