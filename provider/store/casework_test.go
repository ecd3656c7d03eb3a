package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// desk is a rig with two agents, an Owner who asks for help, and their case.
type deskRig struct {
	*rig
	one, two store.Agent
	person   account.ID
	id       string
	link     []byte // the hash of the claimant's
}

func newDesk(r *rig) *deskRig {
	r.Helper()
	d := &deskRig{rig: r}
	agent := func(name string) store.Agent {
		id, err := r.AddPerson(context.Background(), store.NewPerson{Role: "support", Username: name, Email: name + "@desk.example",
			EmailVerified: true}, "test")
		r.ok(err)
		return store.Agent{Account: id, From: "192.0.2.1"}
	}
	d.one, d.two = agent("amy"), agent("ben")
	var err error
	d.person, err = r.AddPerson(context.Background(), store.NewPerson{Practice: "riverside", Role: "owner", Username: "grace",
		Email: "grace@old.example", EmailVerified: true, Name: "Grace Okafor",
		Claims: map[string]any{"phone_number": "+1 555 0100"}}, "test")
	r.ok(err)
	d.id, d.link = r.opened(claims)
	return d
}

// verified takes the case as far as it can be approved.
func (d *deskRig) verified(remedies ...flows.Remedy) {
	d.Helper()
	ctx := context.Background()
	_, err := d.ConfirmCase(ctx, d.link, "")
	d.ok(err)
	d.ok(d.TakeCase(ctx, d.one, d.id))
	d.ok(d.ChooseCase(ctx, d.one, d.id, store.Choice{Person: d.person, Remedies: remedies}))
	for _, c := range []flows.Check{flows.FactsCheck, flows.IdentityCheck, flows.AffiliationCheck} {
		d.ok(d.CheckCase(ctx, d.one, d.id, c, "seen"))
	}
}

func (d *deskRig) state() flows.CaseState {
	d.Helper()
	c, err := d.DeskCase(context.Background(), d.id)
	d.ok(err)
	return c.State
}

func (d *deskRig) refused(err error, want store.Refusal) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Errorf("got %v, not %v", err, want)
	}
}

// What restores an account takes two agents and a day; nobody is two agents.
func TestTwoAgentsAndADay(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		d := newDesk(r)
		d.verified(flows.RestoreEmail, flows.RestoreSecond)
		d.ok(d.ApproveCase(ctx, d.one, d.id, 1))
		if s := d.state(); s != flows.CaseApproved {
			d.Errorf("by one agent it is %s", s)
		}
		d.refused(d.ApproveCase(ctx, d.one, d.id, 1), store.Twice)
		d.ok(d.ApproveCase(ctx, d.two, d.id, 1))
		if s := d.state(); s != flows.CaseWaiting {
			d.Errorf("by two agents it is %s", s)
		}
		d.Move(flows.CaseFor - time.Second)
		d.ok(d.CasesDue(ctx))
		if s := d.state(); s != flows.CaseWaiting {
			d.Errorf("a second before the day is over it is %s", s)
		}
		d.Move(time.Second)
		d.ok(d.CasesDue(ctx))
		if s := d.state(); s != flows.CaseDone {
			d.Errorf("after the day it is %s", s)
		}
		if n := d.count("SELECT COUNT(*) FROM people WHERE email = 'grace@new.example' AND recovered_at > 0"); n != 1 {
			d.Error("the address is not the new one")
		}
		if n := d.count("SELECT COUNT(*) FROM mails WHERE template = 'reset' AND subject = $1", string(d.person)); n != 1 {
			d.Errorf("%d links", n)
		}
	})
}
