package store

import (
	"context"
	"fmt"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Sessions returns where an account is signed in, the newest seen first.
func (s *Store) Sessions(ctx context.Context, id account.ID) ([]Session, error) {
	rows, err := s.q.SessionsOf(ctx, db.SessionsOfParams{Account: string(id), Now: micros(s.Now())})
	if err != nil {
		return nil, fmt.Errorf("store: sessions: %w", err)
	}
	all := make([]Session, len(rows))
	for i, r := range rows {
		one, err := sessionOf(db.SessionRow(r))
		if err != nil {
			return nil, fmt.Errorf("store: sessions: %w", err)
		}
		all[i] = *one
	}
	return all, nil
}

// EndSessionByID ends a session of the same account, with the families of
// tokens that came from it. One that is over, or another's, is false.
func (s *Store) EndSessionByID(ctx context.Context, by *Session, id []byte, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		n, err := t.EndSessionOf(ctx, db.EndSessionOfParams{ID: id, Account: string(by.Account), Now: t.now()})
		if was = n > 0; err != nil || !was {
			return err
		}
		e := endedBy(by, from)
		t.tell(e)
		return t.endFamilies(ctx, e, id)
	})
	return was && err == nil, err
}

// EndOtherSessions ends all sessions of an account but the one that asks, and
// says how many. Every family of tokens that did not come from that one ends,
// too, even if its session was over: what was signed in by another browser is
// signed in no more.
func (s *Store) EndOtherSessions(ctx context.Context, by *Session, from account.Source) (ended int, err error) {
	err = s.update(ctx, func(t *tx) error {
		n, err := t.EndSessionsOf(ctx, db.EndSessionsOfParams{Account: string(by.Account), Now: t.now(), But: true, Keep: by.ID})
		if err != nil {
			return err
		}
		ended = int(n)
		e := endedBy(by, from)
		for range n {
			t.tell(e)
		}
		n, err = t.RevokeGrantsBut(ctx, db.RevokeGrantsButParams{Account: string(by.Account), Keep: by.ID, Now: t.now()})
		e.Kind = account.GrantRevoked
		for range n {
			t.tell(e)
		}
		return err
	})
	return ended, err
}

// endedBy tells of a session that its person ended from another one.
func endedBy(by *Session, from account.Source) account.Event {
	return account.Event{Kind: account.SessionEnded, Subject: string(by.Account), Practice: by.Practice,
		Reason: account.PersonAsked, Source: from}
}
