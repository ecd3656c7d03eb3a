package account

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"
)

// ErrQueueFull is returned when hashing has no room: the server is flooded.
// It is a 503, never a failed login.
var ErrQueueFull = errors.New("account: password hashing is saturated")

// Hasher makes and judges password hashes, in as many slots as there are
// cores and with a bounded queue before them, so that a flood of guesses can
// neither exhaust memory (19 MiB a hash) nor starve the other requests.
type Hasher struct {
	Slots int           // 0: the cores
	Queue int           // 0: 64
	Wait  time.Duration // longest wait in the queue; 0: 2 s

	// Observe, if set, is told how long each hash took and for what.
	Observe func(op string, took time.Duration)

	once     sync.Once
	slots    chan struct{}
	waiting  atomic.Int64
	verified atomic.Int64
	hasher   *argon2.Hasher
	dummy    matcher
	err      error
}

// params are OWASP's argon2id parameters (Password Storage Cheat Sheet):
// 19 MiB, two passes, one lane.
const (
	argonMemory = 19 << 10
	argonPasses = 2
	argonLanes  = 1
)

func (h *Hasher) init() {
	if h.Slots == 0 {
		h.Slots = runtime.GOMAXPROCS(0)
	}
	if h.Queue == 0 {
		h.Queue = 64
	}
	if h.Wait == 0 {
		h.Wait = 2 * time.Second
	}
	h.slots = make(chan struct{}, h.Slots)
	h.hasher, h.err = argon2.New(argon2.WithVariantID(), argon2.WithM(argonMemory),
		argon2.WithT(argonPasses), argon2.WithP(argonLanes), argon2.WithK(32), argon2.WithS(16))
	if h.err != nil {
		return
	}
	d, err := h.hasher.Hash("no one's password")
	if h.err = err; err == nil {
		h.dummy, h.err = parseHash(d.Encode())
	}
}

// Verified counts the secrets judged so far, those of nobody included.
func (h *Hasher) Verified() int64 { return h.verified.Load() }

// Waiting counts those that wait for a slot now.
func (h *Hasher) Waiting() int64 { return h.waiting.Load() }

// Hash returns the PHC string of a new password.
func (h *Hasher) Hash(ctx context.Context, password []byte) (string, error) {
	release, err := h.begin(ctx)
	if err != nil {
		return "", err
	}
	defer release("hash")
	d, err := h.hasher.Hash(string(password))
	if err != nil {
		return "", err
	}
	return d.Encode(), nil
}

// Verify judges a password under a lease. An empty hash is nobody's: it costs
// the same and is never right. Stale means that the hash was made with other
// parameters and should be made anew from this password. A hash that CheckHash
// refuses is an error, and judges nothing.
func (h *Hasher) Verify(ctx context.Context, l Lease, hash string, password []byte) (ok, stale bool, err error) {
	if !l.Valid() {
		return false, false, ErrNoLease
	}
	if h.once.Do(h.init); h.err != nil {
		return false, false, h.err
	}
	match := h.dummy
	if hash != "" {
		if match, err = parseHash(hash); err != nil {
			return false, false, err
		}
	}
	release, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer release("verify")
	h.verified.Add(1)
	return match(password) && hash != "", hash != "" && !current(hash), nil
}

// begin is enter for a hasher that may not have hashed yet.
func (h *Hasher) begin(ctx context.Context) (release func(op string), err error) {
	if h.once.Do(h.init); h.err != nil {
		return nil, h.err
	}
	return h.enter(ctx)
}

// enter waits for a slot, in a queue that is bounded in length and time.
func (h *Hasher) enter(ctx context.Context) (release func(op string), err error) {
	if h.waiting.Add(1) > int64(h.Queue+h.Slots) {
		h.waiting.Add(-1)
		return nil, ErrQueueFull
	}
	defer h.waiting.Add(-1)
	t := time.NewTimer(h.Wait)
	defer t.Stop()
	select {
	case h.slots <- struct{}{}:
	case <-t.C:
		return nil, ErrQueueFull
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	start := time.Now()
	return func(op string) {
		<-h.slots
		if h.Observe != nil {
			h.Observe(op, time.Since(start))
		}
	}, nil
}

// current reports whether a hash was made with today's parameters.
func current(hash string) bool {
	return strings.HasPrefix(hash, fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", argonMemory, argonPasses, argonLanes))
}
