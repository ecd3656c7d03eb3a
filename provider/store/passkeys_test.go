package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// key gives an account a passkey and returns its row.
func (r *rig) key(id account.ID, credential string) account.Passkey {
	r.Helper()
	r.ok(r.Advance(context.Background(), r.proven(id), flows.Progress{NewPasskey: newKey(credential)}))
	h := r.holder(credential)
	for _, p := range h.Passkeys {
		if string(p.Credential) == credential {
			return p
		}
	}
	r.Fatalf("%s is not among %d", credential, len(h.Passkeys))
	return account.Passkey{}
}

func newKey(credential string) *account.NewPasskey {
	return &account.NewPasskey{Name: "Key " + credential, Credential: []byte(credential), Record: []byte("record of " + credential),
		Count: 1, Verified: true}
}

func (r *rig) holder(credential string) *flows.PasskeyHolder {
	r.Helper()
	h, err := r.PasskeyHolder(context.Background(), []byte(credential))
	r.ok(err)
	return h
}

// using is a sign-in by the passkey alone, as far as the engine gets with it.
func (r *rig) using(p account.Passkey, count uint32) (*flows.Flow, flows.Progress) {
	r.Helper()
	f, h := r.login("browser"), r.holder(string(p.Credential))
	f.Account, f.Epoch, f.Locks = p.Account, h.Epoch, h.Locks
	f.Facts = []flows.Fact{{Kind: flows.HoldsSecond, Step: "passkey", Methods: []string{"hwk", "user"}}, {Kind: flows.VerifiedUser, Step: "passkey"}}
	a := &account.Assertion{Passkey: p, Before: p.Count, Verified: true}
	a.Passkey.Count = count
	return f, flows.Progress{Passkey: a}
}

func byPasskey() flows.NewSession {
	n := newSession()
	n.Methods, n.ACR = []string{"hwk", "user", "mfa"}, flows.ACRPhr
	return n
}

// What is added is there as it was, to its owner and by its credential; a use is
// kept with its count and its time.
func TestPasskeysAreKept(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		first := r.key(id, "one")
		r.Move(time.Second)
		r.key(id, "two")
		all, err := r.Passkeys(ctx, id)
		r.ok(err)
		if len(all) != 2 || all[0].Name != "Key one" || string(all[1].Record) != "record of two" || !all[0].Verified || all[0].Synced {
			r.Fatalf("%+v", all)
		}
		if r.holder("three") != nil {
			r.Error("somebody has what nobody has")
		}
		r.Move(time.Minute)
		f, p := r.using(first, 7)
		p.Passkey.Passkey.Record = []byte("as it is now")
		n := byPasskey()
		r.ok(r.Finish(ctx, f, p, n))
		got := r.holder("one").Passkeys[0]
		if !r.live(n.Token) || got.Count != 7 || string(got.Record) != "as it is now" || !got.UsedAt.After(first.UsedAt) || !got.AddedAt.Equal(first.AddedAt) {
			r.Errorf("%+v", got)
		}
		second, err := r.Second(ctx, id)
		r.ok(err)
		if second.Passkeys != 2 || second.Authenticators != 0 || !second.Any() {
			r.Errorf("%+v", second)
		}
		if len(r.told(account.PasskeyAdded)) != 2 || len(r.told(account.PasskeyUsed)) != 1 || len(r.told(account.PasskeyCloned)) != 0 {
			r.Error("not told once each")
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE template = 'passkey_added'"); n != 2 {
			r.Errorf("%d mails", n)
		}
	})
}

// A credential is one account's: to add it again adds nothing and voids nothing,
// however many do so at once.
func TestACredentialIsAddedOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		var fs []*flows.Flow
		for _, name := range []string{"ann", "bob", "cid", "dot", "eve"} {
			fs = append(fs, r.proven(r.person(name)))
		}
		errs := all(len(fs), func(i int) error {
			return r.Advance(context.Background(), fs[i], flows.Progress{NewPasskey: newKey("the one")})
		})
		for i, err := range errs {
			if err != nil && !errors.Is(err, account.ErrReplayed) {
				r.Error(err)
			}
			if h := r.holder("the one"); (err == nil) != (h.Account == fs[i].Account) {
				r.Errorf("%s: %v, and %s has it", fs[i].Account, err, h.Account)
			}
		}
		if succeeded(errs) != 1 || len(r.told(account.PasskeyAdded)) != 1 || r.count("SELECT COUNT(*) FROM mails") != 1 {
			r.Errorf("%d added it", succeeded(errs))
		}
	})
}

// Of any number of answers that count from the same number, in as many flows, one
// is used; the others change nothing.
func TestAPasskeyIsUsedOnceFromACount(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		k := r.key(id, "one")
		n := make([]flows.NewSession, 20)
		fs, ps := make([]*flows.Flow, len(n)), make([]flows.Progress, len(n))
		for i := range n {
			n[i] = byPasskey()
			fs[i], ps[i] = r.using(k, k.Count+1)
		}
		errs := all(len(n), func(i int) error { return r.Finish(context.Background(), fs[i], ps[i], n[i]) })
		for i, err := range errs {
			if err != nil && !errors.Is(err, account.ErrReplayed) || (err == nil) != r.live(n[i].Token) {
				r.Error(err)
			}
		}
		if succeeded(errs) != 1 || len(r.told(account.SignedIn)) != 1 {
			r.Errorf("%d of 20", succeeded(errs))
		}
	})
}

// Nobody who writes to the database adds a passkey: a row that is copied or moved
// to another account, a record put into another row, and one that was edited, are
// of no use.
func TestPasskeysAreSealed(t *testing.T) {
	for name, edit := range map[string]string{
		"moved to another account": "UPDATE passkeys SET account = 'id-bob' WHERE name = 'Key mallory''s'",
		"copied to another account": `INSERT INTO passkeys (id, account, credential, name, record, counter, verified, synced, created_at, used_at)
			SELECT 'new', 'id-bob', record, name, record, counter, verified, synced, created_at, used_at FROM passkeys WHERE name = 'Key mallory''s'`,
		"put into another row": `UPDATE passkeys SET record = (SELECT o.record FROM passkeys o WHERE o.name = 'Key mallory''s') WHERE account = 'id-bob'`,
		"taken out":            `UPDATE passkeys SET record = credential WHERE account = 'id-bob'`,
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				r.key(r.person("bob"), "bob's")
				r.key(r.person("mallory"), "mallory's")
				r.ok(r.Do(edit))
				if all, err := r.Passkeys(context.Background(), "id-bob"); err == nil {
					r.Errorf("believed: %+v", all)
				}
				for _, credential := range []string{"bob's", "mallory's"} {
					if h, err := r.PasskeyHolder(context.Background(), []byte(credential)); err == nil && h != nil && h.Account == "id-bob" {
						r.Errorf("%s is Bob's: %+v", credential, h)
					}
				}
			})
		})
	}
}

// ASVS 7.4.3: adding a passkey and removing one void what was proven, but the
// session in which that was done.
func TestRemovingPasskeys(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		before, phone := r.signIn(id), r.phone(id)
		first := r.key(id, "one")
		if r.live(before) {
			r.Error("a session from before the first passkey goes on")
		}
		n, other := twoFactors(), twoFactors()
		set := account.BackupSet{Salt: []byte("salt"), Unused: [][]byte{[]byte("a")}}
		r.ok(r.Finish(ctx, r.proven(id), flows.Progress{Codes: &set}, n))
		r.ok(r.Finish(ctx, r.proven(id), flows.Progress{}, other))
		s := func() *store.Session {
			s, err := r.Session(ctx, n.Token)
			r.ok(err)
			return s
		}
		remove := func(by *store.Session, what string, required bool) bool {
			done, err := r.RemovePasskey(ctx, by, what, required, "192.0.2.1")
			r.ok(err)
			return done
		}
		bobs := r.key(r.person("bob"), "bob's")
		if remove(s(), "nothing", false) || remove(s(), bobs.ID, false) || remove(s(), phone.ID, false) || !r.live(other.Token) {
			r.Error("took away what is not there, or not hers")
		}
		halfway, proof := r.using(first, 2)
		old := s()
		if !remove(old, first.ID, true) { // the phone is left
			r.Fatal("one of two stayed")
		}
		if r.live(other.Token) || !r.live(n.Token) || remove(old, first.ID, false) {
			r.Errorf("another session %v, her own %v", r.live(other.Token), r.live(n.Token))
		}
		if err := r.Finish(ctx, halfway, proof, byPasskey()); !errors.Is(err, account.ErrBusy) {
			r.Errorf("used while it was removed: %v", err)
		}
		// A phone goes as long as a passkey is left, and no more than that.
		f := r.raising(flows.Enroll, s())
		r.ok(r.Advance(ctx, f, flows.Progress{NewPasskey: newKey("two")}))
		if done, err := r.RemoveAuthenticator(ctx, s(), phone.ID, true, "192.0.2.1"); err != nil || !done {
			r.Fatal("the phone stayed, beside a passkey: ", err)
		}
		two := r.holder("two").Passkeys[0]
		if remove(s(), two.ID, true) {
			r.Error("the last one went, though one is required")
		}
		if !remove(s(), two.ID, false) {
			r.Error("the last one stayed")
		}
		if second, err := r.Second(ctx, id); err != nil || second != (account.Second{}) {
			r.Errorf("%+v, %v: backup codes without a second factor", second, err)
		}
		if a, b := len(r.told(account.PasskeyRemoved)), r.count("SELECT COUNT(*) FROM mails WHERE template = 'passkey_removed'"); a != 2 || b != 2 {
			r.Errorf("%d told, %d mailed", a, b)
		}
	})
}

// N6: no session by one factor for whoever has a passkey and nothing else, however
// late that came; and an import brings no second one beside it.
func TestNoSessionByOneFactorBesideAPasskey(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.key(id, "one")
		f := r.login("browser")
		f.Account = id
		l := r.charge(attempt(id))
		if !l.HasSecond() {
			r.Error("the guard does not tell of it")
		}
		if m, err := r.Member(ctx, "acme", id); err != nil || !m.Second {
			r.Errorf("nor does the team: %+v, %v", m, err)
		}
		n := newSession()
		if err := r.Finish(ctx, f, progress(l), n); !errors.Is(err, flows.ErrStale) || r.live(n.Token) {
			r.Errorf("by one factor: %v", err)
		}
		if done, err := r.BringSecond(ctx, id, account.NewAuthenticator{Key: account.NewKey()}, "test"); err != nil || done {
			r.Errorf("a second factor is brought beside it: %v", err)
		}
	})
}

// Support takes away the whole second factor: passkeys are part of it.
func TestResettingTheSecondFactorTakesPasskeysAway(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		k := r.key(id, "one")
		bobs := r.key(r.person("bob"), "bob's")
		f, p := r.using(k, 2)
		n := byPasskey()
		r.ok(r.Finish(ctx, f, p, n))
		if was, err := r.ResetSecond(ctx, id, account.BySupport, "agent"); err != nil || !was {
			r.Fatal(was, err)
		}
		if r.holder("one") != nil || r.live(n.Token) || r.holder("bob's").Account != bobs.Account {
			r.Error("her passkey, or her session by it, goes on; or Bob's does not")
		}
		if was, err := r.ResetSecond(ctx, id, account.BySupport, "agent"); err != nil || was {
			r.Errorf("again: %v, %v", was, err)
		}
	})
}
