package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
)

// ask asks for a link and returns its hash: the token itself is only mailed.
func (r *rig) ask(id account.ID) []byte {
	r.Helper()
	r.ok(r.AskReset(context.Background(), flows.ResetAsk{Subject: string(id), By: account.BySelf}))
	return r.newest(id)
}

func (r *rig) newest(id account.ID) (hash []byte) {
	r.Helper()
	r.ok(r.Scan("SELECT token_hash FROM resets WHERE subject = $1", &hash, string(id)))
	return hash
}

// holding begins a flow that holds a link.
func (r *rig) holding(id account.ID, link []byte) *flows.Flow {
	r.Helper()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Reset, Browser: []byte("mine"), Account: id,
		Link: link, Started: r.Now(), Expires: r.Now().Add(flows.ResetFor)}
	r.ok(r.Begin(context.Background(), f))
	return f
}

// reset completes a reset.
func (r *rig) reset(id account.ID, hash string) {
	r.Helper()
	fate, err := r.Redeem(context.Background(), r.holding(id, r.ask(id)), flows.Progress{Hash: hash})
	if err != nil || fate != account.Valid {
		r.Fatal(fate, err)
	}
}

func (r *rig) fate(link []byte) account.Reason {
	r.Helper()
	l, err := r.OpenLink(context.Background(), link, "")
	r.ok(err)
	return l.Fate
}

func TestLinkLivesSixtyMinutes(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		want  account.Reason
	}{
		{"59:59", account.LinkFor - time.Second, account.Valid},
		{"60:00", account.LinkFor, account.Expired},
		{"60:01", account.LinkFor + time.Second, account.Expired},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				id := r.person("ann")
				link := r.ask(id)
				opened, err := r.OpenLink(context.Background(), link, "")
				r.ok(err)
				r.Move(c.after - r.Now().Sub(opened.SentAt)) // to the microsecond, or a little later
				if c.want == account.Valid {
					r.Move(-100 * time.Millisecond)
				}
				if got := r.fate(link); got != c.want {
					r.Errorf("opened: %s", got)
				}
				got, err := r.Redeem(context.Background(), r.holding(id, link), flows.Progress{Hash: "new"})
				r.ok(err)
				if got != c.want {
					r.Errorf("redeemed: %s", got)
				}
			})
		})
	}
}

func TestOnlyTheNewestLinkWorks(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		first := r.ask(id)
		f := r.holding(id, first) // opened while it was good
		r.Move(time.Minute)
		second := r.ask(id)
		l, err := r.OpenLink(ctx, first, "")
		r.ok(err)
		if l.Fate != account.Superseded || l.NewerAt.Sub(l.SentAt) < time.Minute {
			r.Errorf("%+v", l)
		}
		if fate, err := r.Redeem(ctx, f, flows.Progress{Hash: "planted"}); fate != account.Superseded || err != nil {
			r.Errorf("the first: %s %v", fate, err)
		}
		if fate, err := r.Redeem(ctx, r.holding(id, second), flows.Progress{Hash: "new"}); fate != account.Valid || err != nil {
			r.Errorf("the second: %s %v", fate, err)
		}
		if fate, err := r.Redeem(ctx, r.holding(id, second), flows.Progress{Hash: "planted"}); fate != account.Used || err != nil {
			r.Errorf("the second again: %s %v", fate, err)
		}
		if got := r.fate(first); got != account.Superseded {
			r.Errorf("the first, in the end: %s", got)
		}
		if got := r.fate([]byte("guessed")); got != account.Unknown {
			r.Errorf("a guess: %s", got)
		}
		if r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'new'") != 1 {
			r.Error("not the second's password")
		}
	})
}

func TestOpeningDoesNotUseUp(t *testing.T) {
	onBoth(t, func(r *rig) {
		link := r.ask(r.person("ann"))
		for range 20 { // a mail scanner
			if got := r.fate(link); got != account.Valid {
				r.Fatal(got)
			}
		}
	})
}

func TestThreeMailsAnHour(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		for range 3 {
			r.ask(id)
			r.Move(10 * time.Minute)
		}
		third := r.newest(id)
		for range 5 { // throttled: it changes nothing
			r.ask(id)
		}
		if got := r.fate(third); got != account.Valid {
			r.Errorf("the newest mail's link: %s", got)
		}
		r.Move(30 * time.Minute) // an hour after the first
		if string(r.ask(id)) == string(third) {
			r.Error("after an hour no fourth")
		}
		if string(r.ask(id)) != string(r.newest(id)) || r.count("SELECT COUNT(*) FROM reset_links") != 4 {
			r.Error("a fifth within the hour of the second")
		}
		reasons := map[account.Reason]int{}
		for _, e := range r.told(account.ResetRequested) {
			reasons[e.Reason]++
		}
		if reasons[account.Sent] != 4 || reasons[account.RateLimited] != 6 {
			r.Error(reasons)
		}
	})
}

// Nobody's address gets the same statements as somebody's.
func TestAskingForNobodyLooksAlike(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.asked()
		for range 4 {
			r.ok(r.AskReset(context.Background(), flows.ResetAsk{Subject: string(id)}))
			somebody := fmt.Sprint(r.asked())
			r.ok(r.AskReset(context.Background(), flows.ResetAsk{Subject: "shadow", Shadow: true}))
			if nobody := fmt.Sprint(r.asked()); nobody != somebody {
				r.Errorf("%s and %s", somebody, nobody)
			}
		}
	})
}

func TestFinishedResetClearsAndEnds(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		code := attempt(id)
		code.Factor = account.SecondFactor
		r.wrong(code, 3)
		session := r.signIn(id)
		r.wrong(attempt(id), 5)
		r.ask(id)
		if st, _ := r.ReadGuard(ctx, attempt(id)); st.LockedUntil.IsZero() {
			r.Error("asking cleared the lock")
		}
		r.reset(id, "new")
		st, err := r.ReadGuard(ctx, attempt(id))
		r.ok(err)
		if !st.LockedUntil.IsZero() || st.Failed != [3]int{} || st.Wrong != [3]int{0, 0, 3} || st.Epoch != 1 {
			r.Errorf("%+v", st)
		}
		if _, err := r.Session(ctx, session); err == nil {
			r.Error("a session survived")
		}
		done := r.told(account.ResetCompleted)
		if len(done) != 1 || done[0].By != account.BySelf || done[0].Took < 0 {
			r.Errorf("%+v", done)
		}
		cleared := r.told(account.LockCleared)
		if len(cleared) != 1 || cleared[0].By != account.ByReset {
			r.Errorf("%+v", cleared)
		}
		ended := r.told(account.SessionEnded)
		if len(ended) != 1 || ended[0].Reason != account.ResetDone {
			r.Errorf("%+v", ended)
		}
		if n, _ := r.SessionsActive(ctx); n != 0 {
			r.Errorf("%d sessions: a reset makes none", n)
		}
	})
}

func TestResetOfAnAccountThatNeverSignedIn(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		r.reset(id, "new")
		if _, err := r.Session(context.Background(), r.signIn(id)); err != nil {
			r.Error(err)
		}
	})
}

func TestALinkIsOneAccounts(t *testing.T) {
	onBoth(t, func(r *rig) {
		link := r.ask(r.person("ann"))
		fate, err := r.Redeem(context.Background(), r.holding(r.person("bob"), link), flows.Progress{Hash: "planted"})
		if err != nil || fate != account.Unknown || r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'planted'") != 0 {
			r.Error(fate, err)
		}
	})
}

func TestCancelEndsTheLink(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		link := r.ask(id)
		var cancel []byte
		r.ok(r.Scan("SELECT cancel_hash FROM resets WHERE subject = $1", &cancel, string(id)))
		for i, want := range []bool{true, false} {
			if was, err := r.CancelReset(ctx, cancel, ""); was != want || err != nil {
				r.Errorf("%d: %v %v", i, was, err)
			}
		}
		if got := r.fate(link); got != account.Unknown {
			r.Error(got)
		}
		if fate, err := r.Redeem(ctx, r.holding(id, link), flows.Progress{Hash: "planted"}); fate != account.Unknown || err != nil {
			r.Error(fate, err)
		}
		if got := r.fate(r.ask(id)); got != account.Valid {
			r.Errorf("a new one: %s", got)
		}
	})
}

// Five hundred at once save a password with one link: one of them does.
func TestOneLinkManyRedeem(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		f := r.holding(id, r.ask(id))
		var valid, used atomic.Int64
		var wg sync.WaitGroup
		for n := range 500 {
			wg.Go(func() {
				fate, err := r.Redeem(context.Background(), f, flows.Progress{Hash: fmt.Sprint("new", n)})
				if err != nil {
					r.Error(err)
				}
				switch fate {
				case account.Valid:
					valid.Add(1)
				case account.Used:
					used.Add(1)
				}
			})
		}
		wg.Wait()
		if valid.Load() != 1 || used.Load() != 499 {
			r.Errorf("%d valid, %d used", valid.Load(), used.Load())
		}
		if n := r.count("SELECT version FROM people"); n != 2 {
			r.Errorf("version %d", n)
		}
	})
}

// A request and a redemption at the same instant: one comes first. The old
// link works or is superseded, never both, and the new one always works.
func TestAskAgainstRedeem(t *testing.T) {
	rounds := 500
	if full() {
		rounds = 10_000
	}
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		fates := map[account.Reason]int{}
		for n := range rounds {
			id := r.person(fmt.Sprint("p", n))
			old := r.ask(id)
			f := r.holding(id, old)
			var fate account.Reason
			var wg sync.WaitGroup
			wg.Go(func() {
				var err error
				if fate, err = r.Redeem(ctx, f, flows.Progress{Hash: "new"}); err != nil {
					r.Error(err)
				}
			})
			wg.Go(func() {
				if err := r.AskReset(ctx, flows.ResetAsk{Subject: string(id)}); err != nil {
					r.Error(err)
				}
			})
			wg.Wait()
			fates[fate]++
			changed := r.count("SELECT COUNT(*) FROM people WHERE id = $1 AND password_hash = 'new'", string(id))
			if (fate == account.Valid) != (changed == 1) || fate != account.Valid && fate != account.Superseded {
				r.Fatalf("round %d: %s, changed %d", n, fate, changed)
			}
			if again, err := r.Redeem(ctx, f, flows.Progress{Hash: "planted"}); again == account.Valid || err != nil {
				r.Fatalf("round %d: the old link again: %s %v", n, again, err)
			}
			if got := r.fate(r.newest(id)); got != account.Valid {
				r.Fatalf("round %d: the new link: %s", n, got)
			}
		}
		r.Log(fates)
	})
}

// N49 (CVE-2026-26060): whoever changed the password need not fear an older
// link, wherever that one has got to.
func TestAPasswordChangeEndsTheLink(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		id := r.person("ann")
		link := r.ask(id)
		opened := r.holding(id, link)
		f := r.login("mine")
		f.Account = id
		r.ok(r.Advance(ctx, f, progress(r.charge(attempt(id)))))
		r.ok(r.Finish(ctx, f, flows.Progress{Hash: "chosen"}, newSession()))
		if got := r.fate(link); got == account.Valid {
			r.Error("the link outlived the change")
		}
		if fate, err := r.Redeem(ctx, opened, flows.Progress{Hash: "planted"}); fate == account.Valid || err != nil {
			r.Errorf("redeemed: %s %v", fate, err)
		}
		if r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'chosen'") != 1 {
			r.Error("not the password that was chosen")
		}
	})
}

// N57: a disabled account gets no new password, not by a link from before, and
// not by one whose making raced with the disabling.
func TestDisablingEndsTheLink(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(*rig, account.ID)
		good bool // a link asked for afterwards
	}{
		{"disabled", func(*rig, account.ID) {}, false},
		{"enabled again", func(r *rig, id account.ID) {
			r.ok(r.SetDisabled(context.Background(), id, false, "op"))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				ctx := context.Background()
				id := r.person("ann")
				link := r.ask(id)
				opened := r.holding(id, link)
				r.ok(r.SetDisabled(ctx, id, true, "op"))
				c.then(r, id)
				if got := r.fate(link); got == account.Valid {
					r.Error("the link from before opens")
				}
				if fate, err := r.Redeem(ctx, opened, flows.Progress{Hash: "planted"}); fate == account.Valid || err != nil {
					r.Errorf("the link from before: %s %v", fate, err)
				}
				fate, err := r.Redeem(ctx, r.holding(id, r.ask(id)), flows.Progress{Hash: "new"})
				if err != nil || c.good != (fate == account.Valid) {
					r.Errorf("a link from after: %s %v", fate, err)
				}
				if r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'planted'") != 0 {
					r.Error("the password was changed")
				}
			})
		})
	}
}
