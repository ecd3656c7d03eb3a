package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store/db"
)

// NPIs are public, but which of them have an account here, and by what name, is
// not. So a person's is not among their claims in the database: it is sealed, and
// found by a keyed hash, the same as that of cases.

// ErrNoRing means that the store was opened without a key ring, and was asked
// for what needs one.
var ErrNoRing = errors.New("store: there is no key ring to seal with")

const (
	npiClaim   = "npi"
	samePeople = 10 // of one NPI are told; it should be one person's
)

// casesKey is what the NPIs of cases and people, and the addresses of cases, are
// hashed with.
func (s *Store) casesKey(ctx context.Context) ([]byte, error) {
	if s.Ring == nil {
		return nil, ErrNoRing
	}
	return s.Secret(ctx, "cases", 32)
}

// hideNPIs takes the NPIs of people who are to be added out of their claims. It
// comes before the transaction: one connection is enough for every request.
func (s *Store) hideNPIs(ctx context.Context, people ...*NewPerson) error {
	var key []byte
	for _, n := range people {
		claim, has := n.Claims[npiClaim]
		if !has {
			continue
		}
		npi, ok := claim.(string)
		if !ok {
			return fmt.Errorf("store: the NPI of %s is not a text", n.Username)
		}
		n.Claims = maps.Clone(n.Claims) // it is the caller's
		delete(n.Claims, npiClaim)
		if npi == "" {
			continue
		}
		var err error
		if key == nil {
			if key, err = s.casesKey(ctx); err != nil {
				return err
			}
		}
		n.complete()
		n.npi, n.npiHash = s.hideNPI(key, string(n.ID), npi)
	}
	return nil
}

func (s *Store) hideNPI(key []byte, id, npi string) (sealed, hash []byte) {
	return s.Ring.Seal([]byte(npi), "people", "npi", id), keyed(key, account.NormalNPI(npi))
}

// showNPI puts a person's NPI back among their claims. Without a ring it is left
// out: breaking glass for somebody needs none. So is one that cannot be opened, and
// the log says so: nobody is kept from signing in for it.
func (s *Store) showNPI(e *directory.Entry, sealed []byte) {
	if len(sealed) == 0 || s.Ring == nil {
		return
	}
	npi, err := s.Ring.Open(sealed, "people", "npi", string(e.ID))
	if err != nil {
		s.Logger.Warn("an NPI cannot be told", "cause", err.Error())
		return
	}
	if e.Claims == nil {
		e.Claims = map[string]any{}
	}
	e.Claims[npiClaim] = string(npi)
}

// PeopleByNPI returns who has an NPI, disabled people too, and ten at most. It
// proves nothing about whoever names it: anybody can look an NPI up. What a
// program from before left among the claims is found once the sweep has moved it.
func (s *Store) PeopleByNPI(ctx context.Context, npi string) ([]account.ID, error) {
	if npi = account.NormalNPI(npi); npi == "" {
		return nil, nil
	}
	key, err := s.casesKey(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.PeopleByNPI(ctx, db.PeopleByNPIParams{NpiHash: keyed(key, npi), Most: samePeople})
	if err != nil {
		return nil, fmt.Errorf("store: people by NPI: %w", err)
	}
	ids := make([]account.ID, len(rows))
	for i, id := range rows {
		ids[i] = account.ID(id)
	}
	return ids, nil
}

// sweepNPIs moves the NPIs that a program from before left among the claims. Each
// is a statement of its own, which does nothing if another replica was quicker.
// Claims that cannot be read keep nobody else's from being moved.
func (s *Store) sweepNPIs(ctx context.Context) error {
	var key []byte
	var wrong []error
	for after := ""; ; {
		page, err := s.q.ClearNPIs(ctx, db.ClearNPIsParams{After: after, Page: batch})
		if err != nil {
			return fmt.Errorf("store: sweep NPIs: %w", err)
		}
		if len(page) > 0 && key == nil {
			if key, err = s.casesKey(ctx); err != nil {
				return err
			}
		}
		for _, r := range page {
			if err := s.moveNPI(ctx, key, r); err != nil {
				wrong = append(wrong, fmt.Errorf("store: sweep the NPI of %s: %w", r.ID, err))
			}
			after = r.ID
		}
		if len(page) < batch || ctx.Err() != nil {
			return errors.Join(wrong...)
		}
	}
}

// moveNPI moves one. What is no text was never told to any app, and goes.
func (s *Store) moveNPI(ctx context.Context, key []byte, r db.ClearNPIsRow) error {
	claims := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(r.Claims), &claims); err != nil {
		return err
	}
	claim, has := claims[npiClaim]
	if !has {
		return nil // of that name is something within another claim
	}
	delete(claims, npiClaim)
	rest, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	p := db.HideNPIParams{ID: r.ID, Old: r.Claims, Claims: string(rest)}
	var npi string
	if json.Unmarshal(claim, &npi) == nil && npi != "" {
		p.Npi, p.NpiHash = s.hideNPI(key, r.ID, npi)
	}
	return s.w.HideNPI(ctx, p)
}
