package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// The mails with the links of a change of address. The one to the new address
// is among the few that say themselves where they go.
const (
	confirmOldMail   = "email_confirm_old"
	confirmNewMail   = "email_confirm_new"
	emailChangedMail = "email_changed"
)

// AskEmail makes the one live change of address of an account, and mails a link
// to both addresses; email is normalised. An address that somebody else has
// gets the same statements and no mail, so that its change is never made and
// the answer tells nothing. After three in an hour nothing happens.
func (s *Store) AskEmail(ctx context.Context, by *Session, email string, from account.Source) error {
	return s.update(ctx, func(t *tx) error {
		e := account.Event{Kind: account.EmailAsked, Subject: string(by.Account), Practice: by.Practice, Source: from}
		oldToken, newToken, cancel := account.NewSecret(), account.NewSecret(), account.NewSecret()
		n, err := t.AskEmail(ctx, db.AskEmailParams{
			Account: string(by.Account), Email: email, Epoch: by.Epoch,
			OldHash: account.HashSecret(oldToken), NewHash: account.HashSecret(newToken),
			CancelHash: account.HashSecret(cancel),
			Now:        t.now(), ExpiresAt: micros(t.at.Add(account.LinkFor)), HourAgo: micros(t.at.Add(-time.Hour)),
		})
		if err != nil {
			return err
		}
		if n == 0 {
			e.Reason = account.RateLimited
			t.tell(e)
			return nil
		}
		t.tell(e)
		err = s.queueMail(ctx, t, Mail{Template: confirmOldMail, Subject: string(by.Account),
			Data: map[string]any{"token": oldToken, "cancel": cancel, "new": email}})
		if err != nil {
			return err
		}
		whose, err := t.unlessTaken(ctx, by.Account, email)
		if err != nil {
			return err
		}
		return s.queueMail(ctx, t, Mail{Template: confirmNewMail, Subject: whose,
			Data: map[string]any{"token": newToken, "new": email, "to": email}})
	})
}

// unlessTaken returns the account, or nobody if somebody else has the address:
// a mail about nobody is dropped.
func (t *tx) unlessTaken(ctx context.Context, id account.ID, email string) (subject string, err error) {
	n, err := t.EmailTaken(ctx, db.EmailTakenParams{Key: account.Normalise(email), Person: string(id)})
	if n > 0 {
		return "", err
	}
	return string(id), err
}

// PendingEmail returns the address that an account is to have, or "".
func (s *Store) PendingEmail(ctx context.Context, id account.ID) (string, error) {
	email, err := s.q.PendingEmail(ctx, db.PendingEmailParams{Account: string(id), Now: micros(s.Now())})
	if err != nil && !missing(err) {
		return "", fmt.Errorf("store: change of address: %w", err)
	}
	return email, nil
}

// EmailLink returns the address that a live link is about, be it one that
// confirms or the one that cancels; else ErrGone. It uses nothing up.
func (s *Store) EmailLink(ctx context.Context, hash []byte) (email string, err error) {
	email, err = s.q.EmailLink(ctx, db.EmailLinkParams{Hash: hash, Now: micros(s.Now())})
	if missing(err) {
		return "", ErrGone
	}
	if err != nil {
		return "", fmt.Errorf("store: change of address: %w", err)
	}
	return email, nil
}

// ConfirmEmail confirms a change from one of the two addresses. It is done with
// the second; before that, wait is the address whose link is still to be
// opened. ErrGone is for any link but a live one, and for an address that
// somebody else has taken meanwhile.
func (s *Store) ConfirmEmail(ctx context.Context, hash []byte, from account.Source) (done bool, wait string, err error) {
	gone := false
	err = s.update(ctx, func(t *tx) error {
		c, err := t.ConfirmEmail(ctx, db.ConfirmEmailParams{Hash: hash, Now: t.now()})
		if missing(err) {
			return ErrGone
		}
		if err != nil {
			return err
		}
		person, err := t.Person(ctx, c.Account)
		if missing(err) {
			return ErrGone
		}
		switch {
		case err != nil:
			return err
		case !c.OldDone:
			wait = person.Email
			return nil
		case !c.NewDone:
			wait = c.Email
			return nil
		}
		done, err = s.moveEmail(ctx, t, person, c.Email, account.Event{Kind: account.EmailChanged, Source: from})
		gone = !done
		return err
	})
	if err == nil && gone {
		err = ErrGone
	}
	if err != nil {
		return false, "", err
	}
	return done, wait, nil
}

// moveEmail gives the person their new address, and tells the event, unless
// somebody else has it by now. Either way the change is over.
func (s *Store) moveEmail(ctx context.Context, t *tx, p db.PersonRow, email string, e account.Event) (bool, error) {
	id := account.ID(p.ID)
	taken, err := t.rename(ctx, p, email)
	if err != nil {
		return false, err
	}
	if taken {
		_, err := t.endEmail(ctx, id, e.Source)
		return false, err
	}
	if _, err := t.EndEmail(ctx, db.EndEmailParams{Account: p.ID, Now: t.now()}); err != nil {
		return false, err
	}
	e.Subject, e.Practice = p.ID, account.PracticeID(p.Practice)
	t.tell(e)
	if err := s.notify(ctx, t, emailChangedMail, id, map[string]any{"new": email}); err != nil {
		return false, err
	}
	return true, s.notify(ctx, t, emailChangedMail, id, map[string]any{"new": email, "to": p.Email})
}

// rename changes the address, and what the person may type. A reset link that
// waits in the old mailbox is void.
func (t *tx) rename(ctx context.Context, p db.PersonRow, email string) (taken bool, err error) {
	now, was := account.Normalise(email), account.Normalise(p.Email)
	n, err := t.TakeEmail(ctx, db.TakeEmailParams{Key: now, Person: p.ID})
	if err != nil || n == 0 {
		return n == 0, err
	}
	if now != was {
		if err := t.LeaveEmail(ctx, db.LeaveEmailParams{Key: was, Person: p.ID}); err != nil {
			return false, err
		}
	}
	if err := t.EndReset(ctx, p.ID); err != nil {
		return false, err
	}
	username := p.Username
	if account.Normalise(username) == was {
		username = email
	}
	_, err = t.SetEmail(ctx, db.SetEmailParams{ID: p.ID, Email: email, Username: username, Now: t.now()})
	return false, err
}

// CancelEmail ends the change that a mail's link belongs to. A link that is
// worth nothing is false.
func (s *Store) CancelEmail(ctx context.Context, cancel []byte, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		subject, err := t.CancelEmail(ctx, db.CancelEmailParams{CancelHash: cancel, Now: t.now()})
		if missing(err) {
			return nil
		}
		if was = err == nil; was {
			t.tell(account.Event{Kind: account.EmailCancelled, Subject: subject, Source: from})
		}
		return err
	})
	return was && err == nil, err
}

// WithdrawEmail ends the change that an account has under way, if any.
func (s *Store) WithdrawEmail(ctx context.Context, by *Session, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		was, err = t.endEmail(ctx, by.Account, from)
		return err
	})
	return was && err == nil, err
}

func (t *tx) endEmail(ctx context.Context, id account.ID, from account.Source) (bool, error) {
	n, err := t.EndEmail(ctx, db.EndEmailParams{Account: string(id), Now: t.now()})
	if n > 0 {
		t.tell(account.Event{Kind: account.EmailCancelled, Subject: string(id), Source: from})
	}
	return n > 0, err
}

// SetLocale changes the language of a person's mails and pages.
func (s *Store) SetLocale(ctx context.Context, by *Session, locale string) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.SetLocale(ctx, db.SetLocaleParams{ID: string(by.Account), Locale: locale, Now: t.now()})
		if n > 0 {
			t.tell(account.Event{Kind: account.LanguageChanged, Subject: string(by.Account), Practice: by.Practice})
		}
		return err
	})
}
