package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// QueueLine is a case as the desk's lists show it.
type QueueLine struct {
	ID       string
	State    flows.CaseState
	Frozen   bool
	Claims   Claims
	Opened   time.Time
	Due      time.Time
	Overdue  bool
	Answered bool
	Until    time.Time // when the wait is over
	Closed   time.Time
	Remedies []flows.Remedy
	Agent    account.ID
}

// Queue returns the cases that are not closed, at most so many: first those to
// which an answer is owed, the one that is due first (or was) before the others.
func (s *Store) Queue(ctx context.Context, most int) ([]QueueLine, error) {
	rows, err := s.q.CaseQueue(ctx, int32(most))
	if err != nil {
		return nil, fmt.Errorf("store: desk: %w", err)
	}
	now := micros(s.Now())
	lines := make([]QueueLine, len(rows))
	for i, r := range rows {
		lines[i] = QueueLine{ID: r.ID, State: flows.CaseState(r.State), Frozen: r.FrozenAt > 0, Opened: at(r.OpenedAt),
			Due: at(r.DueAt), Overdue: r.AnsweredAt == 0 && r.DueAt <= now, Answered: r.AnsweredAt > 0, Until: at(r.WaitUntil),
			Remedies: remediesOf(r.Remedies), Agent: account.ID(r.Agent)}
		if lines[i].Claims, err = s.claimsOf(r.ID, r.Claims); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// ClosedCases returns the newest of those that are closed, at most so many.
func (s *Store) ClosedCases(ctx context.Context, most int) ([]QueueLine, error) {
	rows, err := s.q.ClosedCases(ctx, int32(most))
	if err != nil {
		return nil, fmt.Errorf("store: desk: %w", err)
	}
	lines := make([]QueueLine, len(rows))
	for i, r := range rows {
		lines[i] = QueueLine{ID: r.ID, State: flows.CaseState(r.State), Opened: at(r.OpenedAt), Due: at(r.DueAt),
			Answered: true, Closed: at(r.ClosedAt), Remedies: remediesOf(r.Remedies), Agent: account.ID(r.Agent)}
		if lines[i].Claims, err = s.claimsOf(r.ID, r.Claims); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func remediesOf(names string) (all []flows.Remedy) {
	for _, name := range strings.FieldsFunc(names, func(c rune) bool { return c == ',' }) {
		all = append(all, flows.Remedy(name))
	}
	return all
}

// DeskCase is all that the desk knows of one case.
type DeskCase struct {
	flows.Case
	ID        string
	Claims    Claims
	Opened    time.Time
	Due       time.Time
	Answered  time.Time
	Until     time.Time // when the wait is over
	Closed    time.Time
	Reply     string
	Person    account.ID // whose account it is about, as far as the desk thinks so
	Agent     account.ID
	Round     int64
	Approvers []account.ID
	Alike     []string // other cases with the same NPI or new address
	Log       []CaseEntry
}

// CaseEntry is one thing that was done in a case.
type CaseEntry struct {
	At     time.Time
	Agent  account.ID // "": somebody else
	Name   string     // the agent's username
	Action flows.CaseAction
	Item   string // a check, a reply; of reveal and choose, a person
	Text   string // evidence, a reason, a note
}

// DeskCase returns a case as the desk sees it, or ErrNoCase.
func (s *Store) DeskCase(ctx context.Context, id string) (*DeskCase, error) {
	r, err := s.q.DeskCase(ctx, id)
	if missing(err) {
		return nil, ErrNoCase
	}
	if err != nil {
		return nil, fmt.Errorf("store: desk: %w", err)
	}
	checks, err1 := s.q.CaseChecks(ctx, id)
	by, err2 := s.q.Approvers(ctx, db.ApproversParams{CaseID: id, Round: r.Round})
	alike, err3 := s.q.Alike(ctx, id)
	log, err4 := s.caseLog(ctx, id)
	claims, err5 := s.claimsOf(id, r.Claims)
	c := &DeskCase{Case: caseOf(r, checks, len(by)), ID: id, Claims: claims, Opened: at(r.OpenedAt), Due: at(r.DueAt),
		Answered: at(r.AnsweredAt), Until: at(r.WaitUntil), Closed: at(r.ClosedAt), Reply: r.Reply, Person: account.ID(r.Person),
		Agent: account.ID(r.Agent), Round: r.Round, Alike: alike, Log: log}
	for _, agent := range by {
		c.Approvers = append(c.Approvers, account.ID(agent))
	}
	return c, errors.Join(err1, err2, err3, err4, err5)
}

func (s *Store) caseLog(ctx context.Context, id string) ([]CaseEntry, error) {
	rows, err := s.q.CaseLog(ctx, id)
	if err != nil {
		return nil, err
	}
	log := make([]CaseEntry, len(rows))
	for i, r := range rows {
		log[i] = CaseEntry{At: at(r.At), Agent: account.ID(r.Actor), Name: r.Username, Action: flows.CaseAction(r.Action), Item: r.Item}
		if len(r.Text) == 0 {
			continue
		}
		text, err := s.Ring.Open(r.Text, "case_log", "text", r.ID)
		if err != nil {
			return nil, err
		}
		log[i].Text = string(text)
	}
	return log, nil
}

// Revealed reports whether an agent sees what the directory holds of the person
// whom the case is about: they said why, for this case, within RevealFor.
func (c *DeskCase) Revealed(to account.ID, now time.Time) bool {
	return slices.ContainsFunc(c.Log, func(e CaseEntry) bool {
		return e.Action == flows.CaseReveal && e.Agent == to && e.Item == string(c.Person) && now.Sub(e.At) < RevealFor
	})
}
