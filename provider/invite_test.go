package provider

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
)

const (
	guest     = "zoe@guest.example"
	guestName = "Zoë Guest"
	guestPass = "a lantern over quiet water"
)

// practice adds one with its owner, and returns the owner at work.
func (h *house) practice() store.Acting {
	h.t.Helper()
	h.ok(h.Store.AddPractice(h.t.Context(), "river", "River Clinic"))
	hash, err := h.Hasher.Hash(h.t.Context(), []byte(rightPassword))
	h.ok(err)
	_, err = h.Store.AddPerson(h.t.Context(), store.NewPerson{ID: "id-owner", Practice: "river", Role: "owner", Username: "owner",
		Email: "owner@river.example", EmailVerified: true, Hash: hash}, "test")
	h.ok(err)
	return store.Acting{Account: "id-owner", Practice: "river"}
}

// invite has the owner invite somebody and returns the path of the mailed link.
func (h *house) invite(by store.Acting, email string) string {
	h.t.Helper()
	came, err := h.Store.Invite(h.t.Context(), by, store.Invite{Email: email, Role: account.FrontDesk})
	h.ok(err)
	if came != account.Sent {
		h.t.Fatal(came)
	}
	return "/invite?token=" + h.mails(1)[0].Data["token"].(string)
}

// joins fills in the page.
func (p *person) joins(page answer, name, password string) answer {
	p.h.t.Helper()
	return p.post("/invite", "flow", page.flow(), "name", name, "new_password", password, "confirm_password", password)
}

func (h *house) who(email string) *directory.Entry {
	h.t.Helper()
	e, err := h.Directory.Lookup(h.t.Context(), directory.ByEmail, email)
	h.ok(err)
	return e
}

// The whole way of somebody who joins: the link, what can be wrong with a name
// and a password, the account, and the sign-in, before which there is no session.
func TestJoining(t *testing.T) {
	h := newHouse(t, "https://id.example/base")
	open := h.invite(h.practice(), guest)
	for range 20 { // a mail scanner
		if a := h.browser().get(open); a.StatusCode != http.StatusOK {
			t.Fatalf("opened: %d", a.StatusCode)
		}
	}
	b := h.browser()
	page := b.get(open)
	if u := page.Request.URL; u.Path != "/base/invite" || strings.Contains(u.String(), "token") || page.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("at %s, %v", u, page.Header)
	}
	for _, want := range []string{"Join River Clinic", `value="` + guest + `"`, "Front Desk", "15 to 256"} {
		if !strings.Contains(page.text, want) {
			t.Errorf("%q is missing:\n%s", want, page.text)
		}
	}
	for _, tt := range []struct{ name, password, confirm, says string }{
		{"", guestPass, guestPass, "Enter your full name"},
		{" \t", guestPass, guestPass, "Enter your full name"},
		{"Zoë\u202eGuest", guestPass, guestPass, "characters that nobody can see"},
		{strings.Repeat("z", 101), guestPass, guestPass, "100 characters or fewer"},
		{guestName, "", "", "Enter"},
		{guestName, "fourteen chars", "fourteen chars", "15 characters or more"},
		{guestName, guestPass, guestPass + "x", "The two passwords are different"},
		{"Montgomery Featherstone", "montgomeryfeatherstone", "montgomeryfeatherstone", "made of your name"},
		{guestName, "riverclinic riverclinic", "riverclinic riverclinic", "made of your name"},
		{guestName, "zoe@guest.example 1", "zoe@guest.example 1", "made of your name"},
		{guestName, "passwordpassword", "passwordpassword", "list of known passwords"},
	} {
		a := b.post("/invite", "flow", page.flow(), "name", tt.name, "new_password", tt.password, "confirm_password", tt.confirm)
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text, tt.says) {
			t.Errorf("%q, %q: %d without %q:\n%s", tt.name, tt.password, a.StatusCode, tt.says, a.text)
		}
		if tt.name == guestName && !strings.Contains(a.text, `value="`+guestName+`"`) || strings.Contains(a.text, guestPass) {
			t.Errorf("%q: the name is lost, or the password kept", tt.password)
		}
	}
	done := b.joins(page, "  Zoe\u0308  Guest ", guestPass)
	if done.StatusCode != http.StatusOK || done.Request.URL.Path != "/base/login" || b.cookie("session") != "" ||
		!strings.Contains(done.text, "Your account is ready") || !strings.Contains(done.text, `name="identifier" type="text" value="`+guest+`"`) {
		t.Fatalf("%d at %s, session %q:\n%s", done.StatusCode, done.Request.URL, b.cookie("session"), done.text)
	}
	if e := h.who(guest); e.Name != guestName || e.Practice != "river" || e.Role != "front_desk" || e.Locale != "en" || !e.EmailVerified {
		t.Errorf("%+v", e)
	}
	if a := b.signIn(done, guest, guestPass); b.cookie("session") == "" || !strings.Contains(a.text, "You are signed in") {
		t.Errorf("%d:\n%s", a.StatusCode, a.text)
	}
}

// However often a link is opened, in whatever browsers, and its page sent, one
// account comes of it: the first one's.
func TestJoiningTwice(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHouseOn(t, "https://id.example", engine)
			open := h.invite(h.practice(), guest)
			var browsers []*person
			var pages []answer
			for range 4 {
				b := h.browser()
				browsers, pages = append(browsers, b, b), append(pages, b.get(open), b.get(open)) // two tabs of each
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			statuses := map[int]int{}
			for i, b := range browsers {
				wg.Go(func() {
					a := b.joins(pages[i], guestName, guestPass)
					mu.Lock()
					defer mu.Unlock()
					statuses[a.StatusCode]++
				})
			}
			wg.Wait()
			if d := cmp.Diff(map[int]int{http.StatusOK: 1, http.StatusGone: 7}, statuses); d != "" {
				t.Error(d)
			}
			id := h.who(guest).ID
			for name, a := range map[string]answer{"sent again": browsers[0].joins(pages[0], "Eve", "another password of hers"),
				"opened again": browsers[0].get(open), "opened elsewhere": h.browser().get(open), "the page again": browsers[0].get("/invite?flow=" + pages[0].flow())} {
				if a.StatusCode != http.StatusGone || !strings.Contains(a.text, "This invitation has been used") {
					t.Errorf("%s: %d", name, a.StatusCode)
				}
			}
			if e := h.who(guest); e.ID != id || e.Name != guestName {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Where the practice or the role demands a second factor, the password may be
// short, and there is no session before the second factor is set up.
func TestJoiningWhereTwoFactorsAreDemanded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		demand func(*house)
	}{
		{"by the practice", func(h *house) {
			_, err := h.Store.RequireSecond(t.Context(), "river", true, "test")
			h.ok(err)
		}},
		{"by the role", func(h *house) { h.engine.Require.Roles = []string{"front_desk"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, "https://id.example")
			by := h.practice()
			tt.demand(h)
			b := h.browser()
			page := b.get(h.invite(by, guest))
			if !strings.Contains(page.text, "8 to 256") {
				t.Errorf("the page:\n%s", page.text)
			}
			if a := b.joins(page, guestName, "sevench"); !strings.Contains(a.text, "8 characters or more") {
				t.Errorf("seven: %d", a.StatusCode)
			}
			login := b.joins(page, guestName, "t0mcat eh")
			a := b.signIn(login, guest, "t0mcat eh")
			if !strings.Contains(a.text, "Set up your authenticator app") || b.cookie("session") != "" {
				t.Errorf("%d, session %q:\n%s", a.StatusCode, b.cookie("session"), a.text)
			}
			if e := h.who(guest); !e.ShortPassword {
				t.Error("that the password is short is not noted: it would do alone one day")
			}
		})
	}
}

// A dead invitation says which way it died and what to do, whether it was so
// when it was opened or since; and never makes an account.
func TestDeadInvitations(t *testing.T) {
	for _, tt := range []struct {
		name, title, next string
		kill              func(*house, store.Acting, string)
	}{
		{"expired", "This invitation has expired", "Ask whoever invited you", func(h *house, _ store.Acting, _ string) {
			h.inDB("UPDATE invitations SET expires_at = ?", h.Store.Now().UnixMicro())
		}},
		{"superseded", "There is a newer invitation", "latest email", func(h *house, by store.Acting, id string) {
			_, err := h.Store.Resend(t.Context(), by, id, "")
			h.ok(err)
		}},
		{"withdrawn", "This invitation was withdrawn", "ask whoever invited you", func(h *house, by store.Acting, id string) {
			_, err := h.Store.WithdrawInvite(t.Context(), by, id)
			h.ok(err)
		}},
		{"taken", "This email has an account", "contact Support", func(h *house, _ store.Acting, _ string) {
			_, err := h.Store.AddPerson(t.Context(), store.NewPerson{ID: "id-zoe", Username: "zoe", Email: guest, Hash: "h"}, "test")
			h.ok(err)
		}},
		{"of a practice that is gone", "This invitation does not work", "ask whoever invited you", func(h *house, _ store.Acting, _ string) {
			h.inDB("PRAGMA foreign_keys = ON; DELETE FROM practices WHERE id = 'river'")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, "https://id.example")
			by := h.practice()
			open := h.invite(by, guest)
			b := h.browser()
			page := b.get(open)
			all, err := h.Store.PendingInvites(t.Context(), "river")
			h.ok(err)
			tt.kill(h, by, all[0].ID)
			for name, a := range map[string]answer{"opened": h.browser().get(open), "looked at": b.get("/invite?flow=" + page.flow()),
				"saved": b.joins(page, guestName, guestPass), "saved wrongly": b.joins(page, "", "")} {
				if a.StatusCode != http.StatusGone || !strings.Contains(a.text, tt.title) || !strings.Contains(a.text, tt.next) || b.cookie("session") != "" {
					t.Errorf("%s: %d:\n%s", name, a.StatusCode, a.text)
				}
			}
			if e, err := h.Directory.Lookup(t.Context(), directory.ByEmail, guest); err == nil && e.ID != "id-zoe" {
				t.Errorf("an account: %+v", e)
			}
		})
	}
	h := newHouse(t, "https://id.example")
	for _, token := range []string{"x", strings.Repeat("A", 43), "%00", "%ff"} {
		a := h.browser().get("/invite?token=" + token)
		if bad := strings.HasPrefix(token, "%"); a.StatusCode != http.StatusGone && !bad || bad && a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", token, a.StatusCode)
		}
	}
}

// An opened invitation is bound to its browser, is no sign-in and no reset, and
// may not be drawn out; nor is another kind of flow an invitation.
func TestAnInvitationIsAFlowOfItsOwn(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	page := b.get(h.invite(h.practice(), guest))
	if dataLeft.MatchString(page.text) {
		t.Error("more time is offered for it")
	}
	stranger := h.browser()
	for range 2 {
		if a := stranger.joins(page, guestName, guestPass); a.StatusCode < 400 {
			t.Errorf("in another browser: %d", a.StatusCode)
		}
		stranger.get("/login")
	}
	fields := []string{"flow", page.flow(), "name", guestName, "new_password", guestPass, "confirm_password", guestPass,
		"identifier", "grace", "password", rightPassword}
	for _, path := range []string{"/reset-password", "/login/join", "/login/identify", "/login/password", "/login/new-password", "/login/extend"} {
		if a := b.post(path, fields...); a.StatusCode < 400 || b.cookie("session") != "" {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for _, path := range []string{"/login?flow=", "/reset-password?flow="} {
		if a := b.get(path + page.flow()); a.StatusCode < 400 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	open, _ := h.link(b, "grace@river.example")
	for name, other := range map[string]answer{"a reset": b.get(open), "a sign-in": b.get("/login")} {
		if a := b.joins(other, guestName, guestPass); a.StatusCode < 400 || other.flow() == "" {
			t.Errorf("%s as an invitation: %d", name, a.StatusCode)
		}
	}
	if a := b.joins(page, guestName, guestPass); a.Request.URL.Path != "/login" {
		t.Errorf("after all that: %d at %s", a.StatusCode, a.Request.URL)
	}
}

// Whoever was sent here by an app comes back to it.
func TestJoiningLeadsOnToTheApp(t *testing.T) {
	h := newHouse(t, "https://id.example")
	open := h.invite(h.practice(), guest)
	b := h.browser()
	b.authorize("")
	login := b.joins(b.get(open), guestName, guestPass)
	to, err := b.signIn(login, guest, guestPass).Location()
	if err != nil || to.Query().Get("code") == "" || !strings.Contains(login.text, "Your account is ready") {
		t.Errorf("%v %v", to, err)
	}
}

// N3: a token of one purpose is worth nothing for any other, in any of their
// places; and trying leaves it as good as it was.
func TestNoTokenServesAnotherPurpose(t *testing.T) {
	h := newHouse(t, "https://id.example")
	b := h.browser()
	tokens := map[string]string{"invite": strings.TrimPrefix(h.invite(h.practice(), guest), "/invite?token=")}
	open, cancel := h.link(b, "grace@river.example")
	tokens["reset"] = strings.TrimPrefix(open, "/reset-password?token=")
	tokens["cancel"] = strings.TrimPrefix(cancel, "/reset-password/cancel?token=")
	b.signIn(b.get("/login"), "edith", rightPassword)
	b.get("/account/email")
	b.post("/account/email", "email", "edith@new.example")
	b.post("/contact-support", "name", "Edith", "practice", "Riverside", "username", "edith", "email", "edith@other.example")
	for _, m := range h.mails(4) {
		if m.Template == "support_request" {
			continue
		}
		tokens[m.Template] = m.Data["token"].(string)
		if m.Template == "case_opened" {
			tokens["case_notice"] = h.caseLink(m.Data["reference"].(string))
		}
		if c, ok := m.Data["cancel"].(string); ok {
			tokens["email_cancel"] = c
		}
	}
	tokens["not_me"] = h.disavowal("id-edith")
	tokens["session"] = b.cookie("session")
	places := map[string]string{"/reset-password": "reset", "/reset-password/cancel": "cancel", "/not-me": "not_me", "/invite": "invite",
		"/confirm-email": "email_confirm_old email_confirm_new", "/confirm-email/cancel": "email_cancel",
		"/ownership/cancel": "", "/contact-support/case": "case_opened",
		"/contact-support/stop": "case_notice", "/contact-support/release": "case_notice"}
	sends := map[string]string{"/contact-support/case": "/contact-support/case/confirm"} // where its form goes
	// A look at the e-mail change shows the page of any of its three links, and changes nothing.
	shows := map[string]string{"/confirm-email": "email_cancel", "/confirm-email/cancel": "email_confirm_old email_confirm_new"}
	for what, token := range tokens {
		for place, own := range places {
			if strings.Contains(own, what) && !(own == "email_cancel" && what == "cancel") {
				continue
			}
			fresh, to := h.browser(), place
			if sends[place] != "" {
				to = sends[place]
			}
			if a := fresh.get(place + "?token=" + token); a.StatusCode < 400 && place != "/reset-password/cancel" && !strings.Contains(shows[place], what) {
				t.Errorf("GET %s of %s: %d", place, what, a.StatusCode)
			}
			if a := fresh.post(to, "token", token, "flow", token); a.StatusCode < 400 {
				t.Errorf("POST %s of %s: %d", place, what, a.StatusCode)
			}
		}
		for _, grant := range []string{"authorization_code", "refresh_token"} {
			a := h.browser().post("/token", "grant_type", grant, "code", token, "refresh_token", token, "redirect_uri", "https://app.example/cb",
				"code_verifier", verifier, "client_id", "app", "client_secret", clientSecret)
			if a.StatusCode != http.StatusBadRequest {
				t.Errorf("%s of %s: %d", grant, what, a.StatusCode)
			}
		}
		if a := h.browser().get("/login?flow=" + token); a.StatusCode < 400 {
			t.Errorf("a flow called as %s: %d", what, a.StatusCode)
		}
	}
	for _, path := range []string{"/invite?token=" + tokens["invite"], open, cancel, "/confirm-email?token=" + tokens["email_confirm_new"],
		"/confirm-email/cancel?token=" + tokens["email_cancel"], "/not-me?token=" + tokens["not_me"],
		"/contact-support/stop?token=" + tokens["case_notice"]} {
		if a := h.browser().get(path); a.StatusCode != http.StatusOK {
			t.Errorf("%.25s is no longer good: %d", path, a.StatusCode)
		}
	}
}

// caseLink makes a link by which the address on file stops a case.
func (h *house) caseLink(id string) string {
	h.t.Helper()
	token := account.NewSecret()
	h.inDB("INSERT INTO case_links (hash, case_id, round, release) VALUES (?, ?, 0, 1)", account.HashSecret(token), id)
	return token
}

// disavowal makes a "this was not me" link.
func (h *house) disavowal(id account.ID) string {
	h.t.Helper()
	_, err := h.Store.BringSecond(h.t.Context(), id, account.NewAuthenticator{Name: "Phone", Key: account.NewKey()}, "test")
	h.ok(err)
	token := account.NewSecret()
	h.inDB("INSERT INTO disavowals (hash, account, template, expires_at) VALUES (?, ?, 'second_factor_added', ?)",
		account.HashSecret(token), string(id), h.Store.Now().Add(time.Hour).UnixMicro())
	return token
}

var invitationID = regexp.MustCompile(`name="id" value="[A-Z0-9]+"`)

// Inviting who has an account, wherever, is answered as inviting anybody else:
// words, status, headers, cookies and work; and the list shows them alike.
func TestInvitingTellsNobodyApart(t *testing.T) {
	h := newHouse(t, "https://id.example")
	h.practice()
	b := h.browser()
	b.signIn(b.get("/login"), "owner", rightPassword)
	b.post("/account/team/invite", "email", "warms@the.caches", "role", "billing")
	want := map[int]shape{}
	for _, name := range append([]string{"owner"}, whoever...) {
		for try := range 4 { // the fourth in an hour mails nothing
			got := h.shapeOf(name, func() answer {
				return b.post("/account/team/invite", "email", name+"@river.example", "role", "billing")
			})
			got.Text = "" // the list, which is longer each time
			if mailed, ok := slices.Contains(got.Statements, "AddMail"), map[bool]int{true: 200, false: 429}[try < 3]; mailed != (try < 3) || got.Status != ok {
				t.Errorf("%s, try %d: %+v", name, try, got)
			}
			delete(got.Headers, "Content-Length")
			if name == "owner" {
				want[try] = got
			}
			if d := cmp.Diff(want[try], got); d != "" {
				t.Errorf("%s, try %d (-owner +%s):\n%s", name, try, name, d)
			}
		}
	}
	page := b.get("/account/team/invites").text
	entries := map[string]bool{}
	for _, entry := range strings.Split(page, "<li>\n<h2>")[1:] {
		email, _, _ := strings.Cut(entry, "<")
		entry, _, _ = strings.Cut(entry, "</li>")
		entry = times.ReplaceAllString(strings.ReplaceAll(entry, email, "NAME"), "TIME")
		entries[invitationID.ReplaceAllString(entry, `name="id"`)] = true
	}
	if len(entries) != 1 || strings.Count(page, "<h2>") < 7 {
		t.Errorf("they stand in the list in %d ways", len(entries))
	}
}

// T25: of an invitation and who accepts it nothing is left behind that is secret,
// and nothing personal but in the database.
func TestNothingOfAnInvitationIsLeftBehind(t *testing.T) {
	h := newHouse(t, "https://id.example")
	by := h.practice()
	open := h.invite(by, guest)
	secrets := map[string]string{"the token": strings.TrimPrefix(open, "/invite?token="), "the password": guestPass}
	b := h.browser()
	page := b.get(open)
	b.joins(page, "", guestPass)
	login := b.joins(page, "Canary Guest", guestPass)
	b.signIn(login, guest, guestPass)
	b.get(open)
	secrets["the session"], secrets["the browser's binding"] = b.cookie("session"), b.cookie("browser")
	if came, err := h.Store.Invite(t.Context(), by, store.Invite{Email: "canary@nowhere.example", Role: account.Billing}); came != account.Sent || err != nil {
		t.Fatal(came, err)
	}
	h.mails(1)
	h.leftBehind(secrets, map[string]string{"an address": guest, "a stranger's": "canary@nowhere.example", "a name": "Canary Guest"})
}
