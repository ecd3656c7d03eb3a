package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// session signs somebody in.
func (r *rig) session(id account.ID) *store.Session {
	r.Helper()
	s, err := r.Session(context.Background(), r.signIn(id))
	r.ok(err)
	return s
}

// links are the hashes of what a change of address was mailed with.
type links struct{ old, new, cancel []byte }

// change asks for another address.
func (r *rig) change(by *store.Session, email string) (l links) {
	r.Helper()
	r.ok(r.AskEmail(context.Background(), by, email, ""))
	for column, to := range map[string]*[]byte{"old_hash": &l.old, "new_hash": &l.new, "cancel_hash": &l.cancel} {
		r.ok(r.Scan("SELECT "+column+" FROM email_changes WHERE account = $1", to, string(by.Account)))
	}
	return l
}

// confirm opens one link, and says what came of it in one word.
func (r *rig) confirm(link []byte) string {
	r.Helper()
	_, shown := r.EmailLink(context.Background(), link)
	done, wait, err := r.ConfirmEmail(context.Background(), link, "")
	switch {
	case errors.Is(err, store.ErrGone):
		return "gone"
	case err != nil:
		r.Fatal(err)
	case shown != nil:
		r.Errorf("confirmed, though its page said %v", shown)
	case done:
		return "done"
	}
	return wait
}

func (r *rig) lookup(by directory.By, value string) *directory.Entry {
	r.Helper()
	e, err := store.People{Store: r.Store}.Lookup(context.Background(), by, value)
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	r.ok(err)
	return e
}

func (r *rig) pending(id account.ID) string {
	r.Helper()
	email, err := r.PendingEmail(context.Background(), id)
	r.ok(err)
	return email
}

func TestEmailNeedsBothAddresses(t *testing.T) {
	for _, c := range []struct {
		name  string
		order func(links) [2][]byte
		wait  string
	}{
		{"the old one first", func(l links) [2][]byte { return [2][]byte{l.old, l.new} }, "ann@new.example"},
		{"the new one first", func(l links) [2][]byte { return [2][]byte{l.new, l.old} }, "ann@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				id := r.person("ann")
				by := r.session(id)
				order := c.order(r.change(by, "ann@new.example"))
				reset := r.ask(id)
				if got := r.confirm(order[0]); got != c.wait {
					r.Errorf("the first waits for %q", got)
				}
				if got := r.confirm(order[0]); got != "gone" {
					r.Errorf("the first again: %q", got)
				}
				if e := r.lookup(directory.ByID, string(id)); e.Email != "ann@example.com" || r.pending(id) != "ann@new.example" {
					r.Errorf("changed by one: %+v", e)
				}
				if got := r.confirm(order[1]); got != "done" {
					r.Errorf("the second: %q", got)
				}
				if got := r.confirm(order[1]); got != "gone" {
					r.Errorf("the second again: %q", got)
				}
				e := r.lookup(directory.ByEmail, "ann@new.example")
				if e == nil || e.ID != id || e.Email != "ann@new.example" || !e.EmailVerified || e.Username != "ann" {
					r.Errorf("%+v", e)
				}
				if r.lookup(directory.ByIdentifier, "ann@example.com") != nil {
					r.Error("the old address still names somebody")
				}
				if r.pending(id) != "" || len(r.told(account.EmailChanged)) != 1 || len(r.told(account.EmailCancelled)) != 0 {
					r.Error("not over, or told otherwise")
				}
				if got := r.fate(reset); got == account.Valid {
					r.Error("a reset link in the old mailbox still works")
				}
				if _, err := r.Sessions(context.Background(), id); err != nil {
					r.Error(err)
				}
			})
		})
	}
}

func TestEmailLinksLiveSixtyMinutes(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		live  bool
	}{
		{"59:59", account.LinkFor - time.Second, true},
		{"60:00", account.LinkFor, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				ctx := context.Background()
				id := r.person("ann")
				l := r.change(r.session(id), "ann@new.example")
				asked := time.UnixMicro(int64(r.count("SELECT asked_at FROM email_changes")))
				r.Move(c.after - r.Now().Sub(asked)) // to the microsecond, or a little later
				if live := r.pending(id) != ""; live != c.live {
					r.Errorf("pending: %v", live)
				}
				for _, link := range [][]byte{l.old, l.new, l.cancel} {
					if _, err := r.EmailLink(ctx, link); (err == nil) != c.live {
						r.Error(err)
					}
				}
				if got := r.confirm(l.old); (got != "gone") != c.live {
					r.Errorf("confirmed: %q", got)
				}
				if was, err := r.CancelEmail(ctx, l.cancel, ""); was != c.live || err != nil {
					r.Errorf("cancelled: %v %v", was, err)
				}
			})
		})
	}
}

func TestEmailCancelled(t *testing.T) {
	for _, c := range []struct {
		name   string
		cancel func(*rig, *store.Session, links) (bool, error)
	}{
		{"from the old address", func(r *rig, _ *store.Session, l links) (bool, error) {
			return r.CancelEmail(context.Background(), l.cancel, "192.0.2.1")
		}},
		{"given up", func(r *rig, by *store.Session, _ links) (bool, error) {
			return r.WithdrawEmail(context.Background(), by, "192.0.2.1")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				by := r.session(r.person("ann"))
				l := r.change(by, "ann@new.example")
				r.confirm(l.old)
				for i, want := range []bool{true, false} {
					if was, err := c.cancel(r, by, l); was != want || err != nil {
						r.Errorf("%d: %v %v", i, was, err)
					}
				}
				if got := r.confirm(l.new); got != "gone" {
					r.Error(got)
				}
				if e := r.told(account.EmailCancelled); len(e) != 1 || e[0].Subject != "id-ann" || e[0].Source != "192.0.2.1" {
					r.Errorf("%+v", e)
				}
			})
		})
	}
}

// No link does what another one is for.
func TestEmailLinksAreNotInterchangeable(t *testing.T) {
	onBoth(t, func(r *rig) {
		l := r.change(r.session(r.person("ann")), "ann@new.example")
		if got := r.confirm(l.cancel); got != "gone" {
			r.Errorf("the cancel link confirms: %q", got)
		}
		for _, link := range [][]byte{l.old, l.new, account.HashSecret("")} {
			if was, err := r.CancelEmail(context.Background(), link, ""); was || err != nil {
				r.Error(was, err)
			}
		}
	})
}

func TestEmailNewerSupersedes(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		by := r.session(id)
		first := r.change(by, "first@new.example")
		r.confirm(first.old)
		second := r.change(by, "second@new.example")
		for _, link := range [][]byte{first.old, first.new} {
			if got := r.confirm(link); got != "gone" {
				r.Errorf("the first: %q", got)
			}
		}
		if was, err := r.CancelEmail(context.Background(), first.cancel, ""); was || err != nil {
			r.Error("the first's cancel link:", was, err)
		}
		if got := r.confirm(second.new); got != "ann@example.com" {
			r.Errorf("the old address agreed to the first only, yet: %q", got)
		}
		if got := r.confirm(second.old); got != "done" || r.lookup(directory.ByID, string(id)).Email != "second@new.example" {
			r.Error(got)
		}
	})
}

func TestEmailThreeAnHour(t *testing.T) {
	onBoth(t, func(r *rig) {
		by := r.session(r.person("ann"))
		var third links
		for n := range 3 {
			third = r.change(by, fmt.Sprintf("%d@new.example", n))
			r.Move(10 * time.Minute)
		}
		mails := r.count("SELECT COUNT(*) FROM mails")
		if got := r.change(by, "fourth@new.example"); !cmp.Equal(got, third, cmp.AllowUnexported(links{})) {
			r.Error("the fourth changed something")
		}
		if n := r.count("SELECT COUNT(*) FROM mails"); mails != 6 || n != 6 {
			r.Errorf("%d mails, then %d", mails, n)
		}
		if got := r.pending("id-ann"); got != "2@new.example" {
			r.Error(got)
		}
		r.Move(30*time.Minute - 10*time.Second) // nearly an hour after the first
		r.change(by, "early@new.example")
		if got := r.pending("id-ann"); got != "2@new.example" {
			r.Error("before the hour:", got)
		}
		r.Move(10 * time.Second)
		r.change(by, "fourth@new.example")
		if got := r.pending("id-ann"); got != "fourth@new.example" {
			r.Error("after the hour:", got)
		}
		reasons := map[account.Reason]int{}
		for _, e := range r.told(account.EmailAsked) {
			reasons[e.Reason]++
		}
		if reasons[""] != 4 || reasons[account.RateLimited] != 2 {
			r.Error(reasons)
		}
	})
}

// Somebody else's address, or username, costs what a free one does. Nobody gets
// the link to it, and it says nothing.
func TestEmailOfSomebodyElse(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.person("bob")
		by := r.session(r.person("ann"))
		r.asked()
		r.change(by, "free@new.example")
		free := fmt.Sprint(r.asked())
		l := r.change(by, "bob@example.com")
		if taken := fmt.Sprint(r.asked()); taken != free {
			r.Errorf("%s and %s", free, taken)
		}
		if got := r.confirm(l.old); got != "bob@example.com" {
			r.Error(got)
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE template = 'email_confirm_new' AND subject = 'id-ann'"); n != 1 {
			r.Errorf("%d mails to new addresses", n)
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE template = 'email_confirm_old' AND subject = 'id-ann'"); n != 2 {
			r.Errorf("%d mails to the old address", n)
		}
		// Even with a link that was never mailed.
		if got := r.confirm(l.new); got != "gone" || r.pending("id-ann") != "" {
			r.Error("it was made:", got)
		}
	})
}

func TestEmailTakenMeanwhile(t *testing.T) {
	onBoth(t, func(r *rig) {
		by := r.session(r.person("ann"))
		l := r.change(by, "bob@example.com")
		r.confirm(l.new)
		r.person("bob")
		if got := r.confirm(l.old); got != "gone" {
			r.Error(got)
		}
		if e := r.lookup(directory.ByEmail, "bob@example.com"); e == nil || e.ID != "id-bob" {
			r.Errorf("%+v", e)
		}
		if e := r.lookup(directory.ByEmail, "ann@example.com"); e == nil || e.ID != "id-ann" || e.Email != "ann@example.com" {
			r.Errorf("%+v", e)
		}
		if r.pending("id-ann") != "" || len(r.told(account.EmailChanged)) != 0 || len(r.told(account.EmailCancelled)) != 1 {
			r.Error("it is not over")
		}
	})
}

func TestEmailAndUsername(t *testing.T) {
	for _, c := range []struct {
		name, username, email, to string
		want                      string // the username afterwards
		names                     []string
	}{
		{"a username of its own stays", "ann", "ann@old.example", "ann@new.example", "ann", []string{"ann", "ann@new.example"}},
		{"one that is the address changes with it", "Ann@old.example", "ann@old.example", "ann@new.example",
			"ann@new.example", []string{"ann@new.example"}},
		{"one that is the new address becomes both", "Ann@new.example", "ann@old.example", "ann@new.example",
			"Ann@new.example", []string{"ann@new.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				id, err := r.AddPerson(context.Background(), store.NewPerson{Username: c.username, Email: c.email,
					EmailVerified: true, Hash: "old"}, "test")
				r.ok(err)
				l := r.change(r.session(id), c.to)
				r.confirm(l.old)
				if got := r.confirm(l.new); got != "done" {
					r.Fatal(got)
				}
				if e := r.lookup(directory.ByEmail, c.to); e == nil || e.Username != c.want || e.Email != c.to {
					r.Errorf("%+v", e)
				}
				for _, name := range c.names {
					if r.lookup(directory.ByIdentifier, name) == nil {
						r.Errorf("%s names nobody", name)
					}
				}
				if n := r.count("SELECT COUNT(*) FROM identifiers"); n != len(c.names) {
					r.Errorf("%d names", n)
				}
			})
		})
	}
}

// A change dies with what was proven when it was asked for.
func TestEmailDiesWithTheEpoch(t *testing.T) {
	for _, c := range []struct {
		name string
		void func(*rig, account.ID)
	}{
		{"reset", func(r *rig, id account.ID) { r.reset(id, "new") }},
		{"disabled", func(r *rig, id account.ID) { r.ok(r.SetDisabled(context.Background(), id, true, "op")) }},
		{"enabled again", func(r *rig, id account.ID) {
			r.ok(r.SetDisabled(context.Background(), id, true, "op"))
			r.ok(r.SetDisabled(context.Background(), id, false, "op"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				id := r.person("ann")
				l := r.change(r.session(id), "eve@new.example")
				r.confirm(l.new)
				c.void(r, id)
				if got := r.confirm(l.old); got != "gone" || r.pending(id) != "" {
					r.Errorf("%q %q", got, r.pending(id))
				}
			})
		})
	}
}

// A session that ended since it was read asks for nothing that could be made.
func TestEmailAskedByASessionThatEnded(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		by := r.session(id)
		r.reset(id, "new")
		l := r.change(by, "eve@new.example")
		if got := r.confirm(l.old); got != "gone" || r.pending(id) != "" {
			r.Error(got)
		}
	})
}

// Both links at once: one of them makes the change, once.
func TestEmailBothAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		for n := range 50 {
			id := r.person(fmt.Sprint("p", n))
			l := r.change(r.session(id), fmt.Sprintf("p%d@new.example", n))
			var wg sync.WaitGroup
			for _, link := range [][]byte{l.old, l.new, l.old, l.new} {
				wg.Go(func() {
					if _, _, err := r.ConfirmEmail(context.Background(), link, ""); err != nil && !errors.Is(err, store.ErrGone) {
						r.Error(err)
					}
				})
			}
			wg.Wait()
			if got := len(r.told(account.EmailChanged)); got != n+1 || r.lookup(directory.ByID, string(id)).Email == string(id)+"@example.com" {
				r.Fatalf("round %d: %d changes", n, got)
			}
		}
	})
}

// Two people ask for one address, and both of its holders agree: one has it.
func TestEmailOneAddressTwoPeople(t *testing.T) {
	onBoth(t, func(r *rig) {
		for n := range 20 {
			email := fmt.Sprintf("n%d@new.example", n)
			var last [][]byte
			for _, name := range []string{"a", "b"} {
				l := r.change(r.session(r.person(fmt.Sprint(name, n))), email)
				r.confirm(l.old)
				last = append(last, l.new)
			}
			errs := all(2, func(i int) error {
				_, _, err := r.ConfirmEmail(context.Background(), last[i], "")
				return err
			})
			if succeeded(errs) != 1 || r.count("SELECT COUNT(*) FROM people WHERE email = $1", email) != 1 {
				r.Fatal(errs)
			}
		}
	})
}

func TestEmailMails(t *testing.T) {
	onBoth(t, func(r *rig) {
		by := r.session(r.person("ann"))
		l := r.change(by, "ann@new.example")
		r.confirm(l.old)
		r.confirm(l.new)
		box := &inbox{}
		r.work(store.Workers{SendMail: box.send})
		r.until("sent", func() bool { return box.tries() == 4 })
		to := map[string]string{}
		notMe := map[any]bool{}
		for _, m := range box.tried {
			address, _ := m.Data["to"].(string)
			to[m.Template+" "+address] = m.Subject
			if m.Data["new"] != "ann@new.example" {
				r.Errorf("%+v", m)
			}
			switch token, _ := m.Data["token"].(string); m.Template {
			case "email_confirm_old":
				cancel, _ := m.Data["cancel"].(string)
				if string(account.HashSecret(token)) != string(l.old) || string(account.HashSecret(cancel)) != string(l.cancel) {
					r.Error("the old address has other links")
				}
			case "email_confirm_new":
				if string(account.HashSecret(token)) != string(l.new) || m.Data["cancel"] != nil {
					r.Error("the new address has other links")
				}
			default:
				notMe[m.Data["not_me"]] = true
			}
		}
		want := map[string]string{"email_confirm_old ": "id-ann", "email_confirm_new ann@new.example": "id-ann",
			"email_changed ": "id-ann", "email_changed ann@example.com": "id-ann"}
		if d := cmp.Diff(want, to); d != "" || len(notMe) != 2 {
			r.Error(d, len(notMe))
		}
	})
}

func TestEmailLocale(t *testing.T) {
	onBoth(t, func(r *rig) {
		id := r.person("ann")
		by := r.session(id)
		for range 2 {
			r.ok(r.SetLocale(context.Background(), by, "ko"))
		}
		if e := r.lookup(directory.ByID, string(id)); e.Locale != "ko" || len(r.told(account.LanguageChanged)) != 1 {
			r.Errorf("%+v", e)
		}
	})
}

// A day after it is over, a change is swept; not before.
func TestEmailSwept(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		r.change(r.session(r.person("ann")), "ann@new.example")
		r.reset("id-ann", "new") // with its notice
		for _, c := range []struct {
			after            time.Duration
			changes, denials int
		}{
			{24 * time.Hour, 1, 1},
			{time.Hour, 0, 1},
			{6*24*time.Hour + 22*time.Hour, 0, 1},
			{2 * time.Hour, 0, 0},
		} {
			r.Move(c.after)
			r.ok(r.Sweep(ctx))
			changes, denials := r.count("SELECT COUNT(*) FROM email_changes"), r.count("SELECT COUNT(*) FROM disavowals")
			if changes != c.changes || denials != c.denials {
				r.Errorf("after %v more: %d and %d", c.after, changes, denials)
			}
		}
	})
}
