package store_test

import (
	"context"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// obstacles are what makes a remedy impossible, and what the agent who approves of it
// is told then.
var obstacles = []struct {
	name   string
	remedy flows.Remedy
	change func(d *deskRig) error
	want   store.Refusal
}{
	{"the new address is somebody's", flows.RestoreEmail, func(d *deskRig) error {
		_, err := d.AddPerson(context.Background(), store.NewPerson{Username: "eve", Email: "GRACE@new.example"}, "test")
		return err
	}, store.AddressTaken},
	{"the new address is a username", flows.RestoreEmail, func(d *deskRig) error {
		_, err := d.AddPerson(context.Background(), store.NewPerson{Username: "grace@new.example", Email: "eve@example.com"}, "test")
		return err
	}, store.AddressTaken},
	{"the account is stopped", flows.RestoreSecond, func(d *deskRig) error {
		return d.SetDisabled(context.Background(), d.person, true, "test")
	}, store.AccountStopped},
	{"the account is an agent's", flows.RestoreSecond, func(d *deskRig) error {
		_, err := d.GiveRole(context.Background(), d.person, account.Support, "test")
		return err
	}, store.OfTheDesk},
	{"the address on file is not proven", flows.RestoreSecond, func(d *deskRig) error {
		return d.Do("UPDATE people SET email_verified = false WHERE id = $1", string(d.person))
	}, store.NoAddress},
	{"they left the practice", flows.ReplaceOwner, func(d *deskRig) error {
		return d.Do("UPDATE people SET practice = 'zenith' WHERE id = $1", string(d.person))
	}, store.NoPractice},
	{"they have no practice", flows.ReplaceOwner, func(d *deskRig) error {
		return d.Do("UPDATE people SET practice = '' WHERE id = $1", string(d.person))
	}, store.NoPractice},
}

// What could not be carried out is not approved.
func TestTheImpossibleIsNotApproved(t *testing.T) {
	for _, tc := range obstacles {
		t.Run(tc.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				d := newDesk(r)
				d.verified(tc.remedy)
				d.ok(tc.change(d))
				d.refused(d.approve(d.one), tc.want)
				d.is(flows.CaseVerifying)
				d.want("approvals", d.count("SELECT COUNT(*) FROM case_approvals"), 0)
				d.want("in the log", d.logged(flows.CaseApprove), 0)
			})
		})
	}
}

// What cannot be carried out any more goes back to the desk: nothing of it is done,
// and the log says so once.
func TestWhatBecameImpossibleGoesBack(t *testing.T) {
	for _, tc := range obstacles {
		t.Run(tc.name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				d := newDesk(r)
				d.waits(tc.remedy)
				round := d.now().Round
				d.ok(tc.change(d))
				d.aDayLater()
				d.sentBack(round)
			})
		})
	}
}

// Nor does it help that the address on file says yes.
func TestNobodyReleasesTheImpossible(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.waits(obstacles[0].remedy)
		round := d.now().Round
		d.ok(obstacles[0].change(d))
		if was, err := d.ReleaseCase(context.Background(), d.notice(true), ""); was || err != nil {
			d.Errorf("released: %v, %v", was, err)
		}
		d.sentBack(round)
	})
}

// sentBack fails the case if it is not at the desk anew, with nothing done.
func (d *deskRig) sentBack(from int64) {
	d.Helper()
	c := d.now()
	if c.State != flows.CaseVerifying || c.Approvals > 0 || c.Round != from+1 || !c.Until.IsZero() || !c.Closed.IsZero() {
		d.Errorf("it is %+v in round %d until %v", c.Case, c.Round, c.Until)
	}
	d.ok(d.CasesDue(context.Background())) // which finds nothing more to do
	d.want("returns in the log", d.logged(flows.CaseReturn), 1)
	d.want("returns in the trail", d.count("SELECT COUNT(*) FROM audit WHERE step = $1 AND reason = 'return' AND actor = ''", d.id), 1)
	d.want("ends of the wait", d.logged(flows.CaseFinish)+d.logged(flows.CaseRelease), 0)
	d.want("done in the trail", d.trail(account.CaseDone), 0)
	d.want("links", d.mailed("reset"), 0)
	d.want("recovered", d.count("SELECT COUNT(*) FROM people WHERE recovered_at > 0"), 0)
	d.want("passwords disabled", d.count("SELECT COUNT(*) FROM guards WHERE password_wrong > 0"), 0)
}

// Approvals are of agents: of one who is none any more they count for nothing.
func TestAnApproverWhoIsNoAgentAnyMore(t *testing.T) {
	for name, change := range map[string]func(d *deskRig) error{
		"deactivated": func(d *deskRig) error { return d.SetDisabled(context.Background(), d.two.Account, true, "test") },
		"given another role": func(d *deskRig) error {
			_, err := d.GiveRole(context.Background(), d.two.Account, account.Billing, "test")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				d := newDesk(r)
				d.waits(flows.RestoreSecond)
				round := d.now().Round
				d.ok(change(d))
				d.aDayLater()
				d.sentBack(round)
				d.refused(d.approve(d.two), store.ErrNotAllowed)
				d.ok(d.approve(d.one)) // anew
				d.is(flows.CaseApproved)
				d.ok(d.approve(d.agent("cleo")))
				d.is(flows.CaseWaiting)
				d.aDayLater()
				d.is(flows.CaseDone)
			})
		})
	}
}

// Somebody who had their links of the hour gets none by Support, and the agent hears
// of it at once.
func TestNoLinkBeyondThoseOfTheHour(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		for range 3 {
			d.ask(d.person)
		}
		d.verified(flows.SendLink)
		d.refused(d.approve(d.one), store.TooManyLinks)
		d.is(flows.CaseVerifying)
		d.want("approvals", d.count("SELECT COUNT(*) FROM case_approvals"), 0)
		d.Move(account.LinkFor)
		d.ok(d.approve(d.one))
		d.is(flows.CaseDone)
		d.want("links", d.mailed("reset"), 4)
	})
}
