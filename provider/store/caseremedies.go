package store

import (
	"context"
	"encoding/json"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// What the desk does for somebody is what the product does anyway: nobody of it
// ever has a password, a code, a link or a session of anyone.

// possible refuses what could not be carried out, as far as can be told now.
func (s *Store) possible(ctx context.Context, t *tx, h *heldCase) error {
	p, err := t.Person(ctx, h.row.Person)
	if missing(err) {
		return NoPerson
	}
	if err != nil {
		return err
	}
	email := ""
	if h.asks(flows.RestoreEmail) {
		c, err := s.claimsOf(h.row.ID, h.row.Claims)
		if err != nil {
			return err
		}
		email = c.Email
	}
	taken := int64(0)
	if email != "" {
		taken, err = t.EmailTaken(ctx, db.EmailTakenParams{Key: account.Normalise(email), Person: p.ID})
	}
	mailed := h.asks(flows.SendLink) || h.asks(flows.RestoreSecond)
	switch {
	case err != nil:
		return err
	case taken > 0:
		return AddressTaken
	case p.Disabled:
		return AccountStopped
	case account.Role(p.Role) == account.Support:
		return OfTheDesk
	case h.asks(flows.ReplaceOwner) && (p.Practice == "" || p.Practice != h.row.Practice):
		return NoPractice
	case mailed && email == "" && !p.EmailVerified:
		return NoAddress
	}
	return nil
}

// carryOut does what a case asks for, and closes it. A Refusal is for what cannot
// be done: then nothing is.
func (s *Store) carryOut(ctx context.Context, t *tx, h *heldCase) error {
	if err := t.holdAccount(ctx, h); err != nil {
		return err
	}
	if err := s.possible(ctx, t, h); err != nil {
		return err
	}
	if h.asks(flows.RestoreEmail) || h.asks(flows.RestoreSecond) {
		if err := t.startAnew(ctx, h); err != nil {
			return err
		}
	}
	remedies := map[flows.Remedy]func(context.Context, *tx, *heldCase) error{flows.RestoreEmail: s.restoreEmail,
		flows.RestoreSecond: s.restoreSecond, flows.ReplaceOwner: s.replaceOwner, flows.Unlock: s.unlockFor}
	e := h.event(account.CaseDone)
	for _, r := range flows.Remedies {
		if !h.asks(r) {
			continue
		}
		e.Methods = append(e.Methods, string(r))
		if do := remedies[r]; do != nil {
			if err := do(ctx, t, h); err != nil {
				return err
			}
		}
	}
	e.Took = t.at.Sub(at(h.row.OpenedAt))
	t.tell(e)
	h.answered(t)
	h.row.ClosedAt = t.now()
	return s.mailRemedies(ctx, t, h)
}

// holdAccount takes the locks under which an account and its role change, before
// anything is read of them: a team or an operator who stops it at this moment did so
// before, or afterwards.
func (t *tx) holdAccount(ctx context.Context, h *heldCase) error {
	if h.asks(flows.ReplaceOwner) && h.row.Practice != "" {
		if err := t.holdPractice(ctx, account.PracticeID(h.row.Practice)); err != nil {
			return err
		}
	}
	return t.LockGuard(ctx, db.LockGuardParams{Subject: h.row.Person, Now: t.now()})
}

// mailRemedies sends the one thing that ever comes of a case: a link, to the
// address of the account. Where there is none to send, it says what was done.
func (s *Store) mailRemedies(ctx context.Context, t *tx, h *heldCase) error {
	if h.asks(flows.SendLink) || h.asks(flows.RestoreEmail) || h.asks(flows.RestoreSecond) {
		made, err := s.askReset(ctx, t, flows.ResetAsk{Subject: h.row.Person, By: account.BySupport,
			Actor: h.row.Agent, Case: h.row.ID})
		if err == nil && !made {
			return TooManyLinks
		}
		return err
	}
	var names []string
	for _, r := range h.Remedies {
		names = append(names, string(r))
	}
	return s.notify(ctx, t, "case_done", account.ID(h.row.Person), map[string]any{"reference": h.row.ID, "remedies": names})
}

// restoreEmail gives the account the address that whoever opened the case
// confirmed. Whoever had the old one has nothing any more.
func (s *Store) restoreEmail(ctx context.Context, t *tx, h *heldCase) error {
	c, err := s.claimsOf(h.row.ID, h.row.Claims)
	if err != nil {
		return err
	}
	p, err := t.Person(ctx, h.row.Person)
	if err != nil {
		return err
	}
	moved, err := s.moveEmail(ctx, t, p, c.Email, h.event(account.EmailChanged))
	if err == nil && !moved {
		return AddressTaken
	}
	return err
}

// restoreSecond takes the second factor away. What is left to sign in with is the
// mailbox: a password alone, which a thief may know, does not do for it.
func (s *Store) restoreSecond(ctx context.Context, t *tx, h *heldCase) error {
	_, err := s.resetSecond(ctx, t, h.event(account.SecondReset))
	return err
}

// startAnew voids whatever was proven of the account, its password included: only
// the link in its mailbox leads on.
func (t *tx) startAnew(ctx context.Context, h *heldCase) error {
	if err := t.EnsureGuard(ctx, db.EnsureGuardParams{Subject: h.row.Person, Now: t.now()}); err != nil {
		return err
	}
	if err := t.secure(ctx, account.ID(h.row.Person), account.OperatorSaid, h.event("")); err != nil {
		return err
	}
	return t.Recovered(ctx, db.RecoveredParams{ID: h.row.Person, Now: t.now()})
}

// unlockFor ends the account's lock, and those of its devices.
func (s *Store) unlockFor(ctx context.Context, t *tx, h *heldCase) error {
	e := h.event(account.LockCleared)
	n, err := t.ClearLock(ctx, db.ClearLockParams{Subject: e.Subject, Now: t.now()})
	if err != nil {
		return err
	}
	if n > 0 {
		t.tell(e)
	}
	_, err = t.unlockDevices(ctx, e)
	return err
}

// replaceOwner makes the person the Account Owner, and Admins of those who were.
func (s *Store) replaceOwner(ctx context.Context, t *tx, h *heldCase) error {
	owners, err := t.OwnersOf(ctx, db.OwnersOfParams{Practice: h.row.Practice, But: h.row.Person})
	if err != nil {
		return err
	}
	e := h.event(account.MemberChanged)
	e.Reason = account.RoleGiven
	give := func(id string, role account.Role) error {
		n, err := t.SetRole(ctx, db.SetRoleParams{ID: id, Practice: h.row.Practice, Role: string(role), Now: t.now()})
		if n > 0 {
			e.Subject = id
			t.tell(e)
		}
		return err
	}
	for _, id := range owners {
		if err := t.keepPractices(ctx, account.ID(id), e); err != nil {
			return err
		}
		if err := give(id, account.Admin); err != nil {
			return err
		}
		names, err := t.transferNames(ctx, account.ID(id), account.ID(h.row.Person))
		if err != nil {
			return err
		}
		if err := s.queueMail(ctx, t, Mail{Template: "transfer_done", Subject: id, Data: names}); err != nil {
			return err
		}
	}
	return give(h.row.Person, account.Owner)
}

// claimsOf opens what was said in a case; nothing once it is forgotten.
func (s *Store) claimsOf(id string, sealed []byte) (c Claims, err error) {
	if len(sealed) == 0 {
		return c, nil
	}
	doc, err := s.Ring.Open(sealed, "cases", "claims", id)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(doc, &c)
}
