package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// newcomer is somebody of riverside, from the line mark.
func newcomer(mark int, name string, locations ...string) store.NewMember {
	return store.NewMember{Mark: mark, Locations: locations, NewPerson: store.NewPerson{ID: account.ID("id-" + name),
		Practice: "riverside", Role: "billing", Username: name, Email: name + "@riverside.example", EmailVerified: true, Hash: "h"}}
}

// riverside is a practice with two places and three people.
func riverside() store.Import {
	in := store.Import{Actor: "op", Practices: []store.NewPractice{{Mark: 1, ID: "riverside", Name: "Riverside", RequireSecond: true,
		Locations: []store.NewLocation{{Name: "Main Street"}, {ID: "harbour", Name: "Harbour"}}}}}
	in.People = []store.NewMember{newcomer(2, "grace", "HARBOUR", "Main Street"), newcomer(3, "nora", "Main Street"), newcomer(4, "omar")}
	in.People[0].Role = "owner"
	in.People[0].Claims = map[string]any{"npi": "1679576722"}
	in.People[2].Hash = ""
	return in
}

// left counts all that an import could leave.
func (r *rig) left() (n int) {
	for _, table := range []string{"practices", "locations", "people", "people_locations", "identifiers", "audit", "mails", "resets", "river_job"} {
		n += r.count("SELECT COUNT(*) FROM " + table)
	}
	return n
}

// problems are what is wrong, as "mark field: why".
func (r *rig) problems(in store.Import) (all []string) {
	r.Helper()
	_, wrong, err := r.Import(context.Background(), in)
	r.ok(err)
	for _, w := range wrong {
		all = append(all, fmt.Sprintf("%d %s: %s", w.Mark, w.Field, w.Err))
	}
	return all
}

func TestImport(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		dry := riverside()
		dry.DryRun = true
		want := store.Imported{Practices: 1, Locations: 2, People: 3, WithoutPassword: 1, WithoutOwner: []account.PracticeID{}}
		before := r.left()
		for _, in := range []store.Import{dry, riverside()} {
			done, wrong, err := r.Import(ctx, in)
			r.ok(err)
			if diff := cmp.Diff(want, done); diff != "" || len(wrong) > 0 {
				r.Errorf("dry %v: %v %s", in.DryRun, wrong, diff)
			}
			if in.DryRun && (r.left() != before || len(r.events) > 0) {
				r.Errorf("a dry run left %d rows and %d events", r.left()-before, len(r.events))
			}
		}
		e := r.entry("id-grace")
		if e.PracticeName != "Riverside" || e.Role != "owner" || !e.RequireSecond || e.Claims["npi"] != "1679576722" {
			r.Errorf("%+v", e)
		}
		if got := fmt.Sprint(e.Claims["locations"]); got != "[Harbour Main Street]" {
			r.Errorf("claims say that she works at %s", got)
		}
		m, err := r.Member(ctx, "riverside", "id-grace")
		r.ok(err)
		if len(m.Locations) != 2 || !slices.Contains(m.Locations, "harbour") {
			r.Errorf("she works at %v", m.Locations)
		}
		if _, err := (store.People{Store: r.Store}).Lookup(ctx, directory.ByEmail, "omar@riverside.example"); err != nil {
			r.Error(err)
		}
		for _, e := range append(r.told(account.AccountAdded), r.told(account.LocationChanged)...) {
			if e.Actor != "op" || e.Practice != "riverside" {
				r.Errorf("%+v", e)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE actor = 'op' AND kind = 'account_added' AND practice = 'riverside'"); n != 3 {
			r.Errorf("%d people in the trail", n)
		}
	})
}

// One thing wrong in the last line, and nothing of the others stays.
func TestImportIsAllOrNothing(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.person("taken")
		in := riverside()
		last := newcomer(9, "last")
		last.Email = "Taken@Example.com"
		in.People = append(in.People, last)
		before := r.left()
		got := r.problems(in)
		if diff := cmp.Diff([]string{"9 email: somebody has that username or address already"}, got); diff != "" {
			r.Error(diff)
		}
		if n := r.left(); n != before || len(r.told(account.AccountAdded)) != 1 {
			r.Errorf("%d rows, then %d", before, n)
		}
	})
}

// Everything that the directory has against it is told at once.
func TestImportTellsAllThatIsWrong(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.person("taken")
		r.ok(r.AddPractice(ctx, "old", "Old Practice"))
		r.ok(r.AddPractice(ctx, "lead", "Lead"))
		lead, err := r.AddPerson(ctx, store.NewPerson{Practice: "lead", Role: "owner", Username: "lead", Email: "lead@x.example"}, "test")
		r.ok(err)
		_, err = r.AddLocation(ctx, by(lead, "lead"), "Hill")
		r.ok(err)
		in := riverside()
		in.Practices = append(in.Practices,
			store.NewPractice{Mark: 10, ID: "old", Name: "Old Practice"},
			store.NewPractice{Mark: 11, ID: "lead", Name: "Led", MayExist: true},
			store.NewPractice{Mark: 12, ID: "nowhere", MayExist: true})
		for n := range store.MaxLocations {
			in.Practices[0].Locations = append(in.Practices[0].Locations, store.NewLocation{Name: fmt.Sprint("Room ", n)})
		}
		sameID, elsewhere, unlisted, sameAddress := newcomer(21, "b"), newcomer(22, "c"), newcomer(23, "d"), newcomer(25, "f")
		sameID.ID, elsewhere.Practice, unlisted.Practice, sameAddress.Email = "id-taken", "nowhere", "unlisted", "Taken@example.com"
		in.People = append(in.People, newcomer(20, "TAKEN"), sameID, elsewhere, unlisted, newcomer(24, "e", "Cellar"), sameAddress)
		got := r.problems(in)
		want := []string{
			"1 locations: practice riverside would have more than 200",
			"10 id: there is a practice old already: leave it out, people may name it",
			`11 practice_name: practice lead is there and is called "Lead": leave its name out`,
			"12 practice: there is no practice nowhere: practice_name would add it",
			"20 username: somebody has that username or address already",
			"21 id: somebody has the ID id-taken already",
			"23 practice: there is no practice unlisted",
			`24 locations: practice riverside has no location "Cellar"`,
			"25 email: somebody has that username or address already",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Error(diff)
		}
		before := r.left()
		r.problems(in)
		if n := r.left(); n != before {
			r.Errorf("%d rows, then %d", before, n)
		}
	})
}

// A practice that is there gets the places it lacks, once, however their names
// are written; who runs it sees those who came.
func TestImportIntoAPractice(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		_, wrong, err := r.Import(ctx, riverside())
		if r.ok(err); len(wrong) > 0 {
			r.Fatal(wrong)
		}
		more := store.Import{Practices: []store.NewPractice{{Mark: 1, ID: "riverside", MayExist: true,
			Locations: []store.NewLocation{{Name: "main street"}, {Name: "MAIN STREET"}, {Name: "Annex"}}}},
			People: []store.NewMember{newcomer(2, "pia", "Annex", "main street")}}
		done, wrong, err := r.Import(ctx, more)
		r.ok(err)
		if diff := cmp.Diff(store.Imported{Locations: 1, People: 1}, done); diff != "" || len(wrong) > 0 {
			r.Errorf("%v %s", wrong, diff)
		}
		team, err := r.Team(ctx, "riverside")
		if r.ok(err); len(team) != 4 {
			r.Errorf("%d in the team", len(team))
		}
	})
}

// account add may name a practice that nobody added: an import names it, once.
func TestImportNamesAPractice(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.person("ann") // of acme
		into := func(name string) store.Import {
			m := newcomer(2, "bob"+name)
			m.Practice = "acme"
			return store.Import{DryRun: name == "", Practices: []store.NewPractice{{Mark: 1, ID: "acme", Name: name, MayExist: true}}, People: []store.NewMember{m}}
		}
		for _, c := range []struct{ name, want string }{
			{"", "[1 practice: there is no practice acme: practice_name would add it]"},
			{"Acme", "[]"},
			{"Other", `[1 practice_name: practice acme is there and is called "Acme": leave its name out]`},
		} {
			if got := fmt.Sprint(r.problems(into(c.name))); got != c.want {
				r.Errorf("%q: %s", c.name, got)
			}
		}
		if e := r.entry("id-ann"); e.PracticeName != "Acme" {
			r.Errorf("ann is of %q", e.PracticeName)
		}
	})
}

// Two that bring the same address at once: one has it, and the other all or
// nothing.
func TestImportsAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		var wg sync.WaitGroup
		added := make(chan int, 2)
		for n := range 2 {
			wg.Go(func() {
				in := riverside()
				in.Practices[0].MayExist = true
				for i := range in.Practices[0].Locations {
					in.Practices[0].Locations[i].ID = ""
				}
				for i := range in.People[:2] { // the third is the same person in both
					in.People[i].ID, in.People[i].Username = "", fmt.Sprintf("%s%d", in.People[i].Username, n)
					in.People[i].Email = in.People[i].Username + "@riverside.example"
				}
				done, wrong, err := r.Import(context.Background(), in)
				if err != nil {
					r.Error(err)
				}
				if len(wrong) == 0 {
					added <- done.People
				}
			})
		}
		wg.Wait()
		close(added)
		if n, more := <-added, len(added); n != 3 || more != 0 {
			r.Errorf("%d people, and %d imports more", n, more)
		}
		if n := r.count("SELECT COUNT(*) FROM people"); n != 3 {
			r.Errorf("%d people", n)
		}
	})
}

// Those without a password are mailed a link, in the same transaction; those
// whose address was never proven are not.
func TestImportSendsLinks(t *testing.T) {
	onBoth(t, func(r *rig) {
		in := riverside()
		in.SendLinks = true
		unproven := newcomer(5, "pat")
		unproven.Hash, unproven.EmailVerified = "", false
		in.People = append(in.People, unproven)
		done, wrong, err := r.Import(context.Background(), in)
		if r.ok(err); len(wrong) > 0 || done.Links != 1 || done.WithoutPassword != 2 {
			r.Errorf("%v %+v", wrong, done)
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE subject = 'id-omar'"); n != 1 || r.count("SELECT COUNT(*) FROM mails") != 1 {
			r.Errorf("%d mails to who needs one", n)
		}
	})
}
