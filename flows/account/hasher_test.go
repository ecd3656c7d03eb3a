package account_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

func lease(t *testing.T) account.Lease {
	t.Helper()
	g, m := newGuard()
	l, err := g.Charge(t.Context(), m, attempt)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestHasher(t *testing.T) {
	h := &account.Hasher{}
	hash, err := h.Hash(t.Context(), []byte("correct horse battery"))
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(hash, err)
	}
	// Vectors of ory/kratos for the password "test" (see plugin.md 5.4).
	const bcrypt = "$2a$12$o6hx.Wog/wvFSkT/Bp/6DOxCtLRTDj7lm9on9suF/WaCGNVHbkfL6"
	for _, tt := range []struct {
		name, hash, password string
		ok, stale            bool
	}{
		{"right", hash, "correct horse battery", true, false},
		{"wrong in the last character", hash, "correct horse batterz", false, false},
		{"another case", hash, "Correct horse battery", false, false},
		{"nobody's", "", "correct horse battery", false, false},
		{"nobody's, whose dummy was guessed", "", "no one's password", false, false},
		{"an imported hash is good, and made anew", bcrypt, "test", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := h.Verified()
			ok, stale, err := h.Verify(t.Context(), lease(t), tt.hash, []byte(tt.password))
			if err != nil || ok != tt.ok || stale != tt.stale {
				t.Errorf("ok %v, stale %v, error %v", ok, stale, err)
			}
			if h.Verified() != before+1 {
				t.Error("the verification was not counted")
			}
		})
	}
}

func TestHasherNeedsALease(t *testing.T) {
	h := &account.Hasher{}
	if _, _, err := h.Verify(t.Context(), account.Lease{}, "", []byte("x")); !errors.Is(err, account.ErrNoLease) {
		t.Errorf("a zero lease gave %v", err)
	}
	if h.Verified() != 0 {
		t.Error("and a secret was judged")
	}
}

// A flood is refused at once when the queue is full, and after Wait in it.
func TestHasherIsBounded(t *testing.T) {
	held, free := make(chan struct{}), make(chan struct{})
	h := &account.Hasher{Slots: 1, Queue: 1, Wait: time.Millisecond, Observe: func(string, time.Duration) {}}
	if _, err := h.Hash(t.Context(), []byte("warm up")); err != nil {
		t.Fatal(err)
	}
	go h.Hold(held, free)
	<-held
	defer close(free)
	if _, err := h.Hash(t.Context(), []byte("waits")); !errors.Is(err, account.ErrQueueFull) {
		t.Errorf("with the only slot taken: %v", err)
	}
	if h.Waiting() != 0 {
		t.Errorf("%d still wait", h.Waiting())
	}
}

func BenchmarkVerify(b *testing.B) {
	h := &account.Hasher{}
	hash, err := h.Hash(b.Context(), []byte("correct horse battery"))
	if err != nil {
		b.Fatal(err)
	}
	g, m := newGuard()
	l, err := g.Charge(b.Context(), m, attempt)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), l, hash, []byte("correct horse battery")); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
