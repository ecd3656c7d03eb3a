package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
)

const (
	npi    = "1234567893"
	bobNPI = "1558598797"
)

// withNPI adds somebody who has an NPI and a nickname.
func (r *rig) withNPI(name, npi string) account.ID {
	r.Helper()
	id, err := r.AddPerson(context.Background(), store.NewPerson{ID: account.ID("id-" + name), Username: name,
		Email: name + "@example.com", Claims: map[string]any{"npi": npi, "nickname": name}}, "test")
	r.ok(err)
	return id
}

// kept is what the database holds of a person, byte for byte.
func (r *rig) kept(id account.ID) string {
	r.Helper()
	all, err := r.Dump("SELECT * FROM people WHERE id = $1", string(id))
	r.ok(err)
	if !strings.Contains(all, string(id)) {
		r.Fatalf("a dump of %s without %s: %q", id, id, all)
	}
	return all
}

// has finds people by their NPI.
func (r *rig) has(npi string) []account.ID {
	r.Helper()
	ids, err := r.PeopleByNPI(context.Background(), npi)
	r.ok(err)
	return ids
}

// However somebody is added and looked up, their NPI is among their claims, and
// the database has it nowhere in the clear.
func TestNPIIsSealed(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		given := map[string]any{"npi": npi, "nickname": "Ann"}
		ann, err := r.AddPerson(ctx, store.NewPerson{Username: "ann", Email: "ann@example.com", Claims: given}, "test")
		r.ok(err)
		in := riverside()
		in.People[1].ID, in.People[1].Claims = "", map[string]any{"npi": bobNPI}
		_, wrong, err := r.Import(ctx, in)
		if err != nil || len(wrong) > 0 {
			r.Fatal(wrong, err)
		}
		if given["npi"] != npi || in.People[0].Claims["npi"] != "1679576722" {
			r.Error("the caller's own claims were changed")
		}
		p := store.People{Store: r.Store}
		for name, want := range map[string]string{"ann": npi, "grace": "1679576722", "nora": bobNPI} {
			e, err := p.Lookup(ctx, directory.ByIdentifier, name)
			r.ok(err)
			byEmail, err := p.Lookup(ctx, directory.ByEmail, account.Normalise(e.Email))
			r.ok(err)
			byID, err := p.Lookup(ctx, directory.ByID, string(e.ID))
			r.ok(err)
			if e.Claims["npi"] != want || byEmail.Claims["npi"] != want || byID.Claims["npi"] != want {
				r.Errorf("%s: %v, %v and %v, want %s", name, e.Claims, byEmail.Claims, byID.Claims, want)
			}
			if kept := r.kept(e.ID); strings.Contains(kept, want) {
				r.Errorf("%s is kept as %q", name, kept)
			}
		}
		if e := r.entry(ann); e.Claims["nickname"] != "Ann" || len(e.Claims) != 2 {
			r.Errorf("other claims: %v", e.Claims)
		}
	})
}

// Apps are told it by an access token, in the one statement it always was.
func TestNPIByToken(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		g, tokens := r.redeemed("ann")
		r.ok(r.Do(`UPDATE people SET claims = '{"npi":"1234567893"}' WHERE id = $1`, string(g.Account)))
		r.ok(r.Sweep(ctx))
		r.asked()
		_, e, err := r.Store.GrantByAccess(ctx, tokens.Access)
		r.ok(err)
		if e.Claims["npi"] != npi {
			r.Errorf("claims %v", e.Claims)
		}
		if diff := cmp.Diff([]string{"GrantByAccess"}, r.asked()); diff != "" {
			r.Error(diff)
		}
	})
}

// Who has an NPI is found by it, as typed; by another's, and by none, nobody is.
func TestPeopleByNPI(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.person("nobody")
		ann, bob := r.withNPI("ann", npi), r.withNPI("bob", bobNPI)
		for typed, want := range map[string][]account.ID{
			npi: {ann}, "1234-567 893": {ann}, bobNPI: {bob},
			"1245319599": {}, "123456789": {}, "": nil, " - ": nil,
		} {
			if got := r.has(typed); !slices.Equal(got, want) {
				r.Errorf("%q is had by %v, want %v", typed, got, want)
			}
		}
		r.opened(claims)
		if n := r.count("SELECT COUNT(*) FROM cases c JOIN people p ON p.npi_hash = c.npi_hash WHERE p.id = $1", string(ann)); n != 1 {
			r.Errorf("%d cases are seen to be about her", n)
		}
		for i := range 12 {
			r.withNPI(fmt.Sprint("twin-", i), npi)
		}
		if got := r.has(npi); len(got) != 10 {
			r.Errorf("of 13 people %d are told", len(got))
		}
	})
}

// One person's NPI does not become another's by writing to the database; and nobody
// is kept out because theirs cannot be read.
func TestNPIIsBoundToItsPerson(t *testing.T) {
	onBoth(t, func(r *rig) {
		ann, bob := r.withNPI("ann", npi), r.withNPI("bob", bobNPI)
		r.ok(r.Do("UPDATE people SET npi = (SELECT a.npi FROM people a WHERE a.id = $1) WHERE id = $2", string(ann), string(bob)))
		e, err := store.People{Store: r.Store}.Lookup(context.Background(), directory.ByID, string(bob))
		if err != nil || e == nil || e.Claims["npi"] != nil {
			r.Errorf("bob is shut out, or has the NPI of ann: %+v, %v", e, err)
		}
	})
}

// Nobody is added with what cannot be kept, and a person without an NPI costs
// no statement.
func TestNPIRefused(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		n := store.NewPerson{Username: "ann", Email: "ann@example.com", Claims: map[string]any{"npi": 1234567893}}
		if _, err := r.AddPerson(ctx, n, "test"); err == nil {
			r.Error("a number was added as an NPI")
		}
		in := riverside()
		in.People[2].Claims = n.Claims
		if _, _, err := r.Import(ctx, in); err == nil {
			r.Error("a number was imported as an NPI")
		}
		if n := r.count("SELECT COUNT(*) FROM people"); n != 0 {
			r.Errorf("%d people", n)
		}
		r.asked()
		r.person("bob")
		if q := r.asked(); slices.Contains(q, "Secret") {
			r.Errorf("somebody without an NPI asks for %v", q)
		}
		n.Claims = map[string]any{"npi": ""}
		id, err := r.AddPerson(ctx, n, "test")
		r.ok(err)
		if e := r.entry(id); len(e.Claims) != 0 {
			r.Errorf("an empty one is %v", e.Claims)
		}
	})
}

// Without the ring nothing is sealed, and so nothing added; whoever is there is
// still found.
func TestNPIWithoutARing(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			ctx := context.Background()
			c := storetest.New(t, engine)
			ann := open(t, c).withNPI("ann", npi)
			c.Ring = nil
			r := open(t, c)
			n := store.NewPerson{Username: "bob", Email: "bob@example.com", Claims: map[string]any{"npi": bobNPI}}
			if _, err := r.AddPerson(ctx, n, "test"); !errors.Is(err, store.ErrNoRing) {
				t.Errorf("added: %v", err)
			}
			if _, _, err := r.Import(ctx, riverside()); !errors.Is(err, store.ErrNoRing) {
				t.Errorf("imported: %v", err)
			}
			if _, err := r.PeopleByNPI(ctx, npi); !errors.Is(err, store.ErrNoRing) {
				t.Errorf("found: %v", err)
			}
			if n := r.count("SELECT COUNT(*) FROM people"); n != 1 {
				t.Errorf("%d people", n)
			}
			if e := r.entry(ann); e.Username != "ann" || e.Claims["npi"] != nil || e.Claims["nickname"] != "ann" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// before gives somebody claims as a program from before wrote them.
func (r *rig) before(name, claims string) account.ID {
	r.Helper()
	id := r.person(name)
	r.ok(r.Do("UPDATE people SET claims = $1 WHERE id = $2", claims, string(id)))
	return id
}

// What is in the clear from before is told to apps as ever, and the sweep moves
// it; other claims stay as they are, and so does when somebody was changed.
func TestSweepNPIs(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		ann := r.before("ann", `{"address":{"npi":"7"},"nickname":"Ann","npi":"1234567893"}`)
		bob := r.before("bob", `{"npi":1558598797,"nickname":"Bob"}`)
		eve := r.before("eve", `{"address":{"npi":"1558598797"}}`)
		both := r.withNPI("both", npi)
		r.ok(r.Do(`UPDATE people SET claims = '{"npi":""}' WHERE id = $1`, string(both)))
		if e := r.entry(ann); e.Claims["npi"] != npi || !strings.Contains(r.kept(ann), npi) {
			r.Fatalf("before the sweep: %v", e.Claims)
		}
		updated := r.count("SELECT updated_at FROM people WHERE id = $1", string(ann))
		r.Move(time.Minute)
		for range 2 {
			r.ok(r.Sweep(ctx))
			if kept := r.kept(ann); strings.Contains(kept, npi) {
				r.Errorf("ann is kept as %q", kept)
			}
			for id, want := range map[account.ID]string{
				ann:  "map[address:map[npi:7] nickname:Ann npi:1234567893]",
				bob:  "map[nickname:Bob]",
				eve:  "map[address:map[npi:1558598797]]",
				both: "map[npi:1234567893]",
			} {
				if got := fmt.Sprint(r.entry(id).Claims); got != want {
					r.Errorf("%s has %s, want %s", id, got, want)
				}
			}
			if got := r.has(npi); !slices.Equal(got, []account.ID{both, ann}) && !slices.Equal(got, []account.ID{ann, both}) {
				r.Errorf("found %v", got)
			}
			if got := r.has(bobNPI); len(got) != 0 {
				r.Errorf("what was no NPI finds %v", got)
			}
		}
		if n := r.count("SELECT updated_at FROM people WHERE id = $1", string(ann)); n != updated {
			r.Error("she was changed")
		}
	})
}

// However many there are, and whoever else sweeps: all are moved, and then
// looking is one statement.
func TestSweepManyNPIs(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.ok(r.Do(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
			INSERT INTO people (id, username, email, claims, created_at, updated_at)
			SELECT 'p' || CAST(i AS TEXT), 'u' || CAST(i AS TEXT), '', '{"npi":"1234567893"}', 1, 1 FROM n`))
		r.ok(r.Do(`UPDATE people SET claims = '{"npi":' WHERE id = 'p600'`))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := r.Sweep(ctx); err == nil || !strings.Contains(err.Error(), "p600") {
					r.Errorf("claims that are none: %v", err)
				}
			})
		}
		wg.Wait()
		if n := r.count(`SELECT COUNT(*) FROM people WHERE claims = '{}' AND npi IS NOT NULL AND npi_hash IS NOT NULL`); n != 1099 {
			r.Errorf("%d of 1099 were moved", n)
		}
		r.ok(r.Do(`UPDATE people SET claims = '{}' WHERE id = 'p600'`))
		r.asked()
		r.ok(r.Sweep(ctx))
		q := slices.DeleteFunc(r.asked(), func(name string) bool { return !strings.Contains(name, "NPI") })
		if diff := cmp.Diff([]string{"ClearNPIs"}, q); diff != "" {
			r.Error(diff)
		}
	})
}

// Claims that change between look and move are not overwritten: the next sweep
// finds the NPI.
func TestSweepNPIsOvertaken(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			ctx := context.Background()
			c := storetest.New(t, engine)
			other := open(t, c)
			ann := other.before("ann", `{"npi":"1234567893"}`)
			var once sync.Once
			c.Queries = func(name string, _ time.Duration, _ error) {
				if name == "ClearNPIs" { // and HideNPI comes after
					once.Do(func() {
						other.ok(other.Do(`UPDATE people SET claims = '{"locations":["Pier"],"npi":"1234567893"}'`))
					})
				}
			}
			s := storetest.Open(t, c)
			other.ok(s.Sweep(ctx))
			if kept := other.kept(ann); !strings.Contains(kept, `"locations":["Pier"],"npi":"1234567893"`) {
				t.Errorf("overtaken: %q", kept)
			}
			other.ok(s.Sweep(ctx))
			if kept := other.kept(ann); !strings.Contains(kept, `{"locations":["Pier"]}`) || strings.Contains(kept, npi) {
				t.Errorf("the next time: %q", kept)
			}
		})
	}
}
