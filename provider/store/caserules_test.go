package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// What is approved is what the agent saw: another remedy voids approvals, another
// person also what was found.
func TestChoosingAnewVoidsApprovals(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.verified(flows.RestoreSecond)
		seen := d.now().Round
		d.ok(d.approve(d.two))
		d.choose(flows.RestoreSecond, flows.RestoreEmail)
		c := d.now()
		if c.State != flows.CaseVerifying || c.Approvals > 0 || len(c.Checks) != len(allChecks) || c.Round != seen+1 {
			d.Errorf("with another remedy it is %+v", c.Case)
		}
		d.refused(d.ApproveCase(ctx, d.two, d.id, seen), store.CaseMoved)
		d.refused(d.ChooseCase(ctx, d.one, d.id, store.Choice{Round: seen, Person: d.person}), store.CaseMoved)
		d.ok(d.approve(d.two)) // who approved before, and of something else
		d.person = d.member("henry", account.Billing)
		d.choose(flows.RestoreSecond)
		if c := d.now(); c.State != flows.CaseVerifying || c.Approvals > 0 || len(c.Checks) > 0 || c.Person != d.person {
			d.Errorf("of another person it is %+v", c.Case)
		}
		d.refused(d.approve(d.two), store.Lacking)
	})
}

// What is needed first is needed: without any one of it nobody approves.
func TestNothingIsApprovedThatLacksSomething(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.ok(d.TakeCase(ctx, d.one, d.id))
		lacks := func(want ...string) {
			d.Helper()
			if got := d.now().Lacks(); !slices.Equal(got, want) {
				d.Errorf("it lacks %q, not %q", got, want)
			}
			d.refused(d.approve(d.one), store.Lacking)
		}
		lacks("person", "remedy", "facts")
		d.refused(d.CheckCase(ctx, d.one, d.id, flows.FactsCheck, "seen"), store.NoPerson)
		d.choose()
		lacks("remedy", "facts")
		d.choose(flows.RestoreEmail)
		lacks("confirmed", "facts", "identity", "affiliation")
		was, err := d.ConfirmCase(ctx, d.link, "")
		if d.ok(err); !was {
			d.Fatal("not confirmed")
		}
		for i, c := range allChecks {
			lacks([]string{"facts", "identity", "affiliation"}[i:]...)
			d.check(c)
		}
		d.ok(d.approve(d.one))
		d.want("approvals", d.count("SELECT COUNT(*) FROM case_approvals"), 1)
	})
}

// Who is at a case does the work; whoever else is of the desk approves, notes, sees
// and ends it, or takes it over.
func TestOneAgentWorksOnACase(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.verified(flows.RestoreSecond)
		d.refused(d.CheckCase(ctx, d.two, d.id, flows.CallBack, "called"), store.NotTheirs)
		d.refused(d.ChooseCase(ctx, d.two, d.id, store.Choice{Round: 1, Person: d.person}), store.NotTheirs)
		d.refused(d.ReplyCase(ctx, d.two, d.id, "need_id"), store.NotTheirs)
		d.refused(d.TakeCase(ctx, d.one, d.id), store.NotNow)
		d.ok(d.NoteCase(ctx, d.two, d.id, "I know her"))
		d.ok(d.RevealCase(ctx, d.two, d.id, "to compare"))
		d.ok(d.approve(d.two))
		d.ok(d.TakeCase(ctx, d.two, d.id))
		d.refused(d.ReplyCase(ctx, d.one, d.id, "need_id"), store.NotTheirs)
		d.ok(d.RejectCase(ctx, d.one, d.id, "rejected"))
		d.refused(d.ReplyCase(ctx, d.one, d.id, "need_id"), store.NotNow)
		d.is(flows.CaseRejected)
		d.want("rejected in the trail", d.trail(account.CaseRejected), 1)
		d.refused(d.NoteCase(ctx, d.one, "NOBODYS1", "?"), store.ErrNoCase)
	})
}

// Nobody but an agent of the desk does anything, and no agent in a case about
// themselves.
func TestNobodyHelpsThemselves(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		self := store.Agent{Account: d.person}
		d.refused(d.TakeCase(ctx, self, d.id), store.ErrNotAllowed)
		d.refused(d.TakeCase(ctx, store.Agent{}, d.id), store.ErrNotAllowed)
		d.ok(d.TakeCase(ctx, d.one, d.id))
		for _, agent := range []account.ID{d.one.Account, d.two.Account} {
			d.refused(d.ChooseCase(ctx, d.one, d.id, store.Choice{Person: agent, Remedies: flows.Remedies}), store.OfTheDesk)
		}
		d.refused(d.ChooseCase(ctx, d.one, d.id, store.Choice{Person: "nobody", Remedies: flows.Remedies}), store.NoPerson)
		d.choose(flows.SendLink)
		d.check(flows.FactsCheck)
		_, err := d.GiveRole(ctx, d.person, account.Support, "test")
		d.ok(err)
		d.refused(d.NoteCase(ctx, self, d.id, "it is fine"), store.OwnCase)
		d.refused(d.approve(self), store.OwnCase)
		d.refused(d.approve(d.two), store.OfTheDesk)
		d.is(flows.CaseVerifying)
	})
}

// A call-back is to the number on file, and to none that anybody says now.
func TestACallBackNeedsANumberOnFile(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		d.person = d.member("henry", account.Billing)
		d.verified(flows.RestoreSecond)
		d.refused(d.CheckCase(ctx, d.one, d.id, flows.CallBack, "called"), store.NoNumber)
		d.want("checks", len(d.now().Checks), len(allChecks))
	})
}

// With the call-back one agent is enough, whichever of the two comes first.
func TestOneAgentAndACallBack(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.verified(flows.RestoreSecond)
		d.check(flows.CallBack)
		d.is(flows.CaseVerifying)
		d.ok(d.approve(d.one))
		d.is(flows.CaseWaiting)
		d.open()
		d.verified(flows.RestoreSecond)
		d.ok(d.approve(d.one))
		d.is(flows.CaseApproved)
		d.check(flows.CallBack)
		d.is(flows.CaseWaiting)
		d.want("waits", d.trail(account.CaseWaiting), 1)
		d.aDayLater()
		d.is(flows.CaseDone)
	})
}

// An agent who is deceived, or bought, opens twenty accounts a day and no more.
func TestTwentyApprovalsADay(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.verified(flows.RestoreSecond)
		for n := range int64(store.ApprovalsPerDay) { // of rounds that are over
			d.ok(d.Do("INSERT INTO case_approvals (case_id, round, agent, at) VALUES ($1, $2, $3, $4)",
				d.id, -n-1, string(d.two.Account), d.Now().UnixMicro()))
		}
		d.refused(d.approve(d.two), store.TooMany)
		d.ok(d.approve(d.one)) // each has their own
		d.is(flows.CaseApproved)
		d.Move(24*time.Hour - time.Minute)
		d.refused(d.approve(d.two), store.TooMany)
		d.Move(time.Minute)
		d.ok(d.approve(d.two))
		d.is(flows.CaseWaiting)
	})
}
