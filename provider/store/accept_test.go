package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

func TestWhoAcceptsBelongs(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		main, err := r.AddLocation(ctx, owner, "Main Street")
		r.ok(err)
		gone, err := r.AddLocation(ctx, owner, "Harbor")
		r.ok(err)
		came, err := r.Invite(ctx, admin, store.Invite{Email: guest, Role: account.Billing, Locations: []string{main, gone}})
		if err != nil || came != account.Sent {
			r.Fatal(came, err)
		}
		_, err = r.RemoveLocation(ctx, owner, gone)
		r.ok(err)
		link := r.invited(guest)
		for range 20 { // a mail scanner
			i, err := r.OpenInvitation(ctx, link, "")
			r.ok(err)
			if i.Fate != account.Valid || i.Email != guest || i.PracticeName != "Practice of acme" || i.Role != account.Billing {
				r.Fatalf("%+v", i)
			}
		}
		f := r.joining(link)
		r.Move(time.Hour)
		if fate, err := r.Accept(ctx, f, flows.Progress{Hash: "h", Name: "Zoë Guest", Short: true}); fate != account.Valid || err != nil {
			r.Fatal(fate, err)
		}
		e, err := store.People{Store: r.Store}.Lookup(ctx, directory.ByEmail, guest)
		r.ok(err)
		if e.Practice != "acme" || e.Role != "billing" || e.Username != guest || !e.EmailVerified || e.Name != "Zoë Guest" ||
			e.Locale != "ko" || e.Handle != "h" || !e.ShortPassword || e.MustChange || e.Disabled || fmt.Sprint(e.Claims["locations"]) != "[Main Street]" {
			r.Errorf("%+v", e)
		}
		m, err := r.Member(ctx, "acme", e.ID)
		r.ok(err)
		if !slices.Equal(m.Locations, []string{main}) {
			r.Errorf("works at %q", m.Locations)
		}
		if n, _ := r.SessionsActive(ctx); n != 0 {
			r.Errorf("%d sessions: an invitation makes none", n)
		}
		done := r.told(account.InviteAccepted)
		if len(done) != 1 || done[0].Subject != string(e.ID) || done[0].Actor != "admin-acme" || done[0].Practice != "acme" || done[0].Took < time.Hour {
			r.Errorf("%+v", done)
		}
		for _, k := range []account.Kind{account.Invited, account.InviteOpened, account.InviteAccepted, account.AccountAdded} {
			if s := fmt.Sprintf("%+v", r.told(k)); strings.Contains(s, "guest") || strings.Contains(s, "Zo") {
				r.Errorf("an address or a name is in the trail: %s", s)
			}
		}
		if all, _ := r.PendingInvites(ctx, "acme"); len(all) != 0 {
			r.Errorf("still pending: %+v", all)
		}
	})
}

func TestAnInvitationLives72Hours(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		want  account.Reason
	}{
		{"71:59:59", account.InviteFor - time.Second, account.Valid},
		{"72:00:00", account.InviteFor, account.Expired},
		{"72:00:01", account.InviteFor + time.Second, account.Expired},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				r.team()
				link := r.invite(guest)
				all, err := r.PendingInvites(context.Background(), "acme")
				r.ok(err)
				if got := all[0].Expires.Sub(all[0].SentAt); got != 72*time.Hour {
					r.Errorf("it is said to live %s", got)
				}
				r.Move(c.after - r.Now().Sub(all[0].SentAt)) // to the microsecond, or a little later
				if c.want == account.Valid {
					r.Move(-100 * time.Millisecond)
				}
				if got := r.worth(link); got != c.want {
					r.Errorf("opened: %s", got)
				}
				if got := r.accept(link); got != c.want {
					r.Errorf("accepted: %s", got)
				}
			})
		})
	}
}

func TestOneInvitationMakesOnePerson(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		link := r.invite(guest)
		var all []*flows.Flow
		for range 100 { // as many browsers, or tabs, or clicks
			all = append(all, r.joining(link))
		}
		fates := make(chan account.Reason, len(all))
		var wg sync.WaitGroup
		for _, f := range all {
			wg.Go(func() {
				fate, err := r.Accept(context.Background(), f, chosen)
				if err != nil {
					t.Error(err)
				}
				fates <- fate
			})
		}
		wg.Wait()
		close(fates)
		n := map[account.Reason]int{}
		for f := range fates {
			n[f]++
		}
		if n[account.Valid] != 1 || n[account.Used] != 99 {
			r.Error(n)
		}
		if got := r.count("SELECT COUNT(*) FROM people WHERE name = 'Zoë Guest'"); got != 1 {
			r.Errorf("%d people", got)
		}
	})
}

func TestAcceptingAgainstWithdrawingAndResending(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		for i := range 20 {
			email := fmt.Sprintf("guest%d@guest.example", i)
			f := r.joining(r.invite(email))
			id := r.pendingTo(email)
			var fate, came account.Reason
			var was bool
			var wg sync.WaitGroup
			try := func(do func() error) {
				wg.Go(func() {
					if err := do(); err != nil {
						t.Error(err)
					}
				})
			}
			try(func() (err error) { fate, err = r.Accept(ctx, f, chosen); return err })
			if i%2 == 0 {
				try(func() (err error) { was, err = r.WithdrawInvite(ctx, owner, id); return err })
			} else {
				try(func() (err error) { came, err = r.Resend(ctx, owner, id, ""); return err })
			}
			wg.Wait()
			people := r.count("SELECT COUNT(*) FROM people WHERE email = $1", email)
			joined := fate == account.Valid
			if joined != (people == 1) || joined == (was || came == account.Sent) || !joined && fate != account.Withdrawn && fate != account.Superseded {
				r.Errorf("%d: fate %s, withdrawn %v, sent again %q, %d people", i, fate, was, came, people)
			}
		}
	})
}

func TestAnAddressThatIsTakenMeanwhile(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		link := r.invite(guest)
		f := r.joining(link)
		_, err := r.AddPerson(ctx, store.NewPerson{ID: "zoe", Username: "zoe", Email: guest, Hash: "hers"}, "test")
		r.ok(err)
		if got := r.worth(link); got != account.Taken {
			r.Errorf("opened: %s", got)
		}
		for range 2 {
			if fate, err := r.Accept(ctx, f, chosen); fate != account.Taken || err != nil {
				r.Errorf("%s %v", fate, err)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM people WHERE email = $1", guest); n != 1 || len(r.told(account.InviteAccepted)) != 0 {
			r.Errorf("%d people", n)
		}
		if n := r.count("SELECT COUNT(*) FROM people WHERE password_hash = 'hers'"); n != 1 {
			r.Error("the account has another password")
		}
	})
}

func TestTwoPracticesInviteOnePerson(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		ours := r.joining(r.invite(guest))
		came, err := r.Invite(ctx, by("owner-zenith", "zenith"), store.Invite{Email: guest, Role: account.Billing})
		if err != nil || came != account.Sent {
			r.Fatal(came, err)
		}
		var hash []byte
		r.ok(r.Scan("SELECT token_hash FROM invitations WHERE practice = 'zenith' AND key = $1", &hash, guest))
		crossed := r.joining(hash) // the other's link in a flow of ours
		theirs := *crossed
		theirs.Practice = "zenith"
		if fate, err := r.Accept(ctx, crossed, chosen); fate != account.Unknown || err != nil {
			r.Errorf("crossed: %s %v", fate, err)
		}
		var wg sync.WaitGroup
		fates := [2]account.Reason{}
		for i, f := range []*flows.Flow{ours, &theirs} {
			wg.Go(func() {
				var err error
				if fates[i], err = r.Accept(ctx, f, chosen); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.Sort(fates[:])
		if fates != [2]account.Reason{account.Taken, account.Valid} {
			r.Error(fates)
		}
	})
}

func TestAcceptingNeedsAllOfIt(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		link := r.invite(guest)
		for name, p := range map[string]flows.Progress{"no name": {Hash: "h"}, "no password": {Name: "Zoë"}} {
			if fate, err := r.Accept(context.Background(), r.joining(link), p); err == nil {
				r.Errorf("%s: %s", name, fate)
			}
		}
		f := r.joining(link)
		f.Practice = ""
		if fate, err := r.Accept(context.Background(), f, chosen); err == nil {
			r.Errorf("no practice: %s", fate)
		}
		if fate, err := r.Accept(context.Background(), r.joining(nil), chosen); err == nil {
			r.Errorf("no link: %s", fate)
		}
	})
}
