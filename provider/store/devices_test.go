package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// known is an attempt from a browser in which somebody called name completed a
// sign-in in the epoch that is now.
func (r *rig) known(id account.ID, secret string) account.Attempt {
	r.Helper()
	st, err := r.Standing(context.Background(), id)
	r.ok(err)
	a := attempt(id)
	a.Device = account.NewDevice(id, secret, st.Epoch)
	return a
}

// annAndHer is Ann, who signed in once, and an attempt from the browser she did
// it in.
func (r *rig) annAndHer() (account.ID, account.Attempt) {
	r.Helper()
	id := r.person("ann")
	r.signIn(id)
	return id, r.known(id, "hers")
}

func (r *rig) state(a account.Attempt) account.GuardState {
	r.Helper()
	st, err := r.ReadGuard(context.Background(), a)
	r.ok(err)
	return st
}

// from begins a sign-in that a device's attempt is to prove.
func (r *rig) from(a account.Attempt) *flows.Flow {
	r.Helper()
	f := r.login("hers")
	f.Account, f.Device = account.ID(a.Subject), a.Device.Guard
	return f
}

// signInFrom completes a sign-in with a right password.
func (r *rig) signInFrom(a account.Attempt) (token string) {
	r.Helper()
	n := newSession()
	r.ok(r.Finish(context.Background(), r.from(a), progress(r.charge(a)), n))
	return n.Token
}

// What strangers do stops no known device, and what it proves undoes nothing of it.
func TestADeviceIsNotStoppedByStrangers(t *testing.T) {
	onBoth(t, func(r *rig) {
		id, hers := r.annAndHer()
		until := r.wrong(attempt(id), 5).LockedUntil
		r.wrong(hers, 4)
		r.signInFrom(hers)
		st := r.state(attempt(id))
		if !st.LockedUntil.Equal(until) || st.Failed[account.Password] != 5 {
			r.Errorf("what strangers did is gone: %+v", st)
		}
		if st := r.state(hers); st.Failed != [3]int{} || st.Charged != [3]int{} || st.Wrong != [3]int{} {
			r.Errorf("of the device: %+v", st)
		}
		if _, err := r.guard().Charge(context.Background(), r.Store, attempt(id)); verdict(err) != account.ErrLocked {
			r.Errorf("a stranger: %v", err)
		}
		r.Move(account.LockFor)
		r.wrong(attempt(id), 4)
		r.signInFrom(hers)
		if st := r.wrong(attempt(id), 1); st.LockedUntil.IsZero() {
			r.Errorf("the device's sign-in forgave strangers: %+v", st)
		}
	})
}

// Its own failures stop it, and nobody else.
func TestADeviceLocksAlone(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, hers := r.annAndHer()
		until := r.wrong(hers, 5).LockedUntil
		if d := until.Sub(r.Now()); d <= 29*time.Minute || d > account.LockFor {
			r.Fatalf("locked for %v", d)
		}
		if locks := r.told(account.Locked); len(locks) != 1 || locks[0].Subject != "id-ann" || locks[0].Reason != account.OneDevice {
			r.Errorf("told %+v", locks)
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE template = 'locked' AND subject = 'id-ann'"); n != 1 {
			r.Errorf("%d mails", n)
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE subject LIKE '!%'"); n != 0 {
			r.Errorf("%d rows of the trail are about a device as if it were an account", n)
		}
		if n, err := r.LockedNow(ctx); n != 0 || err != nil {
			r.Errorf("%d accounts locked, %v", n, err)
		}
		r.Move(until.Sub(r.Now()) - time.Second)
		if _, err := r.guard().Charge(ctx, r.Store, hers); verdict(err) != account.ErrLocked {
			r.Errorf("at 29:59: %v", err)
		}
		r.signInFrom(r.known(id, "her other one"))
		r.signIn(id)
		r.Move(time.Second)
		r.ok(r.ClearExpiredLocks(ctx))
		r.signInFrom(hers)
		cleared := r.told(account.LockCleared)
		if len(cleared) != 1 || cleared[0].Subject != "id-ann" || cleared[0].Reason != account.OneDevice || cleared[0].By != account.ByTimeout {
			r.Errorf("told %+v", cleared)
		}
	})
}

// A thousand guesses at once from one device, while strangers do the same: five
// of each are judged.
func TestParallelGuessesFromADevice(t *testing.T) {
	rounds, guesses := 1, 300
	if full() {
		rounds, guesses = 10, 1000
	}
	onBoth(t, func(r *rig) {
		id, hers := r.annAndHer()
		for round := range rounds {
			var judged, strangers int64
			var wg sync.WaitGroup
			wg.Go(func() { judged = r.storm(hers, guesses) })
			wg.Go(func() { strangers = r.storm(attempt(id), guesses) })
			wg.Wait()
			if judged != account.MaxFailures || strangers != account.MaxFailures {
				r.Fatalf("round %d: %d judged of the device, %d of strangers", round, judged, strangers)
			}
			if st := r.state(hers); st.Wrong[account.Password] != 10*(round+1) {
				r.Errorf("the account has %d wrong ones", st.Wrong[account.Password])
			}
			r.Move(account.LockFor)
		}
		if n := len(r.told(account.Locked)); n != 2*rounds {
			r.Errorf("%d locks", n)
		}
		if n := r.count("SELECT device_passwords FROM guards WHERE subject = 'id-ann'"); n != 0 {
			r.Errorf("%d in flight when all is settled", n)
		}
	})
}

// A hundred wrong passwords are a hundred, wherever they were typed, and bind the
// devices too; at once as well as one by one.
func TestDevicesShareTheCapOfWrongPasswords(t *testing.T) {
	onBoth(t, func(r *rig) {
		id, hers := r.annAndHer()
		for range 9 {
			r.wrong(attempt(id), 5)
			r.wrong(hers, 5)
			r.Move(account.LockFor)
		}
		r.wrong(attempt(id), 5)
		r.wrong(hers, 2)
		r.Move(account.LockFor)
		all := []account.Attempt{attempt(id), hers, r.known(id, "b"), r.known(id, "c")}
		var judged atomic.Int64
		var wg sync.WaitGroup
		for _, a := range all {
			for range 10 {
				wg.Go(func() {
					l, err := r.guard().Charge(context.Background(), r.Store, a)
					if err != nil {
						return
					}
					judged.Add(1)
					if _, err := r.SettleWrong(context.Background(), l, account.BadCredentials); err != nil {
						r.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if judged.Load() != 3 {
			r.Errorf("%d judged after 97", judged.Load())
		}
		if n := len(r.told(account.PasswordDisabled)); n != 1 {
			r.Errorf("told %d times", n)
		}
		r.Move(account.LockFor) // of the one that had two before
		for i, a := range all {
			if _, err := r.guard().Charge(context.Background(), r.Store, a); verdict(err) != account.ErrDisabled {
				r.Errorf("attempt %d after the hundredth: %v", i, err)
			}
			if _, ok, _ := r.ChargeGuard(context.Background(), a); ok {
				r.Errorf("attempt %d: the statement itself let the 101st through", i)
			}
		}
	})
}

// Ten wrong codes hold the second factor, five of them from a device or not. That
// voids the device with all else that was proven.
func TestDevicesShareTheCapOfWrongCodes(t *testing.T) {
	onBoth(t, func(r *rig) {
		id, hers := r.annAndHer()
		r.phone(id)
		codes, strangers := hers, attempt(id)
		codes.Factor, strangers.Factor = account.SecondFactor, account.SecondFactor
		r.wrong(strangers, 5)
		r.wrong(codes, 4)
		if n := len(r.told(account.SecondHeld)); n != 0 {
			r.Fatalf("held after nine")
		}
		r.wrong(codes, 1)
		if n := len(r.told(account.SecondHeld)); n != 1 {
			r.Errorf("told %d times", n)
		}
		r.Move(account.LockFor)
		for _, a := range []account.Attempt{codes, strangers} {
			if _, err := r.guard().Charge(context.Background(), r.Store, a); verdict(err) != account.ErrHeld {
				r.Errorf("after the tenth: %v", err)
			}
		}
		if l := r.charge(hers); l.Attempt().Device.Known() {
			r.Error("the device is known still")
		}
	})
}

// What makes all proofs void does so for devices: what was charged before settles
// as nothing, and the cookie buys no tries of its own any more, locked or not.
func TestAResetVoidsDevices(t *testing.T) {
	for _, how := range []struct {
		name string
		void func(r *rig, id account.ID)
	}{
		{"reset", func(r *rig, id account.ID) { r.reset(id, "new") }},
		{"stopped, and let go on", func(r *rig, id account.ID) {
			r.ok(r.SetDisabled(context.Background(), id, true, "test"))
			r.ok(r.SetDisabled(context.Background(), id, false, "test"))
		}},
		{"second factor reset", func(r *rig, id account.ID) {
			r.phone(id)
			_, err := r.ResetSecond(context.Background(), id, account.BySupport, "test")
			r.ok(err)
		}},
		{"password changed", func(r *rig, id account.ID) {
			f := r.login("elsewhere")
			f.Account = id
			r.ok(r.Finish(context.Background(), f, flows.Progress{Lease: r.charge(attempt(id)), Hash: "new"}, newSession()))
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				ctx := context.Background()
				id, hers := r.annAndHer()
				locked := r.known(id, "locked")
				r.wrong(locked, 5)
				wrong, right, free := r.charge(hers), r.charge(hers), r.charge(hers)
				f := r.from(hers)
				how.void(r, id)
				if _, err := r.SettleWrong(ctx, wrong, account.BadCredentials); err != account.ErrBusy {
					r.Errorf("wrong: %v", err)
				}
				if err := r.Finish(ctx, f, progress(right), newSession()); err != account.ErrBusy {
					r.Errorf("right: %v", err)
				}
				r.ok(r.Release(ctx, free))
				if n := r.count("SELECT device_passwords + device_codes FROM guards WHERE subject = 'id-ann'"); n != 0 {
					r.Errorf("%d in flight", n)
				}
				for _, a := range []account.Attempt{hers, locked} {
					if l := r.charge(a); l.Attempt().Device.Known() {
						r.Error("a cookie of before buys tries of its own")
					}
				}
				// The browser in which it was done is known in the next epoch.
				r.signInFrom(r.known(id, "locked"))
			})
		})
	}
}

// A flow that a device proved does not go on with a lease that lost it.
func TestAFlowKeepsItsDevice(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, hers := r.annAndHer()
		other := r.known(id, "her other one")
		for _, c := range []struct {
			name      string
			flow, now account.Attempt
		}{
			{"none, then hers", attempt(id), hers},
			{"hers, then none", hers, attempt(id)},
			{"hers, then her other one", hers, other},
		} {
			f := r.from(c.flow)
			r.ok(r.Advance(ctx, f, progress(r.charge(c.flow))))
			if err := r.Finish(ctx, f, progress(r.charge(c.now)), newSession()); err != account.ErrBusy {
				r.Errorf("%s: %v", c.name, err)
			}
			f.Device = c.now.Device.Guard // or a program that does not look
			if err := r.Finish(ctx, f, progress(r.charge(c.now)), newSession()); err != flows.ErrStale {
				r.Errorf("%s, as if it were the flow's: %v", c.name, err)
			}
			r.Move(account.ChargeFor)
			r.ok(r.LapseGuard(ctx, c.now))
			r.signIn(id)
		}
	})
}

// A device that was made to another account is nothing to this one, whatever its
// row says.
func TestADeviceOfAnother(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, hers := r.annAndHer()
		bob := r.person("bob")
		r.signIn(bob)
		r.wrong(hers, 1)
		his := hers
		his.Subject = string(bob)
		if _, ok, err := r.ChargeGuard(ctx, his); ok || err != nil {
			r.Errorf("Bob has tries at Ann's device: %v %v", ok, err)
		}
		if st := r.state(his); st.Failed != [3]int{} {
			r.Errorf("Bob sees what Ann did: %+v", st)
		}
		if account.NewDevice(bob, "hers", 0) == account.NewDevice(id, "hers", 0) {
			r.Error("one secret makes one device of two accounts")
		}
		nobody := attempt("id-nobody")
		nobody.Device = account.NewDevice("id-nobody", "x", 0)
		if _, ok, err := r.ChargeGuard(ctx, nobody); ok || err != nil {
			r.Errorf("who never signed in has a device: %v %v", ok, err)
		}
		if n := r.count("SELECT COUNT(*) FROM guards WHERE account <> '' AND account <> 'id-ann'"); n != 0 {
			r.Errorf("%d rows of others' devices", n)
		}
	})
}

// A crash is no free guess, whoever comes to see: the device itself or the job.
func TestChargesOfADeviceLapse(t *testing.T) {
	for _, how := range []struct {
		name string
		see  func(r *rig, a account.Attempt) error
	}{
		{"the device", func(r *rig, a account.Attempt) error { return r.LapseGuard(context.Background(), a) }},
		{"the job", func(r *rig, _ account.Attempt) error { return r.LapseDevices(context.Background()) }},
	} {
		t.Run(how.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				id, hers := r.annAndHer()
				var leases []account.Lease
				for range 5 {
					leases = append(leases, r.charge(hers))
				}
				r.ok(how.see(r, hers)) // before their time nothing happens
				r.Move(account.ChargeFor)
				for _, err := range all(8, func(int) error { return how.see(r, hers) }) {
					r.ok(err)
				}
				st := r.state(hers)
				if st.Failed[account.Password] != 5 || st.Charged != [3]int{} || st.Wrong[account.Password] != 5 || st.LockedUntil.IsZero() {
					r.Errorf("%+v", st)
				}
				if n, m := len(r.told(account.SignInFailed)), len(r.told(account.Locked)); n != 5 || m != 1 {
					r.Errorf("%d failures, %d locks", n, m)
				}
				if _, err := r.SettleWrong(context.Background(), leases[0], account.BadCredentials); err != account.ErrBusy {
					r.Errorf("settling a lapsed lease: %v", err)
				}
				r.ok(r.Release(context.Background(), leases[1]))
				if st := r.state(attempt(id)); st.Failed != [3]int{} || st.Wrong[account.Password] != 5 {
					r.Errorf("of the account: %+v", st)
				}
				if n := r.count("SELECT device_passwords FROM guards WHERE subject = 'id-ann'"); n != 0 {
					r.Errorf("%d in flight", n)
				}
			})
		})
	}
}

// A flow that a device proved goes on through strangers' locks, and its codes are
// redeemed through them. The device's own lock ends both.
func TestStrangersDoNotEndADevicesFlow(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, hers := r.annAndHer()
		begun := func() *flows.Flow {
			f := r.from(hers)
			r.ok(r.Advance(ctx, f, progress(r.charge(hers))))
			return f
		}
		finish := func(f *flows.Flow) (string, error) {
			n := newSession()
			return n.Token, r.Finish(ctx, f, flows.Progress{}, n)
		}
		early, late := begun(), begun()
		before := r.signInFrom(hers)
		strange := r.login("elsewhere")
		strange.Account = id
		r.ok(r.Advance(ctx, strange, progress(r.charge(attempt(id)))))
		elsewhere := r.signIn(id)

		r.wrong(attempt(id), 5)
		if _, err := r.Flow(ctx, strange.ID, strange.Browser); err != flows.ErrNoFlow {
			r.Errorf("a flow elsewhere: %v", err)
		}
		f, err := r.Flow(ctx, early.ID, early.Browser)
		r.ok(err)
		token, err := finish(f)
		r.ok(err)
		for _, c := range []struct {
			name, token string
			want        error
		}{{"of now", token, nil}, {"of before", before, nil}, {"elsewhere", elsewhere, store.ErrGone}} {
			if err := r.redeem(c.token); !errors.Is(err, c.want) {
				r.Errorf("a code from the session %s: %v", c.name, err)
			}
		}

		r.wrong(hers, 5)
		if _, err := r.Flow(ctx, late.ID, late.Browser); err != flows.ErrNoFlow {
			r.Errorf("after the device's own lock: %v", err)
		}
		if _, err := finish(late); err != account.ErrBusy {
			r.Errorf("finished after the device's own lock: %v", err)
		}
		if err := r.redeem(token); err != store.ErrGone {
			r.Errorf("a code after the device's own lock: %v", err)
		}
		s, err := r.Session(ctx, before)
		r.ok(err)
		during := &flows.Flow{ID: account.NewSecret(), Kind: flows.StepUp, Browser: []byte("hers"), Account: id,
			Device: hers.Device.Guard, Session: s.ID, Started: r.Now(), Expires: r.Now().Add(flows.LoginFor)}
		r.ok(r.Begin(ctx, during))
		if _, err := finish(during); err != account.ErrBusy {
			r.Errorf("begun and finished while the device is locked: %v", err)
		}
		r.Move(account.LockFor)
		if _, err := finish(late); err != account.ErrBusy {
			r.Errorf("finished once the lock is over: %v", err)
		}
		r.ok(r.redeem(r.signInFrom(hers)))
	})
}

// redeem redeems a code that comes from a session.
func (r *rig) redeem(token string) error {
	r.Helper()
	g := r.family(token)
	return r.RedeemCode(context.Background(), &g, account.HashSecret(account.NewSecret()), r.tokens())
}

// Whoever unlocks an account means the browser that its person sits before, too.
func TestUnlockUnlocksDevices(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id, hers := r.annAndHer()
		r.wrong(hers, 5)
		if was, err := r.Unlock(ctx, id, account.BySupport, "agent"); !was || err != nil {
			r.Error(was, err)
		}
		r.signInFrom(hers)
		if told := r.told(account.LockCleared); len(told) != 1 || told[0].By != account.BySupport || told[0].Subject != "id-ann" {
			r.Errorf("%+v", told)
		}
		if was, err := r.Unlock(ctx, id, account.BySupport, "agent"); was || err != nil {
			r.Error("twice", was, err)
		}
	})
}

// So does whoever leads their practice, and it is the member who is unlocked once.
func TestALeaderUnlocksDevices(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		const id = "front_desk-acme"
		r.signIn(id)
		hers := r.known(id, "hers")
		r.wrong(hers, 5)
		r.wrong(attempt(id), 5)
		was, err := r.UnlockMember(ctx, owner, id)
		r.ok(err)
		again, err := r.UnlockMember(ctx, owner, id)
		if !was || again || err != nil {
			r.Errorf("unlocked %v, again %v, %v", was, again, err)
		}
		cleared := r.told(account.LockCleared)
		if len(cleared) != 2 || cleared[0].Reason != "" || cleared[1].Reason != account.OneDevice || cleared[1].By != account.ByOwner {
			r.Errorf("told %+v", cleared)
		}
		r.signInFrom(hers)
		r.signIn(id)
	})
}

// A device's row goes when its cookie must be gone; an account's never.
func TestDevicesAreSwept(t *testing.T) {
	onBoth(t, func(r *rig) {
		id, hers := r.annAndHer()
		r.signInFrom(hers)
		r.Move(300 * 24 * time.Hour)
		r.signInFrom(r.known(id, "used lately"))
		r.Move(65 * 24 * time.Hour)
		r.ok(r.Sweep(context.Background()))
		if n := r.count("SELECT COUNT(*) FROM guards WHERE account = 'id-ann'"); n != 1 {
			r.Errorf("%d devices", n)
		}
		if n := r.count("SELECT COUNT(*) FROM guards WHERE subject = 'id-ann'"); n != 1 {
			r.Errorf("%d accounts", n)
		}
	})
}
