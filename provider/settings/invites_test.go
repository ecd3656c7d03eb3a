package settings

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// newTeam is Account Settings of a practice with somebody in every role, where
// the owner is signed in.
func newTeam(t *testing.T) *rig {
	t.Helper()
	g := newRig(t)
	g.able.Team = true
	g.ok(g.Store.AddPractice(t.Context(), "river", "Riverside"))
	for _, role := range account.Roles {
		_, err := g.Store.AddPerson(t.Context(), store.NewPerson{ID: account.ID("id-" + role), Practice: "river", Role: string(role),
			Username: "the-" + string(role), Email: string(role) + "@team.example", EmailVerified: true, Hash: "h"}, "test")
		g.ok(err)
	}
	g.as(account.Owner)
	return g
}

// as signs somebody else of the team in.
func (g *rig) as(role account.Role) {
	g.Helper()
	g.session = g.signIn(account.ID("id-" + role))
}

func (g *rig) words(key string, args map[string]any) string {
	g.Helper()
	return g.Site.Templates.Text("en", key, args)
}

// varying is what differs between any two invitations.
var varying = regexp.MustCompile(`<time.*?</time>|value="[^"]*"`)

const (
	inviteForm = "/account/team/invite"
	inviteList = "/account/team/invites"
)

// The only way to a person is the mail: the answer, the list and the page are
// the same whether or not anybody has the address.
func TestInvitingTellsNothing(t *testing.T) {
	g := newTeam(t)
	list := map[string]string{}
	for _, email := range []string{"a@guest.example", "grace@river.example"} {
		a := g.post(inviteForm, "email", " "+strings.ToUpper(email), "role", "billing")
		g.shows(a, 303, inviteList+"?notice=invite_sent")
		if a.page != "" || len(a.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: %v %s", email, a.header, a.page)
		}
		page := g.get(a.location)
		g.shows(page, 200, email, g.words("notice.invite_sent", nil), "Pending", "Billing", "Resend")
		_, entry, _ := strings.Cut(page.page, "<li>\n<h2>"+email)
		entry, _, _ = strings.Cut(entry, "</li>\n")
		list[email] = varying.ReplaceAllString(strings.ReplaceAll(entry, email, "ADDRESS"), "VARYING")
	}
	if list["a@guest.example"] != list["grace@river.example"] || list["a@guest.example"] == "" {
		t.Errorf("they stand differently in the list:\n%s\n%s", list["a@guest.example"], list["grace@river.example"])
	}
	token := g.mailed(2)
	for page, a := range map[string]answer{"list": g.get(inviteList), "form": g.get(inviteForm)} {
		if strings.Contains(a.page, token["invite token"]) || token["invite token"] == "" {
			t.Errorf("the link is on the %s", page)
		}
	}
}

func TestInviteForm(t *testing.T) {
	g := newTeam(t)
	a := g.get(inviteForm)
	g.shows(a, 200, `<option value="front_desk">Front Desk</option>`, `<option value="admin">`, "Work email", "Send Invite")
	first := strings.Index(a.page, "<option value=\"front_desk\"")
	if i := strings.Index(a.page, "<option value="); i != first || strings.Contains(a.page, "Locations") || strings.Contains(a.page, `value="owner"`) {
		t.Errorf("the role that may least is not first, or there are locations, or ownership:\n%s", a.page)
	}
	for _, tt := range []struct{ email, role, key string }{
		{"", "billing", "err.email_empty"}, {"ann", "billing", "err.email_shape"}, {"a@b.example,c@d.example", "billing", "err.email_shape"},
		{"a@b.example\r\nBcc: c@d.example", "billing", "err.email_shape"}, {"ann@guest.example", "", "err.invite_role"},
		{"ann@guest.example", "owner", "err.invite_role"}, {"ann@guest.example", "support", "err.invite_role"}, {"ann@guest.example", "root", "err.invite_role"},
	} {
		g.shows(g.post(inviteForm, "email", tt.email, "role", tt.role), 422, g.words(tt.key, nil))
	}
	g.as(account.Admin)
	if a := g.get(inviteForm); strings.Contains(a.page, `value="admin"`) || !strings.Contains(a.page, `value="billing"`) {
		t.Errorf("an admin is offered what is not theirs to give:\n%s", a.page)
	}
	g.shows(g.post(inviteForm, "email", "ann@guest.example", "role", "admin"), 422, g.words("err.invite_role", nil))
	if all, err := g.Store.PendingInvites(t.Context(), "river"); len(all) != 0 || err != nil {
		t.Errorf("%+v %v", all, err)
	}
}

func TestInvitingToLocations(t *testing.T) {
	g := newTeam(t)
	by := store.Acting{Account: "id-owner", Practice: "river"}
	main, err := g.Store.AddLocation(t.Context(), by, "Main <Street>")
	g.ok(err)
	north, err := g.Store.AddLocation(t.Context(), by, "North")
	g.ok(err)
	g.shows(g.get(inviteForm), 200, `id="location-`+main+`"`, "Main &lt;Street&gt;", "North")
	a := g.post(inviteForm, "email", "ann", "role", "billing", "location-"+north, "yes")
	g.shows(a, 422, `id="location-`+north+`" name="location-`+north+`" type="checkbox" value="yes" checked`, `<option value="billing" selected>`)
	g.shows(g.post(inviteForm, "email", "ann@guest.example", "role", "billing", "location-"+north, "yes", "location-elsewhere", "yes"), 303)
	all, err := g.Store.PendingInvites(t.Context(), "river")
	g.ok(err)
	if len(all) != 1 || !slices.Equal(all[0].Locations, []string{north}) {
		t.Errorf("%+v", all)
	}
	page := g.get(inviteList)
	g.shows(page, 200, "<dd>North</dd>")
	if strings.Contains(page.page, "Main") {
		t.Error("it shows a location that was not chosen")
	}
}

// Who does not run a team has no such pages, and changes nothing by them.
func TestWhoHasPendingInvites(t *testing.T) {
	g := newTeam(t)
	g.post(inviteForm, "email", "ann@guest.example", "role", "admin")
	all, err := g.Store.PendingInvites(t.Context(), "river")
	g.ok(err)
	try := func(name string, admitted bool) {
		for _, path := range []string{inviteList, inviteForm} {
			if a := g.get(path); (a.status == 200) != admitted || !admitted && a.status != 403 {
				t.Errorf("%s: %s %d %s", name, path, a.status, a.location)
			}
		}
		for _, path := range []string{inviteList + "/resend", inviteList + "/withdraw"} {
			g.shows(g.post(path, "id", all[0].ID), 403)
		}
	}
	for _, role := range []account.Role{account.FrontDesk, account.Billing, account.Support} {
		g.as(role)
		try(string(role), false)
		g.shows(g.post(inviteForm, "email", "bob@guest.example", "role", "billing"), 403)
	}
	g.as(account.Admin)
	try("an admin, of an admin's", true)
	if a := g.get(inviteList); strings.Contains(a.page, "/resend") || !strings.Contains(a.page, "ann@guest.example") {
		t.Errorf("an admin is offered to send what is not theirs:\n%s", a.page)
	}
	g.session = g.signIn("grace") // of no practice
	try("of no practice", false)
	g.as(account.Owner)
	g.able.Team = false
	try("where nobody joins", false)
	after, err := g.Store.PendingInvites(t.Context(), "river")
	g.ok(err)
	if len(after) != 1 || after[0].SentAt != all[0].SentAt {
		t.Errorf("%+v", after)
	}
}

func TestResendAndWithdraw(t *testing.T) {
	g := newTeam(t)
	g.shows(g.get(inviteList), 200, g.words("invites.none", nil))
	g.post(inviteForm, "email", "ann@guest.example", "role", "billing")
	all, err := g.Store.PendingInvites(t.Context(), "river")
	g.ok(err)
	id := all[0].ID
	for range 2 {
		g.shows(g.post(inviteList+"/resend", "id", id), 303, inviteList+"?notice=invite_sent")
	}
	a := g.post(inviteList+"/resend", "id", id)
	g.shows(a, 303, inviteList+"?refused=rate_limited")
	limited := g.words("err.invite_limited", map[string]any{"n": 3})
	g.shows(g.get(a.location), 200, limited)
	g.shows(g.post(inviteForm, "email", "ann@guest.example", "role", "billing"), 429, limited, "ann@guest.example")
	for _, refused := range []string{"sent", "title", "", "err.email_same"} {
		if a := g.get(inviteList + "?refused=" + url.QueryEscape(refused)); strings.Contains(a.page, `role="alert"`) {
			t.Errorf("a problem of %q", refused)
		}
	}
	for _, stranger := range []string{"", "x", "id-owner"} {
		g.shows(g.post(inviteList+"/resend", "id", stranger), 303, inviteList)
		g.shows(g.post(inviteList+"/withdraw", "id", stranger), 303, inviteList)
	}
	g.shows(g.post(inviteList+"/withdraw", "id", id), 303, inviteList+"?notice=invite_withdrawn")
	g.shows(g.post(inviteList+"/withdraw", "id", id), 303, inviteList)
	g.shows(g.post(inviteList+"/resend", "id", id), 303, inviteList)
	g.shows(g.get(inviteList), 200, g.words("invites.none", nil))
}

// Every page that changes something wants proof of who is there, lately; only
// the list is open to whoever is signed in.
func TestInvitingNeedsFreshProof(t *testing.T) {
	for _, rt := range (&Settings{}).Routes() {
		if !strings.Contains(rt.Pattern, "/team/invite") {
			continue
		}
		want := Fresh
		if rt.Pattern == "GET "+inviteList {
			want = SignedIn
		}
		if rt.Needs != want {
			t.Errorf("%s needs %d", rt.Pattern, rt.Needs)
		}
	}
}
