package store_test

import (
	"context"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// A case that becomes another person's while somebody stops all those of theirs is
// neither stopped nor said to be.
func TestFreezeAgainstChoosingSomebodyElse(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.verified(flows.RestoreSecond)
		other := d.member("henry", account.FrontDesk)
		tx := d.begin()
		tx.do("UPDATE cases SET person = $1 WHERE id = $2", string(other), d.id)
		frozen := make(chan error, 1)
		var was bool
		go func() {
			var err error
			was, err = d.FreezeCasesOf(ctx, &store.Session{Account: d.person}, "")
			frozen <- err
		}()
		tx.commit()
		d.ok(<-frozen)
		if was || d.now().Frozen {
			d.Errorf("stopped is %v, and the case's frost %v", was, d.now().Frozen)
		}
		d.want("freezes in the log", d.logged(flows.CaseFreeze), 0)
		d.want("freezes in the trail", d.trail(account.CaseFrozen), 0)
	})
}

// The address on file may stop a case and have it done at once; the other owners of
// the practice may only stop it; and nobody else hears of it.
func TestWhoMayStopACaseAndWhoMayReleaseIt(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.member("henry", account.Owner)
		d.member("ida", account.Admin)
		d.waits(flows.RestoreSecond)
		d.want("links", d.count("SELECT COUNT(*) FROM case_links"), 2)
		d.want("notices", d.mailed("case_notice"), 2)
		own, owners := d.notice(true), d.notice(false)
		for _, link := range [][]byte{own, owners} {
			n, err := d.NoticeByLink(ctx, link)
			d.ok(err)
			if n == nil || n.ID != d.id || !n.Waiting || n.Frozen || n.Release != (string(link) == string(own)) || !n.Until.Equal(d.now().Until) {
				d.Errorf("a notice says %+v", n)
			}
		}
		if was, err := d.ReleaseCase(ctx, owners, ""); was || err != nil {
			d.Errorf("an owner's link releases: %v, %v", was, err)
		}
		if was, err := d.ReleaseCase(ctx, []byte("nobody's"), ""); was || err != nil {
			d.Errorf("nobody's link releases: %v, %v", was, err)
		}
		d.is(flows.CaseWaiting)
		if was, err := d.FreezeCase(ctx, owners, "192.0.2.9"); !was || err != nil {
			d.Errorf("an owner's link does not stop it: %v, %v", was, err)
		}
		if was, err := d.FreezeCase(ctx, own, ""); was || err != nil {
			d.Errorf("stopped twice: %v, %v", was, err)
		}
		if e := d.told(account.CaseFrozen); len(e) != 1 || e[0].Actor != "" || e[0].By != account.BySelf || e[0].Source != "192.0.2.9" || e[0].Step != d.id {
			d.Errorf("told %+v", e)
		}
	})
}

// Whoever reads the address on file says that it was them: it is done at once, and
// with whom it was.
func TestReleaseIsDoneAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.waits(flows.RestoreSecond)
		link := d.notice(true)
		for _, want := range []bool{true, false} {
			if was, err := d.ReleaseCase(ctx, link, "192.0.2.9"); was != want || err != nil {
				d.Errorf("released %v, %v", was, err)
			}
		}
		d.is(flows.CaseDone)
		d.want("links", d.mailed("reset"), 1)
		d.want("by its holder in the trail", d.count(`SELECT COUNT(*) FROM audit
			WHERE kind = 'case_changed' AND reason = 'release' AND actor = '' AND initiator = 'self' AND source = '192.0.2.9'`), 1)
		if n, err := d.NoticeByLink(ctx, link); n != nil || err != nil {
			d.Errorf("the link still shows %+v, %v", n, err)
		}
		if was, err := d.FreezeCase(ctx, link, ""); was || err != nil {
			d.Errorf("stopped when it was done: %v, %v", was, err)
		}
	})
}

// A case that was stopped stays stopped, whatever time passes and whoever says yes.
func TestAStoppedCaseIsNeverDone(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		me := d.session(d.person)
		d.waits(flows.RestoreSecond)
		was, err := d.FreezeCasesOf(ctx, me, "")
		if d.ok(err); !was {
			d.Fatal("not stopped")
		}
		d.aDayLater()
		if was, err := d.ReleaseCase(ctx, d.notice(true), ""); was || err != nil {
			d.Errorf("released by its link: %v, %v", was, err)
		}
		if was, err := d.ReleaseCaseOf(ctx, me, d.id, ""); was || err != nil {
			d.Errorf("released by a session: %v, %v", was, err)
		}
		d.refused(d.approve(d.two), store.NotNow)
		d.refused(d.ChooseCase(ctx, d.one, d.id, store.Choice{Round: d.now().Round, Person: d.person}), store.NotNow)
		d.is(flows.CaseWaiting)
		d.want("done", d.trail(account.CaseDone), 0)
		d.want("links", d.mailed("reset"), 0)
		d.want("sent back", d.logged(flows.CaseReturn), 0)
	})
}

// What an agent thaws begins anew: nothing found or approved before counts, it takes
// two agents and a call, and an old link stops it still but releases it no more.
func TestAThawedCaseTakesMore(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.waits(flows.RestoreSecond)
		old, round := d.notice(true), d.now().Round
		_, err := d.FreezeCase(ctx, old, "")
		d.ok(err)
		d.refused(d.ThawCase(ctx, d.two, d.id, "it was them"), store.NotTheirs)
		d.ok(d.ThawCase(ctx, d.one, d.id, "it was them"))
		d.refused(d.ThawCase(ctx, d.one, d.id, "it was them"), store.NotNow)
		c := d.now()
		if c.State != flows.CaseVerifying || c.Frozen || !c.Strict || c.Approvals > 0 || len(c.Checks) > 0 || c.Round != round+1 || !c.Until.IsZero() {
			d.Errorf("thawed it is %+v", c)
		}
		d.refused(d.ApproveCase(ctx, d.two, d.id, round), store.CaseMoved)
		d.refused(d.approve(d.two), store.Lacking)
		d.check(allChecks...)
		d.ok(d.approve(d.one))
		d.ok(d.approve(d.two))
		d.is(flows.CaseApproved) // two, and nobody called
		d.check(flows.CallBack)
		d.is(flows.CaseWaiting)
		if was, err := d.ReleaseCase(ctx, old, ""); was || err != nil {
			d.Errorf("released by a link of the round before: %v, %v", was, err)
		}
		if n, err := d.NoticeByLink(ctx, old); err != nil || n == nil || n.Release || !n.Waiting {
			d.Errorf("an old link shows %+v, %v", n, err)
		}
		if was, err := d.FreezeCase(ctx, old, ""); !was || err != nil {
			d.Errorf("an old link does not stop it: %v, %v", was, err)
		}
	})
}

// One agent who called is not enough once somebody had stopped the case.
func TestAThawedCaseTakesTwoAgents(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.verified(flows.RestoreSecond)
		was, err := d.FreezeCasesOf(ctx, d.session(d.person), "")
		if d.ok(err); !was {
			d.Fatal("not stopped before anybody approved")
		}
		d.ok(d.ThawCase(ctx, d.one, d.id, "it was them"))
		d.check(append(allChecks, flows.CallBack)...)
		d.ok(d.approve(d.one))
		d.is(flows.CaseApproved)
		d.ok(d.approve(d.two))
		d.is(flows.CaseWaiting)
	})
}

// A live session stops and releases what is about its own account, and no other.
func TestASessionActsOnItsOwnCases(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		me, other := d.session(d.person), d.session(d.member("henry", account.Owner))
		d.waits(flows.RestoreSecond)
		if n, err := d.NoticeOf(ctx, other.Account); n != nil || err != nil {
			d.Errorf("another's session sees %+v, %v", n, err)
		}
		if n, err := d.NoticeOf(ctx, d.person); err != nil || n == nil || n.ID != d.id || !n.Release {
			d.Errorf("their own session sees %+v, %v", n, err)
		}
		if was, err := d.FreezeCasesOf(ctx, other, ""); was || err != nil {
			d.Errorf("another's session stops it: %v, %v", was, err)
		}
		if was, err := d.ReleaseCaseOf(ctx, other, d.id, ""); was || err != nil {
			d.Errorf("another's session releases it: %v, %v", was, err)
		}
		d.is(flows.CaseWaiting)
		if was, err := d.ReleaseCaseOf(ctx, me, d.id, ""); !was || err != nil {
			d.Errorf("their own does not: %v, %v", was, err)
		}
		d.is(flows.CaseDone)
	})
}

// Whoever says of any mail that it was not them means the cases about them, too:
// all that are open, and nobody else's.
func TestDisavowStopsCases(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.reset(d.person, "new")
		link := d.notMe(d.person)
		d.waits(flows.RestoreSecond)
		waiting := d.id
		d.open()
		d.verified(flows.SendLink)
		verifying, me := d.id, d.person
		d.person = d.member("henry", account.Owner)
		d.open()
		d.verified(flows.RestoreSecond)
		if was, err := d.Disavow(ctx, link, ""); !was || err != nil {
			d.Fatal(was, err)
		}
		d.want("stopped", d.count("SELECT COUNT(*) FROM cases WHERE frozen_at > 0 AND person = $1", string(me)), 2)
		d.want("stopped of another", d.count("SELECT COUNT(*) FROM cases WHERE frozen_at > 0 AND id = $1", d.id), 0)
		for _, d.id = range []string{waiting, verifying} {
			d.want("freezes in the log", d.logged(flows.CaseFreeze), 1)
			d.want("freezes in the trail", d.trail(account.CaseFrozen), 1)
		}
	})
}
