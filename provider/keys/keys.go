// Package keys holds the keys that sign our tokens: it makes them, has them
// sealed and remembered by the store, publishes them, and replaces them. Only
// this package ever sees a private key. It knows nothing of what is signed.
//
// A key is published for Overlap before it signs, so that whoever keeps our
// JWKS has it by then, and stays published after it signed last, so that what
// it signed can be verified to its end:
//
//	first key   ├ signs at once ───────────────┤ published ├┄ known ┄
//	next key              ├ published ─────────┤ signs ─────────────┄
//	                      └── Overlap ─────────┘└── keepFor ─┘
//
// There is one key an algorithm from the first start on, whether a client uses
// it or not: a key made on demand could sign on one replica before another has
// published it.
package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/medximity/idp/provider/store"
)

// Config says how long keys serve. Its zero value works.
type Config struct {
	RotateEvery time.Duration // how long a key signs; 0: 90 days
	Overlap     time.Duration // how long it is published before; 0: 24 h
}

const (
	// keepFor is how long a key is published after it signed last: longer than
	// any token lives and any JWKS is cached.
	keepFor = 24 * time.Hour

	staleAfter = 10 * time.Second // then the keys are read again meanwhile
	oldAfter   = 30 * time.Second // then first
	readFor    = 2 * time.Second  // how long that may take
)

// algorithms are those that we sign with, the default first (OIDC Core section
// 15.1: everyone can verify RS256).
func algorithms() []string { return []string{"RS256", "ES256", "EdDSA", "PS256"} }

// keyStore is what this package needs of *store.Store.
type keyStore interface {
	Now() time.Time
	SigningKeys(ctx context.Context) ([]store.SigningKey, error)
	ChangeKeys(ctx context.Context, actor string,
		decide func(time.Time, []store.SigningKey) store.KeyChange) error
}

// Keys signs, verifies and publishes. It is safe for concurrent use. What it
// holds is at most 30 seconds old, or older if the store does not answer: the
// key that signs next is known long before.
type Keys struct {
	config  Config
	store   keyStore
	held    atomic.Pointer[set]
	reading sync.Mutex
}

// Open reads the keys, and makes those that there are none of yet. Of replicas
// that start together, one makes them.
func Open(ctx context.Context, s *store.Store, c Config) (*Keys, error) { return open(ctx, s, c) }

func open(ctx context.Context, s keyStore, c Config) (*Keys, error) {
	if c.RotateEvery == 0 {
		c.RotateEvery = 90 * 24 * time.Hour
	}
	if c.Overlap == 0 {
		c.Overlap = 24 * time.Hour
	}
	if c.Overlap < 2*oldAfter || c.RotateEvery <= c.Overlap {
		return nil, fmt.Errorf("keys: a key must be published for %s at least, and sign for longer",
			2*oldAfter)
	}
	k := &Keys{config: c, store: s}
	if err := k.change(ctx, "", missing); err != nil {
		return nil, err
	}
	return k, nil
}

// Algorithms names what Sign can sign with, RS256 first.
func (k *Keys) Algorithms() []string { return algorithms() }

// Sign returns a compact JWS of the payload (RFC 7515 section 7.1), by the key
// that signs now, with its kid and typ JWT in the header.
func (k *Keys) Sign(alg string, payload []byte) (string, error) {
	return k.SignAs(typeJWT, alg, payload)
}

// SignAs is Sign for a token of another kind, which typ in the header names: it
// keeps one from being taken for another (RFC 8725 section 3.11).
func (k *Keys) SignAs(typ, alg string, payload []byte) (string, error) {
	key := k.now().signer(alg, k.store.Now())
	if key == nil {
		return "", fmt.Errorf("keys: nothing signs %q", alg)
	}
	return key.sign(typ, payload)
}

// ErrNotOurs means that a token was not signed by a key of ours.
var ErrNotOurs = errors.New("keys: not a token that we signed")

// Verify returns the payload of a token that we signed, or ErrNotOurs. Keys
// that are published no more still verify for a month: an old ID token is a
// good hint. It judges the signature alone, not the time nor for whom it is.
func (k *Keys) Verify(token string) ([]byte, error) { return k.now().verify(typeJWT, token) }

// VerifyAs is Verify for what SignAs signed, if it was with the same typ.
func (k *Keys) VerifyAs(typ, token string) ([]byte, error) { return k.now().verify(typ, token) }

// JWKS returns the public keys as a JWK set (RFC 7517 section 5). The bytes
// are shared and must not be changed.
func (k *Keys) JWKS() []byte { return k.now().jwks }

// Until says until when the keys that sign now will do so, and until when
// signing is provided for, with those that are published already. Unless
// somebody looks after it, the second passes by.
func (k *Keys) Until() (signing, provided time.Time) {
	s, now := k.now(), k.store.Now()
	for _, alg := range algorithms() {
		for _, key := range s.keys {
			until := key.RetiresAt
			if until.IsZero() {
				until = key.SignsAt.Add(k.config.RotateEvery)
			}
			if key == s.signer(alg, now) && (signing.IsZero() || until.Before(signing)) {
				signing = until
			}
			if key.Algorithm == alg && key.RetiresAt.IsZero() && (provided.IsZero() || until.Before(provided)) {
				provided = until
			}
		}
	}
	return signing, provided
}

// Rotate makes a new key for each algorithm. It signs after Overlap, and only
// then do the old ones retire.
func (k *Keys) Rotate(ctx context.Context, actor string) error {
	return k.change(ctx, actor, func(time.Time, *store.SigningKey) bool { return true })
}

// RotateIfDue rotates the keys that will have signed for RotateEvery when
// their successors begin. It may be called at any time by any replica.
func (k *Keys) RotateIfDue(ctx context.Context) error {
	return k.change(ctx, "schedule", func(now time.Time, last *store.SigningKey) bool {
		return last == nil || !now.Before(last.SignsAt.Add(k.config.RotateEvery-k.config.Overlap))
	})
}

// dueFunc says whether an algorithm needs a new key, given its last, or nil.
type dueFunc = func(now time.Time, last *store.SigningKey) bool

// missing is due when an algorithm has no key.
func missing(_ time.Time, last *store.SigningKey) bool { return last == nil }

// change adds keys for the algorithms that are due for one, given the last of
// each, and retires those before them. Keys are made first, for that takes
// long, and whether they are needed is asked again when nobody else changes
// anything.
func (k *Keys) change(ctx context.Context, actor string, due dueFunc) error {
	have, err := k.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	var made []store.SigningKey
	for _, alg := range algorithms() {
		if !due(k.store.Now(), last(have, alg)) {
			continue
		}
		key, err := generate(alg)
		if err != nil {
			return fmt.Errorf("keys: %s: %w", alg, err)
		}
		made = append(made, key)
	}
	if len(made) > 0 {
		err = k.store.ChangeKeys(ctx, actor, func(now time.Time, have []store.SigningKey) store.KeyChange {
			var c store.KeyChange
			for _, key := range made {
				if old := last(have, key.Algorithm); due(now, old) {
					k.succeed(&c, now, old, key)
				}
			}
			return c
		})
	}
	if err != nil {
		return err
	}
	return k.read(ctx)
}

// succeed has a new key follow an old one. The first of all signs at once.
func (k *Keys) succeed(c *store.KeyChange, now time.Time, old *store.SigningKey, key store.SigningKey) {
	key.SignsAt = now
	if old != nil {
		key.SignsAt = now.Add(k.config.Overlap)
		// Or later: an old one that does not yet sign has its turn first.
		if key.SignsAt.Before(old.SignsAt) {
			key.SignsAt = old.SignsAt
		}
		old.RetiresAt, old.RemovedAt = key.SignsAt, key.SignsAt.Add(keepFor)
		c.Retire = append(c.Retire, *old)
	}
	c.Add = append(c.Add, key)
}

// last returns the key of an algorithm that no other follows, or nil.
func last(have []store.SigningKey, alg string) *store.SigningKey {
	i := slices.IndexFunc(have, func(k store.SigningKey) bool {
		return k.Algorithm == alg && k.RetiresAt.IsZero()
	})
	if i < 0 {
		return nil
	}
	return &have[i]
}

// now returns the keys, read anew if they are old.
func (k *Keys) now() *set {
	s := k.held.Load()
	switch age := k.store.Now().Sub(s.at); {
	case age < 0, age >= oldAfter:
		k.reading.Lock()
		defer k.reading.Unlock()
		if k.held.Load() == s { // nobody else has read meanwhile
			k.readAgain()
		}
	case age >= staleAfter && k.reading.TryLock():
		go func() {
			defer k.reading.Unlock()
			k.readAgain()
		}()
	}
	return k.held.Load()
}

// readAgain reads the keys, or keeps those that it has for another while: a
// store that is down stops sign-ins by itself.
func (k *Keys) readAgain() {
	ctx, cancel := context.WithTimeout(context.Background(), readFor)
	defer cancel()
	if err := k.read(ctx); err != nil {
		kept := *k.held.Load()
		kept.at = k.store.Now().Add(-staleAfter)
		k.held.Store(&kept)
	}
}

func (k *Keys) read(ctx context.Context) error {
	now := k.store.Now() // before, so that its age is never understated
	rows, err := k.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	s, err := newSet(now, rows, k.held.Load())
	if err != nil {
		return err
	}
	k.held.Store(s)
	return nil
}
