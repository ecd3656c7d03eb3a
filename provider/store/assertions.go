package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/provider/store/db"
)

// UseAssertion notes that a client used the assertion of that name, given by
// its SHA-256, and reports whether it was the first to do so: of any number at
// once, one is. After until the name is free again, for by then the assertion
// is worth nothing.
func (s *Store) UseAssertion(ctx context.Context, client string, jti []byte, until time.Time) (first bool, err error) {
	n, err := s.w.UseAssertion(ctx, db.UseAssertionParams{
		Client: client, JtiHash: jti, ExpiresAt: micros(until), Now: micros(s.Now())})
	if err != nil {
		return false, fmt.Errorf("store: assertion: %w", err)
	}
	return n == 1, nil
}
