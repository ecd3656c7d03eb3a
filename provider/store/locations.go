package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store/db"
)

// MaxLocations is how many a practice has at most.
const MaxLocations = 200

// SetMemberLocations says where a member works. It reports whether that was
// otherwise; ErrNotAllowed if a location is not the practice's.
func (s *Store) SetMemberLocations(ctx context.Context, by Acting, id account.ID, locations []string) (changed bool, err error) {
	locations = slices.Compact(slices.Sorted(slices.Values(locations)))
	err = s.manage(ctx, by, id, func(t *tx, _ db.ActingRow) error {
		before, err := t.WhereOneWorks(ctx, db.WhereOneWorksParams{Person: string(id), Practice: string(by.Practice)})
		if err != nil {
			return err
		}
		slices.Sort(before)
		if changed = !slices.Equal(before, locations); !changed {
			return nil
		}
		if err := t.workAt(ctx, by.Practice, id, locations); err != nil {
			return err
		}
		e := by.event(account.MemberChanged, id)
		e.Reason = account.LocationsGiven
		t.tell(e)
		return s.tellMember(ctx, t, by, id, "locations")
	})
	return changed && err == nil, err
}

// workAt has a person work at the locations and at no other.
func (t *tx) workAt(ctx context.Context, practice account.PracticeID, id account.ID, locations []string) error {
	if _, err := t.LeaveLocations(ctx, string(id)); err != nil {
		return err
	}
	for _, l := range locations {
		n, err := t.JoinLocation(ctx, db.JoinLocationParams{Person: string(id), Practice: string(practice), Location: l})
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotAllowed
		}
	}
	return t.claimLocations(ctx, practice, id)
}

// claimLocations puts the names of a person's locations among their claims, so
// that a token costs no statement more for them. Who changes locations holds
// the practice, so the claim is never older than they are.
func (t *tx) claimLocations(ctx context.Context, practice account.PracticeID, id account.ID) error {
	works, err := t.WhereOneWorks(ctx, db.WhereOneWorksParams{Person: string(id), Practice: string(practice)})
	if err != nil {
		return err
	}
	all, err := t.LocationsOf(ctx, string(practice))
	if err != nil {
		return err
	}
	var names []string
	for _, l := range all {
		if slices.Contains(works, l.ID) {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	doc, err := t.ClaimsOf(ctx, db.ClaimsOfParams{ID: string(id), Practice: string(practice)})
	if err != nil {
		return err
	}
	claims := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(doc), &claims); err != nil {
		return err
	}
	delete(claims, "locations")
	if len(names) > 0 {
		if claims["locations"], err = json.Marshal(names); err != nil {
			return err
		}
	}
	out, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	return t.SetClaims(ctx, db.SetClaimsParams{ID: string(id), Practice: string(practice), Claims: string(out), Now: t.now()})
}

// AddLocation adds a place to a practice. ErrDuplicate: it has one of that
// name; ErrNotAllowed: it has MaxLocations.
func (s *Store) AddLocation(ctx context.Context, by Acting, name string) (id string, err error) {
	id = rand.Text()
	return id, s.lead(ctx, by, func(t *tx, _ account.Role) error {
		all, err := t.LocationsOf(ctx, string(by.Practice))
		if err != nil {
			return err
		}
		if len(all) >= MaxLocations {
			return ErrNotAllowed
		}
		if named(all, name) {
			return ErrDuplicate
		}
		t.tell(by.place(id))
		return t.Queries.AddLocation(ctx, db.AddLocationParams{ID: id, Practice: string(by.Practice), Name: name})
	})
}

// RenameLocation gives a place of the practice another name, in the claims of
// those who work there, too. It reports whether there is such a place.
func (s *Store) RenameLocation(ctx context.Context, by Acting, id, name string) (was bool, err error) {
	err = s.lead(ctx, by, func(t *tx, _ account.Role) error {
		all, err := t.LocationsOf(ctx, string(by.Practice))
		if err != nil {
			return err
		}
		others := slices.DeleteFunc(all, func(l db.LocationsOfRow) bool { return l.ID == id })
		if named(others, name) {
			return ErrDuplicate
		}
		n, err := t.Queries.RenameLocation(ctx, db.RenameLocationParams{ID: id, Practice: string(by.Practice), Name: name})
		if was = n > 0; err != nil || !was {
			return err
		}
		people, err := t.WhoWorksAt(ctx, db.WhoWorksAtParams{Location: id, Practice: string(by.Practice)})
		if err != nil {
			return err
		}
		t.tell(by.place(id))
		return t.reclaim(ctx, by.Practice, people)
	})
	return was && err == nil, err
}

// RemoveLocation takes a place away; who worked there works there no more. It
// reports whether there was such a place.
func (s *Store) RemoveLocation(ctx context.Context, by Acting, id string) (was bool, err error) {
	err = s.lead(ctx, by, func(t *tx, _ account.Role) error {
		people, err := t.WhoWorksAt(ctx, db.WhoWorksAtParams{Location: id, Practice: string(by.Practice)})
		if err != nil {
			return err
		}
		n, err := t.Queries.RemoveLocation(ctx, db.RemoveLocationParams{ID: id, Practice: string(by.Practice)})
		if was = n > 0; err != nil || !was {
			return err
		}
		t.tell(by.place(id))
		return t.reclaim(ctx, by.Practice, people)
	})
	return was && err == nil, err
}

func (t *tx) reclaim(ctx context.Context, practice account.PracticeID, people []string) error {
	for _, id := range people {
		if err := t.claimLocations(ctx, practice, account.ID(id)); err != nil {
			return err
		}
	}
	return nil
}

// place is the event of a location that changed.
func (by Acting) place(id string) account.Event {
	e := by.event(account.LocationChanged, by.Account)
	e.Step = id
	return e
}

func named(all []db.LocationsOfRow, name string) bool {
	key := account.Normalise(name)
	return slices.ContainsFunc(all, func(l db.LocationsOfRow) bool { return account.Normalise(l.Name) == key })
}
