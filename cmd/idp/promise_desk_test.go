package main

import (
	"strings"
	"testing"
	"time"
)

// The promises of the help page that the support desk keeps; see promise_test.go.

// atDesk signs an agent in, by both factors.
func atDesk(t *testing.T, d *demo, username string) *person {
	t.Helper()
	who := d.person(username)
	p := newPerson(t)
	p.visit(d.Issuer + "/support")
	p.signIn(who.Username, who.Password)
	p.enterCode(d.phone(who).next())
	p.saveCodes()
	p.sees("Open cases")
	return p
}

// contact opens a case, and confirms the address. It returns the page of the case.
func contact(t *testing.T, d *demo, email string, fields map[string]string) (p *person, link string) {
	t.Helper()
	p = newPerson(t)
	p.visit(d.Issuer + "/contact-support")
	fields["email"] = email
	p.press("Contact Support", fields)
	p.sees("Support has your request")
	link = linkIn(t, d.mailsWith(email, "/contact-support/case?token=", 1)[0], "/contact-support/case?token=")
	p.visit(link)
	p.press("This Address Is Mine", nil)
	return p, link
}

// caseOf opens the newest case that a person is told the number of.
func (p *person) caseOf(claimant *person) {
	p.t.Helper()
	for n := range claimant.page.elements("code") {
		p.visit("/support/case?id=" + squeeze(text(n)))
		p.sees("What was claimed")
		return
	}
	p.t.Fatalf("no number on %s:\n%s", claimant.page.url, claimant.page.words())
}

// verify takes the case, chooses the remedies, and ticks the checks off.
func (p *person) verify(remedies []string, checks ...string) {
	p.t.Helper()
	p.press("Take the Case", nil)
	fields := map[string]string{}
	for _, r := range remedies {
		fields["remedy-"+r] = "yes"
	}
	p.press("Save", fields)
	for _, check := range checks {
		p.checks(check, "Seen in a call.")
	}
}

// checks ticks one item off.
func (p *person) checks(check, evidence string) {
	p.t.Helper()
	values := p.form("evidence-" + check)
	values.Set("evidence-"+check, evidence)
	to, err := p.page.url.Parse("/support/case/check")
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(to.String(), values)
	p.sees("Checked.")
}

var allChecks = []string{"facts", "identity", "affiliation"}

func graceAsks() map[string]string {
	return map[string]string{"name": "Grace Okafor", "practice": "Riverside Family Practice", "npi": "1234567893", "username": "grace"}
}

// Every case shows when it is due, the overdue ones are first, and alarmed on;
// until somebody answers.
func TestPromise_2_3_SupportAnswersWithinOneBusinessDay(t *testing.T) {
	d := startDemo(t)
	claimant, _ := contact(t, d, "grace@new.example", graceAsks())
	claimant.sees("Answer by")
	d.pass(4 * 24 * time.Hour) // a weekend may be among them
	contact(t, d, "ann@new.example", map[string]string{"name": "Ann Ito", "practice": "Harbor Clinic", "username": "ann"})
	sam := atDesk(t, d, "sam")
	list := sam.page.words()
	if !strings.Contains(list, "Overdue") || strings.Index(list, "Grace Okafor") > strings.Index(list, "Ann Ito") {
		t.Errorf("the overdue one is not first:\n%s", list)
	}
	if got := d.metric("medximity_idp_support_cases_overdue"); got != 1 {
		t.Errorf("%v cases overdue", got)
	}
	sam.caseOf(claimant)
	sam.sees("Answer by", "Overdue")
	sam.press("Take the Case", nil)
	sam.press("Send the Answer", map[string]string{"reply": "identity"})
	sam.sees("The answer is sent.", "Answered")
	if got := d.metric("medximity_idp_support_cases_overdue"); got != 0 {
		t.Errorf("%v cases overdue once it was answered", got)
	}
	if m := d.told("grace@new.example", "Support answered you"); !strings.Contains(m.Text, "photo ID in a video call") {
		t.Errorf("the answer is:\n%s", m.Text)
	}
}

// By an agent, after what identity verification is, with a trace; and the old
// address is told, before and after.
func TestPromise_2_4_AccessIsRestoredOnlyAfterIdentityVerification(t *testing.T) {
	d := startDemo(t)
	who := d.grace()
	claimant, link := contact(t, d, "grace@new.example", graceAsks())
	sam := atDesk(t, d, "sam")
	sam.caseOf(claimant)
	sam.verify([]string{"email"}, "facts")
	sam.sees("Before anybody can approve:", "Check the photo ID", "Have the practice vouch")
	if strings.Contains(sam.page.words(), "You say that it is the account of whoever asks") {
		t.Error("public facts are enough to approve")
	}
	sam.checks("identity", "Passport, in a video call.")
	sam.checks("affiliation", "The front desk, at the number of the directory.")
	sam.press("Approve", nil)
	sam.sees("Approved by one", "A colleague has to as well")
	alex := atDesk(t, d, "alex")
	alex.caseOf(claimant)
	alex.press("Approve", nil)
	alex.sees("Waiting", "Approved", "Passport, in a video call.")
	d.told(who.Email, "Support is about to give access to a Medximity account")
	d.pass(24 * time.Hour)
	d.told(who.Email, "Your Medximity email was changed")
	reset := linkIn(t, d.mailsWith("grace@new.example", "/reset-password?token=", 1)[0], "/reset-password?token=")
	claimant.visit(link)
	claimant.sees("Done.")
	claimant.visit(reset)
	savePassword(claimant, newPassword)
	claimant.signIn("grace@new.example", newPassword)
	claimant.visit("/account/activity")
	claimant.sees("Support is about to change something", "Support helped with the account")
}

// A call to the number on file stands in for the second agent; and whoever still
// reads the address on file need not wait.
func TestPromise_3_3_TheDeskResetsTheSecondFactor(t *testing.T) {
	d := startDemo(t)
	who, _, _ := noraWithCodes(t, d)
	claimant, _ := contact(t, d, "nora@new.example", map[string]string{"name": "Nora Bell", "practice": "Riverside Family Practice", "username": "nora"})
	sam := atDesk(t, d, "sam")
	sam.caseOf(claimant)
	sam.verify([]string{"second"}, append(allChecks, "call")...)
	sam.press("Approve", nil)
	sam.sees("Waiting")
	p := newPerson(t)
	p.visit(linkIn(t, d.told(who.Email, "Support is about to give access to a Medximity account"), "/contact-support/stop?token="))
	p.sees("Turn off the second step", "It Was Not Me: Stop It")
	p.press("It Was Me: Do It Now", nil)
	d.told(who.Email, "Your second step was turned off")
	p.visit(linkIn(t, d.mailsWith(who.Email, "/reset-password?token=", 1)[0], "/reset-password?token="))
	savePassword(p, newPassword)
	p.visit(d.App + "/records/signin")
	p.signIn(who.Username, newPassword)
	p.sees("Set up your authenticator app")
	for series, want := range map[string]float64{`medximity_idp_second_factor_resets_total{by="support"}`: 1,
		`medximity_idp_support_outcomes_total{outcome="second"}`: 1, `medximity_idp_support_actions_total{action="release",result="done"}`: 1} {
		if got := d.metric(series); got != want {
			t.Errorf("%s is %v", series, got)
		}
	}
}

// By one agent, at once: it gives nobody access who has no password.
func TestPromise_4_4_SupportClearsALock(t *testing.T) {
	d := startDemo(t)
	who := d.person("camille")
	p := newPerson(t)
	p.visit(d.Issuer + "/login")
	for range 5 {
		p.signIn(who.Username, "not the right one")
	}
	p.sees("Your account is locked")
	claimant, _ := contact(t, d, "camille@new.example", map[string]string{"name": "Camille Roy", "practice": "Riverside Family Practice", "username": "camille"})
	sam := atDesk(t, d, "sam")
	sam.caseOf(claimant)
	sam.verify([]string{"unlock"}, "facts")
	sam.sees("Locked")
	sam.press("Approve", nil)
	sam.sees("Done", "Active")
	p.visit(d.Issuer + "/login")
	p.signIn(who.Username, who.Password)
	p.sees("You are signed in")
	if got := d.metric(`medximity_idp_lockouts_cleared_total{by="support"}`); got != 1 {
		t.Errorf("%v locks cleared by support", got)
	}
}

// The Owner is unavailable: one of the staff becomes it, after two agents and the
// day in which the Owner can stop it.
func TestPromise_5_3_IfTheOwnerIsUnavailableSupportReplacesThem(t *testing.T) {
	d := startDemo(t)
	owner, admin := d.grace(), d.person("daniel")
	claimant, _ := contact(t, d, "daniel@new.example", map[string]string{"name": "Daniel Park", "practice": "Riverside Family Practice",
		"username": "daniel", "happened": "Our Account Owner has died."})
	sam := atDesk(t, d, "sam")
	sam.caseOf(claimant)
	sam.sees("Our Account Owner has died.")
	sam.verify([]string{"owner"}, allChecks...)
	sam.press("Approve", nil)
	alex := atDesk(t, d, "alex")
	alex.caseOf(claimant)
	alex.press("Approve", nil)
	if m := d.told(owner.Email, "Support is about to give access to a Medximity account"); !strings.Contains(m.Text, "Daniel Min-jun Park") ||
		strings.Contains(m.Text, "done at once") {
		t.Errorf("the Owner is told:\n%s", m.Text)
	}
	d.pass(24 * time.Hour)
	d.told(owner.Email, "Your practice has a new Account Owner")
	theirs := settingsOf(t, d, admin)
	theirs.visit("/account/team?q=daniel")
	theirs.sees("1 person", "Account Owner")
}
