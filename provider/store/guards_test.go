package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

func verdict(err error) error {
	if r, ok := errors.AsType[*account.Refusal](err); ok {
		return r.Err
	}
	return err
}

func TestLockAtTheFifth(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		a := attempt(r.person("ann"))
		for n := 1; n <= 4; n++ {
			st := r.wrong(a, 1)
			if st.Failed[account.Password] != n || !st.LockedUntil.IsZero() {
				r.Fatalf("after %d: %+v", n, st)
			}
		}
		st := r.wrong(a, 1)
		if d := st.LockedUntil.Sub(r.Now()); d <= 29*time.Minute || d > account.LockFor {
			r.Fatalf("locked for %v", d)
		}
		if n := len(r.told(account.Locked)); n != 1 {
			r.Errorf("%d locks told", n)
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'locked' AND practice = 'acme'"); n != 1 {
			r.Errorf("%d locks in the audit trail with their practice", n)
		}
		_, err := r.guard().Charge(ctx, r.Store, a)
		if verdict(err) != account.ErrLocked {
			r.Errorf("a sixth attempt: %v", err)
		}
		if _, ok, _ := r.ChargeGuard(ctx, a); ok {
			r.Error("the statement itself let a sixth through")
		}
		if n, _ := r.LockedNow(ctx); n != 1 {
			r.Errorf("%d locked now", n)
		}
	})
}

func TestLockEndsAfterThirtyMinutes(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		a := attempt(r.person("ann"))
		until := r.wrong(a, 5).LockedUntil
		r.Move(until.Sub(r.Now()) - time.Second)
		if _, err := r.guard().Charge(ctx, r.Store, a); verdict(err) != account.ErrLocked {
			r.Fatalf("at 29:59: %v", err)
		}
		r.Move(time.Second)
		st := r.wrong(a, 1)
		if st.Failed[account.Password] != 1 || !st.LockedUntil.IsZero() || st.Wrong[account.Password] != 6 {
			r.Errorf("at 30:00: %+v", st)
		}
		cleared := r.told(account.LockCleared)
		if len(cleared) != 1 || cleared[0].By != account.ByTimeout {
			r.Errorf("told %+v", cleared)
		}
	})
}

func TestExpiredLockIsClearedByTheJobOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.wrong(attempt(r.person("ann")), 5)
		r.Move(account.LockFor)
		for range 2 {
			r.ok(r.ClearExpiredLocks(context.Background()))
		}
		if n := len(r.told(account.LockCleared)); n != 1 {
			r.Errorf("told %d times", n)
		}
	})
}

func TestChargeAfterExpiryNeedsNoClearing(t *testing.T) {
	onBoth(t, func(r *rig) {
		a := attempt(r.person("ann"))
		r.wrong(a, 5)
		r.Move(account.LockFor)
		if _, ok, err := r.ChargeGuard(context.Background(), a); !ok || err != nil {
			r.Fatal(ok, err)
		}
		st, err := r.ReadGuard(context.Background(), a)
		r.ok(err)
		if st.Failed[account.Password] != 0 || st.Charged[account.Password] != 1 {
			r.Errorf("%+v", st)
		}
	})
}

func TestLapsedChargesAreFailures(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		a := attempt(r.person("ann"))
		leases := make([]account.Lease, 5)
		for i := range leases {
			leases[i] = r.charge(a)
		}
		r.Move(account.ChargeFor)
		var wg sync.WaitGroup
		for range 8 { // idempotent, whoever comes
			wg.Go(func() {
				if err := r.LapseGuard(ctx, a); err != nil {
					r.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(r.told(account.SignInFailed)); n != 5 {
			r.Errorf("%d failures", n)
		}
		if n := len(r.told(account.Locked)); n != 1 {
			r.Errorf("%d locks", n)
		}
		if _, err := r.SettleWrong(ctx, leases[0], account.BadCredentials); err != account.ErrBusy {
			r.Errorf("settling a lapsed lease: %v", err)
		}
		r.ok(r.Release(ctx, leases[1]))
		st, err := r.ReadGuard(ctx, a)
		r.ok(err)
		if st.Failed[account.Password] != 5 || st.Charged[account.Password] != 0 || st.Wrong[account.Password] != 5 {
			r.Errorf("%+v", st)
		}
	})
}

func TestLapseBeforeItsTimeDoesNothing(t *testing.T) {
	onBoth(t, func(r *rig) {
		a := attempt(r.person("ann"))
		l := r.charge(a)
		r.ok(r.LapseGuard(context.Background(), a))
		st, err := r.SettleWrong(context.Background(), l, account.BadCredentials)
		r.ok(err)
		if st.Failed[account.Password] != 1 {
			r.Errorf("%+v", st)
		}
	})
}

func TestReleaseTakesTheChargeBack(t *testing.T) {
	onBoth(t, func(r *rig) {
		a := attempt(r.person("ann"))
		for range 12 {
			r.ok(r.Release(context.Background(), r.charge(a)))
		}
		st, err := r.ReadGuard(context.Background(), a)
		r.ok(err)
		if st.Failed != [3]int{} || st.Charged != [3]int{} {
			r.Errorf("%+v", st)
		}
	})
}

func TestCountersAreTwo(t *testing.T) {
	onBoth(t, func(r *rig) {
		pw := attempt(r.person("ann"))
		code := pw
		code.Factor = account.SecondFactor
		r.wrong(pw, 4)
		st := r.wrong(code, 4)
		if st.Failed != [3]int{0, 4, 4} || !st.LockedUntil.IsZero() {
			r.Fatalf("%+v", st)
		}
		r.signIn("id-ann") // a right password clears its own counter only
		st, err := r.ReadGuard(context.Background(), pw)
		r.ok(err)
		if st.Failed != [3]int{0, 0, 4} || st.Wrong != [3]int{0, 0, 4} {
			r.Fatalf("%+v", st)
		}
		if st = r.wrong(code, 1); st.LockedUntil.IsZero() {
			r.Errorf("%+v", st)
		}
	})
}

// A thousand guesses at once, round after round: five are judged before the
// lock, those of nobody alike.
func TestParallelGuesses(t *testing.T) {
	rounds := 3
	if full() {
		rounds = 20
	}
	onBoth(t, func(r *rig) {
		r.person("ann")
		for round := range rounds {
			for _, a := range []account.Attempt{attempt("id-ann"), {Subject: "shadow", Shadow: true, Factor: account.Password}} {
				if judged := r.storm(a, 1000); judged != account.MaxFailures {
					r.Fatalf("round %d: %d judged of %s", round, judged, a.Subject)
				}
			}
			r.Move(account.LockFor)
		}
		if n := r.count("SELECT COUNT(*) FROM guards WHERE shadow = true"); n != 1 {
			r.Errorf("%d shadow rows", n)
		}
		if n, want := len(r.told(account.Locked)), 2*rounds; n != want {
			r.Errorf("%d locks, want %d", n, want)
		}
	})
}

// storm guesses wrong n times at once and returns how many were judged. The
// guard's patience is real; the judge is only a counter.
func (r *rig) storm(a account.Attempt, n int) int64 {
	ctx := context.Background()
	var judged atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			l, err := r.guard().Charge(ctx, r.Store, a)
			if why := verdict(err); why == account.ErrLocked || why == account.ErrBusy {
				return
			}
			if err != nil {
				r.Error(err)
				return
			}
			judged.Add(1)
			if _, err := r.SettleWrong(ctx, l, account.BadCredentials); err != nil {
				r.Error(err)
			}
		})
	}
	wg.Wait()
	return judged.Load()
}

func TestParallelRightPasswordsAllPass(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		var wg sync.WaitGroup
		for range 20 {
			f := r.login("browser")
			f.Account = id
			wg.Go(func() {
				l, err := r.guard().Charge(ctx, r.Store, attempt(id))
				if err != nil {
					r.Error(err)
					return
				}
				if err := r.Finish(ctx, f, progress(l), newSession()); err != nil {
					r.Error(err)
				}
			})
		}
		wg.Wait()
		st, err := r.ReadGuard(ctx, attempt(id))
		r.ok(err)
		if st.Failed != [3]int{} || st.Charged != [3]int{} {
			r.Errorf("%+v", st)
		}
		if n, _ := r.SessionsActive(ctx); n != 20 {
			r.Errorf("%d sessions", n)
		}
	})
}

// A right answer forgives nothing that is still in flight.
func TestRightForgivesNothingInFlight(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		var guesses []account.Lease
		for range 4 {
			guesses = append(guesses, r.charge(attempt(id)))
		}
		r.signIn(id)
		for i, l := range guesses {
			st, err := r.SettleWrong(context.Background(), l, account.BadCredentials)
			r.ok(err)
			if st.Failed[account.Password] != i+1 {
				r.Errorf("%+v", st)
			}
		}
	})
}

func TestCapOfWrongPasswords(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		a := attempt(r.person("ann"))
		for range account.MaxWrongPasswords / account.MaxFailures {
			r.wrong(a, account.MaxFailures)
			r.Move(account.LockFor)
		}
		if n := len(r.told(account.PasswordDisabled)); n != 1 {
			r.Errorf("told %d times", n)
		}
		if _, err := r.guard().Charge(ctx, r.Store, a); verdict(err) != account.ErrDisabled {
			r.Errorf("the 101st: %v", err)
		}
		if _, ok, _ := r.ChargeGuard(ctx, a); ok {
			r.Error("the statement itself let the 101st through")
		}
		if was, err := r.Unlock(ctx, "id-ann", account.BySupport, "agent"); was || err != nil {
			r.Error("unlocking what is not locked", was, err)
		}
	})
}

func TestSourceLimits(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		at := func(name string, source account.Source) account.Attempt {
			a := attempt(r.person(name))
			a.Source = source
			return a
		}
		// Three locks in an hour, and no more: one attacker, one practice.
		for _, name := range []string{"a", "b", "c"} {
			r.wrong(at(name, "192.0.2.1"), 5)
		}
		d := at("d", "192.0.2.1")
		if _, err := r.guard().Charge(ctx, r.Store, d); verdict(err) != account.ErrLimited {
			r.Errorf("after three locks: %v", err)
		}
		r.Move(account.SourceWindow) // failures are forgotten, locks are not
		if _, err := r.guard().Charge(ctx, r.Store, d); verdict(err) != account.ErrLimited {
			r.Errorf("after three locks and five minutes: %v", err)
		}
		r.Move(time.Hour)
		r.wrong(d, 1)
		// Twenty failures in five minutes, spread thin.
		for range 5 {
			for _, name := range []string{"e", "f", "g", "h"} {
				id := account.ID("id-" + name)
				if r.count("SELECT COUNT(*) FROM people WHERE id = $1", string(id)) == 0 {
					r.person(name)
				}
				a := attempt(id)
				a.Source = "192.0.2.2"
				r.wrong(a, 1)
				r.signIn(id)
			}
		}
		e := attempt("id-e")
		e.Source = "192.0.2.2"
		if _, err := r.guard().Charge(ctx, r.Store, e); verdict(err) != account.ErrLimited {
			r.Errorf("after twenty failures: %v", err)
		}
		e.Exempt = true // or a known browser
		r.ok(r.Release(ctx, r.charge(e)))
		e.Exempt = false
		r.Move(account.SourceWindow)
		r.ok(r.Release(ctx, r.charge(e)))
	})
}

// An attempt on a locked account is one statement, and writes nothing.
func TestRefusalIsOneStatement(t *testing.T) {
	onBoth(t, func(r *rig) {
		a := attempt(r.person("ann"))
		r.wrong(a, 5)
		rows := r.count("SELECT COUNT(*) FROM audit")
		r.asked()
		if _, err := r.guard().Charge(context.Background(), r.Store, a); verdict(err) != account.ErrLocked {
			r.Fatal(err)
		}
		if q := r.asked(); len(q) != 1 || q[0] != "ReadGuard" {
			r.Errorf("statements: %v", q)
		}
		if n := r.count("SELECT COUNT(*) FROM audit"); n != rows {
			r.Errorf("%d audit rows written", n-rows)
		}
		if n := len(r.told(account.SignInRefused)); n != 1 {
			r.Errorf("told %d times", n)
		}
	})
}

func TestZeroLeaseSettlesNothing(t *testing.T) {
	onBoth(t, func(r *rig) {
		_, err := r.SettleWrong(context.Background(), account.Lease{}, account.BadCredentials)
		if err != account.ErrNoLease {
			r.Error(err)
		}
		if err := r.Release(context.Background(), account.Lease{}); err != account.ErrNoLease {
			r.Error(err)
		}
	})
}
