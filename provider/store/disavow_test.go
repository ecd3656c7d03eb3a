package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
)

// notMe is the newest link that an account was mailed to disavow a change with.
func (r *rig) notMe(id account.ID) (hash []byte) {
	r.Helper()
	r.ok(r.Scan("SELECT hash FROM disavowals WHERE account = $1 ORDER BY expires_at DESC LIMIT 1", &hash, string(id)))
	return hash
}

func TestDisavowSecuresTheAccountOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.reset(id, "new")
		link := r.notMe(id)
		by, bobs := r.session(id), r.session(r.person("bob"))
		app, bobsApp := r.app(by), r.app(bobs)
		change := r.change(by, "eve@new.example")
		reset := r.ask(id)
		r.confirm(change.new)
		for range 3 { // a mail scanner
			if live, err := r.Disavowable(ctx, link); !live || err != nil {
				r.Fatal(live, err)
			}
		}
		if len(r.roster(id)) != 1 || !r.works(app) {
			r.Fatal("looking changed something")
		}
		for i, want := range []bool{true, false} {
			if was, err := r.Disavow(ctx, link, "192.0.2.1"); was != want || err != nil {
				r.Errorf("%d: %v %v", i, was, err)
			}
			if live, err := r.Disavowable(ctx, link); live || err != nil {
				r.Errorf("%d: still good: %v %v", i, live, err)
			}
		}
		if len(r.roster(id)) != 0 || r.works(app) || r.pending(id) != "" || r.confirm(change.old) != "gone" ||
			r.fate(reset) == account.Valid {
			r.Error("something goes on")
		}
		if _, err := r.guard().Charge(ctx, r.Store, attempt(id)); verdict(err) != account.ErrDisabled {
			r.Errorf("the password is not disabled: %v", err)
		}
		r.reset(id, "newer") // which needs no waiting
		r.charge(attempt(id))
		if len(r.roster("id-bob")) != 1 || !r.works(bobsApp) {
			r.Error("somebody else's ended, too")
		}
		if e := r.told(account.Disavowed); len(e) != 1 || e[0].Subject != string(id) || e[0].Source != "192.0.2.1" {
			r.Errorf("%+v", e)
		}
		ended := r.told(account.SessionEnded)
		if len(ended) != 1 || ended[0].Reason != account.NotMe || len(r.told(account.EmailCancelled)) != 1 {
			r.Errorf("%+v", ended)
		}
	})
}

func TestDisavowLinkLivesSevenDays(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		r.reset(id, "new")
		r.Move(7*24*time.Hour - time.Second)
		if live, err := r.Disavowable(ctx, r.notMe(id)); !live || err != nil {
			r.Error(live, err)
		}
		r.Move(time.Second)
		if live, err := r.Disavowable(ctx, r.notMe(id)); live || err != nil {
			r.Error(live, err)
		}
		if was, err := r.Disavow(ctx, r.notMe(id), ""); was || err != nil {
			r.Error(was, err)
		}
		if was, err := r.Disavow(ctx, []byte("guessed"), ""); was || err != nil {
			r.Error(was, err)
		}
	})
}

// Of many clicks on one link one does something.
func TestDisavowAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.reset(id, "new")
		link := r.notMe(id)
		for _, err := range all(20, func(int) error { _, err := r.Disavow(context.Background(), link, ""); return err }) {
			r.ok(err)
		}
		if n := len(r.told(account.Disavowed)); n != 1 {
			r.Error(n)
		}
	})
}

// Who was never signed in has no guard to raise.
func TestDisavowWithoutAGuard(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.reset(id, "new")
		r.ok(r.Do("DELETE FROM guards WHERE subject = $1", string(id)))
		if was, err := r.Disavow(context.Background(), r.notMe(id), ""); !was || err != nil {
			r.Error(was, err)
		}
	})
}
