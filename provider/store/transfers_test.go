package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

var (
	admin = by("admin-acme", "acme")
	desk  = by("front_desk-acme", "acme")
)

// clock lets a moment pass, and does what is due then.
func (r *rig) later(d time.Duration) {
	r.Helper()
	r.Move(d)
	r.ok(r.TransferDue(context.Background()))
}

func (r *rig) owners(want ...account.ID) {
	r.Helper()
	team, err := r.Team(context.Background(), "acme")
	r.ok(err)
	got := map[account.ID]bool{}
	for _, m := range team {
		if m.Role == account.Owner {
			got[m.ID] = true
		}
	}
	if len(got) != len(want) || !got[want[0]] {
		r.Errorf("owners %v, want %v", got, want)
	}
}

// offered is a practice that was offered to its admin.
func (r *rig) offered() {
	r.Helper()
	r.team()
	done, err := r.OfferPractice(context.Background(), owner, "admin-acme")
	if r.ok(err); !done {
		r.Fatal("not offered")
	}
}

func (r *rig) agreed() {
	r.Helper()
	r.offered()
	done, err := r.AgreeToOwn(context.Background(), admin)
	if r.ok(err); !done {
		r.Fatal("not agreed")
	}
}

// Both confirm, a day passes, and it happens: to the second.
func TestOwnershipChangesHands(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.agreed()
		ctx := context.Background()
		tr, err := r.Transfer(ctx, "acme")
		r.ok(err)
		r.later(tr.Due.Sub(r.Now()) - time.Second)
		r.owners("owner-acme")
		r.later(time.Second)
		r.owners("admin-acme")
		if m := r.member("owner-acme"); m.Role != account.Admin {
			r.Errorf("who owned it is %s now", m.Role)
		}
		if _, err := r.Deactivate(ctx, owner, "admin-acme"); !errors.Is(err, store.ErrNoMember) {
			r.Errorf("who owned it acts on who owns it: %v", err)
		}
		if tr, err := r.Transfer(ctx, "acme"); tr != nil || err != nil {
			r.Errorf("it is under way still: %+v, %v", tr, err)
		}
		if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'ownership_transferred' AND subject = 'admin-acme' AND actor = 'owner-acme'"); n != 1 {
			r.Errorf("%d in the trail", n)
		}
		if n := r.count("SELECT COUNT(*) FROM mails WHERE template = 'transfer_done'"); n != 2 {
			r.Errorf("%d people told", n)
		}
	})
}

func TestOnlyAnOwnerOffersAndOnlyTheHeirAgrees(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.team()
		ctx := context.Background()
		for _, tc := range []struct {
			by   store.Acting
			heir account.ID
			want error
		}{
			{admin, "front_desk-acme", store.ErrNotAllowed},
			{desk, "billing-acme", store.ErrNoMember},
			{by("owner-zenith", "acme"), "admin-acme", store.ErrNoMember},
			{owner, "admin-zenith", store.ErrNoMember},
			{owner, "owner-acme", store.ErrNoMember},
		} {
			if done, err := r.OfferPractice(ctx, tc.by, tc.heir); done || !errors.Is(err, tc.want) {
				r.Errorf("%s to %s: %v, %v", tc.by.Account, tc.heir, done, err)
			}
		}
		if done, err := r.OfferPractice(ctx, owner, "front_desk-acme"); !done || err != nil {
			r.Fatal(done, err)
		}
		if done, err := r.OfferPractice(ctx, owner, "admin-acme"); done || err != nil {
			r.Errorf("a second offer: %v, %v", done, err)
		}
		for _, by := range []store.Acting{owner, admin, by("front_desk-zenith", "zenith"), by("front_desk-acme", "zenith")} {
			if done, err := r.AgreeToOwn(ctx, by); done || err != nil {
				r.Errorf("%s agrees: %v, %v", by.Account, done, err)
			}
		}
		for _, by := range []store.Acting{admin, by("owner-zenith", "acme"), by("owner-acme", "zenith")} {
			if was, err := r.EndTransfer(ctx, by); was || err != nil {
				r.Errorf("%s ends it: %v, %v", by.Account, was, err)
			}
		}
		r.Move(account.OfferFor - time.Second)
		if done, err := r.AgreeToOwn(ctx, desk); !done || err != nil {
			r.Errorf("a second before it lapses: %v, %v", done, err)
		}
	})
}

func TestAnOfferLapses(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.offered()
		ctx := context.Background()
		r.later(account.OfferFor)
		if done, err := r.AgreeToOwn(ctx, admin); done || err != nil {
			r.Errorf("after 72 hours: %v, %v", done, err)
		}
		r.later(100 * time.Hour)
		r.owners("owner-acme")
		if done, err := r.OfferPractice(ctx, owner, "front_desk-acme"); !done || err != nil {
			r.Errorf("another offer: %v, %v", done, err)
		}
	})
}

// Either side stops it, before and after the heir agreed, by the page, by the
// link and by "this was not me"; then nothing happens any more.
func TestEitherStopsATransfer(t *testing.T) {
	stop := map[string]func(r *rig) (bool, error){
		"the owner": func(r *rig) (bool, error) { return r.EndTransfer(context.Background(), owner) },
		"the heir":  func(r *rig) (bool, error) { return r.EndTransfer(context.Background(), admin) },
		"the owner's link": func(r *rig) (bool, error) {
			return r.CancelTransfer(context.Background(), r.hash("SELECT owner_hash FROM transfers"), "192.0.2.9")
		},
		"the heir's link": func(r *rig) (bool, error) {
			return r.CancelTransfer(context.Background(), r.hash("SELECT heir_hash FROM transfers"), "192.0.2.9")
		},
		"this was not me": func(r *rig) (bool, error) {
			return r.Disavow(context.Background(), r.hash("SELECT hash FROM disavowals WHERE account = 'owner-acme'"), "192.0.2.9")
		},
	}
	for name, f := range stop {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				r.agreed()
				if was, err := f(r); !was || err != nil {
					r.Fatal(was, err)
				}
				r.later(2 * account.TransferWait)
				r.owners("owner-acme")
				if n := r.count("SELECT COUNT(*) FROM audit WHERE kind = 'ownership_kept' AND subject = 'admin-acme'"); n != 1 {
					r.Errorf("%d in the trail", n)
				}
				if was, err := r.EndTransfer(context.Background(), owner); was || err != nil {
					r.Errorf("once more: %v, %v", was, err)
				}
			})
		})
	}
}

// hash is a token's, as the database has it.
func (r *rig) hash(query string) (h []byte) {
	r.Helper()
	r.ok(r.Scan(query, &h))
	return h
}

// What was agreed does not happen once one of the two is not who they were.
func TestATransferThatCannotHappenDoesNot(t *testing.T) {
	for name, change := range map[string]func(r *rig) error{
		"the heir was deactivated": func(r *rig) error { _, err := r.Deactivate(context.Background(), owner, "admin-acme"); return err },
		"the heir was stopped":     func(r *rig) error { return r.SetDisabled(context.Background(), "admin-acme", true, "operator") },
		"the owner was stopped":    func(r *rig) error { return r.SetDisabled(context.Background(), "owner-acme", true, "operator") },
		"the owner owns no more":   func(r *rig) error { return r.Do("UPDATE people SET role = 'billing' WHERE id = 'owner-acme'") },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				r.agreed()
				r.ok(change(r))
				r.later(account.TransferWait)
				if m := r.member("admin-acme"); m.Role != account.Admin {
					r.Errorf("the heir is %s", m.Role)
				}
				if n := len(r.told(account.OwnershipKept)); n != 1 {
					r.Errorf("%d told", n)
				}
			})
		})
	}
}

// Stopped at the last moment, by one or on another replica: it happens once, or
// not at all, and never without an Owner.
func TestATransferAndItsEndRace(t *testing.T) {
	onBoth(t, func(r *rig) {
		r.agreed()
		ctx := context.Background()
		for round := range 15 {
			r.Move(account.TransferWait)
			var stopped atomic.Bool
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if err := r.TransferDue(ctx); err != nil {
						r.Error(err)
					}
				})
			}
			wg.Go(func() {
				was, err := r.EndTransfer(ctx, owner)
				if err != nil {
					r.Error(err)
				}
				stopped.Store(was)
			})
			wg.Wait()
			if stopped.Load() {
				r.owners("owner-acme")
			} else {
				r.owners("admin-acme")
				r.ok(r.Do("UPDATE people SET role = 'owner' WHERE id = 'owner-acme'"))
				r.ok(r.Do("UPDATE people SET role = 'admin' WHERE id = 'admin-acme'"))
			}
			done, err := r.OfferPractice(ctx, owner, "admin-acme")
			r.ok(err)
			agreed, err := r.AgreeToOwn(ctx, admin)
			if r.ok(err); !done || !agreed {
				r.Fatalf("round %d: offered %v, agreed %v", round, done, agreed)
			}
		}
	})
}
