package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

const guest = "zoe@guest.example"

// invite invites by the owner of acme and returns the hash of the link, which
// is in the mail alone.
func (r *rig) invite(email string) (hash []byte) {
	r.Helper()
	came, err := r.Invite(context.Background(), owner, store.Invite{Email: email, Role: account.FrontDesk})
	if err != nil || came != account.Sent {
		r.Fatal(came, err)
	}
	return r.invited(email)
}

func (r *rig) invited(email string) (hash []byte) {
	r.Helper()
	r.ok(r.Scan("SELECT token_hash FROM invitations WHERE practice = 'acme' AND key = $1", &hash, email))
	return hash
}

// pendingTo returns the ID of acme's pending invitation to an address.
func (r *rig) pendingTo(email string) string {
	r.Helper()
	all, err := r.PendingInvites(context.Background(), "acme")
	r.ok(err)
	for _, i := range all {
		if i.Email == email {
			return i.ID
		}
	}
	r.Fatalf("no pending invitation to %s", email)
	return ""
}

// joining begins a flow that holds an invitation.
func (r *rig) joining(link []byte) *flows.Flow {
	r.Helper()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Invite, Browser: []byte("theirs"), Practice: "acme", Link: link,
		Request: flows.Request{Locales: "ko"}, Started: r.Now(), Expires: r.Now().Add(flows.InviteFor)}
	r.ok(r.Begin(context.Background(), f))
	return f
}

var chosen = flows.Progress{Hash: "their hash", Name: "Zoë Guest"}

func (r *rig) accept(link []byte) account.Reason {
	r.Helper()
	fate, err := r.Accept(context.Background(), r.joining(link), chosen)
	r.ok(err)
	return fate
}

func (r *rig) worth(link []byte) account.Reason {
	r.Helper()
	i, err := r.OpenInvitation(context.Background(), link, "")
	r.ok(err)
	return i.Fate
}

// Whoever accepts is a person of the practice, with what the invitation gave
// and what they chose, and nothing else.
// N65: to the second; what was late elsewhere was so by minutes.
func TestOnlyTheNewestInvitationWorks(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		first := r.invite(guest)
		f := r.joining(first) // opened while it was good
		r.Move(time.Minute)
		if came, err := r.Resend(ctx, owner, r.pendingTo(guest), ""); came != account.Sent || err != nil {
			r.Fatal(came, err)
		}
		second := r.invited(guest)
		r.Move(time.Minute)
		third := r.invite(guest)
		if n := r.count("SELECT COUNT(*) FROM invitations"); n != 1 {
			r.Errorf("%d invitations to one address", n)
		}
		i, err := r.OpenInvitation(ctx, first, "")
		r.ok(err)
		if i.Fate != account.Superseded || i.NewerAt.IsZero() {
			r.Errorf("the first: %+v", i)
		}
		if fate, err := r.Accept(ctx, f, chosen); fate != account.Superseded || err != nil {
			r.Errorf("the first: %s %v", fate, err)
		}
		for _, c := range []struct {
			name string
			link []byte
			want account.Reason
		}{{"the second", second, account.Superseded}, {"the third", third, account.Valid}, {"the third again", third, account.Used},
			{"the first, in the end", first, account.Superseded}, {"a guess", []byte("guessed"), account.Unknown}} {
			if got := r.accept(c.link); got != c.want {
				r.Errorf("%s: %s", c.name, got)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM people WHERE name = 'Zoë Guest'"); n != 1 {
			r.Errorf("%d people", n)
		}
	})
}

// An expired invitation is sent again, and lives for 72 hours more; one that was
// withdrawn begins anew.
func TestAnInvitationMayBeginAnew(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		r.invite(guest)
		r.Move(80 * time.Hour)
		id := r.pendingTo(guest)
		if came, err := r.Resend(ctx, admin, id, ""); came != account.Sent || err != nil {
			r.Fatal(came, err)
		}
		r.Move(71 * time.Hour)
		link := r.invited(guest)
		if got := r.worth(link); got != account.Valid {
			r.Error(got)
		}
		if was, err := r.WithdrawInvite(ctx, admin, id); !was || err != nil {
			r.Error(was, err)
		}
		if was, err := r.WithdrawInvite(ctx, admin, id); was || err != nil {
			r.Error("withdrawn twice", err)
		}
		if got := r.accept(link); got != account.Withdrawn {
			r.Error(got)
		}
		if came, err := r.Resend(ctx, owner, id, ""); came != account.Unknown || err != nil {
			r.Errorf("what was withdrawn was sent again: %s %v", came, err)
		}
		again := r.invite(guest)
		if got := r.worth(link); got != account.Superseded {
			r.Error(got)
		}
		if got := r.accept(again); got != account.Valid {
			r.Error(got)
		}
		if n := len(r.told(account.InviteWithdrawn)); n != 1 {
			r.Errorf("told %d times", n)
		}
	})
}

// A hundred answers to one link, at once, make one person.
// Of accepting, withdrawing and sending again, at once, one comes first: there
// is a person exactly if accepting did, and then the others found nothing.
// What anybody may do is what account.Role says, in their own practice alone,
// and while they are of it: for sending, sending again and withdrawing.
func TestWhoMayInvite(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		_, err := r.AddPerson(ctx, store.NewPerson{ID: "support-acme", Practice: "acme", Role: "support", Username: "sam", Email: "sam@example.com"}, "test")
		r.ok(err)
		n := 0
		for _, actor := range account.Roles {
			for _, given := range append([]account.Role{"", "root"}, account.Roles...) {
				n++
				email := fmt.Sprintf("guest%d@guest.example", n)
				came, err := r.Invite(ctx, by(account.ID(string(actor)+"-acme"), "acme"), store.Invite{Email: email, Role: given})
				if may := actor.MayGive(given); may != (err == nil && came == account.Sent) || !may && !errors.Is(err, store.ErrNotAllowed) {
					r.Errorf("%s gives %q: %s %v", actor, given, came, err)
				}
			}
		}
		if _, err := r.Invite(ctx, owner, store.Invite{Email: "boss@guest.example", Role: account.Admin}); err != nil {
			r.Fatal(err)
		}
		r.invite(guest)
		before := r.invited(guest)
		strangers := map[string]store.Acting{"another practice's owner": by("owner-zenith", "zenith"), "the front desk": by("front_desk-acme", "acme"),
			"somebody else's name for it": by("owner-zenith", "acme"), "nobody": by("nobody", "acme")}
		for name, by := range strangers {
			came, err := r.Resend(ctx, by, r.pendingTo(guest), "")
			was, err2 := r.WithdrawInvite(ctx, by, r.pendingTo(guest))
			if came == account.Sent || was || err == nil && came != account.Unknown || err2 != nil && !errors.Is(err2, store.ErrNotAllowed) {
				r.Errorf("%s: %s %v, %v %v", name, came, err, was, err2)
			}
		}
		if string(r.invited(guest)) != string(before) {
			r.Error("a stranger changed the link")
		}
		boss := r.pendingTo("boss@guest.example")
		if _, err := r.Resend(ctx, admin, boss, ""); !errors.Is(err, store.ErrNotAllowed) {
			r.Errorf("an admin sends an admin's invitation again: %v", err)
		}
		if _, err := r.WithdrawInvite(ctx, admin, boss); !errors.Is(err, store.ErrNotAllowed) {
			r.Errorf("an admin withdraws an admin's invitation: %v", err)
		}
		if _, err := r.Invite(ctx, admin, store.Invite{Email: "boss@guest.example", Role: account.Billing}); !errors.Is(err, store.ErrNotAllowed) {
			r.Errorf("an admin turns an admin's invitation into another: %v", err)
		}
		r.ok(r.SetDisabled(ctx, "owner-acme", true, "test"))
		if _, err := r.Invite(ctx, owner, store.Invite{Email: "x@guest.example", Role: account.Billing}); !errors.Is(err, store.ErrNotAllowed) {
			r.Errorf("a stopped owner invites: %v", err)
		}
	})
}

func TestOnlyOwnLocationsAreOffered(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		theirs, err := r.AddLocation(ctx, by("owner-zenith", "zenith"), "Far Street")
		r.ok(err)
		for _, id := range []string{theirs, "", "nowhere"} {
			_, err := r.Invite(ctx, owner, store.Invite{Email: guest, Role: account.Billing, Locations: []string{id}})
			if !errors.Is(err, store.ErrNotAllowed) {
				r.Errorf("%q: %v", id, err)
			}
		}
		if n := r.count("SELECT COUNT(*) FROM invitations"); n != 0 {
			r.Errorf("%d invitations", n)
		}
	})
}

func TestThreeInvitationsAnHour(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		for range 3 {
			r.invite(guest)
			r.Move(10 * time.Minute)
		}
		third := r.invited(guest)
		for range 5 {
			came, err := r.Invite(ctx, owner, store.Invite{Email: guest, Role: account.Billing})
			if came != account.RateLimited || err != nil {
				r.Errorf("%s %v", came, err)
			}
			if came, err = r.Resend(ctx, admin, r.pendingTo(guest), ""); came != account.RateLimited || err != nil {
				r.Errorf("%s %v", came, err)
			}
		}
		// To withdraw it and begin anew is no way around.
		if got := r.worth(third); got != account.Valid {
			r.Errorf("the newest mail's link: %s", got)
		}
		_, err := r.WithdrawInvite(ctx, owner, r.pendingTo(guest))
		r.ok(err)
		if came, err := r.Invite(ctx, owner, store.Invite{Email: guest, Role: account.Billing}); came != account.RateLimited || err != nil {
			r.Errorf("after withdrawing: %s %v", came, err)
		}
		r.Move(30 * time.Minute) // an hour after the first
		r.invite(guest)
		came, err := r.Invite(ctx, by("owner-zenith", "zenith"), store.Invite{Email: guest, Role: account.Billing})
		if came != account.Sent || err != nil {
			r.Errorf("another practice: %s %v", came, err)
		}
	})
}

// A practice sends so many in 24 hours, and no more if it asks for all at once.
func TestAPracticeSendsSoManyInvitationsADay(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		var mu sync.Mutex
		n := map[account.Reason]int{}
		var wg sync.WaitGroup
		for worker := range 5 {
			wg.Go(func() {
				for i := range account.InvitesPerDay/5 + 4 {
					email := fmt.Sprintf("guest%d-%d@guest.example", worker, i)
					came, err := r.Invite(ctx, owner, store.Invite{Email: email, Role: account.Billing})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					n[came]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if n[account.Sent] != account.InvitesPerDay || n[account.Capped] != 20 {
			r.Error(n)
		}
		if came, err := r.Invite(ctx, by("owner-zenith", "zenith"), store.Invite{Email: guest, Role: account.Billing}); came != account.Sent || err != nil {
			r.Errorf("another practice: %s %v", came, err)
		}
		r.Move(24*time.Hour + time.Second)
		r.invite(guest)
	})
}

// Who has an account, in whatever practice, by address or username, stopped or
// not, costs the same statements, stands in the same list, and gets no link.
func TestInvitingWhoHasAnAccountLooksAlike(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		_, err := r.AddPerson(ctx, store.NewPerson{ID: "named", Username: "named@guest.example", Email: "other@guest.example"}, "test")
		r.ok(err)
		r.ok(r.SetDisabled(ctx, "billing-zenith", true, "test"))
		want := ""
		for _, email := range []string{guest, "owner-zenith@example.com", "admin-acme@example.com", "billing-zenith@example.com", "named@guest.example"} {
			r.asked()
			r.invite(email)
			got := fmt.Sprint(r.asked())
			if want == "" {
				want = got
			}
			if got != want {
				r.Errorf("%s: %s, want %s", email, got, want)
			}
			if email == guest {
				continue
			}
			if got := r.worth(r.invited(email)); got != account.Unknown {
				r.Errorf("the link to %s is %s", email, got)
			}
			if got := r.accept(r.invited(email)); got != account.Unknown {
				r.Errorf("the link to %s makes an account: %s", email, got)
			}
		}
		all, err := r.PendingInvites(ctx, "acme")
		r.ok(err)
		if len(all) != 5 {
			r.Errorf("%+v", all)
		}
	})
}

// An address that became somebody's after the invitation was sent makes no
// second account, and the link is not used up by trying.
// Two practices invite the same person: one of them gets them.
// Nothing is accepted without a name, a password, a link and a practice.
// Thirty days after its time an invitation is forgotten, with its links.
func TestInvitationsAreSwept(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		first := r.invite(guest)
		r.Move(33*24*time.Hour - time.Minute)
		r.ok(r.Sweep(ctx))
		if got := r.worth(first); got != account.Expired {
			r.Errorf("before: %s", got)
		}
		r.Move(2 * time.Minute)
		r.ok(r.Sweep(ctx))
		if got := r.worth(first); got != account.Unknown {
			r.Errorf("after: %s", got)
		}
		if n := r.count("SELECT COUNT(*) FROM invitation_links"); n != 0 {
			r.Errorf("%d links", n)
		}
	})
}

// A mail that waited arrives only if its link is the newest, and good.
func TestOnlyTheNewestInvitationIsMailed(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.team()
		r.invite(guest)
		r.invite(guest)
		newest := r.invited(guest)
		r.invite("gone@guest.example")
		_, err := r.WithdrawInvite(ctx, owner, r.pendingTo("gone@guest.example"))
		r.ok(err)
		r.invite("owner-zenith@example.com")
		got := make(chan store.Mail, 10)
		stop, err := r.Work(ctx, store.Workers{SendMail: func(_ context.Context, m store.Mail) error { got <- m; return nil }})
		r.ok(err)
		r.until("none waiting", func() bool { return r.count("SELECT COUNT(*) FROM mails WHERE state = 'queued'") == 0 })
		r.ok(stop(ctx))
		close(got)
		var sent []string
		for m := range got {
			sent = append(sent, m.Template+" "+fmt.Sprint(m.Data["to"]))
			token, _ := m.Data["token"].(string)
			if m.Template == "invite" && string(account.HashSecret(token)) != string(newest) || m.Template != "invite" && token != "" {
				r.Errorf("not the newest link, or one for who has an account: %+v", m)
			}
		}
		slices.Sort(sent)
		if want := []string{"invite " + guest, "invited_known <nil>"}; !slices.Equal(sent, want) {
			r.Errorf("sent %q", sent)
		}
	})
}

// An invitation that could not be mailed is counted, and kept for an operator to
// have it tried again: as long as it would lead somewhere.
func TestAnInvitationThatCannotBeMailed(t *testing.T) {
	for _, c := range []struct {
		name string
		late time.Duration
		ends string
	}{{"tried again in time", time.Hour, "sent"}, {"tried again too late", account.InviteFor, "dropped"}} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				r.team()
				r.invite(guest)
				var up atomic.Bool
				box := &inbox{fail: func(store.Mail) error {
					if up.Load() {
						return nil
					}
					return refusal{}
				}}
				r.work(store.Workers{SendMail: box.send})
				r.until("dead", func() bool { return r.mails("dead", true) == 1 })
				if told := r.told(account.Invited); len(told) != 2 || told[1].Reason != account.MailError || told[1].Subject != r.pendingTo(guest) {
					r.Errorf("%+v", told)
				}
				up.Store(true)
				r.Move(c.late)
				if n, err := r.RetryMails(context.Background()); n != 1 || err != nil {
					r.Fatalf("retried %d, %v", n, err)
				}
				r.until(c.ends, func() bool { return r.mails(c.ends, false) == 1 })
			})
		})
	}
}
