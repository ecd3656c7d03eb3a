package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// importing is an import under way.
type importing struct {
	*tx
	store   *Store
	in      Import
	open    map[account.PracticeID]places
	refused map[account.PracticeID]bool // told already: its people are not to blame
	added   []account.PracticeID
	owned   map[account.PracticeID]bool // by somebody who was added
	done    Imported
	wrong   []Problem
}

// places are the locations of a practice: their IDs by the normal form of their
// names. It is nil if there is no such practice.
type places map[string]string

func (i *importing) all(ctx context.Context) error {
	for _, p := range i.in.Practices {
		if err := i.practice(ctx, p); err != nil {
			return err
		}
	}
	for _, m := range i.in.People {
		if i.refused[m.Practice] {
			continue
		}
		if err := i.member(ctx, m); err != nil {
			return err
		}
	}
	i.done.WithoutOwner = slices.DeleteFunc(i.added, func(p account.PracticeID) bool { return i.owned[p] })
	return nil
}

func (i *importing) problem(mark int, field, format string, args ...any) {
	i.wrong = append(i.wrong, Problem{mark, field, fmt.Errorf(format, args...)})
}

func (i *importing) practice(ctx context.Context, p NewPractice) error {
	added := int64(0)
	if p.Name != "" {
		var err error
		added, err = i.AddPractice(ctx, db.AddPracticeParams{
			ID: string(p.ID), Name: p.Name, RequireSecond: p.RequireSecond})
		if err != nil {
			return err
		}
	}
	if added > 0 {
		i.done.Practices++
		i.added = append(i.added, p.ID)
	} else if ok, err := i.isThere(ctx, p); !ok || err != nil {
		i.refused[p.ID] = true
		return err
	}
	pl, err := i.placesOf(ctx, p.ID)
	if err != nil {
		return err
	}
	return i.locations(ctx, p, pl)
}

// isThere reports whether a practice that was not added may be taken as it is.
func (i *importing) isThere(ctx context.Context, p NewPractice) (bool, error) {
	name, err := i.PracticeName(ctx, string(p.ID))
	switch {
	case missing(err):
		i.problem(p.Mark, "practice", "there is no practice %s: practice_name would add it", p.ID)
		return false, nil
	case err != nil:
		return false, err
	case !p.MayExist:
		i.problem(p.Mark, "id", "there is a practice %s already: leave it out, people may name it", p.ID)
		return false, nil
	case p.Name != "" && p.Name != name:
		i.problem(p.Mark, "practice_name", "practice %s is there and is called %q: leave its name out", p.ID, name)
		return false, nil
	}
	return true, nil
}

// placesOf returns the locations of a practice, and holds it: see HoldPractice,
// which would add one that is not there.
func (i *importing) placesOf(ctx context.Context, id account.PracticeID) (places, error) {
	if pl, known := i.open[id]; known {
		return pl, nil
	}
	if _, err := i.PracticeName(ctx, string(id)); err != nil {
		if i.open[id] = nil; missing(err) {
			err = nil
		}
		return nil, err
	}
	if err := i.HoldPractice(ctx, string(id)); err != nil {
		return nil, err
	}
	all, err := i.LocationsOf(ctx, string(id))
	if err != nil {
		return nil, err
	}
	pl := make(places, len(all))
	for _, l := range all {
		pl[account.Normalise(l.Name)] = l.ID
	}
	i.open[id] = pl
	return pl, nil
}

// locations adds those that a practice lacks.
func (i *importing) locations(ctx context.Context, p NewPractice, pl places) error {
	for _, l := range p.Locations {
		key := account.Normalise(l.Name)
		if _, has := pl[key]; has {
			continue
		}
		if len(pl) >= MaxLocations {
			i.problem(p.Mark, "locations", "practice %s would have more than %d", p.ID, MaxLocations)
			return nil
		}
		if l.ID == "" {
			l.ID = rand.Text()
		}
		n, err := i.ImportLocation(ctx, db.ImportLocationParams{ID: l.ID, Practice: string(p.ID), Name: l.Name})
		if err != nil {
			return err
		}
		if pl[key] = l.ID; n == 0 {
			i.problem(p.Mark, "locations", "there is a location with the ID %s already", l.ID)
			continue
		}
		i.done.Locations++
		i.tell(account.Event{Kind: account.LocationChanged, Practice: p.ID, Step: l.ID, Actor: i.in.Actor})
	}
	return nil
}

func (i *importing) member(ctx context.Context, m NewMember) error {
	m.complete()
	works, ok, err := i.worksAt(ctx, m)
	if err != nil || !ok {
		return err
	}
	row, err := m.row(i.now())
	if err != nil {
		return err
	}
	n, err := i.ImportPerson(ctx, db.ImportPersonParams(row))
	if err != nil {
		return err
	}
	if n == 0 {
		i.problem(m.Mark, "id", "somebody has the ID %s already", m.ID)
		return nil
	}
	if err := i.identify(ctx, m); err != nil {
		return err
	}
	if len(works) > 0 {
		if err := i.workAt(ctx, m.Practice, m.ID, works); err != nil {
			return err
		}
	}
	i.tell(account.Event{Kind: account.AccountAdded, Subject: string(m.ID), Practice: m.Practice, Actor: i.in.Actor})
	return i.count(ctx, m)
}

// worksAt returns the IDs of a person's locations, if their practice has all.
func (i *importing) worksAt(ctx context.Context, m NewMember) (works []string, ok bool, err error) {
	if m.Practice == "" {
		return nil, true, nil
	}
	pl, err := i.placesOf(ctx, m.Practice)
	if err != nil {
		return nil, false, err
	}
	if pl == nil {
		i.problem(m.Mark, "practice", "there is no practice %s", m.Practice)
		return nil, false, nil
	}
	ok = true
	for _, name := range m.Locations {
		id, has := pl[account.Normalise(name)]
		if !has {
			i.problem(m.Mark, "locations", "practice %s has no location %q", m.Practice, name)
			ok = false
		}
		works = append(works, id)
	}
	return works, ok, nil
}

// identify adds what the person may type, as identify of a tx does.
func (i *importing) identify(ctx context.Context, m NewMember) error {
	email, username := account.Normalise(m.Email), account.Normalise(m.Username)
	for _, k := range []struct {
		key, field string
		email      bool
	}{{email, "email", true}, {username, "username", false}} {
		if !k.email && k.key == email {
			return nil
		}
		n, err := i.ImportIdentifier(ctx, db.ImportIdentifierParams{Key: k.key, Person: string(m.ID), Email: k.email})
		if err != nil {
			return err
		}
		if n == 0 {
			i.problem(m.Mark, k.field, "somebody has that username or address already")
		}
	}
	return nil
}

// count counts a person who was added, and mails them a link if they need one.
func (i *importing) count(ctx context.Context, m NewMember) error {
	i.done.People++
	if account.Role(m.Role) == account.Owner {
		i.owned[m.Practice] = true
	}
	if m.Hash != "" {
		return nil
	}
	i.done.WithoutPassword++
	if !i.in.SendLinks || !m.EmailVerified {
		return nil
	}
	i.done.Links++
	_, err := i.store.askReset(ctx, i.tx, flows.ResetAsk{Subject: string(m.ID), By: account.BySupport, Actor: i.in.Actor})
	return err
}
