package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Walks through Team Members, in a real browser: on a phone, and in a wide
// window without JavaScript.

func (d *demo) role(role string) demoPerson {
	d.t.Helper()
	for _, p := range d.People {
		if p.Role == role {
			return p
		}
	}
	d.t.Fatalf("the demo has no %s", role)
	return demoPerson{}
}

// manage opens Manage Access for somebody, through the list.
func (c *chromium) manage(d *demo, who demoPerson) {
	c.t.Helper()
	c.settings(d, "team")
	c.fill("q", who.Username)
	c.click("form[role=search] button")
	c.sees("Team Members", "1 person", who.Username)
	c.click("a[href*='/team/member?id=']")
	c.sees("Manage Access", who.Email)
}

// fail locks somebody's account, as a stranger would, in this browser.
func (c *chromium) fail(d *demo, who demoPerson) {
	c.t.Helper()
	c.open(d.App + "/signin")
	for range 5 {
		c.fill("identifier", who.Username)
		c.fill("password", "not the right one")
		c.click("#submit")
	}
	c.sees("Your account is locked")
}

// promises.md 5.2: "The Owner resets staff and admin credentials at Account
// Settings > Team Members > Manage Access." A front-desk person is locked out;
// the owner ends the lock and sends a link; she chooses a password and works.
func TestWalkTeamOwnerHelps(t *testing.T) { bothWays(t, walkTeamOwnerHelps) }

func walkTeamOwnerHelps(t *testing.T, d *demo, c *chromium) {
	owner, desk := d.role("owner"), d.role("front_desk")
	cleared, reset := `medximity_idp_lockouts_cleared_total{by="owner"}`, `medximity_idp_password_resets_completed_total{initiator="owner"}`
	before := []float64{d.metric(cleared), d.metric(reset)}
	c.fail(d, desk)

	c.settings(d, "security")
	c.signIn(owner)
	c.sees("Security")
	c.click("a[href$='/account/team']")
	c.sees("Team Members", "Everybody who can sign in for", desk.Username, "Locked", "You")
	c.manage(d, desk)
	c.sees("Locked", "Unlock Account", "Send Reset Link")
	c.do("/team/unlock")
	c.sees("The account is unlocked.")
	c.do("/team/link")
	c.sees("The link is on its way to their email.")
	if strings.Contains(c.words(), "token") || strings.Contains(c.url(), "token") {
		t.Error("the owner sees the link")
	}
	c.signOut(d)

	link := linkIn(t, d.mailsWith(desk.Email, "/reset-password?token=", 1)[0], "/reset-password?token=")
	d.told(desk.Email, "Votre cabinet a modifié votre compte Medximity")
	c.open(link)
	c.fill("new_password", "a long walk by the sea")
	c.fill("confirm_password", "a long walk by the sea")
	c.click("#submit")
	c.sees("Your password is saved")
	c.open(d.App + "/signin")
	desk.Password = "a long walk by the sea"
	c.signIn(desk)
	c.sees(desk.Email)
	for n, series := range []string{cleared, reset} {
		if got := d.metric(series) - before[n]; got != 1 {
			t.Errorf("%s moved by %v", series, got)
		}
	}
	c.settings(d, "activity")
	c.sees("by your practice")
	c.settings(d, "team")
	c.sees("This page is for those who run the team")
}

// Roles, places, the end of access and its return, and the review.
func TestWalkTeamManages(t *testing.T) { bothWays(t, walkTeamManages) }

func walkTeamManages(t *testing.T, d *demo, c *chromium) {
	owner, billing := d.role("owner"), d.role("billing")
	c.settings(d, "team/locations")
	c.signIn(owner)
	c.fill("name", "Main Street")
	c.click("#submit")
	c.sees("The location is added.", "Main Street")
	c.fill("name", "main street")
	c.click("#submit")
	c.sees("There is a problem", "a location of that name already")

	c.manage(d, billing)
	c.run(chromedp.Click("input[name^='location-']:not([checked])", chromedp.ByQuery))
	c.do("/team/locations-of")
	c.sees("The locations are saved.")
	c.do("/team/end-sessions")
	c.sees("They are signed out everywhere.")
	c.click("a[href*='act=deactivate']")
	c.sees("Deactivate Mateo José Silva?", "Their access ends at once")
	c.click("#submit")
	c.sees("Their access has ended.", "Deactivated", "Reactivate")
	c.settings(d, "team/access")
	c.sees("Access review", billing.Email, "Main Street", "Deactivated", "Save as CSV File")
	c.shoot()
	c.signOut(d)

	c.open(d.App + "/signin")
	c.signIn(billing)
	c.sees("The username or password is not right")

	c.settings(d, "team")
	c.signIn(owner)
	c.manage(d, billing)
	c.do("/team/reactivate")
	c.sees("They can sign in again.")
	c.signOut(d)
	c.open(d.App + "/signin")
	c.signIn(billing)
	c.sees(billing.Email)
}

// The practice changes hands: offered, agreed, and a day later done.
func TestWalkTeamChangesHands(t *testing.T) { bothWays(t, walkTeamChangesHands) }

func walkTeamChangesHands(t *testing.T, d *demo, c *chromium) {
	owner, admin := d.role("owner"), d.role("admin")
	c.settings(d, "team")
	c.signIn(owner)
	c.manage(d, admin)
	c.click("a[href*='act=transfer']")
	c.sees("Make Daniel Min-jun Park the Account Owner?")
	c.click("#submit")
	c.sees("The offer is on its way to them.", "You offered")
	c.signOut(d)

	mail := d.mailsWith(admin.Email, "/account/ownership", 1)[0]
	c.open(linkIn(t, mail, "/account/ownership"))
	c.signIn(admin)
	c.sees("Grace Adaeze Okafor asks you", "Decline")
	c.click("#submit")
	c.sees("You agreed.", "Happens on", "Stop the Transfer")
	c.shoot()
	d.mailsWith(owner.Email, "/ownership/cancel?token=", 1)
	d.pass(24 * time.Hour)
	d.told(owner.Email, "Your practice has a new Account Owner")
	d.told(admin.Email, "의료기관의 계정 소유자가 바뀌었습니다")
	c.settings(d, "team")
	c.signIn(admin)
	c.manage(d, owner)
	c.sees("Admin")
}

// An Admin who tries: what is not theirs is not there, by the list, by the
// address bar and by a form that was bent.
func TestWalkTeamAdminTries(t *testing.T) { bothWays(t, walkTeamAdminTries) }

func walkTeamAdminTries(t *testing.T, d *demo, c *chromium) {
	admin := d.role("admin")
	c.settings(d, "team?q=grace")
	c.signIn(admin)
	c.sees("1 person", "Account Owner")
	if strings.Contains(c.words(), "Manage Access") {
		t.Error("an Admin is led to manage the Owner")
	}
	for _, path := range []string{"member?id=demo-owner", "member?id=demo-admin", "member?id=demo-support", "member?id=nobody",
		"confirm?act=deactivate&id=demo-owner", "confirm?act=transfer&id=demo-billing"} {
		c.settings(d, "team/"+path)
		c.sees("Page not found")
	}
	billing := d.role("billing")
	c.manage(d, billing)
	for from, to := range map[string]string{"billing": "owner", "front_desk": "admin"} {
		c.bend("option[value="+from+"]", to)
		c.do("/team/role")
		c.sees("This page is for those who run the team")
		c.manage(d, billing)
	}
	c.sees("Billing")
	c.settings(d, "team/invite")
	c.bend("option[value=billing]", "owner")
	c.fill("email", "mallory@guest.example")
	c.click("#submit")
	c.sees("There is a problem")
}

// bend gives an option of a list another value, and chooses it, as whoever has
// the browser's tools can.
func (c *chromium) bend(option, value string) {
	c.t.Helper()
	c.run(chromedp.Evaluate(fmt.Sprintf(`{ const o = document.querySelector(%q); o.value = %q; o.selected = true }`, option, value), nil))
}
