package main

import (
	"net/http"
	"strings"
	"testing"
)

// settingsOf signs somebody in to Account Settings.
func settingsOf(t *testing.T, d *demo, who demoPerson) *person {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + "/account/security")
	p.signIn(who.Username, who.Password)
	p.sees("Account Settings")
	return p
}

// access opens Manage Access for somebody, from the list.
func (p *person) access(who demoPerson) *page {
	p.t.Helper()
	p.visit("/account/team?q=" + who.Username)
	p.follow("Manage Access")
	p.sees("Manage Access", who.Email)
	return p.page
}

// The four roles have their names, and whoever is invited is, unless somebody
// says more, what may do least. (That apps hear of it is TestUserinfo's.)
func TestPromise_5_1_AccessIsByRole(t *testing.T) {
	d := startDemo(t)
	owner := settingsOf(t, d, d.grace())
	for role, words := range map[string]string{"owner": "Account Owner", "admin": "Admin", "front_desk": "Front Desk", "billing": "Billing"} {
		owner.visit("/account/team?q=" + d.role(role).Username)
		owner.sees("1 person", words)
	}
	owner.visit("/account/team/invite")
	chosen := ""
	for option := range owner.page.elements("option") {
		if chosen == "" || hasAttr(option, "selected") {
			chosen = attr(option, "value")
		}
	}
	if chosen != "front_desk" {
		t.Errorf("the default is %q", chosen)
	}
	for _, role := range []string{"front_desk", "billing"} {
		staff := settingsOf(t, d, d.role(role))
		if strings.Contains(staff.page.body, "/account/team") {
			t.Errorf("%s is led to the team", role)
		}
		staff.visit("/account/team")
		staff.sees("Only the Account Owner and the Admins")
		if staff.page.status != http.StatusForbidden {
			t.Errorf("status %d", staff.page.status)
		}
	}
}

// For an Admin and for one of the staff, at the place that the help page names.
func TestPromise_5_2_TheOwnerResetsStaffAndAdminCredentials(t *testing.T) {
	d := startDemo(t)
	owner := settingsOf(t, d, d.grace())
	for n, who := range []demoPerson{d.role("admin"), d.role("billing")} {
		owner.visit("/account/security")
		owner.follow("Team Members")
		owner.access(who)
		owner.press("Send Reset Link", nil)
		owner.sees("The link is on its way")
		theirs := newPerson(t)
		theirs.visit(linkIn(t, d.mailsWith(who.Email, "/reset-password?token=", 1)[0], "/reset-password?token="))
		savePassword(theirs, newPassword)
		theirs.signIn(who.Username, newPassword)
		theirs.sees(who.Username)
		if got := d.metric(`medximity_idp_password_resets_completed_total{initiator="owner"}`); got != float64(n+1) {
			t.Errorf("%v resets that the owner began", got)
		}
	}
	nora := d.nora() // she has a phone, and has lost it
	owner.access(nora)
	owner.follow("Turn Off Second Step")
	owner.press("Turn Off Second Step", nil)
	owner.sees("The second step is turned off.")
	d.told(nora.Email, "Your second step was turned off")
	hers := settingsOf(t, d, nora)
	hers.sees("You sign in with your password alone")
}

// An Admin has Manage Access for staff, and nothing of the kind for the Owner.
func TestPromise_5_2_AnAdminCannotTouchAnOwner(t *testing.T) {
	d := startDemo(t)
	admin := settingsOf(t, d, d.role("admin"))
	admin.access(d.role("front_desk"))
	if strings.Contains(admin.page.body, "act=transfer") {
		t.Error("an Admin is offered to transfer ownership")
	}
	admin.visit("/account/team?q=" + d.grace().Username)
	if strings.Contains(admin.page.body, "/team/member?id=") {
		t.Error("an Admin is led to manage the Owner")
	}
	for _, act := range []string{"deactivate", "role", "reset-second", "link", "end-sessions", "transfer"} {
		answer := admin.send(d.Issuer+"/account/team/"+act, map[string][]string{"id": {"demo-owner"}, "role": {"billing"}})
		if answer.status != http.StatusNotFound {
			t.Errorf("%s: status %d", act, answer.status)
		}
	}
	settingsOf(t, d, d.grace()).sees(d.grace().Email)
}

// The contact page says who is faster, and asks who is asking.
func TestPromise_5_3_WithoutTheOwnerStaffTurnToSupport(t *testing.T) {
	d := startDemo(t)
	p := newPerson(t)
	p.visit(d.Issuer + "/contact-support")
	p.sees("Ask its Account Owner or an Admin first", "Account Settings > Team Members > Manage Access",
		"Full name", "Practice name", "NPI", "Username", "Support checks who you are")
}

// At once: in the browser and in the app; and what they did stays in the trail.
func TestPromise_5_4_DeactivatingEndsAccessAtOnce(t *testing.T) {
	d := startDemo(t)
	billing := d.role("billing")
	theirs := settingsOf(t, d, billing)
	owner := settingsOf(t, d, d.grace())
	owner.access(billing)
	owner.follow("Deactivate")
	owner.press("Deactivate", nil)
	owner.sees("Their access has ended.", "Deactivated")

	theirs.visit("/account/security")
	theirs.sees("Sign in")
	theirs.signIn(billing.Username, billing.Password)
	theirs.sees("The username or password is not right")
	theirs.visit(d.Issuer + "/forgot-password")
	theirs.press("Send Reset Link", map[string]string{"email": billing.Email})
	theirs.sees("Check your email")
	owner.visit("/account/team?q=" + billing.Username)
	owner.sees("Mateo José Silva", "Billing", "Deactivated")
	for _, m := range d.inbox(billing.Email) {
		if strings.Contains(m.Text, "/reset-password?token=") {
			t.Error("whoever is deactivated is mailed a link")
		}
	}
}
