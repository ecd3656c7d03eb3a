package store

import (
	"context"
	"strings"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Consent is what a person allowed an app of others.
type Consent struct {
	Client  string
	Name    string   // of the app, as people see it
	Scopes  []string // all that were allowed
	GivenAt time.Time
}

// Consent returns the scopes that an account allowed a client; none is no error.
func (s *Store) Consent(ctx context.Context, id account.ID, client string) ([]string, error) {
	scopes, err := s.q.Consent(ctx, db.ConsentParams{Account: string(id), Client: client})
	if missing(err) {
		return nil, nil
	}
	return strings.Fields(scopes), err
}

// GiveConsent notes that the person of a session allows a client these scopes,
// all of them: what was allowed before and is not among them is not any more.
func (s *Store) GiveConsent(ctx context.Context, by *Session, client string, scopes []string, from account.Source) error {
	return s.update(ctx, func(t *tx) error {
		t.tell(account.Event{Kind: account.ConsentGiven, Subject: string(by.Account), Practice: by.Practice,
			Step: client, Source: from})
		return t.Queries.GiveConsent(ctx, db.GiveConsentParams{Account: string(by.Account), Client: client,
			Scopes: strings.Join(scopes, " "), Now: t.now()})
	})
}

// Consents returns what an account allowed, by the apps' names.
func (s *Store) Consents(ctx context.Context, id account.ID) ([]Consent, error) {
	rows, err := s.q.Consents(ctx, string(id))
	all := make([]Consent, len(rows))
	for i, r := range rows {
		all[i] = Consent{Client: r.Client, Name: r.Name, Scopes: strings.Fields(r.Scopes), GivenAt: at(r.GivenAt)}
	}
	return all, err
}

// WithdrawConsent takes back what a client was allowed. All that it was given is
// worth nothing from then on, codes included (RedeemCode). It reports whether
// there was something to take back.
func (s *Store) WithdrawConsent(ctx context.Context, by *Session, client string, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		n, err := t.Queries.WithdrawConsent(ctx, db.WithdrawConsentParams{Account: string(by.Account), Client: client})
		if err != nil || n == 0 {
			return err
		}
		was = true
		e := account.Event{Kind: account.ConsentWithdrawn, Subject: string(by.Account), Practice: by.Practice,
			Step: client, Source: from}
		t.tell(e)
		dead, err := t.RevokeGrantsFor(ctx, db.RevokeGrantsForParams{Account: string(by.Account), Client: client, Now: t.now()})
		e.Kind, e.Reason = account.GrantRevoked, account.PersonAsked
		for range dead {
			t.tell(e)
		}
		return err
	})
	return was, err
}
