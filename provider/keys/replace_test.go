package keys

import (
	"errors"
	"testing"
	"time"
)

// What others may know signs nothing more, and nothing that it signed is good.
func TestReplace(t *testing.T) {
	c := newClocked(t)
	k := replica(t, c)
	old := sign(t, k, "ES256")
	if err := k.Rotate(t.Context(), "test"); err != nil { // a next one waits for its turn
		t.Fatal(err)
	}
	c.ahead.Add(int64(time.Minute))
	if err := k.Replace(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	next := sign(t, k, "ES256")
	if kid(t, next) == kid(t, old) || !published(t, k.JWKS(), next) {
		t.Error("the new key does not sign, or is not published")
	}
	if published(t, k.JWKS(), old) {
		t.Error("the old key is still published")
	}
	if _, err := k.Verify(old); !errors.Is(err, ErrNotOurs) {
		t.Errorf("what the old key signed: %v", err)
	}
	c.ahead.Add(int64(48 * time.Hour)) // the one that waited never gets its turn
	if err := k.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kid(t, sign(t, k, "ES256")) != kid(t, next) {
		t.Error("a replaced key signs")
	}
}
