package provider

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// standing is what may come over an account, and what its person, their browsers
// and their apps can do from then on.
type standing struct {
	name  string
	comes func(*nurse)
	then  outcomes
}

// outcomes are what comes of each action; "" is what comes of it in an account
// over which nothing came.
type outcomes map[string]string

// usual is what comes of everything where nothing came over the account.
var usual = outcomes{
	"session: settings":        "shown",
	"session: sign-in for app": "code",
	"session: step-up":         "code",
	"app: code of before":      "tokens",
	"app: refresh":             "tokens",
	"app: userinfo":            "200",
	"app: introspection":       "active",
	"app: revocation":          "200",
	"half: code":               "in",
	"new: right password":      "in",
	"new: wrong password":      "refused",
	"forgot":                   "mailed",
	"link of before, own":      "saved",
	"link of before, team's":   "saved",
}

// ended is what is left of a session and its tokens that were ended, in an
// account that may sign in again.
var ended = outcomes{
	"session: settings":        "asks to sign in",
	"session: sign-in for app": "login_required",
	"session: step-up":         "over",
	"app: code of before":      "invalid_grant",
	"app: refresh":             "invalid_grant",
	"app: userinfo":            "401",
	"app: introspection":       "inactive",
	"half: code":               "over",
}

// off is what is left of an account that is disabled: no word of it, either.
var off = ended.but(outcomes{
	"new: right password":    "refused",
	"forgot":                 "not mailed",
	"link of before, own":    "dead",
	"link of before, team's": "dead",
})

func (o outcomes) but(other outcomes) outcomes {
	o = maps.Clone(o)
	maps.Copy(o, other)
	return o
}

// standings are all there are (design.md section 4). What no document says, and
// is decided here: a lock voids what is half done, and lets sessions be; a link
// that was mailed outlives that its person is signed out, and ends with the
// account's being disabled; another role is no reason to sign in again.
var standings = []standing{
	{"none", func(*nurse) {}, nil},
	{"deactivated by the team", func(s *nurse) {
		_, err := s.Store.Deactivate(s.ctx, s.owner, s.id)
		s.ok(err)
	}, off},
	{"stopped by an operator", func(s *nurse) { s.ok(s.Store.SetDisabled(s.ctx, s.id, true, "test")) }, off},
	{"deactivated, and let in again", func(s *nurse) {
		_, err := s.Store.Deactivate(s.ctx, s.owner, s.id)
		s.ok(err)
		_, err = s.Store.Reactivate(s.ctx, s.owner, s.id)
		s.ok(err)
	}, ended.but(outcomes{"link of before, own": "dead", "link of before, team's": "dead"})},
	// A stranger must not end a nurse's shift: what was given out goes on.
	{"locked", func(s *nurse) {
		s.inDB(`UPDATE guards SET password_failed = 4 WHERE subject = $1`, string(s.id))
		b := s.browser()
		b.signIn(b.get("/login"), string(s.id), "not the right one")
	}, outcomes{
		"session: step-up":    "over", // begun anew, it says that the account is locked
		"app: code of before": "invalid_grant",
		"half: code":          "over",
		"new: right password": "locked",
		"new: wrong password": "locked",
	}},
	// Somebody knows the password.
	{"second factor held", func(s *nurse) {
		s.inDB(`UPDATE guards SET code_wrong = 9 WHERE subject = $1`, string(s.id))
		b := s.browser()
		page := b.signIn(b.get("/login"), string(s.id), rightPassword)
		b.post("/login/totp", "flow", page.flow(), "otp", "000000")
	}, ended.but(outcomes{"new: right password": "held"})},
	{"password disabled after 100 wrong ones", func(s *nurse) {
		s.inDB(`UPDATE guards SET password_wrong = 99, password_failed = 0 WHERE subject = $1`, string(s.id))
		b := s.browser()
		b.signIn(b.get("/login"), string(s.id), "not the right one")
	}, outcomes{"session: step-up": "disabled", "new: right password": "disabled", "new: wrong password": "disabled"}},
	{"signed out everywhere by the team", func(s *nurse) { s.ok(s.Store.EndMemberSessions(s.ctx, s.owner, s.id)) }, ended},
	{"second factor reset by the team", func(s *nurse) {
		_, err := s.Store.ResetMemberSecond(s.ctx, s.owner, s.id)
		s.ok(err)
	}, ended},
	{"role changed", func(s *nurse) {
		_, err := s.Store.SetMemberRole(s.ctx, s.owner, s.id, account.Billing)
		s.ok(err)
	}, nil},
}

// nurse is somebody with a session, an app that has tokens and a code, a
// sign-in of which only the code is missing, and a link on its way.
type nurse struct {
	*house
	ctx             context.Context
	owner           store.Acting
	id              account.ID // and the username
	otp             func() string
	desk, elsewhere *person
	code            string // the app's, not redeemed
	access, refresh string
	half, step      answer // pages that ask for a code; and, in the session, for the password
}

// N78: state × action, over every grant and page. What comes over an account
// works at once, on what was given out before, too.
func TestMatrixOfStates(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://id.example")
	owner := h.practice()
	h.ok(h.Store.PutClient(t.Context(), store.Client{ID: "api", Name: "API", SecretHash: account.HashSecret(clientSecret), Introspect: true}, "test"))
	linked, tokens := h.linked(owner)
	cells := 0
	for _, st := range standings {
		got := outcomes{}
		s := h.nurse(owner, "whole "+st.name)
		s.prepare()
		st.comes(s)
		for _, a := range actions {
			s.inDB(`UPDATE authenticators SET last_step = 0`) // another half minute
			got[a.name] = a.do(s)
		}
		for _, whose := range []string{"own", "team's"} {
			s := linked[whose+" "+st.name]
			st.comes(s)
			got["link of before, "+whose] = s.redeems(tokens[s.id])
		}
		if d := cmp.Diff(usual.but(st.then), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", st.name, d)
		}
		cells += len(got)
	}
	t.Logf("%d cells", cells)
}

// linked are people to whom a link was mailed, that they asked for or their
// team did; and what the links are.
func (h *house) linked(owner store.Acting) (all map[string]*nurse, tokens map[account.ID]string) {
	h.t.Helper()
	all, tokens = map[string]*nurse{}, map[account.ID]string{}
	for _, st := range standings {
		s := h.nurse(owner, "own "+st.name)
		s.browser().post("/forgot-password", "email", s.email())
		all["own "+st.name] = s
		s = h.nurse(owner, "team's "+st.name)
		sent, err := h.Store.SendMemberLink(s.ctx, owner, s.id)
		if h.ok(err); !sent {
			h.t.Fatal("no link was sent")
		}
		all["team's "+st.name] = s
	}
	for _, m := range h.mails(len(all)) {
		tokens[account.ID(m.Subject)] = m.Data["token"].(string)
	}
	return all, tokens
}

func (h *house) nurse(owner store.Acting, name string) *nurse {
	h.t.Helper()
	s := &nurse{house: h, ctx: h.t.Context(), owner: owner, id: account.ID(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, name))}
	_, err := h.Store.AddPerson(s.ctx, store.NewPerson{ID: s.id, Practice: owner.Practice, Role: "front_desk", Username: string(s.id),
		Email: s.email(), EmailVerified: true}, "test")
	h.ok(err)
	h.inDB(`UPDATE people SET password_hash = (SELECT password_hash FROM people WHERE id = 'id-grace') WHERE id = $1`, string(s.id))
	s.otp = h.phone(s.id)
	h.inDB(`INSERT INTO guards (subject, touched_at) VALUES ($1, 0) ON CONFLICT DO NOTHING`, string(s.id))
	return s
}

func (s *nurse) email() string { return string(s.id) + "@river.example" }

// prepare has everything under way.
func (s *nurse) prepare() {
	s.t.Helper()
	s.desk, s.elsewhere = s.browser(), s.browser()
	page := s.desk.signIn(s.desk.authorize(""), string(s.id), rightPassword)
	page = s.desk.post("/login/totp", "flow", page.flow(), "otp", s.otp())
	page = s.desk.post("/login/backup-codes", "flow", page.flow(), "saved", "yes")
	s.access, s.refresh = s.exchange(s.desk, s.redemption(codeIn(page))...)
	s.code = codeIn(s.desk.authorize("&prompt=none"))
	s.step = s.desk.authorize("&prompt=login")
	s.half = s.elsewhere.signIn(s.elsewhere.get("/login"), string(s.id), rightPassword)
	if s.code == "" || !strings.Contains(s.step.text, `name="password"`) || !strings.Contains(s.half.text, `name="otp"`) {
		s.t.Fatalf("not prepared: code %q\n%s\n%s", s.code, s.step.text, s.half.text)
	}
}

func codeIn(a answer) string {
	to, err := http.NewRequest(http.MethodGet, a.Header.Get("Location"), nil)
	if err != nil {
		return ""
	}
	return to.URL.Query().Get("code")
}

// Who is invited is nobody yet: there is no account to enter, to lock or to
// reset, and nothing tells that there is an invitation.
func TestWhoIsInvitedIsNobodyYet(t *testing.T) {
	h := newHouse(t, "https://id.example")
	open := h.invite(h.practice(), guest)
	shapes := map[string][]shape{}
	for _, email := range []string{"nob@guest.example", guest} {
		b := h.browser()
		page := b.get("/login")
		for range 6 {
			shapes[email] = append(shapes[email], h.shapeOf(email, func() answer { return b.signIn(page, email, guestPass) }))
		}
		shapes[email] = append(shapes[email], h.shapeOf(email, func() answer { return b.post("/forgot-password", "email", email) }))
		if b.cookie("session") != "" {
			t.Errorf("%s is signed in", email)
		}
	}
	if d := cmp.Diff(shapes["nob@guest.example"], shapes[guest]); d != "" {
		t.Errorf("an invited address and another (-nobody +invited):\n%s", d)
	}
	// And the lock of nobody is none of whoever joins.
	b := h.browser()
	if done := b.joins(b.get(open), guestName, guestPass); !strings.Contains(done.text, "Your account is ready") {
		t.Fatalf("%d:\n%s", done.StatusCode, done.text)
	} else if b.signIn(done, guest, guestPass); b.cookie("session") == "" {
		t.Error("who joined cannot sign in")
	}
}

// Another role works at once, in what was given out before: at the next look of
// an app, and on the pages of the team.
func TestAnotherRoleWorksAtOnce(t *testing.T) {
	h := newHouse(t, "https://id.example")
	s := h.nurse(h.practice(), "nora")
	_, err := s.Store.SetMemberRole(s.ctx, s.owner, s.id, account.Admin)
	s.ok(err)
	s.prepare()
	h.ok(h.Store.PutClient(t.Context(), store.Client{ID: "app", Name: "App", SecretHash: account.HashSecret(clientSecret),
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid", "email", "profile", "practice", "offline_access"}}, "test"))
	page := s.desk.get(strings.Replace(houseAuthorize, "+profile", "+profile+practice", 1) + challenge)
	s.access, _ = s.exchange(s.desk, s.redemption(codeIn(page))...)
	roles := func() any {
		r, err := newGET(s.issuer + "/userinfo")
		s.ok(err)
		r.Header.Set("Authorization", "Bearer "+s.access)
		var got map[string]any
		s.ok(json.Unmarshal([]byte(s.browser().do(r, nil).text), &got))
		return got["roles"]
	}
	before := roles()
	if a := s.desk.get("/account/team"); a.StatusCode != http.StatusOK {
		t.Errorf("an Admin's page of the team: %d", a.StatusCode)
	}
	_, err = s.Store.SetMemberRole(s.ctx, s.owner, s.id, account.Billing)
	s.ok(err)
	if d := cmp.Diff([]any{[]any{"admin"}, []any{"billing"}}, []any{before, roles()}); d != "" {
		t.Error(d)
	}
	if a := s.desk.get("/account/team"); a.StatusCode != http.StatusForbidden || strings.Contains(a.text, "owner@") {
		t.Errorf("that of who was one: %d", a.StatusCode)
	}
	if a := s.desk.post("/account/team/deactivate", "id", "id-owner"); a.StatusCode != http.StatusForbidden {
		t.Errorf("deactivates: %d", a.StatusCode)
	}
}
