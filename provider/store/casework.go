package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// ApprovalsPerDay is how many an agent gives in any 24 hours: one who is deceived,
// or bought, opens so many accounts and no more.
const ApprovalsPerDay = 20

// RevealFor is how long an agent sees what the directory holds, once they said why.
const RevealFor = 15 * time.Minute

// Agent is somebody of the desk at work on a case.
type Agent struct {
	Account account.ID
	From    account.Source
}

// handwork is what one agent does to a case: what, of which item of it, and the
// words that are kept of that.
type handwork struct {
	do         flows.CaseAction
	item, text string
	anybody    bool // not only for the one who works on the case
}

// work does it, if they are an agent (still) and the case allows it. Their row is
// held first: who is deactivated meanwhile either did it before or does not.
func (s *Store) work(ctx context.Context, by Agent, id string, w *handwork, change func(*tx, *heldCase) error) error {
	err := s.update(ctx, func(t *tx) error {
		if _, err := t.HoldAgent(ctx, string(by.Account)); missing(err) {
			return ErrNotAllowed
		} else if err != nil {
			return err
		}
		h, err := t.holdCase(ctx, id)
		if err != nil {
			return err
		}
		if h.row.Person == string(by.Account) {
			return OwnCase
		}
		if !w.anybody && h.row.Agent != string(by.Account) && !h.State.Closed() {
			return NotTheirs
		}
		if err := h.act(t, flows.Agent, w.do, change); err != nil {
			return err
		}
		e := h.event(workKind(w.do))
		e.Actor, e.Source, e.Reason = string(by.Account), by.From, account.Reason(w.do)
		if w.do == flows.CaseReject {
			e.Took = t.at.Sub(at(h.row.OpenedAt))
		}
		t.tell(e)
		if err := s.logCase(ctx, t, h, string(by.Account), w); err != nil {
			return err
		}
		if err := s.follow(ctx, t, h); err != nil {
			return err
		}
		return t.putCase(ctx, h)
	})
	if _, ok := errors.AsType[Refusal](err); ok {
		s.observe(account.Event{Kind: account.CaseRefused, Reason: account.Reason(w.do), At: s.Now()})
	}
	return err
}

func workKind(do flows.CaseAction) account.Kind {
	if do == flows.CaseReject {
		return account.CaseRejected
	}
	return account.CaseChanged
}

// follow does what a case's new state demands.
func (s *Store) follow(ctx context.Context, t *tx, h *heldCase) error {
	switch {
	case string(h.State) == h.row.State:
		return nil
	case h.State == flows.CaseWaiting:
		return s.beginWait(ctx, t, h)
	case h.State == flows.CaseDone:
		return s.carryOut(ctx, t, h)
	case h.State == flows.CaseRejected:
		h.row.ClosedAt = t.now()
	}
	return nil
}

// logCase keeps what was done in a case, its words sealed.
func (s *Store) logCase(ctx context.Context, t *tx, h *heldCase, actor string, w *handwork) error {
	row := db.AddCaseLogParams{ID: auditID(t.now()), CaseID: h.row.ID, At: t.now(), Actor: actor, Action: string(w.do), Item: w.item}
	if w.text != "" {
		row.Text = s.Ring.Seal([]byte(w.text), "case_log", "text", row.ID)
	}
	return t.AddCaseLog(ctx, row)
}

// nothing more is to be done.
func nothing(*tx, *heldCase) error { return nil }

// TakeCase has an agent work on a case: nobody did so far, or somebody else.
func (s *Store) TakeCase(ctx context.Context, by Agent, id string) error {
	return s.work(ctx, by, id, &handwork{do: flows.CaseTake, anybody: true}, func(_ *tx, h *heldCase) error {
		if h.row.Agent == string(by.Account) {
			return NotNow
		}
		h.row.Agent = string(by.Account)
		return nil
	})
}

// NoteCase keeps what an agent found.
func (s *Store) NoteCase(ctx context.Context, by Agent, id, text string) error {
	return s.work(ctx, by, id, &handwork{do: flows.CaseNote, text: text, anybody: true}, nothing)
}

// RevealCase shows an agent, for RevealFor, what the directory holds of the person
// whom a case is about; why is kept.
func (s *Store) RevealCase(ctx context.Context, by Agent, id, why string) error {
	w := &handwork{do: flows.CaseReveal, text: why, anybody: true}
	return s.work(ctx, by, id, w, func(_ *tx, h *heldCase) error {
		w.item = h.row.Person
		if !h.Known {
			return NoPerson
		}
		return nil
	})
}

// ReplyCase answers whoever opened the case with a text of ours. It is mailed if
// they have shown that the address is theirs; the page of their case has it anyway.
func (s *Store) ReplyCase(ctx context.Context, by Agent, id, reply string) error {
	w := &handwork{do: flows.CaseReply, item: reply}
	return s.work(ctx, by, id, w, func(t *tx, h *heldCase) error { return s.reply(ctx, t, h, reply) })
}

func (s *Store) reply(ctx context.Context, t *tx, h *heldCase, reply string) error {
	h.row.Reply = reply
	h.answered(t)
	if !h.Confirmed {
		return nil
	}
	c, err := s.claimsOf(h.row.ID, h.row.Claims)
	if err != nil {
		return err
	}
	return s.queueMail(ctx, t, Mail{Template: replyMail, Locale: h.row.Locale,
		Data: map[string]any{"reference": h.row.ID, "to": c.Email, "reply": reply}})
}

// replyMail goes to the address that whoever opened the case confirmed.
const replyMail = "case_reply"

// RejectCase ends a case without doing anything; reply says why.
func (s *Store) RejectCase(ctx context.Context, by Agent, id, reply string) error {
	w := &handwork{do: flows.CaseReject, item: reply, anybody: true}
	return s.work(ctx, by, id, w, func(t *tx, h *heldCase) error { return s.reply(ctx, t, h, reply) })
}

// CheckCase notes that an item of the checklist holds, and by what evidence.
func (s *Store) CheckCase(ctx context.Context, by Agent, id string, check flows.Check, evidence string) error {
	w := &handwork{do: flows.CaseCheck, item: string(check), text: evidence}
	return s.work(ctx, by, id, w, func(t *tx, h *heldCase) error {
		if !slices.Contains(flows.Checks, check) {
			return NotNow
		}
		if !h.Known {
			return NoPerson
		}
		if check == flows.CallBack {
			p, err := t.Person(ctx, h.row.Person)
			if err != nil {
				return err
			}
			if phoneOf(p.Claims) == "" {
				return NoNumber
			}
		}
		if !slices.Contains(h.Checks, check) {
			h.Checks = append(h.Checks, check)
		}
		return t.AddCheck(ctx, db.AddCheckParams{CaseID: id, Item: string(check), Agent: string(by.Account), At: t.now()})
	})
}

// phoneOf is the number on file, in a person's further claims.
func phoneOf(claims string) string {
	var c struct {
		Phone string `json:"phone_number"`
	}
	if json.Unmarshal([]byte(claims), &c) != nil {
		return ""
	}
	return c.Phone
}

// Choice is whose account a case is about, and what is to be done.
type Choice struct {
	Round    int64 // as the agent saw it
	Person   account.ID
	Remedies []flows.Remedy
}

// ChooseCase sets it. What was approved before is not any more; of another person
// everything has to be checked anew.
func (s *Store) ChooseCase(ctx context.Context, by Agent, id string, c Choice) error {
	w := &handwork{do: flows.CaseChoose, item: string(c.Person)}
	return s.work(ctx, by, id, w, func(t *tx, h *heldCase) error {
		if h.row.Round != c.Round {
			return CaseMoved
		}
		if slices.ContainsFunc(c.Remedies, func(r flows.Remedy) bool { return !slices.Contains(flows.Remedies, r) }) {
			return NotNow
		}
		p, err := t.Person(ctx, string(c.Person))
		switch {
		case missing(err):
			return NoPerson
		case err != nil:
			return err
		case account.Role(p.Role) == account.Support:
			return OfTheDesk
		}
		if h.row.Person != p.ID {
			if err := h.dropChecks(ctx, t); err != nil {
				return err
			}
		}
		h.row.Person, h.row.Practice, h.Known, h.Remedies = p.ID, p.Practice, true, c.Remedies
		h.void()
		return nil
	})
}

// void has everything approved anew.
func (h *heldCase) void() {
	h.row.Round++
	h.Approvals = 0
}

func (h *heldCase) dropChecks(ctx context.Context, t *tx) error {
	h.Checks = nil
	return t.DropChecks(ctx, h.row.ID)
}

// ApproveCase approves of what an agent saw in a round. Nobody approves twice.
func (s *Store) ApproveCase(ctx context.Context, by Agent, id string, round int64) error {
	w := &handwork{do: flows.CaseApprove, anybody: true}
	return s.work(ctx, by, id, w, func(t *tx, h *heldCase) error {
		if h.row.Round != round {
			return CaseMoved
		}
		if len(h.Lacks()) > 0 {
			return Lacking
		}
		if err := s.possible(ctx, t, h); err != nil {
			return err
		}
		given, err := t.ApprovalsBy(ctx, db.ApprovalsByParams{Agent: string(by.Account), Since: micros(t.at.Add(-day))})
		if err != nil {
			return err
		}
		if given >= ApprovalsPerDay {
			return TooMany
		}
		n, err := t.AddApproval(ctx, db.AddApprovalParams{CaseID: id, Round: round, Agent: string(by.Account), At: t.now()})
		if err == nil && n == 0 {
			return Twice
		}
		h.Approvals++
		return err
	})
}

// ThawCase lets a case that was stopped go on, for a reason: from the beginning,
// and more strictly.
func (s *Store) ThawCase(ctx context.Context, by Agent, id, why string) error {
	w := &handwork{do: flows.CaseThaw, text: why}
	return s.work(ctx, by, id, w, func(t *tx, h *heldCase) error {
		h.row.FrozenAt, h.row.WaitUntil, h.Strict = 0, 0, true
		h.void()
		return h.dropChecks(ctx, t)
	})
}
