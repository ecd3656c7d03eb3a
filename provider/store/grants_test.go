package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// family is a grant about to be made of a session.
func (r *rig) family(token string) store.Grant {
	r.Helper()
	s, err := r.Session(context.Background(), token)
	r.ok(err)
	now := r.Now()
	return store.Grant{ID: account.NewSecret(), Client: "app", Account: s.Account, Practice: s.Practice, Epoch: s.Epoch,
		Session: s.ID, Scopes: []string{"openid", "email"}, AuthTime: s.AuthTime, Methods: s.Methods, ACR: s.ACR,
		Requested: `{"userinfo":{}}`, CreatedAt: now, ExpiresAt: now.Add(90 * 24 * time.Hour)}
}

// tokens are new ones, as good as the product's.
func (r *rig) tokens() store.Tokens {
	return store.Tokens{Access: account.HashSecret(account.NewSecret()), Refresh: account.HashSecret(account.NewSecret()),
		AccessUntil: r.Now().Add(10 * time.Minute), RefreshUntil: r.Now().Add(30 * 24 * time.Hour)}
}

// GrantByAccess is the store's, and wants LiveGrant to say the same.
func (r *rig) GrantByAccess(ctx context.Context, access []byte) (*store.Grant, *directory.Entry, error) {
	r.Helper()
	g, person, err := r.Store.GrantByAccess(ctx, access)
	live, known, liveErr := r.Store.LiveGrant(ctx, access)
	if diff := cmp.Diff(g, live); diff != "" || (person == nil) != (known == nil) || !errors.Is(liveErr, err) {
		r.Errorf("LiveGrant differs: %s, %+v, %+v, %v, %v", diff, person, known, err, liveErr)
	}
	if known != nil && (known.ID != person.ID || known.Disabled != person.Disabled) {
		r.Errorf("LiveGrant differs: %+v, %+v", person, known)
	}
	return g, person, err
}

// redeemed makes a family for somebody called name.
func (r *rig) redeemed(name string) (store.Grant, store.Tokens) {
	r.Helper()
	g, t := r.family(r.signIn(r.person(name))), r.tokens()
	r.ok(r.RedeemCode(context.Background(), &g, account.HashSecret(account.NewSecret()), t))
	return g, t
}

// all runs f n times at once and returns its errors.
func all(n int, f func(int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

func succeeded(errs []error) (n int) {
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n
}

func TestGrantComesBackAsItWas(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		want, tokens := r.redeemed("ann")
		want.AccessUntil, want.RefreshUntil = tokens.AccessUntil, tokens.RefreshUntil
		r.asked()
		got, entry, err := r.GrantByAccess(ctx, tokens.Access)
		r.ok(err)
		if diff := cmp.Diff([]string{"GrantByAccess", "LiveGrant"}, r.asked()); diff != "" {
			t := r.T
			t.Error("statements of userinfo, and introspection:", diff)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			r.Error(diff)
		}
		if entry == nil || entry.ID != want.Account || entry.Email != "ann@example.com" {
			r.Errorf("entry = %+v", entry)
		}
		got, refresh, live, err := r.Grant(ctx, want.ID)
		r.ok(err)
		if diff := cmp.Diff(&want, got); diff != "" || !live || string(refresh) != string(tokens.Refresh) {
			r.Error(diff, live)
		}
	})
}

func TestGrantOfAnotherDirectory(t *testing.T) {
	onBoth(t, func(r *rig) {
		g, tokens := r.family(r.signIn("entra|42")), r.tokens()
		r.ok(r.RedeemCode(context.Background(), &g, []byte("code"), tokens))
		if _, entry, err := r.GrantByAccess(context.Background(), tokens.Access); err != nil || entry != nil {
			r.Errorf("entry %+v, %v", entry, err)
		}
	})
}

func TestOneCodeAHundredTimes(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		g, code := r.family(r.signIn(r.person("ann"))), account.HashSecret("code")
		issued := make([]store.Tokens, 100)
		for i := range issued {
			issued[i] = r.tokens()
		}
		errs := all(100, func(i int) error { return r.RedeemCode(ctx, &g, code, issued[i]) })
		if n := succeeded(errs); n != 1 {
			r.Errorf("%d of 100 got tokens", n)
		}
		for i, err := range errs {
			if err != nil && !errors.Is(err, store.ErrReplayed) {
				r.Error(err)
			}
			if _, _, err := r.GrantByAccess(ctx, issued[i].Access); !errors.Is(err, store.ErrGone) {
				r.Error("a replayed code's token lives:", err)
			}
		}
		if n := len(r.told(account.GrantRevoked)); n != 1 {
			r.Errorf("%d revocations told", n)
		}
	})
}

func TestRedeemCodeIsOneStatement(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.family(r.signIn(r.person("ann")))
		r.asked()
		r.ok(r.RedeemCode(context.Background(), &g, []byte("code"), r.tokens()))
		if diff := cmp.Diff([]string{"RedeemCode"}, r.asked()); diff != "" {
			r.Error(diff)
		}
	})
}

func TestRedeemCodeRefused(t *testing.T) {
	for name, spoil := range map[string]func(r *rig, g *store.Grant, token string){
		"the session ended": func(r *rig, g *store.Grant, token string) {
			r.ok(r.EndSession(context.Background(), account.HashSecret(token), account.SignedOut))
		},
		"the session ran out": func(r *rig, _ *store.Grant, _ string) { r.Move(12 * time.Hour) },
		"another session":     func(r *rig, g *store.Grant, _ string) { g.Session = []byte("another") },
		"another account":     func(r *rig, g *store.Grant, _ string) { g.Account = r.person("bob") },
		"another epoch":       func(r *rig, g *store.Grant, _ string) { g.Epoch++ },
		"the account is disabled": func(r *rig, g *store.Grant, _ string) {
			r.ok(r.SetDisabled(context.Background(), g.Account, true, "op"))
		},
		"the account was disabled": func(r *rig, g *store.Grant, _ string) {
			r.ok(r.SetDisabled(context.Background(), g.Account, true, "op"))
			r.ok(r.SetDisabled(context.Background(), g.Account, false, "op"))
		},
		"the account is locked": func(r *rig, g *store.Grant, _ string) { r.wrong(attempt(g.Account), 5) },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				token := r.signIn(r.person("ann"))
				g := r.family(token)
				spoil(r, &g, token)
				if err := r.RedeemCode(context.Background(), &g, []byte("code"), r.tokens()); !errors.Is(err, store.ErrGone) {
					r.Errorf("RedeemCode = %v", err)
				}
				if n := r.count("SELECT COUNT(*) FROM grants"); n != 0 {
					r.Errorf("%d grants", n)
				}
			})
		})
	}
}

func TestRefreshAHundredTimes(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		g, first := r.redeemed("ann")
		issued := make([]store.Tokens, 100)
		for i := range issued {
			issued[i] = r.tokens()
		}
		errs := all(100, func(i int) error { return r.Rotate(ctx, &g, first.Refresh, issued[i]) })
		if n := succeeded(errs); n > 1 {
			r.Errorf("%d of 100 got tokens", n)
		}
		for _, err := range errs {
			if err != nil && !errors.Is(err, store.ErrReused) && !errors.Is(err, store.ErrGone) {
				r.Error(err)
			}
		}
		if _, _, live, err := r.Grant(ctx, g.ID); live || err != nil {
			r.Error("the family lives", err)
		}
		for _, tokens := range issued {
			if _, _, err := r.GrantByAccess(ctx, tokens.Access); !errors.Is(err, store.ErrGone) {
				r.Error("a token of the family lives")
			}
		}
		if n := len(r.told(account.GrantRevoked)); n != 1 {
			r.Errorf("%d revocations told", n)
		}
	})
}

func TestRotate(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		g, first := r.redeemed("ann")
		second, third := r.tokens(), r.tokens()
		r.asked()
		r.ok(r.Rotate(ctx, &g, first.Refresh, second))
		if diff := cmp.Diff([]string{"RotateGrant"}, r.asked()); diff != "" {
			r.Error(diff)
		}
		if _, _, err := r.GrantByAccess(ctx, first.Access); !errors.Is(err, store.ErrGone) {
			r.Error("the access token before lives")
		}
		r.ok(r.Rotate(ctx, &g, second.Refresh, third))
		if err := r.Rotate(ctx, &g, first.Refresh, r.tokens()); !errors.Is(err, store.ErrReused) {
			r.Errorf("an old refresh token: %v", err)
		}
		if err := r.Rotate(ctx, &g, third.Refresh, r.tokens()); !errors.Is(err, store.ErrGone) {
			r.Errorf("the last one after that: %v", err)
		}
		if e := r.told(account.GrantRevoked); len(e) != 1 || e[0].Reason != account.ReuseSeen || e[0].Subject != string(g.Account) {
			r.Errorf("told %+v", e)
		}
	})
}

// A lock is a stranger's doing and must not end a nurse's shift; a reset and
// an operator's word do.
func TestWhatEndsRefreshing(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		do   func(r *rig, g store.Grant)
		ends bool
	}{
		"nothing":           {func(*rig, store.Grant) {}, false},
		"the session's end": {func(r *rig, g store.Grant) { r.Move(13 * time.Hour) }, false},
		"a lock":            {func(r *rig, g store.Grant) { r.wrong(attempt(g.Account), 5) }, false},
		"a rest of 30 days": {func(r *rig, g store.Grant) { r.Move(30 * 24 * time.Hour) }, true},
		"disabling":         {func(r *rig, g store.Grant) { r.ok(r.SetDisabled(ctx, g.Account, true, "op")) }, true},
		"the client's word": {func(r *rig, g store.Grant) { r.ok(r.RevokeGrant(ctx, g.ID, account.ClientAsked)) }, true},
		"the client's, twice": {func(r *rig, g store.Grant) {
			r.ok(r.RevokeGrant(ctx, g.ID, account.ClientAsked))
			r.ok(r.RevokeGrant(ctx, g.ID, account.ClientAsked))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				g, tokens := r.redeemed("ann")
				c.do(r, g)
				err := r.Rotate(ctx, &g, tokens.Refresh, r.tokens())
				if c.ends != errors.Is(err, store.ErrGone) || !c.ends && err != nil {
					r.Errorf("Rotate = %v", err)
				}
				if c.ends && len(r.told(account.GrantRevoked)) > 1 {
					r.Error("told twice")
				}
			})
		})
	}
}

// Whoever signs out leaves nothing behind that apps could go on with (ASVS
// 7.4.1); apps of another browser, and those of a session that only made room
// for a new one, are not asked to start again.
func TestSigningOutEndsTheFamiliesOfTheSession(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		here, there, before := r.signIn(id), r.signIn(id), r.signIn(id)
		rotates := func(token string) func() error {
			g, t := r.family(token), r.tokens()
			r.ok(r.RedeemCode(ctx, &g, account.HashSecret(account.NewSecret()), t))
			return func() error { return r.Rotate(ctx, &g, t.Refresh, r.tokens()) }
		}
		ended := []func() error{rotates(here), rotates(here)}
		kept := []func() error{rotates(there), rotates(before)}
		r.ok(r.EndSession(ctx, account.HashSecret(before), account.Replaced))
		for range 2 {
			r.ok(r.EndSession(ctx, account.HashSecret(here), account.SignedOut))
		}
		for _, rotate := range ended {
			if err := rotate(); !errors.Is(err, store.ErrGone) {
				r.Errorf("a family of the session: %v", err)
			}
		}
		for _, rotate := range kept {
			if err := rotate(); err != nil {
				r.Errorf("another one: %v", err)
			}
		}
		told := r.told(account.GrantRevoked)
		if len(told) != 2 || told[0].Reason != account.SignedOut || told[0].Subject != string(id) {
			r.Errorf("told %+v", told)
		}
	})
}

// However long it is kept alive, a family has its end.
func TestFamilyEnds(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		g, tokens := r.redeemed("ann")
		for days := 0; days < 80; days += 20 {
			r.Move(20 * 24 * time.Hour)
			next := r.tokens()
			r.ok(r.Rotate(ctx, &g, tokens.Refresh, next))
			tokens = next
		}
		r.Move(10 * 24 * time.Hour)
		if err := r.Rotate(ctx, &g, tokens.Refresh, r.tokens()); !errors.Is(err, store.ErrGone) {
			r.Errorf("after 90 days: %v", err)
		}
	})
}

func TestAccessTokenEnds(t *testing.T) {
	ctx := context.Background()
	onBoth(t, func(r *rig) {
		g, tokens := r.redeemed("ann")
		r.Move(10*time.Minute - time.Second)
		if _, _, err := r.GrantByAccess(ctx, tokens.Access); err != nil {
			r.Error("before its time:", err)
		}
		r.Move(time.Second)
		if _, _, err := r.GrantByAccess(ctx, tokens.Access); !errors.Is(err, store.ErrGone) {
			r.Error("after its time:", err)
		}
		next := r.tokens()
		r.ok(r.Rotate(ctx, &g, tokens.Refresh, next))
		r.ok(r.SetDisabled(ctx, g.Account, true, "op"))
		if _, _, err := r.GrantByAccess(ctx, next.Access); !errors.Is(err, store.ErrGone) {
			r.Error("of a disabled account:", err)
		}
	})
}

// Families without a refresh token do not collide on its absence.
func TestNoRefreshToken(t *testing.T) {
	onBoth(t, func(r *rig) {
		session := r.signIn(r.person("ann"))
		for range 2 {
			tokens := r.tokens()
			tokens.Refresh, tokens.RefreshUntil = nil, time.Time{}
			g := r.family(session)
			r.ok(r.RedeemCode(context.Background(), &g, account.HashSecret(g.ID), tokens))
			if err := r.Rotate(context.Background(), &g, []byte("guess"), r.tokens()); err == nil {
				r.Error("rotated nothing")
			}
		}
	})
}

// Rotations, replays, revocations and resets of one account, all at once: no
// deadlock, and in the end nothing lives.
func TestGrantsInATurmoil(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		session := r.signIn(r.person("ann"))
		var families []store.Grant
		var tokens []store.Tokens
		for range 10 {
			g, issued := r.family(session), r.tokens()
			r.ok(r.RedeemCode(ctx, &g, account.HashSecret(g.ID), issued))
			families, tokens = append(families, g), append(tokens, issued)
		}
		errs := all(200, func(i int) error {
			g, old := families[i%10], tokens[i%10].Refresh
			switch i / 10 % 4 {
			case 0:
				return r.RevokeGrant(ctx, g.ID, account.ClientAsked)
			case 1:
				return r.SetDisabled(ctx, g.Account, i%20 == 0, "op")
			case 2:
				return r.RedeemCode(ctx, &g, account.HashSecret(g.ID), r.tokens())
			}
			return r.Rotate(ctx, &g, old, r.tokens())
		})
		fine := []error{nil, store.ErrGone, store.ErrReused, store.ErrReplayed}
		for _, err := range errs {
			if !slices.ContainsFunc(fine, func(e error) bool { return errors.Is(err, e) }) {
				r.Error(err)
			}
		}
		for _, g := range families {
			if _, _, live, err := r.Grant(ctx, g.ID); live || err != nil {
				r.Error("a family lives", err)
			}
		}
	})
}

// A client's token for itself has no account whose proofs could end it.
func TestClientGrant(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		now := r.Now().Truncate(time.Microsecond)
		want := store.Grant{ID: "own", Client: "robot", Scopes: []string{"read"}, CreatedAt: now,
			AccessUntil: now.Add(10 * time.Minute), ExpiresAt: now.Add(10 * time.Minute)}
		r.ok(r.AddClientGrant(ctx, want, []byte("hash")))
		g, person, err := r.GrantByAccess(ctx, []byte("hash"))
		if err != nil || person != nil {
			r.Fatal(person, err)
		}
		if diff := cmp.Diff(want, *g, cmpopts.EquateEmpty()); diff != "" {
			r.Error(diff)
		}
		_, refresh, live, err := r.Grant(ctx, "own")
		if err != nil || refresh != nil || !live {
			r.Error(refresh, live, err)
		}
		r.ok(r.RevokeGrant(ctx, "own", account.ClientAsked))
		if told := r.told(account.GrantRevoked); len(told) != 1 || told[0].Subject != "robot" {
			r.Error(told)
		}
		if _, _, err := r.GrantByAccess(ctx, []byte("hash")); !errors.Is(err, store.ErrGone) {
			r.Error("revoked:", err)
		}
	})
}
