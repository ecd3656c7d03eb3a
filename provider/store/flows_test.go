package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

func TestFlowComesBackWhole(t *testing.T) {
	onBoth(t, func(r *rig) {
		f := &flows.Flow{ID: "f", Kind: flows.Login, Browser: []byte{0, 1}, Typed: "Ann",
			Facts:   []flows.Fact{{Kind: flows.Identified, Step: "identify", At: r.Now()}},
			Request: flows.Request{Authorize: "client_id=ehr", Arrived: r.Now(), Client: "ehr"},
			Started: r.Now(), Expires: r.Now().Add(flows.LoginFor)}
		r.ok(r.Begin(context.Background(), f))
		got, err := r.Flow(context.Background(), "f", []byte{0, 1})
		r.ok(err)
		if d := cmp.Diff(f, got); d != "" {
			r.Error(d)
		}
	})
}

func TestFlowBelongsToItsBrowserAndItsHour(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		f := r.login("mine")
		for _, c := range []struct {
			name, id, browser string
			want              error
		}{
			{"its own", f.ID, "mine", nil},
			{"another browser", f.ID, "theirs", flows.ErrNoFlow},
			{"no browser", f.ID, "", flows.ErrNoFlow},
			{"another flow", "x", "mine", flows.ErrNoFlow},
		} {
			if _, err := r.Flow(ctx, c.id, []byte(c.browser)); err != c.want {
				r.Errorf("%s: %v", c.name, err)
			}
		}
		r.Move(flows.LoginFor)
		if _, err := r.Flow(ctx, f.ID, []byte("mine")); err != flows.ErrNoFlow {
			r.Errorf("after an hour: %v", err)
		}
	})
}

// Of many answers to the same page one moves the flow on. The others settle
// their lease, for they were right, and no more.
func TestAdvanceOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		f := r.login("mine")
		var won, stale atomic.Int64
		var wg sync.WaitGroup
		for range 5 {
			l := r.charge(attempt(id))
			g := *f
			g.Account, g.Practice = id, "acme"
			wg.Go(func() {
				switch err := r.Advance(ctx, &g, progress(l)); err {
				case nil:
					won.Add(1)
				case flows.ErrStale:
					stale.Add(1)
				default:
					r.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || stale.Load() != 4 {
			r.Errorf("%d won, %d stale", won.Load(), stale.Load())
		}
		st, err := r.ReadGuard(ctx, attempt(id))
		r.ok(err)
		if st.Charged != [3]int{} || st.Failed != [3]int{} {
			r.Errorf("%+v", st)
		}
		got, err := r.Flow(ctx, f.ID, f.Browser)
		r.ok(err)
		if got.Revision != 1 || got.Account != id {
			r.Errorf("%+v", got)
		}
	})
}

func TestAccountOnceProvenStays(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		ann, bob := r.person("ann"), r.person("bob")
		f := r.login("mine")
		f.Account = ann
		r.ok(r.Advance(ctx, f, progress(r.charge(attempt(ann)))))
		f.Account = bob
		if err := r.Advance(ctx, f, progress(r.charge(attempt(bob)))); err != flows.ErrStale {
			r.Errorf("advance: %v", err)
		}
		if err := r.Finish(ctx, f, progress(r.charge(attempt(bob))), newSession()); err != flows.ErrStale {
			r.Errorf("finish: %v", err)
		}
		if err := r.Finish(ctx, f, progress(r.charge(attempt(ann))), newSession()); err != account.ErrNoLease {
			r.Errorf("with another's lease: %v", err)
		}
	})
}

// One flow, one session: in parallel, after the session's end, whatever.
func TestFinishOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		f := r.login("mine")
		f.Account = id
		var won atomic.Pointer[string]
		var wg sync.WaitGroup
		for range 5 {
			l, n, g := r.charge(attempt(id)), newSession(), *f
			wg.Go(func() {
				switch err := r.Finish(ctx, &g, progress(l), n); err {
				case nil:
					if won.Swap(&n.Token) != nil {
						r.Error("two sessions")
					}
				case flows.ErrStale:
				default:
					r.Error(err)
				}
			})
		}
		wg.Wait()
		r.ok(r.EndSession(ctx, account.HashSecret(*won.Load()), account.SignedOut))
		if err := r.Finish(ctx, f, progress(r.charge(attempt(id))), newSession()); err != flows.ErrStale {
			r.Errorf("after the session's end: %v", err)
		}
		st, err := r.ReadGuard(ctx, attempt(id))
		r.ok(err)
		if st.Charged != [3]int{} || st.Failed != [3]int{} {
			r.Errorf("a double click counted: %+v", st)
		}
		if n := len(r.told(account.SignedIn)); n != 1 {
			r.Errorf("told %d times", n)
		}
	})
}

// The spine's cost, exactly.
func TestPlainSignInIsThreeStatements(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		f := r.login("mine")
		f.Account = id
		l := r.charge(attempt(id))
		r.asked()
		r.ok(r.Finish(context.Background(), f, progress(l), newSession()))
		if q := r.asked(); !slices.Equal(q, []string{"SettleRight", "AddSession", "AddAudit"}) {
			r.Error(q)
		}
	})
}

func TestVoidedProofsGiveNoSession(t *testing.T) {
	voids := []struct {
		name string
		void func(r *rig, id account.ID)
	}{
		{"reset", func(r *rig, id account.ID) { r.reset(id, "new") }},
		{"disabled", func(r *rig, id account.ID) { r.ok(r.SetDisabled(context.Background(), id, true, "op")) }},
		{"disabled and enabled", func(r *rig, id account.ID) {
			r.ok(r.SetDisabled(context.Background(), id, true, "op"))
			r.ok(r.SetDisabled(context.Background(), id, false, "op"))
		}},
	}
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		for _, v := range voids {
			id := r.person(v.name)
			proven := r.login("mine") // the password was right, and must be changed
			proven.Account = id
			r.ok(r.Advance(ctx, proven, progress(r.charge(attempt(id)))))
			fresh := r.login("mine")
			fresh.Account = id
			lease := r.charge(attempt(id)) // judged right, not yet settled
			session := r.signIn(id)

			v.void(r, id)

			if _, err := r.Session(ctx, session); err != store.ErrNoSession {
				r.Errorf("%s: session: %v", v.name, err)
			}
			if err := r.Finish(ctx, fresh, progress(lease), newSession()); err != account.ErrBusy {
				r.Errorf("%s: finish with an old lease: %v", v.name, err)
			}
			if _, err := r.Flow(ctx, proven.ID, proven.Browser); err != flows.ErrNoFlow {
				r.Errorf("%s: flow: %v", v.name, err)
			}
			err := r.Finish(ctx, proven, flows.Progress{Hash: "planted"}, newSession())
			if err != account.ErrBusy {
				r.Errorf("%s: finish of an old flow: %v", v.name, err)
			}
			if n := r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'planted'"); n != 0 {
				r.Errorf("%s: an old flow set a password", v.name)
			}
		}
	})
}

func TestPasswordChangedWhileSigningIn(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.ok(r.Do("UPDATE people SET must_change = true"))
		before := r.signIn(id)
		f := r.login("mine")
		f.Account = id
		r.ok(r.Advance(ctx, f, progress(r.charge(attempt(id)))))
		inFlight := r.charge(attempt(id))
		other := r.login("other")
		other.Account = id
		n := newSession()
		r.ok(r.Finish(ctx, f, flows.Progress{Hash: "new"}, n))
		s, err := r.Session(ctx, n.Token)
		r.ok(err)
		if s.Epoch != f.Epoch {
			r.Errorf("epochs %d and %d", s.Epoch, f.Epoch)
		}
		if _, err := r.Session(ctx, before); err != store.ErrNoSession {
			r.Errorf("the session of the old password: %v", err)
		}
		if err := r.Finish(ctx, other, progress(inFlight), newSession()); err != account.ErrBusy {
			r.Errorf("the old password in flight: %v", err)
		}
		if r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'new' AND must_change = false AND version = 2") != 1 {
			r.Error("not changed")
		}
		if len(r.told(account.PasswordChanged)) != 1 {
			r.Error("not told")
		}
	})
}

func TestLockStopsARightAnswerInFlight(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		l := r.charge(attempt(id))
		code := attempt(id)
		code.Factor = account.SecondFactor
		r.wrong(code, 5)
		f := r.login("mine")
		f.Account = id
		if err := r.Finish(context.Background(), f, progress(l), newSession()); err != account.ErrBusy {
			r.Error(err)
		}
	})
}

func TestSignedInTellsTheTimeSinceTheLock(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.wrong(attempt(id), 5)
		r.Move(account.LockFor + time.Minute)
		r.signIn(id)
		r.signIn(id)
		in := r.told(account.SignedIn)
		if len(in) != 2 || in[0].Took < 31*time.Minute || in[0].Took > 32*time.Minute || in[1].Took != 0 {
			r.Errorf("%+v", in)
		}
	})
}

func TestLastLoginIsTheNewestThatWaits(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		if _, err := r.LastLogin(ctx, []byte("mine")); err != flows.ErrNoFlow {
			r.Errorf("none: %v", err)
		}
		old := r.login("mine")
		r.Move(time.Minute)
		done := r.login("mine")
		r.login("theirs")
		done.Account = id
		n := newSession()
		r.ok(r.Finish(ctx, done, progress(r.charge(attempt(id))), n))
		r.ok(r.EndSession(ctx, account.HashSecret(n.Token), account.SignedOut))
		f, err := r.LastLogin(ctx, []byte("mine"))
		if err != nil || f.ID != old.ID {
			r.Errorf("%v %v", f, err)
		}
	})
}

func TestFinishNeedsAnAccount(t *testing.T) {
	onBoth(t, func(r *rig) {
		err := r.Finish(context.Background(), r.login("mine"), flows.Progress{}, newSession())
		if err == nil || errors.Is(err, flows.ErrStale) {
			r.Error(err)
		}
	})
}
