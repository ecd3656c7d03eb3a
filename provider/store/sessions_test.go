package store_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

func TestSessionComesBack(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		f := r.login("mine")
		f.Account, f.Practice = id, "acme"
		n := newSession()
		n.Device, n.Address = "Firefox", netip.MustParseAddr("192.0.2.9")
		r.ok(r.Finish(ctx, f, progress(r.charge(attempt(id))), n))
		s, err := r.Session(ctx, n.Token)
		r.ok(err)
		if s.Account != id || s.Practice != "acme" || s.ACR != flows.ACR1FA || s.Device != "Firefox" ||
			s.Address != "192.0.2.9" || !slices.Equal(s.Methods, []string{"pwd"}) || len(s.SID()) != 22 {
			r.Errorf("%+v", s)
		}
		if _, err := r.Session(ctx, "guessed"); err != store.ErrNoSession {
			r.Error(err)
		}
	})
}

func TestSessionEndsWhenIdle(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		token := r.signIn(r.person("ann"))
		for range 3 { // seen every 59 minutes, it lives on
			r.Move(59 * time.Minute)
			if _, err := r.Session(ctx, token); err != nil {
				r.Fatal(err)
			}
		}
		r.Move(time.Hour)
		if _, err := r.Session(ctx, token); err != store.ErrNoSession {
			r.Errorf("unseen for an hour: %v", err)
		}
	})
}

func TestSessionEndsAbsolutely(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		token := r.signIn(r.person("ann"))
		for range 23 {
			r.Move(30 * time.Minute)
			if _, err := r.Session(ctx, token); err != nil {
				r.Fatal(err)
			}
		}
		r.Move(30 * time.Minute)
		if _, err := r.Session(ctx, token); err != store.ErrNoSession {
			r.Errorf("after twelve hours: %v", err)
		}
	})
}

func TestSessionIsReadWithoutWriting(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		token := r.signIn(r.person("ann"))
		for _, c := range []struct {
			after time.Duration
			want  []string
		}{
			{0, []string{"Session"}},
			{5 * time.Minute, []string{"Session", "TouchSession"}},
			{4 * time.Minute, []string{"Session"}},
		} {
			r.Move(c.after)
			r.asked()
			_, err := r.Session(ctx, token)
			r.ok(err)
			if q := r.asked(); !slices.Equal(q, c.want) {
				r.Errorf("after %v: %v", c.after, q)
			}
		}
	})
}

func TestSessionEndsOnceAndIsReplaced(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		first := r.signIn(id)
		f := r.login("mine")
		f.Account = id
		n := newSession()
		n.Replaces = first
		r.ok(r.Finish(ctx, f, progress(r.charge(attempt(id))), n))
		if _, err := r.Session(ctx, first); err != store.ErrNoSession {
			r.Errorf("replaced: %v", err)
		}
		for range 2 {
			r.ok(r.EndSession(ctx, account.HashSecret(n.Token), account.SignedOut))
		}
		if _, err := r.Session(ctx, n.Token); err != store.ErrNoSession {
			r.Errorf("ended: %v", err)
		}
		var why []account.Reason
		for _, e := range r.told(account.SessionEnded) {
			why = append(why, e.Reason)
		}
		if !slices.Equal(why, []account.Reason{account.Replaced, account.SignedOut}) {
			r.Error(why)
		}
	})
}

func TestUnlockAndDisable(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.wrong(attempt(id), 5)
		was, err := r.Unlock(ctx, id, account.BySupport, "agent")
		if !was || err != nil {
			r.Fatal(was, err)
		}
		cleared := r.told(account.LockCleared)
		if len(cleared) != 1 || cleared[0].By != account.BySupport || cleared[0].Actor != "agent" {
			r.Errorf("%+v", cleared)
		}
		token := r.signIn(id)
		for range 2 {
			r.ok(r.SetDisabled(ctx, id, true, "op"))
		}
		st, err := r.Standing(ctx, id)
		r.ok(err)
		if !st.Disabled || len(r.told(account.AccountDisabled)) != 1 {
			r.Errorf("%+v", st)
		}
		r.ok(r.SetDisabled(ctx, id, false, "op"))
		if _, err := r.Session(ctx, token); err != store.ErrNoSession {
			r.Errorf("enabled again, the old session lives: %v", err)
		}
		if _, err := r.Session(ctx, r.signIn(id)); err != nil {
			r.Error(err)
		}
	})
}

func TestOwnerOf(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		for _, who := range []string{"ann", "bob"} {
			id := r.person(who)
			s := r.session(id)
			if got, err := r.OwnerOf(ctx, s.SID()); err != nil || got != id {
				r.Errorf("%s's: %q, %v", who, got, err)
			}
			n := newSession()
			r.ok(r.Finish(ctx, r.raising(flows.StepUp, s), progress(r.charge(attempt(id))), n))
			raised, err := r.Session(ctx, n.Token)
			r.ok(err)
			r.ok(r.Do("DELETE FROM sessions WHERE id = $1", s.ID)) // swept
			if got, err := r.OwnerOf(ctx, raised.SID()); err != nil || got != id || raised.SID() != s.SID() {
				r.Errorf("%s's, raised: %q, %v", who, got, err)
			}
		}
		for _, sid := range []string{"", "AAAAAAAAAAAAAAAAAAAAAA", "!", "AAAA"} {
			if _, err := r.OwnerOf(ctx, sid); err != store.ErrNoSession {
				r.Errorf("%q: %v", sid, err)
			}
		}
	})
}
