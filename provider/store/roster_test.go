package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// app redeems a code in a session, and returns its access token.
func (r *rig) app(by *store.Session) []byte {
	r.Helper()
	now := r.Now()
	g := store.Grant{ID: account.NewSecret(), Client: "app", Account: by.Account, Practice: by.Practice, Epoch: by.Epoch,
		Session: by.ID, Scopes: []string{"openid"}, AuthTime: by.AuthTime, Methods: by.Methods, ACR: by.ACR,
		Requested: "{}", CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour)}
	t := r.tokens()
	t.AccessUntil = now.Add(24 * time.Hour)
	r.ok(r.RedeemCode(context.Background(), &g, account.HashSecret(account.NewSecret()), t))
	return t.Access
}

// works reports whether an access token does.
func (r *rig) works(access []byte) bool {
	r.Helper()
	_, _, err := r.GrantByAccess(context.Background(), access)
	if err != nil && !errors.Is(err, store.ErrGone) {
		r.Fatal(err)
	}
	return err == nil
}

func (r *rig) roster(id account.ID) []store.Session {
	r.Helper()
	all, err := r.Sessions(context.Background(), id)
	r.ok(err)
	return all
}

func TestRosterListsLiveSessions(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		idle := r.session(id)
		r.session(r.person("bob"))
		r.Move(59 * time.Minute)
		first := r.signIn(id)
		r.Move(2 * time.Minute) // the idle one is over
		second := r.session(id)
		got := r.roster(id)
		if len(got) != 2 || string(got[0].ID) != string(second.ID) || string(got[1].ID) == string(idle.ID) {
			r.Fatalf("%d: %+v", len(got), got)
		}
		r.Move(10 * time.Minute)
		_, err := r.Session(context.Background(), first)
		r.ok(err)
		if got := r.roster(id); len(got) != 2 || string(got[1].ID) != string(second.ID) || got[1].Methods[0] != "pwd" {
			r.Errorf("not the newest seen first: %+v", got)
		}
		r.ok(r.SetDisabled(context.Background(), id, true, "op"))
		if got := r.roster(id); len(got) != 0 {
			r.Errorf("of a disabled account: %+v", got)
		}
	})
}

func TestRosterEndsOneSession(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		mine, other, bobs := r.session(id), r.session(id), r.session(r.person("bob"))
		myApp, otherApp := r.app(mine), r.app(other)
		for _, c := range []struct {
			name string
			id   []byte
			want bool
		}{
			{"another account's", bobs.ID, false},
			{"nobody's", []byte("guessed"), false},
			{"nothing", nil, false},
			{"the other one", other.ID, true},
			{"the other one again", other.ID, false},
		} {
			if was, err := r.EndSessionByID(ctx, mine, c.id, "192.0.2.1"); was != c.want || err != nil {
				r.Errorf("%s: %v %v", c.name, was, err)
			}
		}
		if len(r.roster(id)) != 1 || len(r.roster("id-bob")) != 1 {
			r.Error("not that one alone ended")
		}
		if !r.works(myApp) || r.works(otherApp) {
			r.Error("its family goes on, or another one ended")
		}
		ended, revoked := r.told(account.SessionEnded), r.told(account.GrantRevoked)
		if len(ended) != 1 || ended[0].Reason != account.PersonAsked || ended[0].Source != "192.0.2.1" ||
			len(revoked) != 1 || revoked[0].Reason != account.PersonAsked || revoked[0].Subject != "id-ann" {
			r.Errorf("%+v %+v", ended, revoked)
		}
	})
}

func TestRosterEndsAllOthers(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		idle := r.session(id)
		idleApp := r.app(idle)
		r.Move(time.Hour) // its app has a refresh token, and goes on
		mine, second, third, bobs := r.session(id), r.session(id), r.session(id), r.session(r.person("bob"))
		apps := map[string][]byte{"mine": r.app(mine), "second": r.app(second), "third": r.app(third), "bob's": r.app(bobs), "idle": idleApp}
		for i, want := range []int{2, 0} {
			if n, err := r.EndOtherSessions(ctx, mine, "192.0.2.1"); n != want || err != nil {
				r.Errorf("%d: %d %v", i, n, err)
			}
		}
		if got := r.roster(id); len(got) != 1 || string(got[0].ID) != string(mine.ID) || len(r.roster("id-bob")) != 1 {
			r.Errorf("%+v", got)
		}
		for name, access := range apps {
			if want := name == "mine" || name == "bob's"; r.works(access) != want {
				r.Errorf("the app of %s works: %v", name, !want)
			}
		}
		if len(r.told(account.SessionEnded)) != 2 || len(r.told(account.GrantRevoked)) != 3 {
			r.Errorf("%+v %+v", r.told(account.SessionEnded), r.told(account.GrantRevoked))
		}
	})
}
