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

// deskRig is a rig with two agents, an Owner who asks for help, and their case.
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
	d.one, d.two = d.agent("amy"), d.agent("ben")
	var err error
	d.person, err = r.AddPerson(context.Background(), store.NewPerson{Practice: "riverside", Role: "owner", Username: "grace",
		Email: "grace@old.example", EmailVerified: true, Name: "Grace Okafor", Hash: "old",
		Claims: map[string]any{"phone_number": "+1 555 0100"}}, "test")
	r.ok(err)
	d.open()
	return d
}

// agent is another one of the desk.
func (d *deskRig) agent(name string) store.Agent {
	d.Helper()
	id, err := d.AddPerson(context.Background(), store.NewPerson{Role: "support", Username: name, Email: name + "@desk.example",
		EmailVerified: true}, "test")
	d.ok(err)
	return store.Agent{Account: id, From: "192.0.2.1"}
}

// member is another one of the person's practice.
func (d *deskRig) member(name string, role account.Role) account.ID {
	d.Helper()
	id, err := d.AddPerson(context.Background(), store.NewPerson{Practice: "riverside", Role: string(role), Username: name,
		Email: name + "@riverside.example", EmailVerified: true, Hash: "old"}, "test")
	d.ok(err)
	return id
}

// open opens another case, which is the rig's from now on.
func (d *deskRig) open() {
	d.Helper()
	d.id, d.link = d.opened(claims)
}

// allChecks are those without which nothing heavy is approved.
var allChecks = []flows.Check{flows.FactsCheck, flows.IdentityCheck, flows.AffiliationCheck}

// verified takes the case as far as it can be approved.
func (d *deskRig) verified(remedies ...flows.Remedy) {
	d.Helper()
	ctx := context.Background()
	_, err := d.ConfirmCase(ctx, d.link, "")
	d.ok(err)
	d.ok(d.TakeCase(ctx, d.one, d.id))
	d.choose(remedies...)
	d.check(allChecks...)
}

func (d *deskRig) choose(remedies ...flows.Remedy) {
	d.Helper()
	d.ok(d.ChooseCase(context.Background(), d.one, d.id, store.Choice{Round: d.now().Round, Person: d.person, Remedies: remedies}))
}

func (d *deskRig) check(checks ...flows.Check) {
	d.Helper()
	for _, c := range checks {
		d.ok(d.CheckCase(context.Background(), d.one, d.id, c, "seen"))
	}
}

// approve is an agent's approval of the case as it is.
func (d *deskRig) approve(by store.Agent) error {
	d.Helper()
	return d.approving(by)()
}

// approving is the same, to be given later: of the case as it is now.
func (d *deskRig) approving(by store.Agent) func() error {
	d.Helper()
	id, round := d.id, d.now().Round
	return func() error { return d.ApproveCase(context.Background(), by, id, round) }
}

// waits takes the case as far as its day.
func (d *deskRig) waits(remedies ...flows.Remedy) {
	d.Helper()
	d.verified(remedies...)
	d.ok(d.approve(d.one))
	d.ok(d.approve(d.two))
	d.is(flows.CaseWaiting)
}

// aDayLater is when the job has looked for cases whose day is over.
func (d *deskRig) aDayLater() {
	d.Helper()
	d.Move(flows.CaseFor)
	d.ok(d.CasesDue(context.Background()))
}

// now is the case as the desk sees it.
func (d *deskRig) now() *store.DeskCase {
	d.Helper()
	c, err := d.DeskCase(context.Background(), d.id)
	d.ok(err)
	return c
}

// is fails the case if it is in another state.
func (d *deskRig) is(want flows.CaseState) {
	d.Helper()
	if got := d.now().State; got != want {
		d.Errorf("it is %s, not %s", got, want)
	}
}

func (d *deskRig) refused(err error, want error) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Errorf("got %v, not %v", err, want)
	}
}

// logged is how often something was done, as the case's log has it.
func (d *deskRig) logged(do flows.CaseAction) int {
	d.Helper()
	return d.count("SELECT COUNT(*) FROM case_log WHERE case_id = $1 AND action = $2", d.id, string(do))
}

// trail is how often something happened to the case, as the audit trail has it.
func (d *deskRig) trail(kind account.Kind) int {
	d.Helper()
	return d.count("SELECT COUNT(*) FROM audit WHERE step = $1 AND kind = $2", d.id, string(kind))
}

// mailed is how many mails of a template there are to anybody.
func (d *deskRig) mailed(template string) int {
	d.Helper()
	return d.count("SELECT COUNT(*) FROM mails WHERE template = $1", template)
}

// notice is the hash of a link that the newest round's notices have; the one that
// releases went to the address on file.
func (d *deskRig) notice(release bool) (hash []byte) {
	d.Helper()
	d.ok(d.Scan("SELECT hash FROM case_links WHERE case_id = $1 AND release = $2 ORDER BY round DESC LIMIT 1", &hash, d.id, release))
	return hash
}

// want fails the case if a number of something is another.
func (d *deskRig) want(what string, got, want int) {
	d.Helper()
	if got != want {
		d.Errorf("%s: %d, not %d", what, got, want)
	}
}

// What restores an account takes two agents and a day; nobody is two agents.
func TestTwoAgentsAndADay(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		d := newDesk(r)
		d.verified(flows.RestoreEmail, flows.RestoreSecond)
		d.ok(d.approve(d.one))
		d.is(flows.CaseApproved)
		d.refused(d.approve(d.one), store.Twice)
		d.ok(d.approve(d.two))
		d.is(flows.CaseWaiting)
		d.Move(flows.CaseFor - time.Second)
		d.ok(d.CasesDue(ctx))
		d.is(flows.CaseWaiting) // a second before the day is over
		d.Move(time.Second)
		d.ok(d.CasesDue(ctx))
		d.is(flows.CaseDone)
		d.want("the address is the new one", d.count("SELECT COUNT(*) FROM people WHERE email = 'grace@new.example' AND recovered_at > 0"), 1)
		d.want("links", d.count("SELECT COUNT(*) FROM mails WHERE template = 'reset' AND subject = $1", string(d.person)), 1)
	})
}
