package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Walks through the support desk, in a real browser: on a phone, and in a wide
// window without JavaScript.

const newMailbox = "grace@new-mailbox.example"

// asks goes from the sign-in page to Support, as somebody does who lost it all, and
// opens a case. It returns the page of the case.
func (c *chromium) asks(d *demo, who demoPerson) (link string) {
	c.t.Helper()
	c.open(d.App + "/signin")
	c.click("a[href*='/forgot-password']")
	c.click("a[href*='/contact-support']")
	c.sees("Contact Support", "one business day")
	c.fill("name", "Grace Okafor")
	c.fill("practice", "Riverside Family Practice")
	c.fill("npi", "1234567893")
	c.fill("username", who.Username)
	c.fill("email", newMailbox)
	c.fill("happened", "My phone is lost, and the mailbox is closed.")
	c.click("#submit")
	c.sees("Support has your request", "Answer by")
	link = linkIn(c.t, d.mailsWith(newMailbox, "/contact-support/case?token=", 1)[0], "/contact-support/case?token=")
	c.open(link)
	c.sees("Waiting for Support")
	c.click("#submit")
	c.sees("This email address is confirmed.")
	return link
}

// atDesk signs an agent in, by both factors, and opens the one case there is.
func (c *chromium) atDesk(d *demo, username string, phones map[string]authenticator) {
	c.t.Helper()
	who := d.person(username)
	first := false
	if _, ok := phones[username]; !ok {
		phones[username], first = d.phone(who), true
	}
	phone := phones[username]
	c.open(d.Issuer + "/support")
	c.signIn(who)
	c.enter("otp", phone.next())
	if first {
		c.saveCodes()
	}
	c.sees("Open cases", "1 case", "Grace Okafor")
	c.click("main .entries h2 a")
	c.sees("Case ", "What was claimed")
}

// act sends one of the forms of the case.
func (c *chromium) act(what string) {
	c.t.Helper()
	c.click(fmt.Sprintf("form[action$='/support/case/%s'] button", what))
}

// verifies has an agent find out who asks, for the remedies, and approve.
func (c *chromium) verifies(remedies ...string) {
	c.t.Helper()
	c.act("take")
	c.sees("You work on the case now.")
	for _, r := range remedies {
		c.run(chromedp.Click("#remedy-"+r, chromedp.ByQuery))
	}
	c.act("choose")
	c.sees("Saved.", "Before anybody can approve:", "Check the photo ID")
	c.act("reveal")
	c.sees("There is a problem", "Say it in words")
	c.fill("reason", "To compare what is on file.")
	c.act("reveal")
	c.sees("On file", "Grace Okafor", "+1 312 555 0142")
	c.shoot()
	for _, check := range []string{"facts", "identity", "affiliation"} {
		c.fill("evidence-"+check, "Seen in a call at noon.")
		c.click(fmt.Sprintf("form:has(input[value=%s]) button", check))
		c.sees("Checked.")
	}
	c.act("approve")
	c.sees("You approved.", "Approved by one")
	c.shoot()
}

// approved has two agents approve: then the day begins.
func (c *chromium) approved(d *demo, phones map[string]authenticator, remedies ...string) {
	c.t.Helper()
	c.atDesk(d, "sam", phones)
	c.verifies(remedies...)
	c.signOut(d)
	c.atDesk(d, "alex", phones)
	c.sees("A colleague works on this case", "1 agent approved so far")
	c.act("approve")
	c.sees("You approved.", "Waiting")
	c.signOut(d)
}

// promises.md 2.1 to 2.4: an owner who lost e-mail and second factor, from the
// form to her first sign-in. First she cancels, for the phone turned up; then it
// is lost for good.
func TestWalkDeskRestores(t *testing.T) { bothWays(t, walkDeskRestores) }

func walkDeskRestores(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	phones := map[string]authenticator{}
	c.settings(d, "security") // she has a second factor, and will lose it
	c.signIn(who)
	c.click("form[action$='/authenticators'] button")
	c.setUp(d)
	c.saveCodes()
	c.signOut(d)

	status := c.asks(d, who)
	c.approved(d, phones, "email", "second")
	notice := d.told(who.Email, "Support is about to give access to a Medximity account")
	if !strings.Contains(notice.Text, "In 24 hours") || !strings.Contains(notice.Text, "Turn off the second step") {
		t.Errorf("the old address is told:\n%s", notice.Text)
	}
	c.open(status)
	c.sees("Approved. It is done at the time below")
	c.shoot()
	c.click("form[action$='/withdraw'] button")
	c.sees("Withdrawn by you")
	d.pass(25 * time.Hour)
	c.settings(d, "security")
	c.signIn(who)
	c.sees("authenticator app") // nothing was changed: a code is asked for

	status = c.asksAgain(d, who)
	c.approved(d, phones, "email", "second")
	d.pass(25 * time.Hour)
	link := linkIn(t, d.mailsWith(newMailbox, "/reset-password?token=", 1)[0], "/reset-password?token=")
	d.told(who.Email, "Your Medximity email was changed")
	c.open(status)
	c.sees("Done. See the emails that we sent.")
	c.open(d.App + "/signin")
	c.signIn(who) // the password alone, which a thief may know, opens nothing
	c.sees("This password cannot be used", "Support gave the account back")
	c.open(link)
	c.fill("new_password", newPassword)
	c.fill("confirm_password", newPassword)
	c.click("#submit")
	c.open(d.App + "/records/signin") // which wants two factors
	who.Username, who.Password = newMailbox, newPassword
	c.signIn(who)
	c.setUp(d)
	c.saveCodes()
	c.sees(newMailbox, "recently_recovered true")
	c.shoot()
	for _, series := range []string{`medximity_idp_support_outcomes_total{outcome="email"}`, `medximity_idp_support_outcomes_total{outcome="second"}`,
		`medximity_idp_support_outcomes_total{outcome="withdrawn"}`, `medximity_idp_password_resets_completed_total{initiator="support"}`} {
		if got := d.metric(series); got != 1 {
			t.Errorf("%s is %v", series, got)
		}
	}
}

// asksAgain opens a second case, whose link is the newest mail's.
func (c *chromium) asksAgain(d *demo, who demoPerson) (link string) {
	c.t.Helper()
	c.open(d.Issuer + "/contact-support")
	for id, value := range map[string]string{"name": "Grace Okafor", "practice": "Riverside Family Practice", "username": who.Username, "email": newMailbox} {
		c.fill(id, value)
	}
	c.click("#submit")
	link = linkIn(c.t, d.mailsWith(newMailbox, "/contact-support/case?token=", 2)[1], "/contact-support/case?token=")
	c.open(link)
	c.click("#submit")
	c.sees("This email address is confirmed.")
	return link
}

// A thief asks in the owner's name, and deceives two agents. The address on file
// is told, and freezes it: nothing is changed, and the owner works on.
func TestWalkDeskFreezesATheft(t *testing.T) { bothWays(t, walkDeskFreezesATheft) }

func walkDeskFreezesATheft(t *testing.T, d *demo, c *chromium) {
	who := d.grace()
	phones := map[string]authenticator{}
	status := c.asks(d, who)
	c.approved(d, phones, "email", "second")

	c.settings(d, "sessions") // she is told wherever she is signed in
	c.signIn(who)
	c.sees("Support is about to change something about your account.")
	c.shoot()
	c.click("a[href$='/account/case']")
	c.sees("Did you ask Support for this?", "Give the account a new email address", "It Was Me: Do It Now")
	c.signOut(d)

	c.open(linkIn(t, d.told(who.Email, "Support is about to give access to a Medximity account"), "/contact-support/stop?token="))
	c.sees("Did you ask Support for this?", "It Was Not Me: Stop It")
	c.shoot()
	c.click("#submit")
	c.sees("It is stopped", "Nothing was changed")
	d.pass(25 * time.Hour)
	c.open(status)
	c.sees("On hold")
	c.open(d.App + "/signin")
	c.signIn(who)
	c.sees(who.Email)
	c.signOut(d)

	c.atDesk(d, "sam", phones)
	c.sees("Frozen", "Whoever holds the account says that it was not them.")
	c.act("reject")
	c.sees("The case is closed.", "Rejected")
	c.open(status)
	c.sees("Closed by Support", "We could not make sure that the account is yours")
	if got := d.metric(`medximity_idp_support_outcomes_total{outcome="rejected"}`); got != 1 {
		t.Errorf("%v cases rejected", got)
	}
	if len(d.mailsWith(newMailbox, "/contact-support/case?token=", 1)) != 1 || strings.Contains(fmt.Sprint(d.inbox(newMailbox)), "/reset-password") {
		t.Errorf("the thief was mailed %v", d.inbox(newMailbox))
	}
}
