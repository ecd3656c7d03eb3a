package store

import (
	"context"
	"errors"
	"slices"

	"github.com/medximity/idp/flows/account"
)

// Import is who comes from another system at once: all of them, or nobody.
type Import struct {
	Practices []NewPractice
	People    []NewMember
	SendLinks bool   // to those who bring no password
	DryRun    bool   // do it, tell what is wrong, and undo it
	Actor     string // for the audit trail
}

// NewPractice is a practice to add.
type NewPractice struct {
	Mark          int // the caller's, told with what is wrong
	ID            account.PracticeID
	Name          string // "": it is there already
	RequireSecond bool
	Locations     []NewLocation
	MayExist      bool // and then gets the locations that it lacks
}

// NewLocation is a place to add.
type NewLocation struct {
	ID   string // "": one is made
	Name string
}

// NewMember is a person to add, and where they work.
type NewMember struct {
	Mark int // see NewPractice
	NewPerson
	Locations []string // names of what their practice has
}

// Imported is what an import added, or would have.
type Imported struct {
	Practices, Locations, People int
	WithoutPassword              int                  // of the people
	Links                        int                  // mailed to them
	WithoutOwner                 []account.PracticeID // of the practices
}

// Problem is why one practice or person cannot be imported.
type Problem struct {
	Mark  int
	Field string
	Err   error
}

// errUndone ends a transaction of which nothing is to stay.
var errUndone = errors.New("store: undone")

// Import adds all of it in one transaction. If anything is wrong, it tells all
// that is, and nothing has changed. The directory is asked by adding to it, so a
// dry run finds what a real one would.
func (s *Store) Import(ctx context.Context, in Import) (Imported, []Problem, error) {
	var done Imported
	var wrong []Problem
	in.People = slices.Clone(in.People)
	people := make([]*NewPerson, len(in.People))
	for i := range people {
		people[i] = &in.People[i].NewPerson
	}
	if err := s.hideNPIs(ctx, people...); err != nil {
		return done, nil, err
	}
	err := s.update(ctx, func(t *tx) error {
		i := importing{tx: t, store: s, in: in, open: map[account.PracticeID]places{},
			refused: map[account.PracticeID]bool{}, owned: map[account.PracticeID]bool{}}
		if err := i.all(ctx); err != nil {
			return err
		}
		if done, wrong = i.done, i.wrong; in.DryRun || len(wrong) > 0 {
			return errUndone
		}
		return nil
	})
	if errors.Is(err, errUndone) {
		err = nil
	}
	return done, wrong, err
}
