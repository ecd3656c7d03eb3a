package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/medximity/idp/flows"
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

// Case is one, as whoever opened it may see it.
type Case struct {
	ID        string // the number that people are told
	State     flows.CaseState
	Opened    time.Time
	Due       time.Time // when an answer is promised
	Answered  time.Time // when there was one; zero: not yet
	Confirmed time.Time // when the new address was; zero: not yet
	Until     time.Time // when the wait is over, of one that waits
	Frozen    bool      // somebody who holds the account stopped it
	Reply     string    // the desk's newest: a key of locale, after "case.reply."
}

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
	key, err := s.casesKey(ctx)
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
	return &Case{ID: r.ID, State: flows.CaseState(r.State), Opened: at(r.OpenedAt), Due: at(r.DueAt), Answered: at(r.AnsweredAt),
		Confirmed: at(r.ConfirmedAt), Until: at(r.WaitUntil), Frozen: r.FrozenAt > 0, Reply: r.Reply}, nil
}

// ConfirmCase notes that whoever opened the case reads the new address. It is
// false if that was known, or is of no use any more.
func (s *Store) ConfirmCase(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	return s.byLink(ctx, hash, flows.CaseConfirm, func(t *tx, h *heldCase) error {
		if h.Confirmed {
			return NotNow
		}
		h.row.ConfirmedAt = t.now()
		t.tell(account.Event{Kind: account.CaseConfirmed, Step: h.row.ID, By: account.BySelf, Source: from})
		return nil
	})
}

// WithdrawCase ends a case for whoever opened it. It is false if it was closed.
// What they said is forgotten, unless the desk had begun to look into it.
func (s *Store) WithdrawCase(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	return s.byLink(ctx, hash, flows.CaseWithdraw, func(t *tx, h *heldCase) error {
		h.row.ClosedAt = t.now()
		t.tell(account.Event{Kind: account.CaseWithdrawn, Subject: h.row.Person, Practice: account.PracticeID(h.row.Practice),
			Step: h.row.ID, By: account.BySelf, Source: from, Took: t.at.Sub(at(h.row.OpenedAt))})
		if h.row.State != string(flows.CaseOpen) {
			return nil
		}
		return t.ForgetClaims(ctx, db.ForgetClaimsParams{ID: h.row.ID, Nothing: []byte{}})
	})
}

// byLink does something to the case of a link, if it may be done now.
func (s *Store) byLink(ctx context.Context, hash []byte, do flows.CaseAction, change func(*tx, *heldCase) error) (was bool, err error) {
	id, err := s.q.CaseIDByLink(ctx, hash)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: case: %w", err)
	}
	return done(s.onCase(ctx, id, func(t *tx, h *heldCase) error {
		if err := h.act(t, flows.Claimant, do, change); err != nil {
			return err
		}
		return s.logCase(ctx, t, h, "", &handwork{do: do})
	}))
}

// CaseStats counts the cases that are not closed, by state (those that are
// frozen as "frozen"), and those of them whose answer is overdue.
func (s *Store) CaseStats(ctx context.Context) (open map[string]int, overdue int, err error) {
	rows, err := s.q.OpenCases(ctx, micros(s.Now()))
	if err != nil {
		return nil, 0, fmt.Errorf("store: cases: %w", err)
	}
	open = map[string]int{"frozen": 0}
	for _, state := range flows.CaseStates {
		if !state.Closed() {
			open[string(state)] = 0
		}
	}
	for _, r := range rows {
		open[r.State] = int(r.Cases - r.Frozen)
		open["frozen"] += int(r.Frozen)
		overdue += int(r.Overdue)
	}
	return open, overdue, nil
}
