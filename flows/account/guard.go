package account

import (
	"context"
	"time"
)

// Factor says which of an account's two counters an attempt moves.
type Factor uint8

// The two counters. TOTP and backup codes share one, so that mixing them buys
// no guesses.
const (
	Password     Factor = 1
	SecondFactor Factor = 2
)

// String is the metric label.
func (f Factor) String() string {
	switch f {
	case Password:
		return "password"
	case SecondFactor:
		return "second_factor"
	}
	return "none"
}

// Attempt is one try at a secret, before it is judged.
type Attempt struct {
	Subject string // an account's ID, or the shadow key of an identifier nobody has
	Shadow  bool   // nobody has it
	Factor  Factor
	Step    string
	Source  Source // where it came from; empty: unknown
	Exempt  bool   // from limits by source, not from the lock
	Device  Device // whose own tries it is one of; zero: of the account's
}

// Limited returns the source whose limits apply to the attempt, or "" if none do.
func (a Attempt) Limited() Source {
	if a.Exempt || a.Device.Known() {
		return ""
	}
	return a.Source
}

// Row is the subject of the guard row that counts the attempt's failures and is
// locked by them.
func (a Attempt) Row() string {
	if a.Device.Known() {
		return a.Device.Guard
	}
	return a.Subject
}

// GuardState is what the store remembers of a subject and a source. The zero
// value is a subject that never failed.
type GuardState struct {
	Failed      [3]int    // consecutive failures, by Factor
	Charged     [3]int    // attempts in flight, by Factor
	Wrong       [3]int    // wrong ones since the last right one, by Factor
	ChargeUntil time.Time // when those in flight lapse
	Generation  int64     // of charges; rises whenever outstanding ones are voided
	LockedUntil time.Time // zero if not locked
	Epoch       int64     // of proofs; rises when everything proven before is void
	HasSecond   bool      // it is an account with a second factor

	SourceFailures int // of the attempt's source, in SourceWindow
	SourceLocks    int // accounts it locked in the last hour
}

// GuardStore is what Guard needs remembered, by any number of replicas at
// once. Each method is one atomic statement or one transaction. Of an attempt
// from a known device, failures, charges and the lock are the device's own; the
// totals of wrong ones and the epoch are its account's.
type GuardStore interface {
	// ReadGuard returns the state for the attempt's subject and source; the
	// zero state if there is none. It writes nothing.
	ReadGuard(ctx context.Context, a Attempt) (GuardState, error)
	// ChargeGuard counts the attempt as in flight if, at that instant, the
	// subject is neither locked nor has MaxFailures failures and charges. It
	// reports whether it did, with the generation it charged in. An expired
	// lock is no lock, and its counter starts at 0.
	ChargeGuard(ctx context.Context, a Attempt) (generation int64, ok bool, err error)
	// LapseGuard turns charges past their time into failures, raises the
	// generation, and locks if that makes MaxFailures. It is idempotent.
	LapseGuard(ctx context.Context, a Attempt) error
	// ClearExpired ends a lock of a row whose time is over, once, with its event.
	ClearExpired(ctx context.Context, row string) error
	// SettleWrong counts a charged attempt as a failure, commits whatever
	// becomes of the request, and locks the subject at MaxFailures, once, with
	// audit row and mail. A lease of an old generation gives ErrBusy.
	SettleWrong(ctx context.Context, l Lease, reason Reason) (GuardState, error)
	// Release takes a charge back: nothing was judged (the directory did not
	// answer, or the hash queue was full).
	Release(ctx context.Context, l Lease) error
	// Refused records an attempt that was not judged.
	Refused(ctx context.Context, a Attempt, reason Reason)
}

// Lease is the right to judge one secret once. Only Guard.Charge makes one;
// the zero Lease is refused by every verifier, so code that forgets the guard
// judges nothing.
type Lease struct {
	attempt    Attempt
	generation int64
	hasSecond  bool
	valid      bool
}

// Valid reports whether the lease was made by Guard.Charge.
func (l Lease) Valid() bool { return l.valid }

// Attempt returns what was charged.
func (l Lease) Attempt() Attempt { return l.attempt }

// HasSecond reports whether the account had a second factor when it was charged.
func (l Lease) HasSecond() bool { return l.hasSecond }

// Generation returns the generation of charges it was made in.
func (l Lease) Generation() int64 { return l.generation }

// Guard stands before every secret: charge, verify, settle. However many
// replicas guess in parallel, at most MaxFailures guesses are ever judged
// before the account locks, and parallel right answers all pass. A known device
// (Attempt.Device) is locked alike, alone and by its own failures alone.
type Guard struct {
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error // sleeps; nil uses a timer
}

// Refusal says why nothing may be judged now, and until when.
type Refusal struct {
	Err   error // ErrLocked, ErrBusy, ErrLimited, ErrDisabled or ErrHeld
	Until time.Time
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the verdict.
func (r *Refusal) Unwrap() error { return r.Err }

// Charge charges the attempt, or refuses it with a *Refusal. While others are
// in flight it waits up to WaitFor for their verdicts: a busy account is not a
// locked one. Any other error is a fault of the store: then nobody signs in.
func (g Guard) Charge(ctx context.Context, s GuardStore, a Attempt) (Lease, error) {
	deadline := g.Now().Add(WaitFor)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		st, err := g.read(ctx, s, a)
		if err != nil {
			return Lease{}, err
		}
		if a.Device.Known() && a.Device.Epoch != st.Epoch { // void: a browser like any other
			a.Device = Device{}
			continue
		}
		if r := g.refuse(st, a); r != nil {
			s.Refused(ctx, a, reasonOf(r.Err))
			return Lease{}, r
		}
		if st.Failed[a.Factor]+st.Charged[a.Factor] < MaxFailures {
			gen, ok, err := s.ChargeGuard(ctx, a)
			if err != nil {
				return Lease{}, err
			}
			if ok {
				return Lease{attempt: a, generation: gen, hasSecond: st.HasSecond, valid: true}, nil
			}
		}
		if !g.Now().Before(deadline) {
			s.Refused(ctx, a, TooBusy)
			return Lease{}, &Refusal{Err: ErrBusy, Until: g.Now().Add(WaitFor)}
		}
		if err := g.wait(ctx, pause); err != nil {
			return Lease{}, err
		}
	}
}

// read returns the state after what time alone has changed: lapsed charges
// have become failures, and an expired lock is over.
func (g Guard) read(ctx context.Context, s GuardStore, a Attempt) (GuardState, error) {
	st, err := s.ReadGuard(ctx, a)
	if err != nil {
		return st, err
	}
	now := g.Now()
	switch {
	case st.Charged[Password]+st.Charged[SecondFactor] > 0 && !now.Before(st.ChargeUntil):
		err = s.LapseGuard(ctx, a)
	case !st.LockedUntil.IsZero() && !now.Before(st.LockedUntil):
		err = s.ClearExpired(ctx, a.Row())
	default:
		return st, nil
	}
	if err != nil {
		return st, err
	}
	return s.ReadGuard(ctx, a)
}

// refuse names the first reason why nothing may be judged, or nil.
func (g Guard) refuse(st GuardState, a Attempt) *Refusal {
	switch now := g.Now(); {
	case now.Before(st.LockedUntil):
		return &Refusal{Err: ErrLocked, Until: st.LockedUntil}
	case a.Factor == Password && st.Wrong[Password] >= MaxWrongPasswords:
		return &Refusal{Err: ErrDisabled}
	case a.Factor == SecondFactor && st.Wrong[SecondFactor] >= MaxWrongCodes:
		return &Refusal{Err: ErrHeld}
	case a.Limited() != "" && (st.SourceFailures >= SourceFailures || st.SourceLocks >= SourceLocks):
		return &Refusal{Err: ErrLimited, Until: now.Add(SourceWindow)}
	}
	return nil
}

func reasonOf(err error) Reason {
	switch err {
	case ErrLocked:
		return LockedOut
	case ErrLimited:
		return RateLimited
	case ErrBusy:
		return TooBusy
	case ErrHeld:
		return Held
	}
	return Disabled
}

func (g Guard) wait(ctx context.Context, d time.Duration) error {
	if g.Wait != nil {
		return g.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
