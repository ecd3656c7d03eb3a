package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// team is two practices, each with an owner, an admin and two of the staff. The
// name of a person is that of their role and practice, such as "admin-acme".
func (r *rig) team() {
	r.Helper()
	ctx := context.Background()
	for _, practice := range []account.PracticeID{"acme", "zenith"} {
		r.ok(r.AddPractice(ctx, practice, "Practice of "+string(practice)))
		for _, role := range []account.Role{account.Owner, account.Admin, account.FrontDesk, account.Billing} {
			name := string(role) + "-" + string(practice)
			_, err := r.AddPerson(ctx, store.NewPerson{ID: account.ID(name), Practice: practice, Role: string(role),
				Username: name, Email: name + "@example.com", EmailVerified: true, Name: "Name of " + name, Hash: "old"}, "test")
			r.ok(err)
		}
	}
}

func by(id account.ID, practice account.PracticeID) store.Acting {
	return store.Acting{Account: id, Practice: practice, From: "192.0.2.7"}
}

var owner = by("owner-acme", "acme")

// entry is somebody as the directory knows them.
func (r *rig) entry(id account.ID) *directory.Entry {
	r.Helper()
	e, err := store.People{Store: r.Store}.Lookup(context.Background(), directory.ByID, string(id))
	r.ok(err)
	return e
}

func (r *rig) member(id account.ID) store.Member {
	r.Helper()
	m, err := r.Member(context.Background(), "acme", id)
	r.ok(err)
	return *m
}

// acts are everything that can be done to a member, each as it would change
// something.
func (r *rig) acts() map[string]func(store.Acting, account.ID) error {
	ctx := context.Background()
	place, err := r.AddLocation(ctx, owner, "Main Street "+account.NewSecret()[:6])
	r.ok(err)
	foreign, err := r.AddLocation(ctx, by("owner-zenith", "zenith"), "Far Away "+account.NewSecret()[:6])
	r.ok(err)
	return map[string]func(store.Acting, account.ID) error{
		"link":   func(by store.Acting, id account.ID) error { _, err := r.SendMemberLink(ctx, by, id); return err },
		"unlock": func(by store.Acting, id account.ID) error { _, err := r.UnlockMember(ctx, by, id); return err },
		"second": func(by store.Acting, id account.ID) error { _, err := r.ResetMemberSecond(ctx, by, id); return err },
		"end":    func(by store.Acting, id account.ID) error { return r.EndMemberSessions(ctx, by, id) },
		"role": func(by store.Acting, id account.ID) error {
			_, err := r.SetMemberRole(ctx, by, id, account.Billing)
			return err
		},
		"locations": func(by store.Acting, id account.ID) error {
			at := place
			if by.Practice == "zenith" {
				at = foreign
			}
			_, err := r.SetMemberLocations(ctx, by, id, []string{at})
			return err
		},
		"deactivate": func(by store.Acting, id account.ID) error { _, err := r.Deactivate(ctx, by, id); return err },
		"reactivate": func(by store.Acting, id account.ID) error { _, err := r.Reactivate(ctx, by, id); return err },
	}
}

// Who acts × on whom × what: only those above them in their own practice, and
// nobody on themselves. Whoever may not changes nothing, not even a counter,
// and learns nothing: a stranger's ID and one that nobody has are answered
// alike (security.md N80).
func TestNobodyActsOnWhomTheyDoNotManage(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		r.person("none") // of acme, without a role
		var everybody []account.ID
		for _, practice := range []string{"acme", "zenith"} {
			for _, role := range []string{"owner", "admin", "front_desk", "billing"} {
				everybody = append(everybody, account.ID(role+"-"+practice))
			}
		}
		acts, checked := r.acts(), 0
		for _, actor := range append(everybody, "id-none", "nobody") {
			for _, claimed := range []account.PracticeID{"acme", "zenith", ""} {
				for _, on := range append(everybody, "nobody") {
					may := actor != on && (claimed == "acme" && managesIn(actor, on, "acme") || claimed == "zenith" && managesIn(actor, on, "zenith"))
					if may {
						continue // below
					}
					for name, act := range acts {
						before := r.count("SELECT COUNT(*) FROM audit") + r.count("SELECT COUNT(*) FROM mails") + r.count("SELECT COUNT(*) FROM resets")
						if err := act(by(actor, claimed), on); !errors.Is(err, store.ErrNoMember) {
							r.Errorf("%s as of %q: %s on %s: %v", actor, claimed, name, on, err)
						}
						if after := r.count("SELECT COUNT(*) FROM audit") + r.count("SELECT COUNT(*) FROM mails") + r.count("SELECT COUNT(*) FROM resets"); after != before {
							r.Errorf("%s as of %q: %s on %s left %d rows", actor, claimed, name, on, after-before)
						}
						checked++
					}
				}
			}
		}
		for _, pair := range [][2]account.ID{{"owner-acme", "admin-acme"}, {"owner-acme", "front_desk-acme"}, {"admin-acme", "front_desk-acme"}, {"admin-zenith", "front_desk-zenith"}} {
			for name, act := range acts {
				practice := account.PracticeID("acme")
				if pair[0] == "admin-zenith" {
					practice = "zenith"
				}
				if err := act(by(pair[0], practice), pair[1]); err != nil {
					r.Errorf("%s on %s by %s: %v", name, pair[1], pair[0], err)
				}
				_, _ = r.Reactivate(context.Background(), by("owner-acme", "acme"), pair[1])
				if name == "role" {
					r.ok(r.Do("UPDATE people SET role = $1 WHERE id = $2", map[bool]string{true: "admin", false: "front_desk"}[pair[1] == "admin-acme"], string(pair[1])))
				}
			}
		}
		r.Log(checked, "refused")
	})
}

func managesIn(actor, on account.ID, practice string) bool {
	above := map[string][]string{"owner": {"admin", "front_desk", "billing"}, "admin": {"front_desk", "billing"}}
	for role, below := range above {
		for _, b := range below {
			if string(actor) == role+"-"+practice && string(on) == b+"-"+practice {
				return true
			}
		}
	}
	return false
}

// Who was signed out everywhere, and by whom, is in the trail, whether they had
// a session left or only tokens.
func TestSigningAMemberOutIsInTheTrail(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		trail := func() int {
			return r.count("SELECT COUNT(*) FROM audit WHERE kind = 'member_changed' AND subject = 'billing-acme' AND actor = 'owner-acme' AND practice = 'acme'")
		}
		r.ok(r.EndMemberSessions(context.Background(), owner, "billing-acme"))
		if n := trail(); n != 0 {
			r.Errorf("they never tried to sign in, and the trail has %d rows", n)
		}
		r.charge(attempt("billing-acme"))
		r.ok(r.EndMemberSessions(context.Background(), owner, "billing-acme"))
		if n := trail(); n != 1 {
			r.Errorf("%d rows of who signed them out", n)
		}
	})
}

// Whoever is deactivated or stopped runs no team any more, whatever session they
// still hold.
func TestWhoIsStoppedRunsNoTeam(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		admin := by("admin-acme", "acme")
		_, err := r.Deactivate(ctx, owner, "admin-acme")
		r.ok(err)
		if _, err := r.Deactivate(ctx, admin, "billing-acme"); !errors.Is(err, store.ErrNoMember) {
			r.Errorf("a deactivated admin: %v", err)
		}
		if _, err := r.AddLocation(ctx, admin, "Elsewhere"); !errors.Is(err, store.ErrNotAllowed) {
			r.Errorf("a deactivated admin adds a place: %v", err)
		}
		r.ok(r.SetDisabled(ctx, "owner-acme", true, "operator"))
		if _, err := r.SendMemberLink(ctx, owner, "billing-acme"); !errors.Is(err, store.ErrNoMember) {
			r.Errorf("a stopped owner: %v", err)
		}
	})
}

// An Owner and a fellow Owner who take each other's place away at once: one of
// them does, so an Owner stays (design.md, "Teams").
func TestTheLastOwnerStays(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		r.ok(r.Do("UPDATE people SET role = 'owner' WHERE id = 'admin-acme'"))
		for n := range 20 {
			var wg sync.WaitGroup
			for _, pair := range [][2]account.ID{{"owner-acme", "admin-acme"}, {"admin-acme", "owner-acme"}} {
				wg.Go(func() {
					var err error
					if n%2 == 0 {
						_, err = r.Deactivate(ctx, by(pair[0], "acme"), pair[1])
					} else {
						_, err = r.SetMemberRole(ctx, by(pair[0], "acme"), pair[1], account.Billing)
					}
					if err != nil && !errors.Is(err, store.ErrNoMember) {
						r.Error(err)
					}
				})
			}
			wg.Wait()
			if left := r.count("SELECT COUNT(*) FROM people WHERE practice = 'acme' AND role = 'owner' AND disabled = false"); left != 1 {
				r.Fatalf("round %d: %d owners left", n, left)
			}
			for _, id := range []account.ID{"owner-acme", "admin-acme"} {
				r.ok(r.SetDisabled(ctx, id, false, "operator"))
				r.ok(r.Do("UPDATE people SET role = 'owner' WHERE id = $1", string(id)))
			}
		}
	})
}

func TestRolesThatAreNotGiven(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		for _, tc := range []struct {
			by   store.Acting
			on   account.ID
			role account.Role
		}{
			{owner, "admin-acme", account.Owner},
			{owner, "admin-acme", account.Support},
			{owner, "admin-acme", "root"},
			{owner, "admin-acme", ""},
			{by("admin-acme", "acme"), "billing-acme", account.Admin},
			{by("admin-acme", "acme"), "billing-acme", account.Owner},
		} {
			if changed, err := r.SetMemberRole(ctx, tc.by, tc.on, tc.role); !errors.Is(err, store.ErrNotAllowed) || changed {
				r.Errorf("%s makes %s %q: %v, %v", tc.by.Account, tc.on, tc.role, changed, err)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'member_changed'"); n != 0 {
			r.Errorf("%d changes in the trail", n)
		}
	})
}

// The owner's link is like any other: it goes to the person alone, and the
// trail says who had it sent.
func TestOwnerSendsALink(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		for n := range account.LinksPerHour + 1 {
			sent, err := r.SendMemberLink(ctx, owner, "billing-acme")
			r.ok(err)
			if sent != (n < account.LinksPerHour) {
				r.Errorf("link %d: sent %v", n+1, sent)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'reset_requested' AND reason = 'sent' AND actor = 'owner-acme' AND subject = 'billing-acme' AND initiator = 'owner'"); n != account.LinksPerHour {
			r.Errorf("%d in the trail", n)
		}
		r.ok(r.Do("UPDATE people SET email_verified = false WHERE id = 'front_desk-acme'"))
		if sent, err := r.SendMemberLink(ctx, owner, "front_desk-acme"); sent || err != nil {
			r.Errorf("to an address never proven: %v, %v", sent, err)
		}
	})
}

// An Admin who is sent away leaves no door open behind them.
func TestInvitationsEndWithWhoMadeThem(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		for _, actor := range []store.Acting{owner, by("admin-acme", "acme")} {
			came, err := r.Invite(ctx, actor, store.Invite{Email: "new-" + string(actor.Account) + "@example.com", Role: account.FrontDesk})
			if r.ok(err); came != account.Sent {
				r.Fatal(came)
			}
		}
		_, err := r.Deactivate(ctx, owner, "admin-acme")
		r.ok(err)
		pending, err := r.PendingInvites(ctx, "acme")
		r.ok(err)
		if len(pending) != 1 || pending[0].Email != "new-owner-acme@example.com" {
			r.Errorf("pending %+v", pending)
		}
		if n := len(r.told(account.InviteWithdrawn)); n != 1 {
			r.Errorf("%d withdrawn", n)
		}
	})
}

// promises.md 5.4: "Deactivating a person ends their access at once and keeps
// their records." What an operator stopped, the practice does not let go on.
func TestDeactivate(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		token := r.signIn("billing-acme")
		before := r.entry("billing-acme")
		was, err := r.Deactivate(ctx, owner, "billing-acme")
		r.ok(err)
		if again, err := r.Deactivate(ctx, owner, "billing-acme"); !was || again || err != nil {
			r.Errorf("%v, and then %v, %v", was, again, err)
		}
		if _, err := r.Session(ctx, token); !errors.Is(err, store.ErrNoSession) {
			r.Errorf("their session: %v", err)
		}
		if sent, err := r.SendMemberLink(ctx, owner, "billing-acme"); sent || err != nil {
			r.Errorf("a link to somebody deactivated: %v, %v", sent, err)
		}
		after := r.entry("billing-acme")
		if m := r.member("billing-acme"); m.Status != store.Deactivated || after.Email != before.Email || after.Role != before.Role || after.Name != before.Name {
			r.Errorf("%+v of %+v", m, after)
		}
		if was, err = r.Reactivate(ctx, owner, "billing-acme"); !was || err != nil || r.member("billing-acme").Status != store.Active {
			r.Errorf("reactivated: %v, %v", was, err)
		}
		r.signIn("billing-acme")

		_, err = r.Deactivate(ctx, owner, "billing-acme")
		r.ok(err)
		r.ok(r.SetDisabled(ctx, "billing-acme", true, "operator"))
		if m := r.member("billing-acme"); m.Status != store.Stopped {
			r.Errorf("an operator stopped it: %s", m.Status)
		}
		if was, err := r.Reactivate(ctx, owner, "billing-acme"); was || err != nil || !r.entry("billing-acme").Disabled {
			r.Errorf("the practice let it go on: %v, %v", was, err)
		}
		r.ok(r.SetDisabled(ctx, "billing-acme", false, "operator"))
		if m := r.member("billing-acme"); m.Status != store.Active {
			r.Errorf("an operator let it go on: %s", m.Status)
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'account_disabled' AND subject = 'billing-acme' AND actor = 'owner-acme'"); n != 2 {
			r.Errorf("%d deactivations in the trail", n)
		}
	})
}

func TestUnlockAndSecondFactorOfAMember(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		r.wrong(attempt("front_desk-acme"), 5)
		if m := r.member("front_desk-acme"); m.Status != store.LockedNow || m.Until.IsZero() {
			r.Fatalf("%+v", m)
		}
		was, err := r.UnlockMember(ctx, owner, "front_desk-acme")
		r.ok(err)
		again, err := r.UnlockMember(ctx, owner, "front_desk-acme")
		if !was || again || err != nil || r.member("front_desk-acme").Status != store.Active {
			r.Errorf("unlocked %v, again %v, %v", was, again, err)
		}
		cleared := r.told(account.LockCleared)
		if len(cleared) != 1 || cleared[0].By != account.ByOwner || cleared[0].Actor != "owner-acme" || cleared[0].Practice != "acme" {
			r.Errorf("told %+v", cleared)
		}
		r.signIn("front_desk-acme")
		if r.member("front_desk-acme").SignedIn.IsZero() {
			r.Error("the list does not know of the sign-in")
		}

		if was, err := r.ResetMemberSecond(ctx, owner, "front_desk-acme"); was || err != nil {
			r.Errorf("there was none: %v, %v", was, err)
		}
		token := r.signIn("front_desk-acme")
		_, err = r.BringSecond(ctx, "front_desk-acme", account.NewAuthenticator{Key: []byte("a key of twenty bytes")}, "test")
		r.ok(err)
		if !r.member("front_desk-acme").Second {
			r.Error("the list does not know of the second factor")
		}
		if was, err := r.ResetMemberSecond(ctx, owner, "front_desk-acme"); !was || err != nil {
			r.Errorf("%v, %v", was, err)
		}
		if _, err := r.Session(ctx, token); !errors.Is(err, store.ErrNoSession) || r.member("front_desk-acme").Second {
			r.Errorf("what it proved holds: %v", err)
		}
		if e := r.entry("front_desk-acme"); e.Recovered.IsZero() {
			r.Error("apps are not told that the account was recovered")
		}
	})
}

// Where somebody works is theirs in the claims at once, and stays so when the
// place is renamed or removed. Other claims stay as they are.
func TestLocationsAreClaims(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		r.ok(r.Do("UPDATE people SET claims = $1 WHERE id = 'billing-acme'", `{"npi":"1234567893"}`))
		claims := func() string { return fmt.Sprint(r.entry("billing-acme").Claims) }
		main, err := r.AddLocation(ctx, owner, "Main Street")
		r.ok(err)
		harbor, err := r.AddLocation(ctx, owner, "Harbor")
		r.ok(err)
		far, err := r.AddLocation(ctx, by("owner-zenith", "zenith"), "Far")
		r.ok(err)
		changed, err := r.SetMemberLocations(ctx, owner, "billing-acme", []string{main, harbor, main})
		r.ok(err)
		if got := claims(); !changed || got != "map[locations:[Harbor Main Street] npi:1234567893]" {
			r.Errorf("claims %s", got)
		}
		if changed, err := r.SetMemberLocations(ctx, owner, "billing-acme", []string{harbor, main}); changed || err != nil {
			r.Errorf("the same: %v, %v", changed, err)
		}
		for _, id := range []string{far, "nowhere", ""} {
			if _, err := r.SetMemberLocations(ctx, owner, "billing-acme", []string{main, id}); !errors.Is(err, store.ErrNotAllowed) {
				r.Errorf("at %q: %v", id, err)
			}
		}
		if was, err := r.RenameLocation(ctx, by("owner-zenith", "zenith"), main, "Ours"); was || err != nil {
			r.Errorf("another practice renames it: %v, %v", was, err)
		}
		if was, err := r.RemoveLocation(ctx, by("owner-zenith", "zenith"), main); was || err != nil {
			r.Errorf("another practice removes it: %v, %v", was, err)
		}
		if _, err := r.AddLocation(ctx, by("billing-acme", "acme"), "Mine"); !errors.Is(err, store.ErrNotAllowed) {
			r.Errorf("staff adds a place: %v", err)
		}
		if _, err := r.AddLocation(ctx, owner, " HARBOR"); !errors.Is(err, store.ErrDuplicate) {
			r.Errorf("twice: %v", err)
		}
		if _, err := r.RenameLocation(ctx, owner, main, "harbor"); !errors.Is(err, store.ErrDuplicate) {
			r.Errorf("renamed to another's: %v", err)
		}
		_, err = r.RenameLocation(ctx, owner, main, "West Wing")
		r.ok(err)
		if got := claims(); got != "map[locations:[Harbor West Wing] npi:1234567893]" {
			r.Errorf("renamed: %s", got)
		}
		_, err = r.RemoveLocation(ctx, owner, main)
		r.ok(err)
		if got, m := claims(), r.member("billing-acme"); got != "map[locations:[Harbor] npi:1234567893]" || !slices.Equal(m.Locations, []string{harbor}) {
			r.Errorf("removed: %s, %v", got, m.Locations)
		}
		_, err = r.SetMemberLocations(ctx, owner, "billing-acme", nil)
		r.ok(err)
		if got := claims(); got != "map[npi:1234567893]" {
			r.Errorf("nowhere: %s", got)
		}
	})
}

// People may be added to a practice that nobody named: it is run all the same.
func TestAPracticeWithoutAName(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		for id, role := range map[account.ID]string{"o": "owner", "b": "billing"} {
			_, err := r.AddPerson(ctx, store.NewPerson{ID: id, Practice: "nameless", Role: role, Email: string(id) + "@example.com", EmailVerified: true}, "test")
			r.ok(err)
		}
		o := by("o", "nameless")
		_, err := r.AddLocation(ctx, o, "Main Street")
		r.ok(err)
		if changed, err := r.SetMemberRole(ctx, o, "b", account.FrontDesk); !changed || err != nil {
			r.Errorf("%v, %v", changed, err)
		}
		r.ok(r.AddPractice(ctx, "nameless", "Named"))
		if err := r.AddPractice(ctx, "nameless", "Renamed"); !errors.Is(err, store.ErrDuplicate) || r.entry("o").PracticeName != "Named" {
			r.Errorf("named twice: %v", err)
		}
	})
}

// The list is the practice's own, and a person elsewhere is not in it.
func TestTeamIsOnesOwn(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		r.ok(r.Do("INSERT INTO people (id, username, email, created_at, updated_at) VALUES ('patient', 'p', 'p@example.com', 0, 0)"))
		for practice, want := range map[account.PracticeID]int{"acme": 4, "zenith": 4, "": 0, "none": 0} {
			team, err := r.Team(ctx, practice)
			r.ok(err)
			if len(team) != want {
				r.Errorf("%d people in %q", len(team), practice)
			}
			for _, m := range team {
				if r.entry(m.ID).Practice != practice {
					r.Errorf("%s in %q", m.ID, practice)
				}
			}
		}
		for _, id := range []account.ID{"owner-zenith", "patient", "nobody"} {
			if m, err := r.Member(ctx, "acme", id); !errors.Is(err, store.ErrNoMember) {
				r.Errorf("%s: %+v, %v", id, m, err)
			}
		}
		if m, err := r.Member(ctx, "", "patient"); !errors.Is(err, store.ErrNoMember) {
			r.Errorf("people without a practice are no team: %+v, %v", m, err)
		}
	})
}
