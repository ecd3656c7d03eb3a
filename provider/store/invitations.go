package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// The mails of an invitation: the link, and what whoever has an account already
// gets in its place.
const (
	inviteMail = "invite"
	knownMail  = "invited_known"
)

// Invite is an invitation to be sent.
type Invite struct {
	Email     string // normalised: so it is mailed, shown and claimed
	Role      account.Role
	Locations []string // their IDs
	Locale    string   // of the mail
}

// PendingInvite is an invitation that is neither accepted nor withdrawn, as those
// see it who run the team.
type PendingInvite struct {
	ID        string
	Email     string
	Role      account.Role
	Locations []string
	SentAt    time.Time // the newest link
	Expires   time.Time
}

// PendingInvites returns those of a practice, the newest first.
func (s *Store) PendingInvites(ctx context.Context, practice account.PracticeID) ([]PendingInvite, error) {
	rows, err := s.q.Invitations(ctx, string(practice))
	if err != nil {
		return nil, fmt.Errorf("store: invitations: %w", err)
	}
	all := make([]PendingInvite, len(rows))
	for i, r := range rows {
		all[i] = PendingInvite{ID: r.ID, Email: r.Key, Role: account.Role(r.Role), SentAt: at(r.SentAt), Expires: at(r.ExpiresAt)}
		if err := json.Unmarshal([]byte(r.Locations), &all[i].Locations); err != nil {
			return nil, fmt.Errorf("store: invitations: %w", err)
		}
	}
	return all, nil
}

// Invite makes the one live invitation of a practice to an address, and mails
// its link. Who has an account already is told so instead, and whoever invites
// them is not: it is the same work, and the same entry. What came of it is Sent,
// RateLimited or Capped; then nothing changed. ErrNotAllowed is for who may not
// give the role, or not take away what a pending invitation gives; and for
// locations that are not the practice's.
func (s *Store) Invite(ctx context.Context, by Acting, n Invite) (came account.Reason, err error) {
	err = s.lead(ctx, by, func(t *tx, role account.Role) error {
		was, err := t.InvitationTo(ctx, db.InvitationToParams{Practice: string(by.Practice), Key: n.Email})
		if err != nil && !missing(err) {
			return err
		}
		pending := err == nil && was.EndedAt == 0 && was.ExpiresAt > t.now()
		if !role.MayGive(n.Role) || pending && !role.MayGive(account.Role(was.Role)) {
			return ErrNotAllowed
		}
		if err := t.offers(ctx, by.Practice, n.Locations); err != nil {
			return err
		}
		came, err = s.invite(ctx, t, by, n, true)
		return err
	})
	return came, err
}

// Resend mails a pending invitation anew, expired or not: with a new link, for
// which the older is given up. It is as Invite; and Unknown if the practice has
// no such invitation.
func (s *Store) Resend(ctx context.Context, by Acting, id, locale string) (came account.Reason, err error) {
	err = s.lead(ctx, by, func(t *tx, role account.Role) error {
		n, err := t.pending(ctx, by, role, id)
		if errors.Is(err, errGone) {
			came = account.Unknown
			return nil
		}
		if err != nil {
			return err
		}
		n.Locale = locale
		came, err = s.invite(ctx, t, by, n, false)
		return err
	})
	return came, err
}

// WithdrawInvite ends a pending invitation. It reports whether there was one.
func (s *Store) WithdrawInvite(ctx context.Context, by Acting, id string) (was bool, err error) {
	err = s.lead(ctx, by, func(t *tx, role account.Role) error {
		_, err := t.pending(ctx, by, role, id)
		if errors.Is(err, errGone) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := t.WithdrawInvitation(ctx, db.WithdrawInvitationParams{ID: id, Practice: string(by.Practice), Now: t.now()})
		if was = n > 0; was {
			t.tell(by.invitation(account.InviteWithdrawn, id, ""))
		}
		return err
	})
	return was && err == nil, err
}

// withdrawInvitesOf ends the pending invitations that a member made.
func (t *tx) withdrawInvitesOf(ctx context.Context, by Acting, id account.ID) error {
	ended, err := t.WithdrawInvitationsBy(ctx, db.WithdrawInvitationsByParams{Practice: string(by.Practice), Person: string(id), Now: t.now()})
	for _, one := range ended {
		t.tell(by.invitation(account.InviteWithdrawn, one, ""))
	}
	return err
}

// pending returns an invitation of the practice that is pending; errGone if
// there is none, ErrNotAllowed if its role is not theirs to give.
func (t *tx) pending(ctx context.Context, by Acting, role account.Role, id string) (n Invite, err error) {
	r, err := t.Invitation(ctx, db.InvitationParams{ID: id, Practice: string(by.Practice)})
	if missing(err) {
		return n, errGone
	}
	if err != nil {
		return n, err
	}
	n.Email, n.Role = r.Key, account.Role(r.Role)
	if !role.MayGive(n.Role) {
		return n, ErrNotAllowed
	}
	return n, json.Unmarshal([]byte(r.Locations), &n.Locations)
}

// offers makes sure that all locations are the practice's.
func (t *tx) offers(ctx context.Context, practice account.PracticeID, locations []string) error {
	all, err := t.LocationsOf(ctx, string(practice))
	if err != nil {
		return err
	}
	for _, id := range locations {
		if !slices.ContainsFunc(all, func(l db.LocationsOfRow) bool { return l.ID == id }) {
			return ErrNotAllowed
		}
	}
	return nil
}

// invite does what sending and sending again have in common; anew begins one
// that is over once more.
func (s *Store) invite(ctx context.Context, t *tx, by Acting, n Invite, anew bool) (account.Reason, error) {
	id, token := rand.Text(), account.NewSecret()
	sent, err := t.InvitesSince(ctx, db.InvitesSinceParams{Practice: string(by.Practice), Since: micros(t.at.Add(-day))})
	if err != nil {
		return "", err
	}
	if sent >= account.InvitesPerDay {
		t.tell(by.invitation(account.Invited, "", account.Capped))
		return account.Capped, nil
	}
	whose, err := t.WhoHas(ctx, n.Email)
	if err != nil && !missing(err) {
		return "", err
	}
	locations, err := json.Marshal(append([]string{}, n.Locations...))
	if err != nil {
		return "", err
	}
	id, err = t.PutInvitation(ctx, db.PutInvitationParams{
		ID: id, Practice: string(by.Practice), Key: n.Email, Role: string(n.Role), Locations: string(locations),
		Locale: n.Locale, Known: whose != "", InvitedBy: string(by.Account), TokenHash: account.HashSecret(token),
		Now: t.now(), ExpiresAt: micros(t.at.Add(account.InviteFor)), HourAgo: micros(t.at.Add(-time.Hour)), Anew: anew,
	})
	if missing(err) {
		t.tell(by.invitation(account.Invited, "", account.RateLimited))
		return account.RateLimited, nil
	}
	if err != nil {
		return "", err
	}
	err = t.AddInvitationLink(ctx, db.AddInvitationLinkParams{Hash: account.HashSecret(token), Invitation: id, SentAt: t.now()})
	if err != nil {
		return "", err
	}
	return account.Sent, s.mailInvitation(ctx, t, by, n, invitation{id, token, whose})
}

// invitation is one that was just sent.
type invitation struct{ id, token, whose string }

// mailInvitation mails the link; or, without it, that somebody has an account.
func (s *Store) mailInvitation(ctx context.Context, t *tx, by Acting, n Invite, i invitation) error {
	actor, err := t.Person(ctx, string(by.Account))
	if err != nil {
		return err
	}
	m := Mail{Template: inviteMail, Subject: i.id, Locale: n.Locale, Data: map[string]any{
		"token": i.token, "practice": actor.PracticeName, "to": n.Email, "hours": int(account.InviteFor.Hours())}}
	came := account.Sent
	if i.whose != "" {
		m.Template, m.Subject, came = knownMail, i.whose, account.HasAccount
		m.Data = map[string]any{"practice": actor.PracticeName}
	}
	t.tell(by.invitation(account.Invited, i.id, came))
	return s.queueMail(ctx, t, m)
}

// invitation is an event of one.
func (by Acting) invitation(kind account.Kind, id string, came account.Reason) account.Event {
	e := by.event(kind, account.ID(id))
	e.Reason = came
	return e
}
