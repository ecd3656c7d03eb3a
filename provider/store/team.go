package store

import (
	"context"
	"fmt"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// Member is one person of a practice, as those see them who run it.
type Member struct {
	ID         account.ID
	Role       account.Role
	Username   string
	Email      string
	Name       string
	Locations  []string // their IDs
	Second     bool     // has a second factor
	NoPassword bool     // never chose one, or has to choose another: only a reset link helps
	Status     MemberStatus
	Until      time.Time // when the lock ends, if Locked
	Added      time.Time // to the directory
	SignedIn   time.Time // last; zero: never
}

// MemberStatus is how an account stands, the gravest thing first.
type MemberStatus string

// The statuses of a member.
const (
	Active      MemberStatus = "active"
	LockedNow   MemberStatus = "locked"
	SecondHeld  MemberStatus = "held"        // after too many wrong codes
	Deactivated MemberStatus = "deactivated" // by the practice
	Stopped     MemberStatus = "stopped"     // by an operator: the practice cannot undo it
)

// Location is where a practice has its people work.
type Location struct{ ID, Name string }

// Team returns everybody of a practice, in no order.
func (s *Store) Team(ctx context.Context, practice account.PracticeID) ([]Member, error) {
	rows, err := s.q.TeamOf(ctx, string(practice))
	if err != nil {
		return nil, fmt.Errorf("store: team: %w", err)
	}
	works, err := s.q.WhereTheyWork(ctx, string(practice))
	if err != nil {
		return nil, fmt.Errorf("store: team: %w", err)
	}
	at := make(map[string][]string, len(works))
	for _, w := range works {
		at[w.Person] = append(at[w.Person], w.Location)
	}
	team := make([]Member, len(rows))
	for i, r := range rows {
		team[i] = memberOf(r, s.Now())
		team[i].Locations = at[r.ID]
	}
	return team, nil
}

// Member returns one person of a practice; ErrNoMember for anybody else's.
func (s *Store) Member(ctx context.Context, practice account.PracticeID, id account.ID) (*Member, error) {
	r, err := s.q.MemberOf(ctx, db.MemberOfParams{ID: string(id), Practice: string(practice)})
	if missing(err) {
		return nil, ErrNoMember
	}
	if err != nil {
		return nil, fmt.Errorf("store: member: %w", err)
	}
	m := memberOf(db.TeamOfRow(r), s.Now())
	m.Locations, err = s.q.WhereOneWorks(ctx, db.WhereOneWorksParams{Person: string(id), Practice: string(practice)})
	if err != nil {
		return nil, fmt.Errorf("store: member: %w", err)
	}
	return &m, nil
}

func memberOf(r db.TeamOfRow, now time.Time) Member {
	m := Member{
		ID: account.ID(r.ID), Role: account.Role(r.Role), Username: r.Username, Email: r.Email, Name: r.Name,
		Second: r.HasSecond, NoPassword: r.NoPassword || r.PasswordWrong >= account.MaxWrongPasswords,
		Status: Active, Added: at(r.CreatedAt), SignedIn: at(r.SignedInAt),
	}
	switch {
	case r.Disabled && r.DeactivatedAt > 0:
		m.Status = Deactivated
	case r.Disabled:
		m.Status = Stopped
	case now.Before(at(r.LockedUntil)):
		m.Status, m.Until = LockedNow, at(r.LockedUntil)
	case r.CodeWrong >= account.MaxWrongCodes:
		m.Status = SecondHeld
	}
	return m
}

// Locations returns those of a practice, in no order.
func (s *Store) Locations(ctx context.Context, practice account.PracticeID) ([]Location, error) {
	rows, err := s.q.LocationsOf(ctx, string(practice))
	if err != nil {
		return nil, fmt.Errorf("store: locations: %w", err)
	}
	all := make([]Location, len(rows))
	for i, r := range rows {
		all[i] = Location(r)
	}
	return all, nil
}

// AccessReviewed notes that somebody took out the list of who has access.
func (s *Store) AccessReviewed(ctx context.Context, by Acting) error {
	return s.lead(ctx, by, func(t *tx, _ account.Role) error {
		t.tell(by.event(account.AccessReviewed, by.Account))
		return nil
	})
}
