package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
)

// A passkey ends a hold of the codes, once, and is told; short of a hold it leaves
// the counters alone, as it is no code.
func TestAPasskeyFreesHeldCodes(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.phone(id)
		k := r.key(id, "one")
		code := account.Attempt{Subject: string(id), Factor: account.SecondFactor, Step: "totp"}
		use := func(count uint32) (wrong int) {
			f, p := r.using(k, count)
			r.ok(r.Finish(ctx, f, p, byPasskey()))
			k.Count = count
			st, err := r.Standing(ctx, id)
			r.ok(err)
			return st.Wrong[account.SecondFactor]
		}
		r.wrong(code, 4)
		if n := use(2); n != 4 || len(r.told(account.SecondFreed)) != 0 {
			r.Errorf("%d wrong codes left of 4", n)
		}
		r.ok(r.Do("UPDATE guards SET code_failed = 0, code_wrong = 9 WHERE subject = $1", string(id)))
		r.wrong(code, 1)
		if len(r.told(account.SecondHeld)) != 1 {
			r.Fatal("no hold")
		}
		for count := range uint32(2) {
			if n := use(3 + count); n != 0 || len(r.told(account.SecondFreed)) != 1 {
				r.Errorf("%d wrong codes left, %d told", n, len(r.told(account.SecondFreed)))
			}
		}
		if e := r.lookup(directory.ByID, string(id)); !e.MustChange {
			r.Error("the password that somebody knew stays")
		}
	})
}

// Nothing that was judged before a lock or a reset goes through after it.
func TestAPasskeyDoesNotOutrunALockOrAReset(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		k := r.key(id, "one")
		for what, happens := range map[string]func(){
			"locked":  func() { r.wrong(attempt(id), 5); r.ok(r.Do("UPDATE guards SET locked_until = 1")) },
			"voided":  func() { r.key(id, "two") },
			"stopped": func() { r.ok(r.SetDisabled(ctx, id, true, "test")); r.ok(r.SetDisabled(ctx, id, false, "test")) },
		} {
			f, p := r.using(k, k.Count+1)
			r.ok(r.Advance(ctx, f, flows.Progress{})) // bound to how things were
			happens()
			n := byPasskey()
			if err := r.Finish(ctx, f, p, n); !errors.Is(err, account.ErrBusy) || r.live(n.Token) {
				r.Errorf("%s: %v", what, err)
			}
		}
	})
}

// A refusal is one row of the trail, counts against the source as a wrong password
// does, and moves nothing else; past the limit it is none.
func TestRefusingPasskeys(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.key(id, "one")
		was, err := r.Standing(ctx, id)
		r.ok(err)
		bad := flows.PasskeyRefusal{Account: id, Step: "passkey", Cause: account.PasskeyOrigin, Source: "192.0.2.7"}
		for range account.SourceFailures {
			r.ok(r.RefusePasskey(ctx, bad))
		}
		if err := r.RefusePasskey(ctx, bad); !errors.Is(err, account.ErrLimited) {
			r.Errorf("past the limit: %v", err)
		}
		nobodys := bad
		nobodys.Account, nobodys.Source = "", "192.0.2.8"
		r.ok(r.RefusePasskey(ctx, nobodys))
		bad.Exempt = true
		r.ok(r.RefusePasskey(ctx, bad))
		if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'passkey_refused' AND reason = 'passkey_origin'"); n != account.SourceFailures+2 {
			r.Errorf("%d rows", n)
		}
		r.Move(account.SourceWindow)
		bad.Exempt = false
		r.ok(r.RefusePasskey(ctx, bad))
		now, err := r.Standing(ctx, id)
		r.ok(err)
		if now != was {
			r.Errorf("%+v, was %+v", now, was)
		}
	})
}
