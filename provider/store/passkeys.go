package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Passkeys returns the account's, the oldest first.
func (s *Store) Passkeys(ctx context.Context, id account.ID) ([]account.Passkey, error) {
	return s.passkeysOf(ctx, s.q, id)
}

func (s *Store) passkeysOf(ctx context.Context, q *db.Queries, id account.ID) ([]account.Passkey, error) {
	rows, err := q.Passkeys(ctx, string(id))
	if err != nil {
		return nil, fmt.Errorf("store: passkeys: %w", err)
	}
	all := make([]account.Passkey, len(rows))
	for i, r := range rows {
		record, err := s.Ring.Open(r.Record, "passkeys", "record", boundTo(r.Account, r.ID))
		if err != nil {
			return nil, err
		}
		all[i] = account.Passkey{ID: r.ID, Account: account.ID(r.Account), Name: r.Name, Credential: r.Credential, Record: record,
			Count: uint32(r.Counter), Verified: r.Verified, Synced: r.Synced, AddedAt: at(r.CreatedAt), UsedAt: at(r.UsedAt)}
	}
	return all, nil
}

// boundTo is what a record is sealed for. A passkey alone signs in, so whoever can
// write to the database must not make theirs somebody else's.
func boundTo(account, id string) string { return account + " " + id }

// PasskeyHolder returns whose credential it is, as their account stands; nil if
// nobody has it.
func (s *Store) PasskeyHolder(ctx context.Context, credential []byte) (*flows.PasskeyHolder, error) {
	r, err := s.q.PasskeyHolder(ctx, credential)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: passkeys: %w", err)
	}
	all, err := s.Passkeys(ctx, account.ID(r.Account))
	return &flows.PasskeyHolder{Account: account.ID(r.Account), Passkeys: all, Epoch: r.Epoch, Locks: r.Locks,
		LockedUntil: at(r.LockedUntil)}, err
}

// RefusePasskey tells the trail, as long as the source has failures left.
func (s *Store) RefusePasskey(ctx context.Context, r flows.PasskeyRefusal) error {
	a := account.Attempt{Subject: string(r.Account), Source: r.Source, Exempt: r.Exempt}
	if source := a.Limited(); source != "" {
		n, err := s.q.SourceFailures(ctx, db.SourceFailuresParams{Source: string(source),
			Since: micros(s.Now().Add(-account.SourceWindow))})
		if err != nil {
			return fmt.Errorf("store: passkeys: %w", err)
		}
		if n >= account.SourceFailures {
			return account.ErrLimited
		}
	}
	return s.update(ctx, func(t *tx) error {
		t.tell(account.Event{Kind: account.PasskeyRefused, Subject: string(r.Account), Step: string(r.Step),
			Reason: r.Cause, Source: r.Source})
		return t.countSource(ctx, failure{Attempt: a})
	})
}

// usePasskey keeps the count and the time of a passkey that was right. One that
// was removed, or used elsewhere since it was judged, is account.ErrReplayed.
func (t *tx) usePasskey(ctx context.Context, s *Store, f *flows.Flow, a account.Assertion) error {
	p := a.Passkey
	n, err := t.UsePasskey(ctx, db.UsePasskeyParams{ID: p.ID, Account: string(f.Account), Counter: int64(p.Count), Before: int64(a.Before),
		Record: s.Ring.Seal(p.Record, "passkeys", "record", boundTo(string(f.Account), p.ID)), Now: t.now()})
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrReplayed
	}
	e := account.Event{Kind: account.PasskeyUsed, Subject: string(f.Account), Practice: f.Practice, Source: f.From}
	t.tell(e)
	if a.Cloned {
		e.Kind = account.PasskeyCloned
		t.tell(e)
	}
	freed, err := t.FreeCodes(ctx, string(f.Account))
	if freed > 0 {
		e.Kind = account.SecondFreed
		t.tell(e)
	}
	return err
}

// addPasskey adds one that was made before the eyes of its flow.
func (s *Store) addPasskey(ctx context.Context, t *tx, f *flows.Flow, p account.NewPasskey) error {
	id := rand.Text()
	n, err := t.AddPasskey(ctx, db.AddPasskeyParams{ID: id, Account: string(f.Account), Credential: p.Credential, Name: p.Name,
		Record: s.Ring.Seal(p.Record, "passkeys", "record", boundTo(string(f.Account), id)), Counter: int64(p.Count), Verified: p.Verified,
		Synced: p.Synced, Now: t.now()})
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrReplayed
	}
	t.tell(account.Event{Kind: account.PasskeyAdded, Subject: string(f.Account), Practice: f.Practice, Source: f.From})
	return s.notify(ctx, t, "passkey_added", f.Account, map[string]any{"name": p.Name})
}

// RemovePasskey takes one of an account's passkeys away, as RemoveAuthenticator
// does an authenticator.
func (s *Store) RemovePasskey(ctx context.Context, by *Session, id string, required bool, from account.Source) (bool, error) {
	err := s.update(ctx, func(t *tx) error {
		return s.removeSecond(ctx, t, by, func() (int64, error) {
			return t.Queries.RemovePasskey(ctx, db.RemovePasskeyParams{ID: id, Account: string(by.Account), Required: required})
		}, account.Event{Kind: account.PasskeyRemoved, Source: from}, "passkey_removed")
	})
	if errors.Is(err, errGone) {
		return false, nil
	}
	return err == nil, err
}
