package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// AskReset makes the one live link. A subject that nobody has gets the same
// statements, so that time tells nothing.
func (s *Store) AskReset(ctx context.Context, a flows.ResetAsk) error {
	return s.update(ctx, func(t *tx) error {
		_, err := s.askReset(ctx, t, a)
		return err
	})
}

// askReset reports whether a link was made: there are only so many an hour.
func (s *Store) askReset(ctx context.Context, t *tx, a flows.ResetAsk) (made bool, err error) {
	token, cancel := account.NewSecret(), account.NewSecret()
	e := account.Event{Kind: account.ResetRequested, Subject: a.Subject, By: a.By, Actor: a.Actor,
		Step: a.Case, Source: a.Source, Reason: account.Sent}
	if a.Shadow {
		e.Reason = account.NoAccount
	}
	n, err := t.AskReset(ctx, db.AskResetParams{
		Subject: a.Subject, Shadow: a.Shadow, Initiator: string(a.By),
		TokenHash: account.HashSecret(token), CancelHash: account.HashSecret(cancel),
		Now: t.now(), ExpiresAt: micros(t.at.Add(account.LinkFor)),
		HourAgo: micros(t.at.Add(-time.Hour)),
	})
	if err != nil {
		return false, err
	}
	if n == 0 {
		e.Reason = account.RateLimited
		t.tell(e)
		return false, nil
	}
	t.tell(e)
	if err := t.AddResetLink(ctx, db.AddResetLinkParams{
		Hash: account.HashSecret(token), Subject: a.Subject, SentAt: t.now()}); err != nil {
		return false, err
	}
	return true, s.queueMail(ctx, t, Mail{Template: resetMail, Subject: a.Subject, Locale: a.Locale,
		Data: map[string]any{"token": token, "cancel": cancel,
			"minutes": int(account.LinkFor.Minutes()), "team": a.By == account.ByOwner, "support": a.By == account.BySupport}})
}

// OpenLink tells what a link is worth. What nobody ever made is counted and
// not written, so that guesses do not fill the audit trail.
func (s *Store) OpenLink(ctx context.Context, hash []byte, from account.Source) (account.Link, error) {
	l, err := s.link(ctx, s.q, hash)
	if err != nil {
		return l, err
	}
	e := account.Event{Kind: account.ResetOpened, Subject: l.Subject, Reason: l.Fate, By: l.By, Source: from}
	if l.Fate == account.Unknown {
		e.At = s.Now()
		s.observe(e)
		return l, nil
	}
	return l, s.update(ctx, func(t *tx) error { t.tell(e); return nil })
}

func (s *Store) link(ctx context.Context, q *db.Queries, hash []byte) (account.Link, error) {
	r, err := q.ResetLink(ctx, hash)
	if missing(err) {
		return account.Link{Fate: account.Unknown}, nil
	}
	if err != nil {
		return account.Link{}, err
	}
	l := account.Link{Subject: r.Subject, SentAt: at(r.SentAt), By: account.By(r.Initiator)}
	switch now := s.Now(); {
	case r.UsedAt > 0:
		l.Fate = account.Used
	case r.Live && now.Before(at(r.ExpiresAt)):
		l.Fate, l.Until = account.Valid, at(r.ExpiresAt)
	case r.Live:
		l.Fate = account.Expired
	case r.NewestAt > r.SentAt:
		l.Fate, l.NewerAt = account.Superseded, at(r.NewestAt)
	default: // cancelled: "this was not me"
		l.Fate = account.Unknown
	}
	return l, nil
}

// Redeem does all that a finished reset does, or nothing. TakeReset decides: it
// locks the subject's row, so of two redemptions, or of one and a newer request,
// one comes first. The guard's row is locked before it, as everywhere: two
// changes of one account wait for one another, and not for ever.
func (s *Store) Redeem(ctx context.Context, f *flows.Flow, p flows.Progress) (account.Reason, error) {
	if f.Account == "" || len(f.Link) == 0 || p.Hash == "" {
		return "", fmt.Errorf("store: redeem: the flow holds no link or no password")
	}
	fate, epoch := account.Valid, int64(0)
	err := s.update(ctx, func(t *tx) error {
		if err := t.LockGuard(ctx, db.LockGuardParams{Subject: string(f.Account), Now: t.now()}); err != nil {
			return err
		}
		r, err := t.TakeReset(ctx, db.TakeResetParams{Subject: string(f.Account), TokenHash: f.Link, Now: t.now()})
		if missing(err) {
			l, err := s.link(ctx, t.Queries, f.Link)
			if fate = l.Fate; fate == account.Valid {
				fate = account.Unknown // good, but for another account than the flow's
			}
			return err
		}
		if err != nil {
			return err
		}
		if err := t.UseResetLink(ctx, db.UseResetLinkParams{Hash: f.Link, Now: t.now()}); err != nil {
			return err
		}
		t.tell(account.Event{Kind: account.ResetCompleted, Subject: string(f.Account), Practice: f.Practice,
			By: account.By(r.Initiator), Source: f.From, Took: t.at.Sub(at(r.SentAt))})
		epoch, err = s.renew(ctx, t, f.Account, p)
		return err
	})
	if err == nil && fate == account.Valid {
		f.Epoch = epoch
	}
	return fate, err
}

// renew gives an account a new password and a clean start: no lock, nothing
// counted but the total of wrong codes, and nothing proven before still good. It
// returns the epoch that begins.
func (s *Store) renew(ctx context.Context, t *tx, id account.ID, p flows.Progress) (epoch int64, err error) {
	if err := t.clearExpired(ctx, string(id)); err != nil {
		return 0, err
	}
	if _, err := t.clearLock(ctx, id, account.ByReset, ""); err != nil {
		return 0, err
	}
	if epoch, err = t.ResetGuard(ctx, db.ResetGuardParams{Subject: string(id), Now: t.now()}); err != nil {
		return 0, err
	}
	n, err := t.SetPassword(ctx, db.SetPasswordParams{ID: string(id), PasswordHash: p.Hash, ShortPassword: p.Short, Now: t.now()})
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, fmt.Errorf("store: the person whose password was to change is gone")
	}
	if err := t.endSessions(ctx, id, account.ResetDone); err != nil {
		return 0, err
	}
	return epoch, s.notify(ctx, t, "password_reset", id, nil)
}

// CancelReset ends the link that a mail's "this was not me" belongs to.
func (s *Store) CancelReset(ctx context.Context, cancel []byte, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		subject, err := t.CancelReset(ctx, db.CancelResetParams{CancelHash: cancel, Now: t.now()})
		if missing(err) {
			return nil
		}
		if was = err == nil; was {
			t.tell(account.Event{Kind: account.ResetCancelled, Subject: subject, Source: from})
		}
		return err
	})
	return was, err
}
