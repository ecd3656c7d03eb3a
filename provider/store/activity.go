package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Activity is one event of the audit trail, as its account's person may see it.
type Activity struct {
	Kind   account.Kind
	Factor string // of account.Factor, or ""
	Reason account.Reason
	Source account.Source
	Actor  string     // "" for the person, else who acted
	By     account.By // account.ByOwner: those who run the team of their practice
	At     time.Time
}

// Activity returns what happened to an account, the newest first, and at most
// so many. What tells only operators something is left out, and so is what
// anybody could repeat until all else is out of sight.
func (s *Store) Activity(ctx context.Context, id account.ID, most int) ([]Activity, error) {
	rows, err := s.q.Activity(ctx, db.ActivityParams{Subject: string(id), Most: int32(most)})
	if err != nil {
		return nil, fmt.Errorf("store: activity: %w", err)
	}
	all := make([]Activity, len(rows))
	for i, r := range rows {
		all[i] = Activity{Kind: account.Kind(r.Kind), Factor: r.Factor, Reason: account.Reason(r.Reason),
			Source: account.Source(r.Source), Actor: r.Actor, By: account.By(r.Initiator), At: at(r.At)}
		if r.Actor == string(id) {
			all[i].Actor = "" // they did it to others
		}
	}
	return all, nil
}
