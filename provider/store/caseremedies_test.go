package store_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// said is what the mails of a template say, the oldest first.
func (d *deskRig) said(template string) (all []map[string]any) {
	d.Helper()
	for n := range d.mailed(template) {
		var id, data []byte
		d.ok(d.Scan("SELECT id FROM mails WHERE template = $1 ORDER BY created_at, id LIMIT 1 OFFSET $2", &id, template, n))
		d.ok(d.Scan("SELECT data FROM mails WHERE id = $1", &data, string(id)))
		doc, err := d.Ring.Open(data, "mails", "data", string(id))
		d.ok(err)
		var m map[string]any
		d.ok(json.Unmarshal(doc, &m))
		all = append(all, m)
	}
	return all
}

// byTheDesk is how often something was done to the person as the trail must have
// it: by the agent, for Support, in the case.
func (d *deskRig) byTheDesk(kind account.Kind) int {
	d.Helper()
	return d.count("SELECT COUNT(*) FROM audit WHERE kind = $1 AND subject = $2 AND actor = $3 AND initiator = 'support' AND step = $4",
		string(kind), string(d.person), string(d.one.Account), d.id)
}

// onlyTheLinkLeadsOn fails the case unless only the link of the desk's mail leads on: the
// password does not, and after a reset it does.
func (d *deskRig) onlyTheLinkLeadsOn() {
	d.Helper()
	ctx := context.Background()
	if _, err := d.guard().Charge(ctx, d.Store, attempt(d.person)); verdict(err) != account.ErrDisabled {
		d.Errorf("the password is not disabled: %v", err)
	}
	d.want("disabled", d.count("SELECT COUNT(*) FROM guards WHERE subject = $1 AND password_wrong = 100", string(d.person)), 1)
	d.want("disabled in the trail", d.byTheDesk(account.PasswordDisabled), 1)
	d.want("recovered", d.count("SELECT COUNT(*) FROM people WHERE recovered_at = $1 AND id = $2", d.now().Closed.UnixMicro(), string(d.person)), 1)
	d.linked()
	fate, err := d.Redeem(ctx, d.holding(d.person, d.newest(d.person)), flows.Progress{Hash: "newer"})
	if err != nil || fate != account.Valid {
		d.Errorf("the link is %s: %v", fate, err)
	}
	d.signIn(d.person)
	d.want("resets by Support", d.count("SELECT COUNT(*) FROM audit WHERE kind = 'reset_completed' AND initiator = 'support'"), 1)
}

// linked fails the case unless Support sent one reset link, to nobody but the person.
func (d *deskRig) linked() {
	d.Helper()
	mails := d.said("reset")
	if n := len(mails); n == 0 || mails[n-1]["support"] != true || mails[n-1]["to"] != nil {
		d.Errorf("of %d mails with a link the last says %v", n, mails)
	}
	d.want("links by Support", d.count("SELECT COUNT(*) FROM resets WHERE subject = $1 AND initiator = 'support' AND token_hash IS NOT NULL", string(d.person)), 1)
	d.want("links in the trail", d.byTheDesk(account.ResetRequested), 1)
	d.want("other mails that it was done", d.mailed("case_done"), 0)
}

// Who has the old address has nothing any more: not a session, an app, a link, nor a
// change under way; and is told where the account went.
func TestRestoreEmail(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		me := d.session(d.person)
		app, change := d.app(me), d.change(me, "eve@new.example")
		d.confirm(change.new)
		d.waits(flows.RestoreEmail)
		reset := d.ask(d.person)
		if !d.works(app) || len(d.roster(d.person)) != 1 || d.fate(reset) != account.Valid || d.pending(d.person) == "" {
			d.Error("something ended while it waits")
		}
		d.released()
		if e := d.lookup(directory.ByEmail, "grace@new.example"); e == nil || e.ID != d.person || !e.EmailVerified {
			d.Errorf("the new address is %+v", e)
		}
		if d.lookup(directory.ByIdentifier, "grace@old.example") != nil || d.lookup(directory.ByIdentifier, "grace") == nil {
			d.Error("the old address names somebody, or the username nobody")
		}
		if d.works(app) || len(d.roster(d.person)) > 0 || d.pending(d.person) != "" || d.confirm(change.old) != "gone" || d.fate(reset) == account.Valid {
			d.Error("something goes on")
		}
		told := d.said("email_changed")
		if len(told) != 2 || told[0]["to"] != "grace@old.example" && told[1]["to"] != "grace@old.example" {
			d.Errorf("told %v", told)
		}
		d.want("changes in the trail", d.byTheDesk(account.EmailChanged), 1)
		d.want("done in the trail", d.byTheDesk(account.CaseDone), 1)
		d.onlyTheLinkLeadsOn()
	})
}

// released has the case done before anything is over by itself.
func (d *deskRig) released() {
	d.Helper()
	was, err := d.ReleaseCase(context.Background(), d.notice(true), "")
	if d.ok(err); !was {
		d.Fatal("not released")
	}
	d.is(flows.CaseDone)
}

// Nor does it matter that they never tried to sign in.
func TestRestoreEmailOfSomebodyNew(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.waits(flows.RestoreEmail)
		d.want("guards", d.count("SELECT COUNT(*) FROM guards WHERE subject = $1", string(d.person)), 0)
		d.aDayLater()
		d.is(flows.CaseDone)
		d.onlyTheLinkLeadsOn()
	})
}

// held gives the person an authenticator, backup codes, and a hold.
func (d *deskRig) held() {
	d.Helper()
	me := d.session(d.person)
	d.phone(d.person)
	d.ok(d.Do("INSERT INTO backup_sets (account, salt, made_at) VALUES ($1, $2, 1)", string(me.Account), []byte("salt")))
	d.ok(d.Do("INSERT INTO backup_codes (account, hash) VALUES ($1, $2)", string(me.Account), []byte("hash")))
	d.ok(d.Do("UPDATE guards SET code_wrong = $1, code_failed = 4 WHERE subject = $2", account.MaxWrongCodes, string(me.Account)))
}

// All of the second factor goes, its hold too; and a password that a thief may know
// opens nothing in its place.
func TestRestoreSecond(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.held()
		d.waits(flows.RestoreSecond)
		if second, err := d.Second(context.Background(), d.person); err != nil || second.Authenticators != 1 || len(d.roster(d.person)) != 1 {
			d.Errorf("while it waits: %+v, %v", second, err)
		}
		d.released()
		second, err := d.Second(context.Background(), d.person)
		d.ok(err)
		if second != (account.Second{}) || len(d.roster(d.person)) > 0 {
			d.Errorf("left: %+v, and %d sessions", second, len(d.roster(d.person)))
		}
		d.want("backup codes", d.count("SELECT COUNT(*) FROM backup_codes")+d.count("SELECT COUNT(*) FROM backup_sets"), 0)
		d.want("holds", d.count("SELECT COUNT(*) FROM guards WHERE code_wrong + code_failed > 0"), 0)
		d.want("resets in the trail", d.byTheDesk(account.SecondReset), 1)
		d.want("told", d.mailed("second_factor_reset"), 1)
		d.onlyTheLinkLeadsOn()
	})
}

// Several remedies are one case: each is done, once, and one link is sent.
func TestRemediesTogether(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		d.held()
		d.waits(flows.Unlock, flows.RestoreSecond, flows.RestoreEmail)
		d.ok(d.Do("UPDATE guards SET locked_until = $1 WHERE subject = $2", d.Now().Add(2*flows.CaseFor).UnixMicro(), string(d.person)))
		d.aDayLater()
		d.is(flows.CaseDone)
		done := d.told(account.CaseDone)
		if len(done) != 1 || len(done[0].Methods) != 3 || done[0].Methods[0] != "email" || done[0].Methods[1] != "second" || done[0].Methods[2] != "unlock" {
			d.Errorf("told %+v", done)
		}
		if took := done[0].Took.Round(flows.CaseFor); took != flows.CaseFor {
			d.Errorf("it took %v", took)
		}
		for _, kind := range []account.Kind{account.EmailChanged, account.SecondReset, account.LockCleared} {
			d.want(string(kind)+" in the trail", d.byTheDesk(kind), 1)
		}
		d.want("links", d.mailed("reset"), 1)
		d.onlyTheLinkLeadsOn()
	})
}

// What gives nobody access is done by one agent at once, and nobody has to wait or
// may stop it; the person hears of it.
func TestUnlockAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		token := d.signIn(d.person)
		hers := d.known(d.person, "hers")
		d.wrong(hers, account.MaxFailures)
		d.wrong(attempt(d.person), account.MaxFailures)
		d.light(flows.Unlock)
		d.want("locks that ended", d.byTheDesk(account.LockCleared), 2) // the device's, too
		d.charge(attempt(d.person))
		d.charge(hers)
		if !d.live(token) {
			d.Error("the session ended")
		}
		told := d.said("case_done")
		if len(told) != 1 || told[0]["reference"] != d.id || told[0]["not_me"] == nil {
			d.Errorf("told %v", told)
		}
		d.want("links", d.mailed("reset"), 0)
		d.open()
		d.light(flows.Unlock) // of somebody who is not locked
		d.want("locks that ended", d.byTheDesk(account.LockCleared), 0)
	})
}

// light takes the case to its end by one agent, with the facts alone.
func (d *deskRig) light(remedy flows.Remedy) {
	d.Helper()
	d.ok(d.TakeCase(context.Background(), d.one, d.id))
	d.choose(remedy)
	d.check(flows.FactsCheck)
	d.ok(d.approve(d.one))
	d.is(flows.CaseDone)
	d.want("waits", d.trail(account.CaseWaiting), 0)
	d.want("notices", d.mailed("case_notice"), 0)
	d.want("done in the trail", d.byTheDesk(account.CaseDone), 1)
	d.want("recovered", d.count("SELECT COUNT(*) FROM people WHERE recovered_at > 0"), 0)
	if c := d.now(); c.Closed.IsZero() || c.Answered.IsZero() {
		d.Errorf("closed %v, answered %v", c.Closed, c.Answered)
	}
}

func TestSendLinkAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		token := d.signIn(d.person)
		d.light(flows.SendLink)
		d.linked()
		if !d.live(token) {
			d.Error("the session ended")
		}
		d.charge(attempt(d.person)) // the password does, too
	})
}

// They own the practice, and nobody else does; whoever did is told.
func TestReplaceOwner(t *testing.T) {
	onBoth(t, func(r *rig) {
		d := newDesk(r)
		ctx := context.Background()
		grace := d.person
		henry, jo, ida := d.member("henry", account.Owner), d.member("jo", account.Owner), d.member("ida", account.Billing)
		d.ok(d.SetDisabled(ctx, jo, true, "test"))
		offered, err := d.OfferPractice(ctx, store.Acting{Account: henry, Practice: "riverside"}, d.member("kim", account.Admin))
		if d.ok(err); !offered {
			d.Fatal("not offered")
		}
		d.person = ida
		d.waits(flows.ReplaceOwner)
		d.want("notices", d.mailed("case_notice"), 4)
		d.aDayLater()
		d.is(flows.CaseDone)
		for id, role := range map[account.ID]string{grace: "admin", henry: "admin", jo: "admin", ida: "owner"} {
			if got := d.entry(id).Role; got != role {
				d.Errorf("%s is %s, not %s", d.entry(id).Username, got, role)
			}
			d.person = id
			d.want("changes in the trail", d.byTheDesk(account.MemberChanged), 1)
		}
		d.person = ida
		d.want("transfers", d.count("SELECT COUNT(*) FROM transfers"), 0)
		d.want("transfers that ended", len(d.told(account.OwnershipKept)), 1)
		d.want("told who owned it", d.mailed("transfer_done"), 3)
		d.want("told who owns it", d.count("SELECT COUNT(*) FROM mails WHERE template = 'case_done' AND subject = $1", string(ida)), 1)
		d.want("links", d.mailed("reset"), 0)
		d.want("recovered", d.count("SELECT COUNT(*) FROM people WHERE recovered_at > 0"), 0)
		d.charge(attempt(ida))
	})
}
