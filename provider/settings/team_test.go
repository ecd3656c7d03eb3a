package settings

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

// newTeamRig is Account Settings with two practices; somebody of one is signed in.
func newTeamRig(t *testing.T, as string) *rig {
	t.Helper()
	g := newRig(t)
	g.able = directory.Capabilities{SetPassword: true, SetProfile: true, Team: true}
	for _, practice := range []account.PracticeID{"river", "harbor"} {
		g.ok(g.Store.AddPractice(t.Context(), practice, "The "+string(practice)+" practice"))
		for _, role := range []string{"owner", "admin", "front_desk", "billing"} {
			g.hire(practice, role, role+"-"+string(practice), strings.ToUpper(role)+" of "+string(practice))
		}
	}
	g.session = g.signIn(account.ID(as))
	return g
}

func (g *rig) hire(practice account.PracticeID, role, id, name string) {
	g.Helper()
	_, err := g.Store.AddPerson(g.Context(), store.NewPerson{ID: account.ID(id), Practice: practice, Role: role,
		Username: id, Email: id + "@" + string(practice) + ".example", EmailVerified: true, Name: name, Hash: "h"}, "test")
	g.ok(err)
}

func TestTeamPage(t *testing.T) {
	g := newTeamRig(t, "owner-river")
	a := g.get("/account/team")
	g.shows(a, 200, "Team Members", "The river practice", "4 people", "OWNER of river", "Account Owner", "Front Desk",
		`href="/id/account/team/member?id=billing-river"`)
	if strings.Contains(a.page, "harbor") || strings.Contains(a.page, "member?id=owner-river") {
		t.Error("somebody else's people, or oneself to manage")
	}
	for query, want := range map[string]string{"FRONT": "1 person", "river desk": "1 person", "account owner": "1 person", "Ríver": "4 people", "nobody": "0 people", "harbor": "0 people", "%": "0 people"} {
		g.shows(g.get("/account/team?q="+url.QueryEscape(query)), 200, want)
	}
	_, err := g.Store.Invite(t.Context(), store.Acting{Account: "owner-river", Practice: "river"}, store.Invite{Email: "zoe@guest.example", Role: account.Billing})
	g.ok(err)
	a = g.get("/account/team?q=guest")
	g.shows(a, 200, "1 person", "zoe@guest.example", "Invited", "Billing")
	if strings.Contains(a.page, "member?id=") || strings.Contains(a.page, "Second step") {
		t.Error("whoever is invited has something to manage")
	}
	for _, page := range []string{"/account/sessions", "/account/activity", "/account/security", "/account/apps", "/account/email"} {
		g.shows(g.get(page), 200, `href="/id/account/team"`)
	}
}

func TestTeamPageByPage(t *testing.T) {
	g := newTeamRig(t, "owner-river")
	for n := range 2*teamPage - 3 {
		g.hire("river", "billing", fmt.Sprintf("p%03d", n), fmt.Sprintf("Person %03d", n))
	}
	first := g.get("/account/team?q=person")
	g.shows(first, 200, "97 people", "Person 000", "Person 049", "page=2")
	second := g.get("/account/team?q=person&page=2")
	g.shows(second, 200, "Person 050", "Person 096", "page=1")
	for _, odd := range []string{"0", "-3", "99", "x", "99999999999999999999"} {
		g.shows(g.get("/account/team?page="+odd), 200, "101 people")
	}
	if strings.Contains(first.page, "Person 050") || strings.Contains(second.page, "page=3") {
		t.Error("one page too many")
	}
}

// Those who run no team are told whom to ask, and where people are kept
// elsewhere there is none.
func TestTeamIsForThoseWhoRunIt(t *testing.T) {
	g := newTeamRig(t, "front_desk-river")
	for _, rt := range g.Routes() {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		if !strings.HasPrefix(path, "/account/team") {
			continue
		}
		a := answer{}
		if method == "POST" {
			a = g.post(path, "id", "billing-river", "role", "billing", "name", "x")
		} else {
			a = g.get(path + "?id=billing-river&act=deactivate")
		}
		g.shows(a, 403, "Account Owner and the Admins")
		if strings.Contains(a.page, "BILLING") || strings.Contains(a.page, `href="/id/account/team"`) {
			t.Errorf("%s shows the team", rt.Pattern)
		}
	}
	g.session = g.signIn("owner-river")
	g.able.Team = false
	g.shows(g.get("/account/team"), 403)
}

func TestManageAccess(t *testing.T) {
	g := newTeamRig(t, "owner-river")
	const member = "/account/team/member?id=billing-river"
	a := g.get(member)
	g.shows(a, 200, "Manage Access", "BILLING of river", "billing-river@river.example", "Send Reset Link", "Deactivate",
		`<option value="billing" selected>`, `<option value="admin">`)
	if strings.Contains(a.page, "password\"") || strings.Contains(a.page, `value="owner"`) || strings.Contains(a.page, "Unlock") {
		t.Error("a password field, ownership to give, or a lock to end")
	}
	place, err := g.Store.AddLocation(t.Context(), store.Acting{Account: "owner-river", Practice: "river"}, "Main Street")
	g.ok(err)
	g.shows(g.get(member), 200, "Main Street", `name="location-`+place+`"`)

	for _, step := range []struct {
		path, notice string
		form         []string
	}{
		{"link", "link_sent", nil},
		{"role", "member_role", []string{"role", "front_desk"}},
		{"locations-of", "member_locations", []string{"location-" + place, "yes"}},
		{"end-sessions", "member_signed_out", nil},
		{"deactivate", "member_deactivated", nil},
		{"reactivate", "member_reactivated", nil},
	} {
		a := g.post("/account/team/"+step.path, append(step.form, "id", "billing-river")...)
		g.shows(a, 303, member+"&notice="+step.notice)
		g.shows(g.get(a.location), 200, `role="status"`)
	}
	// Once more there is nothing to do, and the page says so.
	g.shows(g.post("/account/team/role", "id", "billing-river", "role", "front_desk"), 409, "as it was")
	g.shows(g.post("/account/team/locations-of", "id", "billing-river", "location-"+place, "yes"), 409, "as they were")
	g.shows(g.post("/account/team/unlock", "id", "billing-river"), 409, "not locked")
	g.shows(g.post("/account/team/reset-second", "id", "billing-river"), 409, "no second step")
	g.shows(g.post("/account/team/reactivate", "id", "billing-river"), 409, "nothing to reactivate")

	g.shows(g.get("/account/team/confirm?id=billing-river&act=deactivate"), 200, "Deactivate BILLING of river?", `action="/id/account/team/deactivate"`)
	g.shows(g.get("/account/team/confirm?id=billing-river&act=reset-second"), 200, `action="/id/account/team/reset-second"`)
	g.shows(g.get("/account/team/confirm?id=billing-river&act=link"), 404)
}

// Everything an Admin must not do, by every route: the page is not there.
func TestAdminsDoNotTouchOwners(t *testing.T) {
	g := newTeamRig(t, "admin-river")
	g.hire("river", "admin", "second-admin", "Another")
	for _, id := range []string{"owner-river", "second-admin", "admin-river", "billing-harbor", "owner-harbor", "nobody", ""} {
		g.shows(g.get("/account/team/member?id="+id), 404)
		g.shows(g.get("/account/team/confirm?act=deactivate&id="+id), 404)
		for _, act := range []string{"link", "unlock", "reset-second", "role", "locations-of", "end-sessions", "deactivate", "reactivate"} {
			a := g.post("/account/team/"+act, "id", id, "role", "billing")
			g.shows(a, 404)
		}
	}
	a := g.get("/account/team/member?id=billing-river")
	if strings.Contains(a.page, `value="admin"`) || strings.Contains(a.page, `value="owner"`) {
		t.Error("an Admin is offered to make an Admin or an Owner")
	}
	g.shows(g.post("/account/team/role", "id", "billing-river", "role", "admin"), 403)
	g.shows(g.post("/account/team/role", "id", "billing-river", "role", "owner"), 403)
}

func TestLocationsPage(t *testing.T) {
	g := newTeamRig(t, "admin-river")
	const page = "/account/team/locations"
	g.shows(g.get(page), 200, "There are none yet")
	g.shows(g.post(page, "name", "  Main   Street "), 303, page+"?notice=location_added")
	a := g.get(page)
	g.shows(a, 200, "Main Street")
	id := regexp.MustCompile(`name="name-(\w+)"`).FindStringSubmatch(a.page)[1]
	for typed, want := range map[string]string{"": "Enter the name", "main street": "of that name already", "a\u202eb": "nobody can see", strings.Repeat("x", 101): "100 characters"} {
		g.shows(g.post(page, "name", typed), 422, want)
		if typed != "main street" {
			g.shows(g.post(page+"/rename", "id", id, "name-"+id, typed), 422, want)
		}
	}
	g.shows(g.post(page+"/rename", "id", id, "name-"+id, "West Wing"), 303, page+"?notice=location_renamed")
	g.shows(g.get(page), 200, "West Wing")
	g.shows(g.post(page+"/remove", "id", id), 303, page+"?notice=location_removed")
	g.shows(g.get(page), 200, "There are none yet")
	g.shows(g.post(page+"/remove", "id", id), 303, page)
	g.shows(g.post(page+"/rename", "id", id, "name-"+id, "Nowhere"), 303, page)
}

// Names that are code to somebody: inert in the list, in Manage Access, in the
// review and in the file.
func TestHostileNamesAreInert(t *testing.T) {
	g := newTeamRig(t, "owner-river")
	hostile := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)",
		"\u202egnp.exe", "a\x00b", "tab\tname", "\t=1+1", "line\r\nBcc: eve@evil.example", `{{.}}`, "＝1+1", "ctrl\x1b[31m", " =1+1", "\u200b=1+1"}
	for n, name := range hostile {
		g.hire("river", "billing", fmt.Sprintf("h%02d", n), name)
	}
	for _, path := range []string{"/account/team", "/account/team/access", "/account/team/member?id=h00", "/account/team/confirm?act=deactivate&id=h01", "/account/team/member?id=h06"} {
		a := g.get(path)
		g.shows(a, 200)
		for _, bad := range []string{"<script>alert", "<img src=x", "\u202e", "\x00", "\x1b", "\u200b"} {
			if strings.Contains(a.page, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
	a := g.post("/account/team/access.csv")
	g.shows(a, 200)
	if typ := a.header.Get("Content-Type"); !strings.HasPrefix(typ, "text/csv") || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%s, %s", typ, a.header.Get("Content-Disposition"))
	}
	rows, err := csv.NewReader(strings.NewReader(a.page)).ReadAll()
	g.ok(err)
	if len(rows) != 1+4+len(hostile) {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠ ", []rune(cell)[0]) || strings.ContainsAny(cell, "\x00\x1b\u202e\u200b\r\n\t") {
				t.Errorf("a cell that a spreadsheet may run: %q", cell)
			}
		}
	}
}

func TestDormant(t *testing.T) {
	now := time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.Add(-time.Duration(days) * 24 * time.Hour) }
	for _, tc := range []struct {
		name string
		m    store.Member
		want bool
	}{
		{"signed in 89 days ago", store.Member{Added: ago(400), SignedIn: ago(89)}, false},
		{"90 days ago", store.Member{Added: ago(400), SignedIn: ago(90)}, true},
		{"never, and added 89 days ago", store.Member{Added: ago(89)}, false},
		{"never, and added 90 days ago", store.Member{Added: ago(90)}, true},
		{"locked", store.Member{Added: ago(400), Status: store.LockedNow}, true},
		{"deactivated", store.Member{Added: ago(400), Status: store.Deactivated}, false},
		{"stopped", store.Member{Added: ago(400), Status: store.Stopped}, false},
	} {
		if got := dormant(tc.m, now); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestAccessReview(t *testing.T) {
	g := newTeamRig(t, "admin-river")
	_, err := g.Store.Deactivate(t.Context(), store.Acting{Account: "owner-river", Practice: "river"}, "front_desk-river")
	g.ok(err)
	a := g.get("/account/team/access")
	g.shows(a, 200, "The river practice", "OWNER of river", "billing-river@river.example", "Deactivated", "90 days")
	if strings.Contains(a.page, "harbor") {
		t.Error("somebody else's people")
	}
	file := g.post("/account/team/access.csv")
	rows, err := csv.NewReader(strings.NewReader(file.page)).ReadAll()
	g.ok(err)
	got := map[string]string{}
	for _, row := range rows[1:] {
		got[row[1]] = strings.Join(row[3:], "|")
	}
	today := g.Store.Now().UTC().Format("2006-01-02")
	for who, want := range map[string]string{
		"admin-river":      "admin||active|no|" + today + "|no",
		"billing-river":    "billing||active|no||no",
		"front_desk-river": "front_desk||deactivated|no||no",
	} {
		if got[who] != want {
			t.Errorf("%s: %q, want %q", who, got[who], want)
		}
	}
	lines, err := g.Store.Activity(t.Context(), "admin-river", 10)
	g.ok(err)
	if len(lines) == 0 || lines[0].Kind != account.AccessReviewed {
		t.Errorf("the trail says %+v", lines)
	}
}
