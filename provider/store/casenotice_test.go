package store_test

import (
	"context"
	"testing"

	"github.com/medximity/idp/flows"
)

// Of two cases about one account of which the older was stopped, a session sees the
// one that will be done: whoever stopped a theft hears of the next.
func TestASessionSeesTheCaseThatGoesOn(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.waits(flows.RestoreSecond)
		_, err := d.FreezeCase(ctx, d.notice(true), "")
		d.ok(err)
		if n, err := d.NoticeOf(ctx, d.person); err != nil || n == nil || n.ID != d.id || !n.Frozen || n.Release {
			d.Errorf("of the one that was stopped: %+v, %v", n, err)
		}
		d.open()
		d.waits(flows.RestoreSecond)
		if n, err := d.NoticeOf(ctx, d.person); err != nil || n == nil || n.ID != d.id || n.Frozen {
			d.Errorf("it sees %+v, not %s: %v", n, d.id, err)
		}
		if was, err := d.FreezeCasesOf(ctx, d.session(d.person), ""); !was || err != nil {
			d.Errorf("it does not stop it: %v, %v", was, err)
		}
	})
}

// Of two that will be done, yes in a session could be to either: it is to none, and
// each is released by the link in its own mail.
func TestASessionReleasesNoneOfTwoCases(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		me := d.session(d.person)
		d.waits(flows.Unlock, flows.ReplaceOwner) // after which sessions go on
		theirs := d.id
		d.open()
		d.waits(flows.RestoreSecond)
		thiefs := d.id
		if n, err := d.NoticeOf(ctx, d.person); err != nil || n == nil || n.ID != theirs || n.Release {
			d.Errorf("it sees %+v, %v", n, err)
		}
		for range 2 { // a double click
			if was, err := d.ReleaseCaseOf(ctx, me, d.id, ""); was || err != nil {
				d.Errorf("released: %v, %v", was, err)
			}
		}
		d.id = theirs
		if was, err := d.ReleaseCase(ctx, d.notice(true), ""); !was || err != nil {
			d.Errorf("not released by its link: %v, %v", was, err)
		}
		d.is(flows.CaseDone)
		d.id = thiefs
		d.is(flows.CaseWaiting)
		if n, err := d.NoticeOf(ctx, d.person); err != nil || n == nil || n.ID != thiefs || !n.Release {
			d.Errorf("it sees %+v, %v", n, err)
		}
	})
}
