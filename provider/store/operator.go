package store

import (
	"context"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Standing is how an account stands, for an operator to see.
type Standing struct {
	account.GuardState
	LockedAt time.Time // the last lock not yet followed by a sign-in
	Disabled bool
}

// Standing returns how an account stands now; the zero Standing if it never
// tried to sign in.
func (s *Store) Standing(ctx context.Context, id account.ID) (Standing, error) {
	r, err := s.q.ReadGuard(ctx, db.ReadGuardParams{Subject: string(id)})
	if err != nil {
		return Standing{}, err
	}
	return Standing{GuardState: stateOf(r), LockedAt: at(max(r.LockedAt, 0)), Disabled: r.Disabled}, nil
}

// StatusOf is how an account stands in one word. Disabled is what its directory
// says of it.
func StatusOf(s Standing, disabled bool, now time.Time) MemberStatus {
	switch {
	case disabled || s.Disabled:
		return Stopped
	case now.Before(s.LockedUntil):
		return LockedNow
	case s.Wrong[account.SecondFactor] >= account.MaxWrongCodes:
		return SecondHeld
	}
	return Active
}

// Unlock ends an account's lock, and those of its known devices, and clears both
// counters. It reports whether there was a lock; if not it changes nothing.
// Passwords disabled after 100 wrong ones stay so: only a reset ends that.
func (s *Store) Unlock(ctx context.Context, id account.ID, by account.By, actor string) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		if was, err = t.clearLock(ctx, id, by, actor); err != nil {
			return err
		}
		n, err := t.unlockDevices(ctx, account.Event{Kind: account.LockCleared, Subject: string(id), By: by, Actor: actor})
		was = was || n > 0
		return err
	})
	return was, err
}

// clearLock ends a lock that time has not ended yet.
func (t *tx) clearLock(ctx context.Context, id account.ID, by account.By, actor string) (bool, error) {
	n, err := t.ClearLock(ctx, db.ClearLockParams{Subject: string(id), Now: t.now()})
	if n > 0 {
		t.tell(account.Event{Kind: account.LockCleared, Subject: string(id), By: by, Actor: actor})
	}
	return n > 0, err
}

// SetDisabled stops an account or lets it go on. Either way everything proven
// before is void: sessions, tokens, unfinished sign-ins, the reset link. Doing
// it twice changes nothing. An account of another directory is stopped here
// alike. What its practice had deactivated before, it cannot reactivate.
func (s *Store) SetDisabled(ctx context.Context, id account.ID, disabled bool, actor string) error {
	return s.update(ctx, func(t *tx) error {
		e := account.Event{Subject: string(id), Actor: actor}
		was, err := t.setDisabled(ctx, standstill{id, disabled, account.OperatorSaid}, e)
		if err != nil {
			return err
		}
		n, err := t.TakeOver(ctx, string(id))
		if n > 0 && !was {
			e.Kind = account.AccountDisabled
			t.tell(e)
		}
		return err
	})
}

// standstill is how an account is to stand, and why its sessions end.
type standstill struct {
	id       account.ID
	disabled bool
	why      account.Reason
}

// setDisabled tells the event, whose kind it knows, if the account stood otherwise.
func (t *tx) setDisabled(ctx context.Context, st standstill, e account.Event) (was bool, err error) {
	n, err := t.SetGuardDisabled(ctx, db.SetGuardDisabledParams{
		Subject: string(st.id), Disabled: st.disabled, Now: t.now()})
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := t.SetPersonDisabled(ctx, db.SetPersonDisabledParams{
		ID: string(st.id), Disabled: st.disabled, Now: t.now()}); err != nil {
		return false, err
	}
	e.Kind = account.AccountEnabled
	if st.disabled {
		e.Kind = account.AccountDisabled
	}
	t.tell(e)
	if err := t.EndReset(ctx, string(st.id)); err != nil {
		return false, err
	}
	return true, t.endSessions(ctx, st.id, st.why)
}

// GiveRole makes somebody what an operator says, such as the Account Owner of a
// practice that has lost its own. It reports whether they were something else.
func (s *Store) GiveRole(ctx context.Context, id account.ID, role account.Role, actor string) (changed bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		p, err := t.Person(ctx, string(id))
		if err != nil {
			return err
		}
		if p.Practice != "" { // the lock under which roles change: see manage
			if err := t.HoldPractice(ctx, p.Practice); err != nil {
				return err
			}
		}
		n, err := t.SetRole(ctx, db.SetRoleParams{ID: string(id), Practice: p.Practice, Role: string(role), Now: t.now()})
		if changed = n > 0; changed {
			t.tell(account.Event{Kind: account.MemberChanged, Subject: string(id), Practice: account.PracticeID(p.Practice),
				Reason: account.RoleGiven, Actor: actor})
		}
		return err
	})
	return changed && err == nil, err
}

// AddPractice adds a practice to the built-in directory, or names one of which
// people were added before. ErrDuplicate: it has a name.
func (s *Store) AddPractice(ctx context.Context, id account.PracticeID, name string) error {
	n, err := s.w.AddPractice(ctx, db.AddPracticeParams{ID: string(id), Name: name})
	if err == nil && n == 0 {
		return ErrDuplicate
	}
	return err
}

// RequireSecond says whether two factors are demanded of all of a practice, from
// their next sign-in on. It reports whether that was otherwise.
func (s *Store) RequireSecond(ctx context.Context, id account.PracticeID, required bool, actor string) (changed bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		n, err := t.Queries.RequireSecond(ctx, db.RequireSecondParams{ID: string(id), RequireSecond: required})
		if changed = n > 0; changed {
			t.tell(account.Event{Kind: account.PracticeChanged, Practice: id, Actor: actor})
		}
		return err
	})
	return changed, err
}

// duplicate turns the engine's own error into ErrDuplicate.
func (s *Store) duplicate(err error) error {
	if err != nil && s.engine.duplicate(err) {
		return ErrDuplicate
	}
	return err
}
