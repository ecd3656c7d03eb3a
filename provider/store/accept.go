package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// OpenInvitation tells what the link of an invitation is worth, and the trail
// that it was opened. What nobody ever made is counted and not written.
func (s *Store) OpenInvitation(ctx context.Context, hash []byte, from account.Source) (account.Invitation, error) {
	i, id, err := s.invitation(ctx, s.q, hash)
	if err != nil {
		return i, err
	}
	e := account.Event{Kind: account.InviteOpened, Subject: id, Practice: i.Practice, Reason: i.Fate, Source: from}
	if i.Fate == account.Unknown {
		e.At = s.Now()
		s.observe(e)
		return i, nil
	}
	return i, s.update(ctx, func(t *tx) error { t.tell(e); return nil })
}

// Invitation is OpenInvitation for a link that is open already.
func (s *Store) Invitation(ctx context.Context, hash []byte) (account.Invitation, error) {
	i, _, err := s.invitation(ctx, s.q, hash)
	return i, err
}

// invitation returns what a link is worth, with its invitation's ID if there is
// one.
func (s *Store) invitation(ctx context.Context, q *db.Queries, hash []byte) (account.Invitation, string, error) {
	r, err := q.InvitationLink(ctx, hash)
	if missing(err) {
		return account.Invitation{Fate: account.Unknown}, "", nil
	}
	if err != nil {
		return account.Invitation{}, "", fmt.Errorf("store: invitation: %w", err)
	}
	i := account.Invitation{Email: r.Key, Practice: account.PracticeID(r.Practice), PracticeName: r.PracticeName,
		Role: account.Role(r.Role), RequireSecond: r.RequireSecond}
	switch now := s.Now(); {
	case r.UsedAt > 0:
		i.Fate = account.Used
	case r.Live && r.Known: // nobody was ever sent it
		i.Fate = account.Unknown
	case r.Live && !now.Before(at(r.ExpiresAt)):
		i.Fate = account.Expired
	case r.Live && r.Taken:
		i.Fate = account.Taken
	case r.Live:
		i.Fate = account.Valid
	case r.NewestAt > r.SentAt:
		i.Fate, i.NewerAt = account.Superseded, at(r.NewestAt)
	default:
		i.Fate = account.Withdrawn
	}
	return i, r.ID, nil
}

// Accept adds the person whom the flow's link invites, or does nothing.
// TakeInvitation decides. An address that is somebody's by now undoes it: the
// link is not used up by what cannot be.
func (s *Store) Accept(ctx context.Context, f *flows.Flow, p flows.Progress) (account.Reason, error) {
	if f.Practice == "" || len(f.Link) == 0 || p.Hash == "" || p.Name == "" {
		return "", fmt.Errorf("store: accept: the flow holds no link, no name or no password")
	}
	fate := account.Valid
	err := s.update(ctx, func(t *tx) error {
		if err := t.holdPractice(ctx, f.Practice); err != nil {
			return err
		}
		r, err := t.TakeInvitation(ctx, db.TakeInvitationParams{TokenHash: f.Link, Practice: string(f.Practice), Now: t.now()})
		if missing(err) {
			i, _, err := s.invitation(ctx, t.Queries, f.Link)
			if fate = i.Fate; fate == account.Valid {
				fate = account.Unknown // good, but for another practice than the flow's
			}
			return err
		}
		if err != nil {
			return err
		}
		if err := t.UseInvitationLink(ctx, db.UseInvitationLinkParams{Hash: f.Link, Now: t.now()}); err != nil {
			return err
		}
		return t.join(ctx, f, p, r)
	})
	if errors.Is(s.duplicate(err), ErrDuplicate) {
		return account.Taken, nil
	}
	return fate, err
}

// join adds the person as they were invited. A location that the practice has
// no more is left out.
func (t *tx) join(ctx context.Context, f *flows.Flow, p flows.Progress, r db.TakeInvitationRow) error {
	id, err := t.addPerson(ctx, NewPerson{
		Practice: f.Practice, Role: r.Role, Email: r.Key, EmailVerified: true, Name: p.Name,
		Locale: f.Request.Locales, Hash: p.Hash, ShortPassword: p.Short,
	}, account.Event{Source: f.From})
	if err != nil {
		return err
	}
	t.tell(account.Event{Kind: account.InviteAccepted, Subject: string(id), Practice: f.Practice, Actor: r.InvitedBy,
		Step: r.ID, Source: f.From, Took: t.at.Sub(at(r.SentAt))})
	var locations []string
	if err := json.Unmarshal([]byte(r.Locations), &locations); err != nil {
		return err
	}
	for _, l := range locations {
		_, err := t.JoinLocation(ctx, db.JoinLocationParams{Person: string(id), Practice: string(f.Practice), Location: l})
		if err != nil {
			return err
		}
	}
	return t.claimLocations(ctx, f.Practice, id)
}
