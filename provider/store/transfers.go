package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// A practice changes hands in three steps: its Owner offers it to a member, who
// agrees, and a day later it happens. Until then either of them stops it, from
// the page or by the link in a mail.

// Transfer is one that is open, or agreed upon.
type Transfer struct {
	Owner, Heir         account.ID
	OwnerName, HeirName string
	Expires             time.Time // for the heir to agree
	Due                 time.Time // when it happens; zero until the heir agreed
}

// Transfer returns the one of a practice, or nil.
func (s *Store) Transfer(ctx context.Context, practice account.PracticeID) (*Transfer, error) {
	r, err := s.q.TransferOf(ctx, db.TransferOfParams{Practice: string(practice), Now: micros(s.Now())})
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: transfer: %w", err)
	}
	return &Transfer{Owner: account.ID(r.Owner), Heir: account.ID(r.Heir), OwnerName: r.OwnerName,
		HeirName: r.HeirName, Expires: at(r.ExpiresAt), Due: at(r.DueAt)}, nil
}

// OfferPractice offers a practice to one of its people. It is false if another
// offer is under way; ErrNotAllowed if they own it already, or cannot sign in.
func (s *Store) OfferPractice(ctx context.Context, by Acting, heir account.ID) (done bool, err error) {
	err = s.manage(ctx, by, heir, func(t *tx, r db.ActingRow) error {
		if account.Role(r.ActorRole) != account.Owner || account.Role(r.Role) == account.Owner || r.Disabled || r.Stopped {
			return ErrNotAllowed
		}
		n, err := t.Queries.OfferPractice(ctx, db.OfferPracticeParams{Practice: string(by.Practice), ID: rand.Text(),
			Owner: string(by.Account), Heir: string(heir), Now: t.now(), ExpiresAt: micros(t.at.Add(account.OfferFor))})
		if done = n > 0; err != nil || !done {
			return err
		}
		t.tell(by.event(account.OwnershipOffered, heir))
		names, err := t.transferNames(ctx, by.Account, heir)
		if err != nil {
			return err
		}
		names["hours"] = int(account.OfferFor.Hours())
		if err := s.queueMail(ctx, t, Mail{Template: "transfer_offer", Subject: string(heir), Data: names}); err != nil {
			return err
		}
		return s.notify(ctx, t, "transfer_offered", by.Account, names)
	})
	return done && err == nil, err
}

// AgreeToOwn has a practice change hands once the wait is over. It is false if
// nobody offers it to them (any more).
func (s *Store) AgreeToOwn(ctx context.Context, heir Acting) (done bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		if err := t.holdPractice(ctx, heir.Practice); err != nil {
			return err
		}
		arg := db.AgreeToTransferParams{Practice: string(heir.Practice), Heir: string(heir.Account),
			Now: t.now(), DueAt: micros(t.at.Add(account.TransferWait))}
		owners, heirs := account.NewSecret(), account.NewSecret()
		arg.OwnerHash, arg.HeirHash = account.HashSecret(owners), account.HashSecret(heirs)
		owner, err := t.AgreeToTransfer(ctx, arg)
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		done = true
		t.tell(account.Event{Kind: account.OwnershipAgreed, Subject: string(heir.Account), Practice: heir.Practice, Source: heir.From})
		for id, token := range map[string]string{owner: owners, string(heir.Account): heirs} {
			names, err := t.transferNames(ctx, account.ID(owner), heir.Account)
			if err != nil {
				return err
			}
			names["cancel"], names["hours"] = token, int(account.TransferWait.Hours())
			if err := s.queueMail(ctx, t, Mail{Template: "transfer_agreed", Subject: id, Data: names}); err != nil {
				return err
			}
		}
		return nil
	})
	return done && err == nil, err
}

// EndTransfer stops the transfer of which somebody is one side. It is false if
// there is none (any more).
func (s *Store) EndTransfer(ctx context.Context, by Acting) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		r, err := t.Queries.EndTransfer(ctx, db.EndTransferParams{Practice: string(by.Practice), Person: string(by.Account), Now: t.now()})
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		was = true
		e := account.Event{Kind: account.OwnershipKept, Subject: r.Heir, Practice: by.Practice, Actor: string(by.Account),
			Reason: account.PersonAsked, Source: by.From}
		return s.kept(ctx, t, e, account.ID(r.Owner))
	})
	return was && err == nil, err
}

// TransferCancellable reports whether the link in a mail still stops a transfer.
func (s *Store) TransferCancellable(ctx context.Context, hash []byte) (bool, error) {
	_, err := s.q.TransferByLink(ctx, hash)
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// CancelTransfer stops the transfer that the link in a mail belongs to. It is
// false if it happened, or was stopped before.
func (s *Store) CancelTransfer(ctx context.Context, hash []byte, from account.Source) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		r, err := t.Queries.CancelTransfer(ctx, hash)
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		was = true
		e := account.Event{Kind: account.OwnershipKept, Subject: r.Heir, Practice: account.PracticeID(r.Practice),
			Reason: account.LinkUsed, Source: from}
		return s.kept(ctx, t, e, account.ID(r.Owner))
	})
	return was && err == nil, err
}

// keepPractices ends the transfers of somebody whose account was in other hands,
// with events like e.
func (t *tx) keepPractices(ctx context.Context, id account.ID, e account.Event) error {
	ended, err := t.DropTransfersOf(ctx, string(id))
	for _, r := range ended {
		e.Kind, e.Subject, e.Practice = account.OwnershipKept, r.Heir, account.PracticeID(r.Practice)
		t.tell(e)
	}
	return err
}

// transferDue makes those transfers whose wait is over.
func (s *Store) transferDue(ctx context.Context) error {
	due, err := s.q.DueTransfers(ctx, db.DueTransfersParams{Now: micros(s.Now()), Most: batch})
	if err != nil {
		return fmt.Errorf("store: transfers: %w", err)
	}
	for _, practice := range due {
		err = errors.Join(err, s.transfer(ctx, account.PracticeID(practice)))
	}
	return err
}

// transfer makes one, if both are still who they were: under the practice's
// lock, so that it has one of them as its Owner at every moment.
func (s *Store) transfer(ctx context.Context, practice account.PracticeID) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.holdPractice(ctx, practice); err != nil {
			return err
		}
		r, err := t.TakeTransfer(ctx, db.TakeTransferParams{Practice: string(practice), Now: t.now()})
		if missing(err) {
			return nil // another replica did, or somebody stopped it
		}
		if err != nil {
			return err
		}
		a, err := t.Acting(ctx, db.ActingParams{Actor: r.Owner, Person: r.Heir, Practice: string(practice)})
		if err != nil && !missing(err) {
			return err
		}
		e := account.Event{Kind: account.OwnershipKept, Subject: r.Heir, Practice: practice, Reason: account.Expired}
		if account.Role(a.ActorRole) != account.Owner || a.Disabled || a.Stopped {
			return s.kept(ctx, t, e, account.ID(r.Owner))
		}
		e.Kind, e.Reason, e.Actor, e.By = account.OwnershipTransferred, "", r.Owner, account.ByOwner
		t.tell(e)
		e.Kind, e.Subject, e.Reason = account.MemberChanged, r.Owner, account.RoleGiven
		t.tell(e)
		return s.handOver(ctx, t, practice, r)
	})
}

// handOver changes both roles and tells both people.
func (s *Store) handOver(ctx context.Context, t *tx, practice account.PracticeID, r db.TakeTransferRow) error {
	names, err := t.transferNames(ctx, account.ID(r.Owner), account.ID(r.Heir))
	if err != nil {
		return err
	}
	for id, role := range map[string]account.Role{r.Heir: account.Owner, r.Owner: account.Admin} {
		_, err := t.SetRole(ctx, db.SetRoleParams{ID: id, Practice: string(practice), Role: string(role), Now: t.now()})
		if err != nil {
			return err
		}
		if err := s.queueMail(ctx, t, Mail{Template: "transfer_done", Subject: id, Data: names}); err != nil {
			return err
		}
	}
	return nil
}

// kept tells the event, and both people that the practice keeps its Owner.
func (s *Store) kept(ctx context.Context, t *tx, e account.Event, owner account.ID) error {
	t.tell(e)
	names, err := t.transferNames(ctx, owner, account.ID(e.Subject))
	if err != nil {
		return err
	}
	for _, id := range []string{string(owner), e.Subject} {
		if err := s.queueMail(ctx, t, Mail{Template: "transfer_ended", Subject: id, Data: names}); err != nil {
			return err
		}
	}
	return nil
}

// transferNames are what the mails call both people and their practice.
func (t *tx) transferNames(ctx context.Context, owner, heir account.ID) (map[string]any, error) {
	o, err := t.Person(ctx, string(owner))
	if err != nil {
		return nil, err
	}
	h, err := t.Person(ctx, string(heir))
	if err != nil {
		return nil, err
	}
	return map[string]any{"owner": nameOr(o.Name, o.Username), "heir": nameOr(h.Name, h.Username), "practice": o.PracticeName}, nil
}

func nameOr(name, username string) string {
	if name == "" {
		return username
	}
	return name
}
