package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	guest     = "zoe@guest.example"
	guestPass = "a lantern over quiet water"
)

// invites signs somebody in and opens the form.
func invites(t *testing.T, d *demo, who demoPerson) *person {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + "/account/team/invite")
	p.signIn(who.Username, who.Password)
	p.sees("Work email", "Role", "Send Invite")
	return p
}

// box is the name of the box beside these words.
func (p *person) box(words string) string {
	p.t.Helper()
	for l := range p.page.elements("label") {
		if squeeze(text(l)) == words {
			return attr(l, "for")
		}
	}
	p.t.Fatalf("nothing to tick beside %q:\n%s", words, p.page.words())
	return ""
}

// invitation waits for the nth mail with a link to join, and returns the link.
func (d *demo) invitation(to string, n int) string {
	d.t.Helper()
	return linkIn(d.t, d.mailsWith(to, "/invite?token=", n)[n-1], "/invite?token=")
}

func (p *person) join(name, password string) *page {
	p.t.Helper()
	return p.press("Create Account", map[string]string{"name": name, "new_password": password, "confirm_password": password})
}

// By the owner's form, the mail, the page and the sign-in.
func TestPromise_5_4_StaffJoinByInvitation(t *testing.T) {
	d := startDemo(t)
	owner := invites(t, d, d.grace())
	owner.press("Send Invite", map[string]string{"email": "zoe"})
	owner.sees("There is a problem", "Enter an email address in the correct format")
	for _, name := range []string{"Main Street", "Harbor Road"} {
		owner.visit("/account/team/locations")
		owner.press("Add Location", map[string]string{"name": name})
	}
	owner.visit("/account/team")
	owner.follow("Invite Somebody")
	owner.sees("Locations", "Main Street", "Harbor Road")
	owner.press("Send Invite", map[string]string{"email": guest, "role": "billing", owner.box("Main Street"): "yes"})
	owner.sees("Pending Invites", "The invitation is sent", guest, "Billing", "Main Street", "Pending", "Works until")
	if strings.Contains(owner.page.words(), "Harbor Road") {
		t.Error("they are invited to a location that was not ticked")
	}
	if strings.Contains(owner.page.body, "token") {
		t.Error("the owner's page has something of the link")
	}
	m := d.mailsWith(guest, "/invite?token=", 1)[0]
	if m.Subject != "Join Riverside Family Practice on Medximity" || !strings.Contains(m.HTML, ">Join the Team</a>") || !strings.Contains(m.Text, "72 hours") {
		t.Errorf("the mail %q:\n%s", m.Subject, m.Text)
	}
	zoe := newPerson(t)
	zoe.visit(linkIn(t, m, "/invite?token="))
	zoe.sees("Join Riverside Family Practice", "Work email", "Full name", "New password", "15 to 256")
	if strings.Contains(zoe.page.url.String(), "token") {
		t.Errorf("the token stayed in the URL: %s", zoe.page.url)
	}
	zoe.join("", guestPass)
	zoe.sees("Enter your full name")
	zoe.join("Zoë Guest", "short")
	zoe.sees("Password must be 15 characters or more")
	zoe.join("Zoë Guest", guestPass)
	zoe.sees("Your account is ready", "Sign In")
	zoe.press("Sign In", map[string]string{"password": guestPass}) // the address is filled in
	zoe.sees("You are signed in", guest)
	zoe.visit("/account/team/invites")
	zoe.sees("This page is for those who run the team")
	owner.visit("/account/team/invites")
	owner.sees("No invitation is open")
	owner.visit("/account/team?q=zoe")
	owner.sees("Zoë Guest", "Billing", "1 person")

	admin := invites(t, d, d.person("daniel"))
	if strings.Contains(admin.page.body, `value="admin"`) {
		t.Error("an admin is offered to make another")
	}
}

// The link was sent between two looks at the clock: 71:59:59 after the first it
// is not yet 72 hours old, 72:00:00 after the second it is.
func TestPromise_5_4_AnInvitationIsValidFor72Hours(t *testing.T) {
	d := startDemo(t)
	owner := invites(t, d, d.grace())
	first := d.now()
	owner.press("Send Invite", map[string]string{"email": guest})
	owner.visit("/account/team/invite")
	owner.press("Send Invite", map[string]string{"email": "late@guest.example"})
	second := d.now()
	link, late := d.invitation(guest, 1), d.invitation("late@guest.example", 1)

	d.set(first.Add(71 * time.Hour))
	opened := newPerson(t)
	opened.visit(late)
	opened.sees("Create Account")
	d.set(first.Add(72*time.Hour - time.Second))
	zoe := newPerson(t)
	zoe.visit(link)
	zoe.join("Zoë Guest", guestPass)
	zoe.sees("Your account is ready")

	d.set(second.Add(72 * time.Hour))
	opened.join("Late Guest", guestPass)
	opened.sees("This invitation has expired", "72 hours", "Ask whoever invited you")
	d.set(second.Add(73 * time.Hour))
	again := newPerson(t)
	again.visit(late)
	again.sees("This invitation has expired")
	if again.page.status != http.StatusGone {
		t.Errorf("status %d", again.page.status)
	}

	owner.visit(d.Issuer + "/account/team/invites")
	owner.signIn(d.grace().Username, d.grace().Password)
	owner.sees("late@guest.example", "Expired")
	owner.press("Resend : late@guest.example", nil)
	owner.sees("The invitation is sent")
	again.visit(d.invitation("late@guest.example", 2))
	again.join("Late Guest", guestPass)
	again.sees("Your account is ready")
}

func TestPromise_5_4_OnlyTheNewestInvitationWorks(t *testing.T) {
	d := startDemo(t)
	owner := invites(t, d, d.grace())
	owner.press("Send Invite", map[string]string{"email": guest})
	older := d.invitation(guest, 1)
	opened := newPerson(t)
	opened.visit(older)
	owner.press("Resend : "+guest, nil)
	newer := d.invitation(guest, 2)
	for _, p := range []*person{newPerson(t), opened} {
		if p == opened {
			p.join("Zoë Guest", guestPass)
		} else {
			p.visit(older)
		}
		p.sees("There is a newer invitation", "latest email")
	}
	owner.press("Resend : "+guest, nil)
	newest := d.invitation(guest, 3)
	owner.press("Resend : "+guest, nil)
	owner.sees("There is a problem", "This address got 3 invitations within the last hour", "the newest link works")
	opened.visit(newer)
	opened.sees("There is a newer invitation")
	opened.visit(newest)
	opened.sees("Create Account")
	owner.press("Withdraw : "+guest, nil)
	owner.sees("The invitation is withdrawn", "No invitation is open")
	opened.join("Zoë Guest", guestPass)
	opened.sees("This invitation was withdrawn")
}

// Who has an account is told, and whoever invites them is not.
func TestInvitingSomebodyWhoHasAnAccount(t *testing.T) {
	d := startDemo(t)
	known := d.person("ruth.alvarez@mailbox.example") // a patient, of no practice
	pages := map[string]string{}
	for _, email := range []string{guest, known.Email} {
		owner := invites(t, d, d.grace())
		owner.press("Send Invite", map[string]string{"email": email})
		owner.sees(email)
		_, words, _ := strings.Cut(owner.page.words(), email)
		pages[email], _, _ = strings.Cut(words, "Works until")
	}
	if pages[guest] == "" || strings.Split(pages[guest], "November")[0] != strings.Split(pages[known.Email], "November")[0] {
		t.Errorf("the entries differ: %q", pages)
	}
	m := d.told(known.Email, "Riverside Family Practice tried to invite you")
	if strings.Contains(m.Text+m.HTML, "token") || !strings.Contains(m.Text, "/contact-support") {
		t.Errorf("the mail:\n%s", m.Text)
	}
	d.invitation(guest, 1)
	if got := d.metric(`medximity_idp_invitations_total{result="has_account"}`) + d.metric(`medximity_idp_invitations_total{result="sent"}`); got != 2 {
		t.Errorf("counted %v", got)
	}
}

// In a real browser, where the practice demands two factors: they are set up at
// the first sign-in, before anything else.
func TestWalkInvite(t *testing.T) { bothWays(t, walkInvite) }

func walkInvite(t *testing.T, d *demo, c *chromium) {
	d.idp("practice", "require-2fa", "riverside")
	c.open(d.Issuer + "/account/team/invites")
	c.signIn(d.grace())
	c.setUp(d)
	c.saveCodes()
	c.sees("Pending Invites", "No invitation is open")
	c.click("a[href$='/account/team/invite']")
	c.sees("Invite to your team", "Work email", "72 hours")
	c.enter("email", "zoe")
	c.sees("Enter an email address in the correct format")
	c.enter("email", guest)
	c.sees("The invitation is sent", guest, "Front Desk")
	d.invitation(guest, 1) // one that is superseded before it was mailed is not mailed
	c.do("/invites/resend")
	c.sees("The invitation is sent", guest)
	link := d.invitation(guest, 2)
	c.settings(d, "team/invite")
	c.enter("email", "late@guest.example")
	late := d.invitation("late@guest.example", 1)
	c.signOut(d)

	d.pass(71 * time.Hour)
	c.open(link)
	c.sees("Join Riverside Family Practice", "8 to 256 characters")
	c.fill("name", "Zoë Guest")
	c.fill("new_password", "t0mcat eh")
	c.enter("confirm_password", "t0mcat eh")
	c.sees("Your account is ready")
	c.enter("password", "t0mcat eh")
	c.setUp(d)
	c.saveCodes()
	c.sees("You are signed in", guest)
	c.open(link)
	c.sees("This invitation has been used", "Sign In")

	d.pass(2 * time.Hour) // 73 hours
	c.open(late)
	c.sees("This invitation has expired", "Ask whoever invited you")
}

// Every page and state of it, as axe sees it.
func TestAccessibilityInvites(t *testing.T) {
	accessible(t, func(d *demo, c *chromium, check func(name, words string)) {
		c.settings(d, "team/invites")
		c.signIn(d.grace())
		check("none", "No invitation is open")
		c.settings(d, "team/invite")
		check("form", "Send Invite")
		c.enter("email", "zoe")
		check("form, refused", "There is a problem")
		for range 3 {
			c.settings(d, "team/invite")
			c.enter("email", "somebody.with.a.rather.long.name@riverside-family-practice.example")
		}
		check("list", "Pending")
		c.do("/invites/resend")
		check("list, refused", "within the last hour")
		c.settings(d, "team/invite")
		c.enter("email", "somebody.with.a.rather.long.name@riverside-family-practice.example")
		check("form, limited", "within the last hour")
		c.settings(d, "team/invite")
		c.enter("email", guest)
		link := d.invitation(guest, 1)
		c.open(link)
		check("join", "Create Account")
		c.click("#submit")
		check("join, refused", "Enter your full name")
		c.fill("name", "Zoë Guest")
		c.fill("new_password", guestPass)
		c.enter("confirm_password", guestPass)
		check("joined", "Your account is ready")
		c.open(link)
		check("used", "This invitation has been used")
		c.open(d.Issuer + "/invite?token=none")
		check("unknown", "This invitation does not work")
	})
}
