package store

import (
	"context"
	"errors"
	"slices"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ErrNoMember means that the practice has no such person, or none whom the one
// who acts may manage. Which of these is not told.
var ErrNoMember = errors.New("store: no such member of this team")

// ErrNotAllowed means that somebody does not run the team, or not any more, or
// would give what is not theirs to give.
var ErrNotAllowed = errors.New("store: not for them to do")

// Acting is an Owner or Admin at work on the team of their practice.
type Acting struct {
	Account  account.ID
	Practice account.PracticeID
	From     account.Source
}

// event is one that somebody of the practice caused.
func (by Acting) event(kind account.Kind, id account.ID) account.Event {
	return account.Event{Kind: kind, Subject: string(id), Practice: by.Practice,
		Actor: string(by.Account), By: account.ByOwner, Source: by.From}
}

// manage does something to a member, if the one who acts may. Both roles are
// read under the lock of the practice, under which alone they change: nobody
// does anything by a role that they have no more. Nobody manages themselves, so
// an Owner stays who acts: the last one cannot go.
func (s *Store) manage(ctx context.Context, by Acting, id account.ID, do func(*tx, db.ActingRow) error) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.holdPractice(ctx, by.Practice); err != nil {
			return err
		}
		r, err := t.Acting(ctx, db.ActingParams{Actor: string(by.Account), Person: string(id), Practice: string(by.Practice)})
		if missing(err) {
			return ErrNoMember
		}
		if err != nil {
			return err
		}
		if !account.Role(r.ActorRole).MayManage(account.Role(r.Role)) {
			return ErrNoMember
		}
		return do(t, r)
	})
}

// lead does something to the practice itself, if the one who acts runs its team.
func (s *Store) lead(ctx context.Context, by Acting, do func(*tx, account.Role) error) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.holdPractice(ctx, by.Practice); err != nil {
			return err
		}
		role, err := t.ActingRole(ctx, db.ActingRoleParams{Actor: string(by.Account), Practice: string(by.Practice)})
		if err != nil && !missing(err) {
			return err
		}
		if !account.Role(role).Manages() {
			return ErrNotAllowed
		}
		return do(t, account.Role(role))
	})
}

// holdPractice takes the lock. People without a practice are no team.
func (t *tx) holdPractice(ctx context.Context, id account.PracticeID) error {
	if id == "" {
		return ErrNoMember
	}
	return t.HoldPractice(ctx, string(id))
}

// SendMemberLink mails a member a reset link; whoever asked never sees it. It
// is false if they had LinksPerHour already, or nothing is mailed to them: they
// are deactivated, or their address was never proven.
func (s *Store) SendMemberLink(ctx context.Context, by Acting, id account.ID) (sent bool, err error) {
	err = s.manage(ctx, by, id, func(t *tx, r db.ActingRow) error {
		if r.Disabled || r.Stopped || !r.EmailVerified {
			return nil
		}
		sent, err = s.askReset(ctx, t, flows.ResetAsk{Subject: string(id),
			By: account.ByOwner, Actor: string(by.Account), Source: by.From})
		return err
	})
	return sent && err == nil, err
}

// UnlockMember ends a member's lock, and those of their known devices. It
// reports whether there was one.
func (s *Store) UnlockMember(ctx context.Context, by Acting, id account.ID) (was bool, err error) {
	err = s.manage(ctx, by, id, func(t *tx, _ db.ActingRow) error {
		n, err := t.ClearLock(ctx, db.ClearLockParams{Subject: string(id), Now: t.now()})
		if err != nil {
			return err
		}
		e := by.event(account.LockCleared, id)
		if n > 0 {
			t.tell(e)
		}
		devices, err := t.unlockDevices(ctx, e)
		if was = n+devices > 0; err != nil || !was {
			return err
		}
		return s.tellMember(ctx, t, by, id, "unlocked")
	})
	return was && err == nil, err
}

// ResetMemberSecond takes a member's second factor away, its hold and what it
// proved. It reports whether there was anything to take.
func (s *Store) ResetMemberSecond(ctx context.Context, by Acting, id account.ID) (was bool, err error) {
	err = s.manage(ctx, by, id, func(t *tx, _ db.ActingRow) error {
		was, err = s.resetSecond(ctx, t, by.event(account.SecondReset, id))
		return err
	})
	return was && err == nil, err
}

// EndMemberSessions signs a member out everywhere, their apps included. The
// trail says who did, also where no session was left and only tokens ended.
func (s *Store) EndMemberSessions(ctx context.Context, by Acting, id account.ID) error {
	return s.manage(ctx, by, id, func(t *tx, _ db.ActingRow) error {
		if _, err := t.RaiseEpoch(ctx, string(id)); err != nil {
			if missing(err) {
				return nil // never tried to sign in: there is nothing to end
			}
			return err
		}
		e := by.event(account.MemberChanged, id)
		e.Reason = account.SignedOut
		t.tell(e)
		if err := t.endSessions(ctx, id, account.TeamSaid); err != nil {
			return err
		}
		return s.tellMember(ctx, t, by, id, "signed_out")
	})
}

// SetMemberRole gives a member another role. It reports whether it was another;
// ErrNotAllowed if it is not theirs to give.
func (s *Store) SetMemberRole(ctx context.Context, by Acting, id account.ID, role account.Role) (changed bool, err error) {
	err = s.manage(ctx, by, id, func(t *tx, r db.ActingRow) error {
		if !account.Role(r.ActorRole).MayGive(role) {
			return ErrNotAllowed
		}
		n, err := t.SetRole(ctx, db.SetRoleParams{ID: string(id), Practice: string(by.Practice), Role: string(role), Now: t.now()})
		if changed = n > 0; err != nil || !changed {
			return err
		}
		e := by.event(account.MemberChanged, id)
		e.Reason = account.RoleGiven
		t.tell(e)
		return s.tellMember(ctx, t, by, id, "role", "role", string(role))
	})
	return changed && err == nil, err
}

// Deactivate ends a member's access at once: sessions, tokens, unfinished
// sign-ins, links, and the invitations that they made, for nobody is to come in
// by somebody who went. Their records stay. It reports whether they had access.
func (s *Store) Deactivate(ctx context.Context, by Acting, id account.ID) (was bool, err error) {
	err = s.manage(ctx, by, id, func(t *tx, _ db.ActingRow) error {
		was, err = t.setDisabled(ctx, standstill{id, true, account.TeamSaid}, by.event("", id))
		if err != nil || !was {
			return err
		}
		if err := t.SetDeactivated(ctx, db.SetDeactivatedParams{ID: string(id), Practice: string(by.Practice), DeactivatedAt: t.now()}); err != nil {
			return err
		}
		if err := t.withdrawInvitesOf(ctx, by, id); err != nil {
			return err
		}
		return s.tellMember(ctx, t, by, id, "deactivated")
	})
	return was && err == nil, err
}

// Reactivate gives a member back the access that the practice had ended. What
// an operator ended stays ended: that is false.
func (s *Store) Reactivate(ctx context.Context, by Acting, id account.ID) (was bool, err error) {
	err = s.manage(ctx, by, id, func(t *tx, r db.ActingRow) error {
		if r.DeactivatedAt == 0 {
			return nil
		}
		was, err = t.setDisabled(ctx, standstill{id, false, account.TeamSaid}, by.event("", id))
		if err != nil || !was {
			return err
		}
		if err := t.SetDeactivated(ctx, db.SetDeactivatedParams{ID: string(id), Practice: string(by.Practice)}); err != nil {
			return err
		}
		return s.tellMember(ctx, t, by, id, "reactivated")
	})
	return was && err == nil, err
}

// teamMail tells a member what their team did to their account.
const teamMail = "team"

// tellMember queues it, with who did it. data are names and values.
func (s *Store) tellMember(ctx context.Context, t *tx, by Acting, id account.ID, what string, data ...string) error {
	actor, err := t.Person(ctx, string(by.Account))
	if err != nil {
		return err
	}
	d := map[string]any{"what": what, "actor": nameOr(actor.Name, actor.Username), "practice": actor.PracticeName}
	for pair := range slices.Chunk(data, 2) {
		d[pair[0]] = pair[1]
	}
	return s.queueMail(ctx, t, Mail{Template: teamMail, Subject: string(id), Data: d})
}
