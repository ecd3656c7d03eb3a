package store

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/medximity/idp/provider/store/db"
)

// Secret returns the secret of that name and length. It is made at random the
// first time, is the same for all replicas from then on, and outlives every
// rotation of the ring that seals it.
func (s *Store) Secret(ctx context.Context, name string, bytes int) ([]byte, error) {
	sealed, err := s.q.Secret(ctx, name)
	if missing(err) {
		sealed, err = s.makeSecret(ctx, name, bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("store: secret %s: %w", name, err)
	}
	secret, err := s.Ring.Open(sealed, "secrets", "sealed", name)
	if err != nil {
		return nil, err
	}
	if len(secret) != bytes {
		return nil, fmt.Errorf("store: secret %s has %d bytes, not %d", name, len(secret), bytes)
	}
	return secret, nil
}

// makeSecret returns the secret as sealed by whoever was first.
func (s *Store) makeSecret(ctx context.Context, name string, bytes int) ([]byte, error) {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails (crypto/rand since Go 1.24)
	sealed := s.Ring.Seal(b, "secrets", "sealed", name)
	err := s.w.AddSecret(ctx, db.AddSecretParams{Name: name, Sealed: sealed})
	if err != nil {
		return nil, err
	}
	return s.w.Secret(ctx, name)
}
