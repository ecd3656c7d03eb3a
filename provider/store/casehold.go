package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ErrNoCase means that there is no such case.
var ErrNoCase = errors.New("store: no such case")

// Refusal is why something was not done to a case: a key of locale, after
// "err.case.".
type Refusal string

// The refusals.
const (
	NotNow         Refusal = "not_now"       // the case's state does not allow it
	CaseMoved      Refusal = "moved"         // it is not any more what the agent saw
	NotTheirs      Refusal = "not_theirs"    // another agent works on it
	OwnCase        Refusal = "own"           // it is about the agent
	Twice          Refusal = "twice"         // the agent approved of it before
	TooMany        Refusal = "too_many"      // approvals of the agent in a day
	Lacking        Refusal = "lacking"       // something that is needed first
	NoPerson       Refusal = "no_person"     // nobody of that name
	OfTheDesk      Refusal = "of_the_desk"   // agents' own accounts are an operator's matter
	AddressTaken   Refusal = "address_taken" // the new address is somebody else's
	NoAddress      Refusal = "no_address"    // none that is proven, to send a link to
	NoNumber       Refusal = "no_number"     // none on file to call
	TooManyLinks   Refusal = "links"         // to the person in an hour
	NoPractice     Refusal = "no_practice"   // to own
	AccountStopped Refusal = "stopped"       // the account is disabled
)

// Error is for programs; pages have words of their own.
func (r Refusal) Error() string { return "store: case refused: " + string(r) }

// done turns a refusal into false.
func done(err error) (bool, error) {
	if _, ok := errors.AsType[Refusal](err); ok {
		return false, nil
	}
	return err == nil, err
}

// heldCase is a case whose row is locked, so that it is as it says.
type heldCase struct {
	flows.Case                // what its moves depend on
	row        db.HoldCaseRow // as it was, and what else is to be kept
}

// onCase changes a case under its lock. Whoever takes other locks as well takes
// this one first: then a practice's, then a guard's.
func (s *Store) onCase(ctx context.Context, id string, change func(*tx, *heldCase) error) error {
	return s.update(ctx, func(t *tx) error {
		h, err := t.holdCase(ctx, id)
		if err != nil {
			return err
		}
		if err := change(t, h); err != nil {
			return err
		}
		return t.putCase(ctx, h)
	})
}

func (t *tx) holdCase(ctx context.Context, id string) (*heldCase, error) {
	row, err := t.HoldCase(ctx, id)
	if missing(err) {
		return nil, ErrNoCase
	}
	if err != nil {
		return nil, fmt.Errorf("store: case: %w", err)
	}
	h := &heldCase{row: row}
	checks, err := t.CaseChecks(ctx, id)
	if err != nil {
		return nil, err
	}
	by, err := t.Approvers(ctx, db.ApproversParams{CaseID: id, Round: row.Round})
	h.Case = caseOf(db.DeskCaseRow(row), checks, len(by))
	return h, err
}

func caseOf(r db.DeskCaseRow, checks []string, approvals int) flows.Case {
	c := flows.Case{State: flows.CaseState(r.State), Frozen: r.FrozenAt > 0, Strict: r.Strict, Known: r.Person != "",
		Confirmed: r.ConfirmedAt > 0, Approvals: approvals, Remedies: remediesOf(r.Remedies)}
	for _, name := range checks {
		c.Checks = append(c.Checks, flows.Check(name))
	}
	return c
}

func (t *tx) putCase(ctx context.Context, h *heldCase) error {
	var names []string
	for _, r := range h.Remedies {
		names = append(names, string(r))
	}
	r := h.row
	return t.PutCase(ctx, db.PutCaseParams{ID: r.ID, State: string(h.State), Person: r.Person, Practice: r.Practice,
		Remedies: strings.Join(names, ","), Agent: r.Agent, Round: r.Round, FrozenAt: r.FrozenAt, Strict: h.Strict,
		WaitUntil: r.WaitUntil, AnsweredAt: r.AnsweredAt, Reply: r.Reply, ConfirmedAt: r.ConfirmedAt, ClosedAt: r.ClosedAt})
}

// act does something to a case, if the table of flows allows it, and moves it on.
func (h *heldCase) act(t *tx, by flows.CaseActor, do flows.CaseAction, change func(*tx, *heldCase) error) error {
	if _, ok := h.Move(by, do); !ok {
		return NotNow
	}
	if err := change(t, h); err != nil {
		return err
	}
	h.State, _ = h.Move(by, do)
	return nil
}

// event is one of the case.
func (h *heldCase) event(kind account.Kind) account.Event {
	return account.Event{Kind: kind, Subject: h.row.Person, Practice: account.PracticeID(h.row.Practice),
		Step: h.row.ID, Actor: h.row.Agent, By: account.BySupport}
}

// asks reports whether it is for a remedy.
func (h *heldCase) asks(r flows.Remedy) bool { return slices.Contains(h.Remedies, r) }

// answered notes that whoever opened the case heard of the desk.
func (h *heldCase) answered(t *tx) {
	if h.row.AnsweredAt == 0 {
		h.row.AnsweredAt = t.now()
	}
}
