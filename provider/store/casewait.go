package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Between the approval of what a thief could want and its being done there is a
// day. The address on file, the owners of the practice and every live session
// hear of it at once, and each of them can stop it: whoever asked the desk holds
// none of these.

// noticeMail tells those who hold an account that the desk is about to open it.
const noticeMail = "case_notice"

// beginWait begins the day, and tells everybody who may stop it.
func (s *Store) beginWait(ctx context.Context, t *tx, h *heldCase) error {
	h.row.WaitUntil = micros(t.at.Add(flows.CaseFor))
	h.answered(t)
	t.tell(h.event(account.CaseWaiting))
	p, err := t.Person(ctx, h.row.Person)
	if err != nil {
		return err
	}
	owners, err := t.OwnersOf(ctx, db.OwnersOfParams{Practice: p.Practice, But: p.ID})
	if err != nil {
		return err
	}
	for _, id := range append([]string{p.ID}, owners...) {
		if err := s.noticeTo(ctx, t, h, p, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) noticeTo(ctx context.Context, t *tx, h *heldCase, p db.PersonRow, to string) error {
	token := account.NewSecret()
	err := t.AddCaseLink(ctx, db.AddCaseLinkParams{Hash: account.HashSecret(token), CaseID: h.row.ID,
		Round: h.row.Round, Release: to == p.ID})
	if err != nil {
		return err
	}
	var remedies []string
	for _, r := range h.Remedies {
		remedies = append(remedies, string(r))
	}
	return s.queueMail(ctx, t, Mail{Template: noticeMail, Subject: to, Data: map[string]any{"token": token,
		"reference": h.row.ID, "remedies": remedies, "own": to == p.ID, "hours": int(flows.CaseFor.Hours()),
		"name": nameOr(p.Name, p.Username), "practice": p.PracticeName}})
}

// CaseNotice is what the holder of an account may know of a case about it.
type CaseNotice struct {
	ID       string
	Remedies []flows.Remedy
	Waiting  bool      // it will be done; else the desk is still at it
	Until    time.Time // when the wait is over
	Frozen   bool      // they stopped it
	Release  bool      // they may also have it done at once
}

// NoticeByLink returns the case that a link in a mail to the holder is about; nil
// if it is closed, or the link is nobody's.
func (s *Store) NoticeByLink(ctx context.Context, hash []byte) (*CaseNotice, error) {
	l, err := s.q.CaseIDByNotice(ctx, hash)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: case: %w", err)
	}
	return s.notice(ctx, l.CaseID, l.Release)
}

// NoticeOf is the same for a live session of the account: the case about it that
// waits, or nil. Of several it is the one that is done first.
func (s *Store) NoticeOf(ctx context.Context, id account.ID) (*CaseNotice, error) {
	r, err := s.q.WaitingCaseOf(ctx, string(id))
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: case: %w", err)
	}
	return s.notice(ctx, r.ID, !r.Several)
}

// CaseWaits reports whether a case about an account waits.
func (s *Store) CaseWaits(ctx context.Context, id account.ID) (bool, error) {
	_, err := s.q.WaitingCaseOf(ctx, string(id))
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) notice(ctx context.Context, id string, release bool) (*CaseNotice, error) {
	r, err := s.q.DeskCase(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("store: case: %w", err)
	}
	c := caseOf(r, nil, 0)
	if c.State.Closed() {
		return nil, nil
	}
	n := &CaseNotice{ID: id, Remedies: c.Remedies, Waiting: c.State == flows.CaseWaiting, Until: at(r.WaitUntil), Frozen: c.Frozen}
	n.Release = release && n.Waiting && !n.Frozen
	return n, nil
}

// FreezeCase stops a case for whoever has a link to it. It is false if there is
// nothing to stop (any more).
func (s *Store) FreezeCase(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	l, err := s.q.CaseIDByNotice(ctx, hash)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: case: %w", err)
	}
	return done(s.onCase(ctx, l.CaseID, func(t *tx, h *heldCase) error { return s.freeze(ctx, t, h, from) }))
}

func (s *Store) freeze(ctx context.Context, t *tx, h *heldCase, from account.Source) error {
	return h.act(t, flows.Holder, flows.CaseFreeze, func(t *tx, h *heldCase) error {
		h.row.FrozenAt = t.now()
		e := h.event(account.CaseFrozen)
		e.Actor, e.By, e.Source = "", account.BySelf, from
		t.tell(e)
		return s.logCase(ctx, t, h, "", &handwork{do: flows.CaseFreeze})
	})
}

// FreezeCasesOf stops every case about an account, for one of its live sessions.
// It reports whether there was one.
func (s *Store) FreezeCasesOf(ctx context.Context, by *Session, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		was, err = s.freezeCasesOf(ctx, t, by.Account, from)
		return err
	})
	return was && err == nil, err
}

func (s *Store) freezeCasesOf(ctx context.Context, t *tx, id account.ID, from account.Source) (was bool, err error) {
	ids, err := t.CasesOf(ctx, string(id))
	if err != nil {
		return false, err
	}
	for _, caseID := range ids {
		h, err := t.holdCase(ctx, caseID)
		if err != nil {
			return false, err
		}
		if h.row.Person != string(id) {
			continue // it became somebody else's before we held it
		}
		switch ok, err := done(s.freeze(ctx, t, h, from)); {
		case err != nil:
			return false, err
		case !ok:
			continue
		}
		was = true
		if err := t.putCase(ctx, h); err != nil {
			return false, err
		}
	}
	return was, nil
}

// ReleaseCase ends the wait for whoever has the link that went to the address on
// file: they say that it was them. It is false if there is nothing to end.
func (s *Store) ReleaseCase(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	l, err := s.q.CaseIDByNotice(ctx, hash)
	if missing(err) || err == nil && !l.Release {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: case: %w", err)
	}
	return s.finish(ctx, l.CaseID, finishing{by: flows.Holder, do: flows.CaseRelease, link: hash, from: from})
}

// ReleaseCaseOf is the same for a live session of the account, of the case that its
// page named: while that one alone waits, so that nobody says yes to another's.
func (s *Store) ReleaseCaseOf(ctx context.Context, by *Session, id string, from account.Source) (was bool, err error) {
	was, err = s.finish(ctx, id, finishing{by: flows.Holder, do: flows.CaseRelease, account: by.Account, from: from})
	if errors.Is(err, ErrNoCase) {
		return false, nil
	}
	return was, err
}

// finishing is who ends a wait, and how.
type finishing struct {
	by      flows.CaseActor
	do      flows.CaseAction
	link    []byte     // by which the address on file does, or
	account account.ID // whose session does
	from    account.Source
}

// errReturn undoes what cannot be carried out.
var errReturn = errors.New("store: what was approved cannot be done any more")

// finish carries out a case that waits. If that cannot be done any more, for its
// agents are none now, or the account or the address is not what it was, the case
// goes back to the desk.
func (s *Store) finish(ctx context.Context, id string, f finishing) (was bool, err error) {
	was, err = done(s.onCase(ctx, id, func(t *tx, h *heldCase) error {
		if err := f.still(ctx, t, h); err != nil {
			return err
		}
		return h.act(t, f.by, f.do, func(t *tx, h *heldCase) error {
			if !h.Stands() {
				return errReturn
			}
			e := h.event(account.CaseChanged)
			e.Reason, e.Source = account.Reason(f.do), f.from
			if f.by == flows.Holder {
				e.Actor, e.By = "", account.BySelf
			}
			t.tell(e)
			if err := s.logCase(ctx, t, h, "", &handwork{do: f.do}); err != nil {
				return err
			}
			err := s.carryOut(ctx, t, h)
			if _, ok := errors.AsType[Refusal](err); ok {
				return errReturn
			}
			return err
		})
	}))
	if errors.Is(err, errReturn) {
		return s.sendBack(ctx, id)
	}
	return was, err
}

// still reports by NotNow that the wait is not over, or the link or the session
// is not of what waits now.
func (f finishing) still(ctx context.Context, t *tx, h *heldCase) error {
	switch {
	case f.link != nil:
		l, err := t.CaseIDByNotice(ctx, f.link)
		if err != nil {
			return err
		}
		if !l.Release {
			return NotNow
		}
	case f.account != "":
		r, err := t.WaitingCaseOf(ctx, string(f.account))
		if missing(err) || err == nil && (r.Several || r.ID != h.row.ID) {
			return NotNow
		}
		return err
	case h.row.WaitUntil > t.now():
		return NotNow
	}
	return nil
}

// sendBack has the desk look at a case anew. It is always false: nothing was done.
func (s *Store) sendBack(ctx context.Context, id string) (bool, error) {
	_, err := done(s.onCase(ctx, id, func(t *tx, h *heldCase) error {
		return h.act(t, flows.Timer, flows.CaseReturn, func(t *tx, h *heldCase) error {
			h.row.WaitUntil = 0
			h.void()
			e := h.event(account.CaseChanged)
			e.Reason, e.Actor = account.Reason(flows.CaseReturn), ""
			t.tell(e)
			return s.logCase(ctx, t, h, "", &handwork{do: flows.CaseReturn})
		})
	}))
	return false, err
}

// casesDue carries out those whose wait is over.
func (s *Store) casesDue(ctx context.Context) error {
	due, err := s.q.DueCases(ctx, db.DueCasesParams{Now: micros(s.Now()), Most: batch})
	if err != nil {
		return fmt.Errorf("store: cases: %w", err)
	}
	for _, id := range due {
		_, e := s.finish(ctx, id, finishing{by: flows.Timer, do: flows.CaseFinish})
		err = errors.Join(err, e)
	}
	return err
}
