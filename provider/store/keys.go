package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// SigningKey is a key that signs tokens for a while. Zero times are never.
type SigningKey struct {
	ID        string // the JWK thumbprint (RFC 7638)
	Algorithm string
	Private   []byte // PKCS#8; sealed in the database
	CreatedAt time.Time
	SignsAt   time.Time // published before, so that caches have it by then
	RetiresAt time.Time // signs no more
	RemovedAt time.Time // published no more
}

// SigningKeys returns all keys, oldest first; those removed stay for a month,
// so that old tokens can still be recognised.
func (s *Store) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	return s.signingKeys(ctx, s.q)
}

func (s *Store) signingKeys(ctx context.Context, q *db.Queries) ([]SigningKey, error) {
	rows, err := q.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: signing keys: %w", err)
	}
	keys := make([]SigningKey, len(rows))
	for i, r := range rows {
		private, err := s.Ring.Open(r.Private, "signing_keys", "private", r.ID)
		if err != nil {
			return nil, err
		}
		keys[i] = SigningKey{ID: r.ID, Algorithm: r.Algorithm, Private: private,
			CreatedAt: at(r.CreatedAt), SignsAt: at(r.SignsAt), RetiresAt: at(r.RetiresAt), RemovedAt: at(r.RemovedAt)}
	}
	return keys, nil
}

// KeyChange is what ChangeKeys does: keys to add, and the ends of others.
type KeyChange struct {
	Add    []SigningKey
	Retire []SigningKey // their RetiresAt and RemovedAt are written
}

// keysName is the secret that stands for the set of keys: whoever changes the
// set holds its row.
const keysName = "signing keys"

// ChangeKeys lets decide say what becomes of the keys there are, and does it,
// all in one transaction: of two replicas that rotate at once, the second
// decides on what the first left. decide must be quick and do nothing else.
func (s *Store) ChangeKeys(ctx context.Context, actor string,
	decide func(now time.Time, have []SigningKey) KeyChange) error {
	if _, err := s.Secret(ctx, keysName, 1); err != nil {
		return err
	}
	return s.update(ctx, func(t *tx) error {
		if _, err := t.HoldSecret(ctx, keysName); err != nil {
			return fmt.Errorf("store: signing keys: %w", err)
		}
		have, err := s.signingKeys(ctx, t.Queries)
		if err != nil {
			return err
		}
		c := decide(t.at, have)
		if err := s.changeKeys(ctx, t, c); err != nil {
			return fmt.Errorf("store: signing keys: %w", err)
		}
		if len(c.Add) > 0 {
			t.tell(account.Event{Kind: account.KeysRotated, Actor: actor})
		}
		return nil
	})
}

func (s *Store) changeKeys(ctx context.Context, t *tx, c KeyChange) error {
	for _, k := range c.Add {
		err := t.AddSigningKey(ctx, db.AddSigningKeyParams{ID: k.ID, Algorithm: k.Algorithm,
			Private:   s.Ring.Seal(k.Private, "signing_keys", "private", k.ID),
			CreatedAt: t.now(), SignsAt: micros(k.SignsAt)})
		if err != nil {
			return err
		}
	}
	for _, k := range c.Retire {
		err := t.RetireSigningKey(ctx, db.RetireSigningKeyParams{ID: k.ID,
			RetiresAt: micros(k.RetiresAt), RemovedAt: micros(k.RemovedAt)})
		if err != nil {
			return err
		}
	}
	return nil
}
