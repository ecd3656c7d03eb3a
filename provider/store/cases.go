package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Claims are what somebody says of themselves who asks Support for help. None of
// it is proven, and most of it anybody can find out.
type Claims struct {
	Name     string `json:"name"`
	Practice string `json:"practice"`
	NPI      string `json:"npi,omitempty"` // ten digits, or ""
	Username string `json:"username,omitempty"`
	Email    string `json:"email"` // the new one
	Happened string `json:"happened,omitempty"`
}

// CaseState is how far a case has come.
type CaseState string

// The states so far: the desk has more.
const (
	CaseOpen      CaseState = "open"
	CaseWithdrawn CaseState = "withdrawn" // by whoever opened it
)

// Case is one, as whoever opened it may see it.
type Case struct {
	ID        string // the number that people are told
	State     CaseState
	Opened    time.Time
	Due       time.Time // when an answer is promised
	Confirmed time.Time // when the new address was; zero: not yet
}

// Closed reports whether nothing more will be done.
func (c Case) Closed() bool { return c.State == CaseWithdrawn }

// Templates of the mails that a case begins with: to the desk, and to the new
// address.
const (
	supportMail = "support_request"
	caseMail    = "case_opened"
)

// casesPerDay is how many links an address gets in any 24 hours: the form must
// not fill a stranger's mailbox. Cases beyond are opened all the same.
const casesPerDay = 3

// OpenCase opens a case and mails the desk, and the new address a link to see how
// it stands. It looks nobody up, so that no answer tells who has an account.
func (s *Store) OpenCase(ctx context.Context, c Claims, due time.Time, locale string, from account.Source) (id string, err error) {
	key, err := s.Secret(ctx, "cases", 32)
	if err != nil {
		return "", err
	}
	doc, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	id = rand.Text()[:8]
	token, email := account.NewSecret(), keyed(key, c.Email)
	return id, s.update(ctx, func(t *tx) error {
		before, err := t.CasesSince(ctx, db.CasesSinceParams{EmailHash: email, Since: micros(t.at.Add(-day))})
		if err != nil {
			return err
		}
		err = t.Queries.OpenCase(ctx, db.OpenCaseParams{ID: id, Claims: s.Ring.Seal(doc, "cases", "claims", id),
			NpiHash: keyed(key, c.NPI), EmailHash: email, TokenHash: account.HashSecret(token), Locale: locale,
			Now: t.now(), DueAt: micros(due)})
		if err != nil {
			return fmt.Errorf("store: case: %w", err)
		}
		t.tell(account.Event{Kind: account.SupportAsked, Step: id, By: account.BySelf, Source: from})
		if err := s.queueMail(ctx, t, Mail{Template: supportMail, Locale: locale, Data: map[string]any{
			"reference": id, "name": c.Name, "practice": c.Practice, "npi": c.NPI, "username": c.Username,
			"email": c.Email, "happened": c.Happened}}); err != nil || before >= casesPerDay {
			return err
		}
		return s.queueMail(ctx, t, Mail{Template: caseMail, Locale: locale, Data: map[string]any{
			"reference": id, "to": c.Email, "token": token}})
	})
}

// keyed finds cases of one NPI or address without keeping it in the clear; nil
// for none.
func keyed(key []byte, text string) []byte {
	if text == "" {
		return nil
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// CaseByLink returns the case that a mailed link belongs to, or nil.
func (s *Store) CaseByLink(ctx context.Context, hash []byte) (*Case, error) {
	r, err := s.q.CaseByLink(ctx, hash)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: case: %w", err)
	}
	return &Case{ID: r.ID, State: CaseState(r.State), Opened: at(r.OpenedAt), Due: at(r.DueAt), Confirmed: at(r.ConfirmedAt)}, nil
}

// ConfirmCase notes that whoever opened the case reads the new address. It is
// false if that was known, or the case is closed.
func (s *Store) ConfirmCase(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	return s.byLink(ctx, account.CaseConfirmed, from, func(t *tx) (string, error) {
		return t.Queries.ConfirmCase(ctx, db.ConfirmCaseParams{TokenHash: hash, Now: t.now()})
	})
}

// WithdrawCase ends a case for whoever opened it, and forgets what they said. It
// is false if it was closed.
func (s *Store) WithdrawCase(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	return s.byLink(ctx, account.CaseWithdrawn, from, func(t *tx) (string, error) {
		return t.Queries.WithdrawCase(ctx, db.WithdrawCaseParams{TokenHash: hash, Now: t.now(), Nothing: []byte{}})
	})
}

// byLink does one statement to the case of a link, and tells of it.
func (s *Store) byLink(ctx context.Context, k account.Kind, from account.Source, do func(*tx) (string, error)) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		id, err := do(t)
		if missing(err) {
			return nil
		}
		if was = err == nil; was {
			t.tell(account.Event{Kind: k, Step: id, By: account.BySelf, Source: from})
		}
		return err
	})
	return was && err == nil, err
}

// CaseStats counts the cases that are not closed, by state, and those of them
// whose answer is overdue.
func (s *Store) CaseStats(ctx context.Context) (open map[string]int, overdue int, err error) {
	rows, err := s.q.OpenCases(ctx, micros(s.Now()))
	if err != nil {
		return nil, 0, fmt.Errorf("store: cases: %w", err)
	}
	open = map[string]int{string(CaseOpen): 0}
	for _, r := range rows {
		open[r.State] = int(r.Cases)
		overdue += int(r.Overdue)
	}
	return open, overdue, nil
}
