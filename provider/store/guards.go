package store

import (
	"cmp"
	"context"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ReadGuard is one SELECT, and the only statement of a refused attempt.
func (s *Store) ReadGuard(ctx context.Context, a account.Attempt) (account.GuardState, error) {
	if a.Device.Known() {
		r, err := readDevice(ctx, s.q, a)
		return stateOf(r), err
	}
	r, err := s.q.ReadGuard(ctx, db.ReadGuardParams{Subject: a.Subject, Source: string(a.Limited())})
	if err != nil {
		return account.GuardState{}, err
	}
	st := stateOf(r)
	now := s.Now()
	if now.Sub(at(r.WindowStart)) < account.SourceWindow {
		st.SourceFailures = int(r.Failures)
	}
	if now.Sub(at(r.HourStart)) < time.Hour {
		st.SourceLocks = int(r.Locks)
	}
	return st, nil
}

func stateOf(r db.ReadGuardRow) account.GuardState {
	return account.GuardState{
		Failed:      pair(r.PasswordFailed, r.CodeFailed),
		Charged:     pair(r.PasswordCharged, r.CodeCharged),
		Wrong:       pair(r.PasswordWrong, r.CodeWrong),
		ChargeUntil: at(r.ChargeUntil),
		Generation:  r.Generation,
		LockedUntil: at(r.LockedUntil),
		Epoch:       r.Epoch,
		HasSecond:   r.HasSecond,
	}
}

// pair puts the two counters where their factors index them.
func pair(password, code int64) (p [3]int) {
	p[account.Password], p[account.SecondFactor] = int(password), int(code)
	return p
}

// vector is the factor as the statements take it: one of two is 1.
func vector(f account.Factor) (p, c int64) {
	if f == account.Password {
		return 1, 0
	}
	return 0, 1
}

// ChargeGuard is one upsert whose WHERE decides; of a device, one of its
// account's row goes before it.
func (s *Store) ChargeGuard(ctx context.Context, a account.Attempt) (int64, bool, error) {
	if a.Device.Known() {
		return s.chargeDevice(ctx, a)
	}
	generation, err := s.w.ChargeGuard(ctx, chargeOf(a, s.Now()))
	if missing(err) {
		return 0, false, nil
	}
	return generation, err == nil, err
}

func chargeOf(a account.Attempt, now time.Time) db.ChargeGuardParams {
	c := db.ChargeGuardParams{Subject: a.Row(), Shadow: a.Shadow, Epoch: a.Device.Epoch,
		Now: micros(now), ChargeUntil: micros(now.Add(account.ChargeFor))}
	if a.Device.Known() {
		c.Account = a.Subject
	}
	c.P, c.C = vector(a.Factor)
	return c
}

// SettleWrong commits on its own: a person who goes away does not undo it.
func (s *Store) SettleWrong(ctx context.Context, l account.Lease, reason account.Reason) (st account.GuardState, err error) {
	if !l.Valid() {
		return st, account.ErrNoLease
	}
	a := l.Attempt()
	err = s.update(ctx, func(t *tx) error {
		until := t.at.Add(account.LockFor)
		st, err = t.settleWrong(ctx, l, until)
		if missing(err) {
			return account.ErrBusy
		}
		if err != nil {
			return err
		}
		// Only the settle that makes the fifth sees both: later ones are
		// neither charged nor settled while the lock stands.
		locked := st.Failed[a.Factor] == account.MaxFailures && st.LockedUntil.Equal(until)
		return s.failed(ctx, t, failure{a, reason, st.Wrong[a.Factor] - 1, st.Wrong[a.Factor], locked})
	})
	return st, err
}

// settleWrong counts a failure; no row means that the lease is over.
func (t *tx) settleWrong(ctx context.Context, l account.Lease, until time.Time) (account.GuardState, error) {
	a := l.Attempt()
	p, c := vector(a.Factor)
	of, err := t.wrongForDevice(ctx, a, p, c)
	if err != nil {
		return account.GuardState{}, err
	}
	r, err := t.SettleWrong(ctx, db.SettleWrongParams{
		Subject: a.Row(), Generation: l.Generation(), P: p, C: c,
		Now: t.now(), LockUntil: micros(until),
	})
	if a.Device.Known() {
		r.Epoch, r.PasswordWrong, r.CodeWrong = of.Epoch, of.PasswordWrong, of.CodeWrong
	}
	return stateOf(db.ReadGuardRow{Epoch: r.Epoch, Generation: r.Generation,
		ChargeUntil: r.ChargeUntil, LockedUntil: r.LockedUntil,
		PasswordFailed: r.PasswordFailed, PasswordCharged: r.PasswordCharged, PasswordWrong: r.PasswordWrong,
		CodeFailed: r.CodeFailed, CodeCharged: r.CodeCharged, CodeWrong: r.CodeWrong}), err
}

// failure is one attempt that came to nothing, and what it led to.
type failure struct {
	account.Attempt
	reason        account.Reason
	before, after int // totals of wrong ones
	locked        bool
}

// failed tells of a failure, and of the lock if it made one.
func (s *Store) failed(ctx context.Context, t *tx, f failure) error {
	e := account.Event{Subject: f.Subject, Step: f.Step, Factor: f.Factor, Source: f.Source}
	for range f.after - f.before {
		e.Kind, e.Reason = account.SignInFailed, f.reason
		t.tell(e)
	}
	e.Reason = ""
	if f.Factor == account.Password && f.before < account.MaxWrongPasswords && f.after >= account.MaxWrongPasswords {
		e.Kind = account.PasswordDisabled
		t.tell(e)
	}
	if f.locked {
		e.Kind, e.Reason = account.Locked, oneDevice(f.Device.Known())
		t.tell(e)
	}
	if err := t.countSource(ctx, f); err != nil {
		return err
	}
	if f.Factor == account.SecondFactor && f.before < account.MaxWrongCodes && f.after >= account.MaxWrongCodes {
		return s.hold(ctx, t, e) // its mail says more than the lock's
	}
	if !f.locked {
		return nil
	}
	return s.queueMail(ctx, t, Mail{Template: "locked", Subject: f.Subject,
		Data: map[string]any{"minutes": int(account.LockFor.Minutes()), "device": f.Device.Known()}})
}

// oneDevice is the reason of a lock that is a device's own, and of its end.
func oneDevice(is bool) account.Reason {
	if is {
		return account.OneDevice
	}
	return ""
}

// countSource counts a failure against where it came from. A lapsed charge
// says nothing of the source that happened to find it.
func (t *tx) countSource(ctx context.Context, f failure) error {
	if f.Limited() == "" || f.reason == account.Lapsed {
		return nil
	}
	c := db.CountSourceParams{
		Source: string(f.Limited()), Now: t.now(),
		WindowOver: micros(t.at.Add(-account.SourceWindow)),
		HourOver:   micros(t.at.Add(-time.Hour)),
	}
	if f.locked {
		c.Locks = 1
	}
	return t.CountSource(ctx, c)
}

// Release takes a charge back. One of an old generation is gone already.
func (s *Store) Release(ctx context.Context, l account.Lease) error {
	if !l.Valid() {
		return account.ErrNoLease
	}
	if l.Attempt().Device.Known() {
		return s.releaseDevice(ctx, l)
	}
	_, err := s.w.ReleaseGuard(ctx, releaseOf(l))
	return err
}

func releaseOf(l account.Lease) db.ReleaseGuardParams {
	p, c := vector(l.Attempt().Factor)
	return db.ReleaseGuardParams{Subject: l.Attempt().Row(), Generation: l.Generation(), P: p, C: c}
}

// LapseGuard counts what was never settled: a crash must not be a free guess.
func (s *Store) LapseGuard(ctx context.Context, a account.Attempt) error {
	return s.update(ctx, func(t *tx) error {
		r, err := t.holdGuard(ctx, a)
		if err != nil {
			return err
		}
		lockedAt, err := t.LapseGuard(ctx, db.LapseGuardParams{
			Subject: a.Row(), Generation: r.Generation, Now: t.now(),
			LockUntil:       micros(t.at.Add(account.LockFor)),
			PasswordCharged: r.PasswordCharged, CodeCharged: r.CodeCharged,
		})
		if missing(err) || r.PasswordCharged+r.CodeCharged == 0 {
			return nil // settled or lapsed meanwhile
		}
		if err != nil {
			return err
		}
		if _, err := t.wrongForDevice(ctx, a, r.PasswordCharged, r.CodeCharged); missing(err) {
			return nil // of an epoch that is over, with all that was in flight
		} else if err != nil {
			return err
		}
		locked := lockedAt == t.now()
		for f, st := account.Password, stateOf(r); f <= account.SecondFactor; f++ {
			full := st.Charged[f] > 0 && st.Failed[f]+st.Charged[f] >= account.MaxFailures
			err := s.failed(ctx, t, failure{
				account.Attempt{Subject: a.Subject, Device: a.Device, Factor: f}, account.Lapsed,
				st.Wrong[f], st.Wrong[f] + st.Charged[f], locked && full,
			})
			if err != nil {
				return err
			}
			locked = locked && !full // once
		}
		return nil
	})
}

// ClearExpired ends a lock by the clock.
func (s *Store) ClearExpired(ctx context.Context, row string) error {
	return s.update(ctx, func(t *tx) error { return t.clearExpired(ctx, row) })
}

func (t *tx) clearExpired(ctx context.Context, row string) error {
	of, err := t.ClearExpired(ctx, db.ClearExpiredParams{Subject: row, Now: t.now()})
	if missing(err) {
		return nil
	}
	if err == nil {
		t.tell(account.Event{Kind: account.LockCleared, Subject: cmp.Or(of, row),
			By: account.ByTimeout, Reason: oneDevice(of != "")})
	}
	return err
}

// clearExpiredLocks ends up to most locks that nobody came to see end.
func (s *Store) clearExpiredLocks(ctx context.Context, most int) error {
	rows, err := s.q.ExpiredLocks(ctx, db.ExpiredLocksParams{Now: micros(s.Now()), Most: int32(most)})
	for _, row := range rows {
		if err := s.ClearExpired(ctx, row); err != nil {
			return err
		}
	}
	return err
}

// Refused is counted and not written: a flood of refusals must stay cheap, and
// must not fill the audit trail.
func (s *Store) Refused(_ context.Context, a account.Attempt, reason account.Reason) {
	s.observe(account.Event{Kind: account.SignInRefused, Subject: a.Subject, Step: a.Step,
		Factor: a.Factor, Reason: reason, Source: a.Source, At: s.Now()})
}
