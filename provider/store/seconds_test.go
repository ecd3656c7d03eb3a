package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// phone gives an account an authenticator and returns its row.
func (r *rig) phone(id account.ID) account.Authenticator {
	r.Helper()
	done, err := r.BringSecond(context.Background(), id, account.NewAuthenticator{Name: "Phone", Key: account.NewKey()}, "test")
	if err != nil || !done {
		r.Fatal(done, err)
	}
	all, err := r.Authenticators(context.Background(), id)
	r.ok(err)
	return all[0]
}

// proven begins a sign-in in which the password was right.
func (r *rig) proven(id account.ID) *flows.Flow {
	r.Helper()
	f := r.login("browser")
	f.Account = id
	f.Facts = []flows.Fact{{Kind: flows.KnowsPassword, Step: "password", Methods: []string{"pwd"}}}
	r.ok(r.Advance(context.Background(), f, progress(r.charge(attempt(id)))))
	return f
}

// twoFactors is a session by both.
func twoFactors() flows.NewSession {
	n := newSession()
	n.Methods, n.ACR = []string{"pwd", "otp", "mfa"}, flows.ACR2FA
	return n
}

// raising begins a flow in a session.
func (r *rig) raising(k flows.Kind, s *store.Session) *flows.Flow {
	r.Helper()
	f := &flows.Flow{ID: account.NewSecret(), Kind: k, Browser: []byte("browser"), Account: s.Account, Session: s.ID,
		Started: r.Now(), Expires: r.Now().Add(flows.LoginFor)}
	r.ok(r.Begin(context.Background(), f))
	return f
}

func (r *rig) live(token string) bool {
	r.Helper()
	_, err := r.Session(context.Background(), token)
	if err != nil && !errors.Is(err, store.ErrNoSession) {
		r.Fatal(err)
	}
	return err == nil
}

// T04: of any number of requests with one code, one has it; a step back is over.
func TestAStepIsBurntOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		phone := r.phone(id)
		burn := func(f *flows.Flow, step int64) error {
			return r.Advance(context.Background(), f, flows.Progress{Burn: &account.Burn{Match: account.Match{Authenticator: phone.ID, Step: step, Offset: 1}}})
		}
		var fs []*flows.Flow
		for range 40 {
			fs = append(fs, r.proven(id))
		}
		errs := all(len(fs), func(i int) error { return burn(fs[i], 100) })
		if succeeded(errs) != 1 {
			r.Errorf("%d of 40", succeeded(errs))
		}
		for _, err := range errs {
			if err != nil && !errors.Is(err, account.ErrReplayed) {
				r.Error(err)
			}
		}
		if err := burn(r.proven(id), 99); !errors.Is(err, account.ErrReplayed) {
			r.Errorf("an older one: %v", err)
		}
		r.ok(burn(r.proven(id), 101))
		if got := r.told(account.CodeAccepted); len(got) != 2 || got[0].Offset != 1 {
			r.Errorf("%+v", got)
		}
	})
}

// T05: ten codes, fifty times each, in any order: ten are used.
func TestBackupCodesAreBurntOnceEach(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.phone(id)
		set := account.BackupSet{Salt: []byte("salt")}
		for i := range account.BackupCodes {
			set.Unused = append(set.Unused, fmt.Appendf(nil, "hash %d", i))
		}
		r.ok(r.Advance(context.Background(), r.proven(id), flows.Progress{Codes: &set}))
		n := 5 * account.BackupCodes
		if full() {
			n = 50 * account.BackupCodes
		}
		order := rand.Perm(n)
		flowsOf := make([]*flows.Flow, n)
		for i := range flowsOf {
			flowsOf[i] = r.proven(id)
		}
		errs := all(n, func(i int) error {
			hash := set.Unused[order[i]%account.BackupCodes]
			return r.Advance(context.Background(), flowsOf[i], flows.Progress{Burn: &account.Burn{Backup: hash}})
		})
		if succeeded(errs) != account.BackupCodes {
			r.Errorf("%d of %d", succeeded(errs), n)
		}
		second, err := r.Second(context.Background(), id)
		r.ok(err)
		if second.Codes != 0 || !second.LastWasBackup || len(r.told(account.BackupUsed)) != account.BackupCodes {
			r.Errorf("%+v, %d told", second, len(r.told(account.BackupUsed)))
		}
		if err := r.Advance(context.Background(), r.proven(r.person("bob")), flows.Progress{Burn: &account.Burn{Backup: set.Unused[0]}}); !errors.Is(err, account.ErrReplayed) {
			r.Errorf("another account's: %v", err)
		}
	})
}

// A right code for a flow that went on meanwhile is a double click: settled, and
// not used up.
func TestADoubleClickBurnsNothing(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		phone := r.phone(id)
		f := r.proven(id)
		stale := *f
		r.ok(r.Advance(context.Background(), f, flows.Progress{}))
		l := r.charge(account.Attempt{Subject: string(id), Factor: account.SecondFactor, Step: "totp"})
		err := r.Advance(context.Background(), &stale, flows.Progress{Lease: l, Burn: &account.Burn{Match: account.Match{Authenticator: phone.ID, Step: 7}}})
		if !errors.Is(err, flows.ErrStale) {
			r.Errorf("%v", err)
		}
		got, err := r.Authenticators(context.Background(), id)
		r.ok(err)
		st, err := r.Standing(context.Background(), id)
		r.ok(err)
		if got[0].LastStep != 0 || st.Charged[account.SecondFactor] != 0 || st.Failed[account.SecondFactor] != 0 {
			r.Errorf("step %d, %+v", got[0].LastStep, st)
		}
	})
}

// The invariant of the product, in the statement itself: no session by one
// factor for an account that has a second one, however late that came.
func TestNoSessionByOneFactorBesideASecondOne(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		f := r.login("browser")
		f.Account = id
		lease := r.charge(attempt(id))
		r.phone(id) // between the judging and the session
		n := newSession()
		if err := r.Finish(context.Background(), f, progress(lease), n); !errors.Is(err, flows.ErrStale) || r.live(n.Token) {
			r.Errorf("by one factor: %v", err)
		}
		g := r.proven(id)
		n = twoFactors()
		r.ok(r.Finish(context.Background(), g, flows.Progress{}, n))
		if !r.live(n.Token) {
			r.Error("by two: none")
		}
	})
}

// ASVS 7.4.3: a new second factor ends what was proven without it. The session
// in which it was added goes on until the flow ends in another.
func TestANewSecondFactorEndsOldSessions(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		other := r.signIn(id)
		mine := r.signIn(id)
		s, err := r.Session(ctx, mine)
		r.ok(err)
		theirs, err := r.Session(ctx, other)
		r.ok(err)
		app := r.app(theirs)
		f := r.raising(flows.Enroll, s)
		r.ok(r.Advance(ctx, f, flows.Progress{Authenticator: &account.NewAuthenticator{Name: "Phone", Key: account.NewKey(), Step: 5}}))
		if r.live(other) || r.works(app) || !r.live(mine) {
			r.Errorf("other %v, its app %v, mine %v", r.live(other), r.works(app), r.live(mine))
		}
		set := account.BackupSet{Salt: []byte("salt"), Unused: [][]byte{[]byte("a")}}
		n := twoFactors()
		r.ok(r.Finish(ctx, f, flows.Progress{Codes: &set}, n))
		if r.live(mine) || !r.live(n.Token) {
			r.Errorf("the old one %v, the new one %v", r.live(mine), r.live(n.Token))
		}
		got, err := r.Authenticators(ctx, id)
		r.ok(err)
		if len(got) != 1 || got[0].LastStep != 5 {
			r.Errorf("%+v", got)
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE template IN ('second_factor_added', 'backup_codes_made')"); n != 2 {
			r.Errorf("%d mails", n)
		}
	})
}

// A session that was raised has another id, and what came from it ends with it.
func TestARaisedSessionKeepsItsApps(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		token := r.signIn(id)
		s, err := r.Session(ctx, token)
		r.ok(err)
		app := r.app(s)
		f := r.raising(flows.StepUp, s)
		n := newSession()
		n.AuthTime = s.AuthTime
		r.Move(time.Minute)
		r.ok(r.Finish(ctx, f, flows.Progress{Lease: r.charge(attempt(id))}, n))
		raised, err := r.Session(ctx, n.Token)
		r.ok(err)
		if r.live(token) || !raised.AuthTime.Equal(s.AuthTime) || !r.works(app) || len(r.told(account.SteppedUp)) != 1 {
			r.Errorf("old %v, auth_time %v of %v, app %v", r.live(token), raised.AuthTime, s.AuthTime, r.works(app))
		}
		g, _, err := r.GrantByAccess(ctx, app)
		r.ok(err)
		next := r.family(n.Token)
		r.ok(r.RedeemCode(ctx, &next, []byte("code"), r.tokens()))
		for who, sid := range map[string]string{"the session": raised.SID(), "its app": g.SID(), "an app since": next.SID()} {
			if sid != s.SID() {
				r.Errorf("%s has the sid %s, not %s", who, sid, s.SID())
			}
		}
		if named, err := r.SessionNamed(ctx, id, s.SID()); err != nil || string(named.ID) != string(raised.ID) {
			r.Errorf("the sid names another session: %v", err)
		}
		if _, err := r.SessionNamed(ctx, "id-bob", s.SID()); !errors.Is(err, store.ErrNoSession) {
			r.Errorf("the sid is good for somebody else: %v", err)
		}
		r.ok(r.EndSession(ctx, account.HashSecret(n.Token), account.SignedOut))
		if r.works(app) {
			r.Error("signed out, and its app goes on")
		}
	})
}

// What a flow takes over from a session it takes over while that lives.
func TestAFlowDiesWithItsSession(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		token := r.signIn(id)
		s, err := r.Session(ctx, token)
		r.ok(err)
		f := r.raising(flows.Enroll, s)
		r.ok(r.EndSession(ctx, account.HashSecret(token), account.SignedOut))
		if _, err := r.Flow(ctx, f.ID, f.Browser); !errors.Is(err, flows.ErrNoFlow) {
			r.Errorf("read: %v", err)
		}
		add := flows.Progress{Authenticator: &account.NewAuthenticator{Key: account.NewKey()}}
		if err := r.Advance(ctx, f, add); !errors.Is(err, flows.ErrStale) {
			r.Errorf("advanced: %v", err)
		}
		if err := r.Finish(ctx, f, add, twoFactors()); !errors.Is(err, flows.ErrStale) {
			r.Errorf("finished: %v", err)
		}
		if n := r.count("SELECT COUNT(*) FROM authenticators"); n != 0 {
			r.Errorf("%d authenticators", n)
		}
	})
}

func TestRemovingAuthenticators(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		first := r.phone(id)
		f := r.proven(id)
		set := account.BackupSet{Salt: []byte("salt"), Unused: [][]byte{[]byte("a")}}
		n := twoFactors()
		r.ok(r.Finish(ctx, f, flows.Progress{Authenticator: &account.NewAuthenticator{Name: "Tablet", Key: account.NewKey()}, Codes: &set}, n))
		s := func() *store.Session {
			s, err := r.Session(ctx, n.Token)
			r.ok(err)
			return s
		}
		remove := func(by *store.Session, what string, required bool) bool {
			done, err := r.RemoveAuthenticator(ctx, by, what, required, "192.0.2.1")
			r.ok(err)
			return done
		}
		bob := r.person("bob")
		bobs := r.phone(bob)
		if remove(s(), "nothing", false) || remove(s(), bobs.ID, false) {
			r.Error("took away what is not there, or not hers")
		}
		old := s()
		if !remove(old, first.ID, true) {
			r.Error("one of two stayed")
		}
		left, err := r.Authenticators(ctx, id)
		r.ok(err)
		if len(left) != 1 || left[0].Name != "Tablet" {
			r.Fatalf("%+v", left)
		}
		if remove(old, left[0].ID, false) {
			r.Error("by a session as it was before: its epoch is over")
		}
		if remove(s(), left[0].ID, true) {
			r.Error("the last one went, though one is required")
		}
		if !remove(s(), left[0].ID, false) {
			r.Error("the last one stayed")
		}
		second, err := r.Second(ctx, id)
		r.ok(err)
		if second != (account.Second{}) || r.count("SELECT COUNT(*) FROM backup_codes") != 0 {
			r.Errorf("%+v", second)
		}
		if len(r.told(account.SecondRemoved)) != 2 {
			r.Errorf("%d told", len(r.told(account.SecondRemoved)))
		}
	})
}

// Design section 4, NIST SP 800-63B-4 section 3.2.2: the tenth wrong code since
// the last right one holds the second factor, once, with all that was proven.
func TestHold(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.phone(id)
		n := twoFactors()
		r.ok(r.Finish(ctx, r.proven(id), flows.Progress{}, n))
		code := account.Attempt{Subject: string(id), Factor: account.SecondFactor, Step: "totp"}
		r.wrong(code, 5)
		if !r.live(n.Token) {
			r.Error("a lock ended a session")
		}
		r.Move(account.LockFor)
		st := r.wrong(code, 5)
		if st.Wrong[account.SecondFactor] != account.MaxWrongCodes || r.live(n.Token) || len(r.told(account.SecondHeld)) != 1 {
			r.Errorf("%+v, session lives %v, %d told", st, r.live(n.Token), len(r.told(account.SecondHeld)))
		}
		r.Move(account.LockFor)
		if _, err := r.impatient().Charge(ctx, r.Store, code); verdict(err) != account.ErrHeld {
			r.Errorf("a further code: %v", err)
		}
		if _, ok, err := r.ChargeGuard(ctx, code); ok || err != nil {
			r.Errorf("the statement itself let it through: %v", err)
		}
		r.charge(attempt(id)) // the password is another counter
		if n := r.count("SELECT COUNT(*) FROM people WHERE id = $1 AND must_change", string(id)); n != 1 {
			r.Error("the password need not be changed")
		}
		for template, want := range map[string]int{"locked": 1, "second_factor_held": 1} {
			if n := r.count("SELECT COUNT(*) FROM mails WHERE template = $1", template); n != want {
				r.Errorf("%d mails %s, want %d", n, template, want)
			}
		}
		// A finished reset clears much, but not this.
		r.reset(id, "new")
		if _, err := r.impatient().Charge(ctx, r.Store, code); verdict(err) != account.ErrHeld {
			r.Errorf("after a reset: %v", err)
		}
		was, err := r.ResetSecond(ctx, id, account.BySupport, "sam")
		if !was || err != nil {
			r.Fatal(was, err)
		}
		r.charge(code)
		if was, err := r.ResetSecond(ctx, r.person("bob"), account.BySupport, "sam"); was || err != nil {
			r.Errorf("of somebody without one: %v, %v", was, err)
		}
	})
}

// Whoever had the second factor taken away for them is known as recovered, and
// whoever had none to be taken away is not: to sign-ins and to access tokens.
func TestRecovered(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		ann, bob := r.person("ann"), r.person("bob")
		r.phone(ann)
		for _, id := range []account.ID{ann, bob} {
			_, err := r.ResetSecond(ctx, id, account.BySupport, "sam")
			r.ok(err)
		}
		at := r.Now()
		for id, want := range map[account.ID]time.Time{ann: at, bob: {}} {
			g, tokens := r.family(r.signIn(id)), r.tokens()
			r.ok(r.RedeemCode(ctx, &g, account.HashSecret(g.ID), tokens))
			_, by, err := r.GrantByAccess(ctx, tokens.Access)
			r.ok(err)
			for what, got := range map[string]time.Time{"id": r.lookup(directory.ByID, string(id)).Recovered,
				"name": r.lookup(directory.ByIdentifier, strings.TrimPrefix(string(id), "id-")).Recovered, "token": by.Recovered} {
				if want.Sub(got).Abs() > time.Second {
					r.Errorf("%s by %s: %v, want %v", id, what, got, want)
				}
			}
		}
	})
}

// Charges that lapse hold, too: a crash is no free guess.
func TestLapsedCodesHold(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.phone(id)
		code := account.Attempt{Subject: string(id), Factor: account.SecondFactor, Step: "totp"}
		r.wrong(code, 5)
		r.Move(account.LockFor)
		for range 5 {
			r.charge(code)
		}
		r.Move(account.ChargeFor)
		if _, err := r.impatient().Charge(context.Background(), r.Store, code); verdict(err) != account.ErrLocked && verdict(err) != account.ErrHeld {
			r.Errorf("%v", err)
		}
		if len(r.told(account.SecondHeld)) != 1 {
			r.Errorf("%d holds", len(r.told(account.SecondHeld)))
		}
	})
}

func TestVoidingBackupCodes(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.phone(id)
		set := account.BackupSet{Salt: []byte("salt"), Unused: [][]byte{[]byte("a"), []byte("b")}}
		r.ok(r.Advance(ctx, r.proven(id), flows.Progress{Codes: &set}))
		for i, want := range []bool{true, false} {
			if was, err := r.VoidBackupCodes(ctx, id, "op"); was != want || err != nil {
				r.Errorf("%d: %v, %v", i, was, err)
			}
		}
		second, err := r.Second(ctx, id)
		r.ok(err)
		if second.Codes != 0 || second.Authenticators != 1 {
			r.Errorf("%+v", second)
		}
	})
}

func TestPracticesRequireASecondFactor(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.ok(r.AddPractice(ctx, "acme", "Acme"))
		id := r.person("ann")
		for i, want := range []bool{true, false} {
			if changed, err := r.RequireSecond(ctx, "acme", true, "op"); changed != want || err != nil {
				r.Errorf("%d: %v, %v", i, changed, err)
			}
		}
		e, err := store.People{Store: r.Store}.Lookup(ctx, directory.ByID, string(id))
		if err != nil || !e.RequireSecond {
			r.Errorf("%+v, %v", e, err)
		}
	})
}

// What was proven when the page was read must hold when it is answered: a reset,
// a lock or a "this was not me" in between, and nothing is added.
func TestNothingIsAddedToAnAccountThatWasSecured(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		for name, between := range map[string]func(account.ID){
			"a reset": func(id account.ID) { r.reset(id, "new") },
			"a lock": func(id account.ID) {
				r.wrong(attempt(id), 5)
				_, err := r.Unlock(ctx, id, account.BySupport, "op")
				r.ok(err)
			},
			"a stop": func(id account.ID) { r.ok(r.SetDisabled(ctx, id, true, "op")) },
		} {
			id := r.person("ann " + name)
			f := r.proven(id)
			between(id)
			set := account.BackupSet{Salt: []byte("salt"), Unused: [][]byte{[]byte("a")}}
			for what, p := range map[string]flows.Progress{
				"an authenticator": {Authenticator: &account.NewAuthenticator{Key: account.NewKey()}},
				"backup codes":     {Codes: &set},
			} {
				if err := r.Advance(ctx, f, p); !errors.Is(err, account.ErrBusy) {
					r.Errorf("%s after %s: %v", what, name, err)
				}
			}
			if second, err := r.Second(ctx, id); err != nil || second != (account.Second{}) {
				r.Errorf("after %s: %+v, %v", name, second, err)
			}
		}
	})
}

// Whoever takes a second factor away waits for the guard before anything else: one
// who has it, and takes the same away, must not wait for them in turn.
func TestResetSecondTakesTheGuardFirst(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.signIn(id)
		r.phone(id)
		conn, err := r.Occupy(ctx)
		r.ok(err)
		tx, err := conn.BeginTx(ctx, nil)
		r.ok(err)
		_, err = tx.Exec("UPDATE guards SET touched_at = 1 WHERE subject = $1", string(id))
		r.ok(err)
		reset := make(chan error, 1)
		go func() {
			_, err := r.ResetSecond(ctx, id, account.BySupport, "test")
			reset <- err
		}()
		if r.Engine() == "postgres" { // on SQLite whoever writes waits in any case
			r.until("it waits", func() bool {
				return r.count("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
			})
		}
		_, err = tx.Exec("DELETE FROM authenticators WHERE account = $1", string(id))
		if err := errors.Join(err, tx.Commit(), conn.Close(), <-reset); err != nil {
			r.Error(err)
		}
	})
}
