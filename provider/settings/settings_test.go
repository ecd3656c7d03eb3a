package settings

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/medximity/idp/flows"
	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/flows/directory"
	"github.com/medximity/idp/provider/store"
	"github.com/medximity/idp/provider/store/storetest"
	"github.com/medximity/idp/provider/web"
	"github.com/medximity/idp/templates"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// rig is Account Settings on a real store, with Grace signed in.
type rig struct {
	*Settings
	*testing.T
	session *store.Session
	able    directory.Capabilities
	needed  bool   // a second factor is required
	changed string // what was sent to a flow, and where it comes back to
	log     bytes.Buffer
}

// people is the built-in directory, with less power where a test says so.
type people struct {
	store.People
	rig *rig
}

func (p people) Capabilities() directory.Capabilities { return p.rig.able }

func newRig(t *testing.T) *rig {
	t.Helper()
	st := storetest.Open(t, storetest.New(t, "sqlite"))
	pages, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{T: t, able: directory.Capabilities{SetPassword: true, SetProfile: true}}
	issuer, _ := url.Parse("https://id.medximity.example/id")
	site, err := web.New(t.Context(), web.Config{Templates: pages, Issuer: issuer, Store: st,
		Logger: slog.New(slog.NewJSONHandler(&g.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	g.Settings = &Settings{Site: site, Store: st, Directory: people{store.People{Store: st}, g},
		Required: func(*directory.Entry) bool { return g.needed },
		Enrol: func(w http.ResponseWriter, r *http.Request, _ *store.Session, c flows.Change, back string) error {
			g.changed = string(c) + " " + back
			site.SeeOther(w, r, "/login?flow=f")
			return nil
		}}
	for _, name := range []string{"grace", "edith"} {
		_, err := st.AddPerson(t.Context(), store.NewPerson{ID: account.ID(name), Username: name,
			Email: name + "@river.example", EmailVerified: true, Hash: "h"}, "test")
		g.ok(err)
	}
	g.session = g.signIn("grace")
	return g
}

func (g *rig) ok(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

// signIn signs somebody in.
func (g *rig) signIn(id account.ID) *store.Session {
	g.Helper()
	ctx := context.Background()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Login, Browser: []byte("b"), Started: g.Store.Now(),
		Expires: g.Store.Now().Add(flows.LoginFor)}
	g.ok(g.Store.Begin(ctx, f))
	guard := account.Guard{Now: g.Store.Now}
	l, err := guard.Charge(ctx, g.Store, account.Attempt{Subject: string(id), Factor: account.Password, Step: "password"})
	g.ok(err)
	f.Account = id
	n := flows.NewSession{Token: account.NewSecret(), Methods: []string{"pwd"}, ACR: flows.ACR1FA, Device: "Firefox on Windows",
		Idle: time.Hour, Absolute: 12 * time.Hour}
	g.ok(g.Store.Finish(ctx, f, flows.Progress{Lease: l}, n))
	s, err := g.Store.Session(ctx, n.Token)
	g.ok(err)
	return s
}

// enrol gives Grace an authenticator, and says its id.
func (g *rig) enrol(name string) string {
	g.Helper()
	ctx := context.Background()
	f := &flows.Flow{ID: account.NewSecret(), Kind: flows.Enroll, Browser: []byte("b"), Account: "grace",
		Session: g.session.ID, Started: g.Store.Now(), Expires: g.Store.Now().Add(flows.LoginFor)}
	g.ok(g.Store.Begin(ctx, f))
	g.ok(g.Store.Advance(ctx, f, flows.Progress{Authenticator: &account.NewAuthenticator{Name: name, Key: []byte("a key of twenty bytes"), Step: 1}}))
	all, err := g.Store.Authenticators(ctx, "grace")
	g.ok(err)
	sessions, err := g.Store.Sessions(ctx, "grace")
	g.ok(err)
	g.session = &sessions[0]
	return all[len(all)-1].ID
}

// answer is what a request got.
type answer struct {
	status         int
	location, page string
	header         http.Header
}

// do serves a request by its route, with Grace's session.
func (g *rig) do(r *http.Request) answer {
	g.Helper()
	mux := http.NewServeMux()
	for _, rt := range g.Routes() {
		mux.Handle(rt.Pattern, g.Site.Page(func(w http.ResponseWriter, r *http.Request) error {
			if rt.Needs == Nothing {
				return rt.Serve(w, r, nil)
			}
			return rt.Serve(w, r, g.session)
		}))
	}
	w := httptest.NewRecorder()
	g.Site.Outer(mux).ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	return answer{w.Code, strings.TrimPrefix(w.Header().Get("Location"), "/id"), string(body), w.Header()}
}

func (g *rig) get(path string) answer {
	return g.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (g *rig) post(path string, pairs ...string) answer {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return g.do(r)
}

// shows fails the case unless the answer is the page, or the way to it.
func (g *rig) shows(a answer, status int, what ...string) {
	g.Helper()
	if a.status != status {
		g.Errorf("status %d, want %d: %s%s\n%s", a.status, status, a.location, g.log.String(), a.page)
		return
	}
	for _, w := range what {
		if status == http.StatusSeeOther && a.location != w || status != http.StatusSeeOther && !strings.Contains(a.page, w) {
			g.Errorf("%q is missing: %s\n%s", w, a.location, a.page)
		}
	}
}

func TestRoutesAreOneEach(t *testing.T) {
	seen := map[string]bool{}
	for _, rt := range (&Settings{}).Routes() {
		if seen[rt.Pattern] || rt.Serve == nil {
			t.Errorf("%s: twice, or served by nobody", rt.Pattern)
		}
		seen[rt.Pattern] = true
	}
	for _, rt := range (&Settings{}).Routes() {
		method, _, _ := strings.Cut(rt.Pattern, " ")
		if (method == "POST" && rt.Needs != Nothing) != (rt.Back != "") || rt.Back != "" && !seen["GET "+rt.Back] {
			t.Errorf("%s: leads back to %q", rt.Pattern, rt.Back)
		}
		if strings.HasPrefix(strings.TrimPrefix(rt.Pattern, method), " /account") == (rt.Needs == Nothing) {
			t.Errorf("%s: needs %d", rt.Pattern, rt.Needs)
		}
	}
}

// Whatever is posted, or asked for, is not our fault.
func TestNonsenseIsNoFault(t *testing.T) {
	g := newRig(t)
	for _, rt := range g.Routes() {
		method, path, _ := strings.Cut(rt.Pattern, " ")
		for _, v := range []string{"", "x", "%", "..", "AAAA", strings.Repeat("A", 43), strings.Repeat("x", 9000), "' OR 1=1 --", "\xff", "a@b\x00.example"} {
			a := answer{}
			if method == "POST" {
				a = g.post(path, "id", v, "token", v, "email", v, "language", v)
			} else {
				q := url.Values{"id": {v}, "token": {v}, "notice": {v}}
				a = g.get(path + "?" + q.Encode())
			}
			if a.status >= 500 || a.status == 200 && a.page == "" {
				t.Errorf("%s with %q: %d\n%s", rt.Pattern, v, a.status, g.log.String())
			}
		}
	}
}

func TestSecurityPage(t *testing.T) {
	g := newRig(t)
	g.shows(g.get("/account"), 303, "/account/security")
	g.shows(g.get("/account/security"), 200, "grace@river.example", `action="/id/account/security/password"`, `action="/id/account/language"`)
	g.enrol("Phone")
	g.enrol("")
	g.ok(g.Store.AskEmail(t.Context(), g.session, "g@new.example", ""))
	a := g.get("/account/security?notice=authenticator_added")
	g.shows(a, 200, "Phone", "Authenticator app", "g@new.example", g.Site.Text(httptest.NewRequest("GET", "/", nil), "notice.authenticator_added", nil))
	if strings.Contains(a.page, "a key of") || strings.Contains(a.page, base64.RawURLEncoding.EncodeToString([]byte("a key of"))) {
		t.Error("a key is on the page")
	}
	for _, evil := range []string{"evil", "password_changed.", "title", "../err.email_same"} {
		if a := g.get("/account/security?notice=" + url.QueryEscape(evil)); strings.Contains(a.page, `role="status"`) {
			t.Errorf("a notice of %q", evil)
		}
	}
	g.able = directory.Capabilities{}
	a = g.get("/account/security")
	g.shows(a, 200, "grace@river.example")
	if strings.Contains(a.page, "/account/security/password") || strings.Contains(a.page, "/account/language") {
		t.Error("what another directory has is to be changed here")
	}
}

func TestChangesGoThroughAFlow(t *testing.T) {
	g := newRig(t)
	for _, tt := range []struct{ name, path, changed string }{
		{"a password", "/account/security/password", "password /account/security?notice=password_changed"},
		{"an authenticator", "/account/security/authenticators", "authenticator /account/security?notice=authenticator_added"},
		{"codes without one", "/account/security/backup-codes", ""},
	} {
		g.changed = ""
		if a := g.post(tt.path); a.status != 303 || g.changed != tt.changed {
			t.Errorf("%s: %d %q", tt.name, a.status, g.changed)
		}
	}
	g.enrol("Phone")
	g.changed = ""
	if g.post("/account/security/backup-codes"); g.changed != "backup-codes /account/security?notice=codes_made" {
		t.Errorf("codes: %q", g.changed)
	}
	g.able, g.changed = directory.Capabilities{SetProfile: true}, ""
	g.shows(g.post("/account/security/password"), 303, "/account/security")
	if g.changed != "" {
		t.Error("the password of another directory is to be changed here")
	}
}

func TestRemoveAnAuthenticator(t *testing.T) {
	const path = "/account/security/authenticators/remove"
	g := newRig(t)
	first := g.enrol("Phone")
	g.shows(g.get(path+"?id="+first), 200, "Phone", "last authenticator")
	g.needed = true
	g.shows(g.get(path+"?id="+first), 303, "/account/security")
	g.shows(g.post(path, "id", first), 303, "/account/security")
	second := g.enrol("Tablet")
	if a := g.get(path + "?id=" + second); a.status != 200 || strings.Contains(a.page, "last authenticator") {
		t.Errorf("one of two: %d", a.status)
	}
	g.shows(g.get(path+"?id=nobody"), 303, "/account/security")
	g.shows(g.post(path, "id", "nobody"), 303, "/account/security")
	g.shows(g.post(path, "id", second), 303, "/account/security?notice=authenticator_removed")
	if all, _ := g.Store.Authenticators(t.Context(), "grace"); len(all) != 1 || all[0].ID != first {
		t.Errorf("%+v", all)
	}
}

func TestSessionsPage(t *testing.T) {
	g := newRig(t)
	id := func(s *store.Session) string { return base64.RawURLEncoding.EncodeToString(s.ID) }
	g.signIn("grace")
	other, edith := g.signIn("grace"), g.signIn("edith")
	a := g.get("/account/sessions")
	g.shows(a, 200, id(other), "This browser")
	here, first := strings.Index(a.page, "This browser"), strings.Index(a.page, `name="id"`)
	if here > first || strings.Contains(a.page, id(g.session)) || strings.Contains(a.page, id(edith)) {
		t.Errorf("this browser is not first, or has a button, or there is another's:\n%s", a.page)
	}
	g.shows(g.post("/account/sessions/end", "id", id(g.session)), 303, "/logout")
	g.shows(g.post("/account/sessions/end", "id", id(edith)), 303, "/account/sessions")
	g.shows(g.post("/account/sessions/end", "id", id(other)), 303, "/account/sessions?notice=session_ended")
	g.shows(g.post("/account/sessions/end", "id", id(other)), 303, "/account/sessions")
	g.shows(g.post("/account/sessions/end-others"), 303, "/account/sessions?notice=sessions_ended")
	for who, want := range map[account.ID]int{"grace": 1, "edith": 1} {
		if all, err := g.Store.Sessions(t.Context(), who); len(all) != want || err != nil {
			t.Errorf("%s: %d sessions %v", who, len(all), err)
		}
	}
}

// kinds are all that flows/account knows.
var kinds = []account.Kind{account.SignedIn, account.SteppedUp, account.SignInFailed, account.SignInRefused, account.Locked,
	account.LockCleared, account.PasswordDisabled, account.PasswordChanged, account.ResetRequested, account.ResetOpened,
	account.ResetCompleted, account.ResetCancelled, account.CodeAccepted, account.SecondAdded, account.SecondRemoved,
	account.SecondReset, account.SecondHeld, account.SecondFreed, account.BackupMade, account.BackupVoided, account.BackupUsed,
	account.PasskeyAdded, account.PasskeyRemoved, account.PasskeyUsed, account.PasskeyRefused, account.PasskeyCloned, account.EmailAsked,
	account.EmailChanged, account.EmailCancelled, account.Disavowed, account.LanguageChanged, account.ConsentGiven,
	account.ConsentWithdrawn, account.SessionEnded,
	account.GrantRevoked, account.AccountAdded, account.AccountDisabled, account.AccountEnabled, account.SupportAsked,
	account.CaseConfirmed, account.CaseWithdrawn, account.CaseChanged, account.CaseWaiting, account.CaseFrozen,
	account.CaseDone, account.CaseRejected, account.CaseRefused,
	account.KeysRotated, account.ClientChanged, account.PracticeChanged,
	account.MemberChanged, account.LocationChanged, account.AccessReviewed, account.OwnershipOffered, account.OwnershipAgreed,
	account.OwnershipKept, account.OwnershipTransferred,
	account.Invited, account.InviteWithdrawn, account.InviteOpened, account.InviteAccepted}

// What an event is told by has words: without them the page would not show.
func TestActivityHasWords(t *testing.T) {
	g := newRig(t)
	keys := map[string]bool{}
	for _, k := range kinds {
		for _, factor := range []string{"", "none", "password", "second_factor"} {
			for _, reason := range []account.Reason{"", account.Sent, account.Replaced, account.ReuseSeen, account.BadCode, account.RoleGiven, account.LocationsGiven, account.SignedOut} {
				if line, ok := web.ActivityLineOf(store.Activity{Kind: k, Factor: factor, Reason: reason}); ok {
					keys["activity."+line.What] = true
				}
			}
		}
	}
	for _, key := range notices {
		keys["notice."+key] = true
	}
	for key := range keys {
		if text := g.Site.Templates.Text("en", key, nil); text == key {
			t.Errorf("no words for %s", key)
		}
	}
	if len(keys) != len(notices)+45 {
		t.Errorf("%d keys", len(keys))
	}
}

func TestActivityPage(t *testing.T) {
	g := newRig(t)
	for range 60 {
		g.ok(g.Store.QueueMail(t.Context(), store.Mail{}, account.Event{Kind: account.CodeAccepted, Subject: "grace"},
			account.Event{Kind: account.LanguageChanged, Subject: "grace", Source: "192.0.2.7"}))
	}
	g.ok(g.Store.QueueMail(t.Context(), store.Mail{}, account.Event{Kind: account.SecondReset, Subject: "grace", Actor: "ann of Support"}))
	a := g.get("/account/activity")
	g.shows(a, 200, "Second step turned off", "by Support or an operator", "192.0.2.7")
	if n := strings.Count(a.page, "<time"); n != 50 || strings.Contains(a.page, "ann of Support") {
		t.Errorf("%d lines, or a name:\n%s", n, a.page)
	}
}

func TestEmailPage(t *testing.T) {
	g := newRig(t)
	g.shows(g.get("/account/email"), 200, "grace@river.example")
	for typed, key := range map[string]string{"": "err.email_empty", " \t": "err.email_empty", "grace": "err.email_shape",
		"a@b.example,c@d.example": "err.email_shape", " Grace@RIVER.example ": "err.email_same"} {
		a := g.post("/account/email", "email", typed)
		g.shows(a, 422, g.Site.Templates.Text("en", key, nil), "grace@river.example")
	}
	taken := g.post("/account/email", "email", "edith@river.example")
	free := g.post("/account/email", "email", " Free@NEW.example ")
	g.shows(free, 200, "free@new.example", "grace@river.example")
	if strings.ReplaceAll(taken.page, "edith@river.example", "free@new.example") != free.page || taken.status != free.status {
		t.Errorf("somebody else's address is told by the page:\n%s\n%s", taken.page, free.page)
	}
	g.shows(g.post("/account/email/withdraw"), 303, "/account/security?notice=email_withdrawn")
	g.shows(g.post("/account/email/withdraw"), 303, "/account/security")
	g.able = directory.Capabilities{SetPassword: true}
	g.shows(g.get("/account/email"), 303, "/account/security")
	g.shows(g.post("/account/email", "email", "g@new.example"), 303, "/account/security")
	if email, _ := g.Store.PendingEmail(t.Context(), "grace"); email != "" {
		t.Error(email)
	}
}

// mailed returns what the mails so far were given, by template and key.
func (g *rig) mailed(n int) map[string]string {
	g.Helper()
	got := make(chan store.Mail, 100)
	stop, err := g.Store.Work(context.Background(), store.Workers{SendMail: func(_ context.Context, m store.Mail) error {
		got <- m
		return nil
	}})
	g.ok(err)
	defer func() { _ = stop(context.Background()) }()
	secrets := map[string]string{}
	for range n {
		m := <-got
		for key, v := range m.Data {
			secrets[m.Template+" "+key], _ = v.(string)
		}
	}
	return secrets
}

func TestConfirmEmailPages(t *testing.T) {
	g := newRig(t)
	g.post("/account/email", "email", "g@new.example")
	token := g.mailed(2)
	for range 3 { // a mail scanner
		for _, link := range []string{"old", "new"} {
			a := g.get("/confirm-email?token=" + token["email_confirm_"+link+" token"])
			g.shows(a, 200, "g@new.example", token["email_confirm_"+link+" token"])
			if a.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("Referrer-Policy %q", a.header.Get("Referrer-Policy"))
			}
		}
		g.shows(g.get("/confirm-email/cancel?token="+token["email_confirm_old cancel"]), 200, "g@new.example")
	}
	g.shows(g.post("/confirm-email", "token", token["email_confirm_old token"]), 200, "g•••@new.example")
	g.shows(g.post("/confirm-email", "token", token["email_confirm_old token"]), 410)
	g.shows(g.post("/confirm-email", "token", token["email_confirm_new token"]), 200, "Your email is changed")
	for _, dead := range []string{"/confirm-email?token=", "/confirm-email/cancel?token="} {
		g.shows(g.get(dead+token["email_confirm_new token"]), 410)
	}
	g.shows(g.get("/account/security"), 200, "g@new.example")

	g.post("/account/email", "email", "again@new.example")
	again := g.mailed(4)
	g.shows(g.post("/confirm-email/cancel", "token", again["email_confirm_old cancel"]), 200, "cancelled")
	g.shows(g.post("/confirm-email/cancel", "token", again["email_confirm_old cancel"]), 410)
}

func TestNotMePages(t *testing.T) {
	g := newRig(t)
	g.enrol("Phone")
	token := g.mailed(1)["second_factor_added not_me"]
	for range 3 {
		a := g.get("/not-me?token=" + token)
		g.shows(a, 200, token)
		if a.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("Referrer-Policy %q", a.header.Get("Referrer-Policy"))
		}
	}
	g.shows(g.post("/not-me", "token", token), 200, "Your account is secured")
	g.shows(g.post("/not-me", "token", token), 410)
	g.shows(g.get("/not-me?token="+token), 410)
	if all, err := g.Store.Sessions(t.Context(), "grace"); len(all) != 0 || err != nil {
		t.Errorf("%d sessions %v", len(all), err)
	}
}

func TestLanguage(t *testing.T) {
	g := newRig(t)
	for _, tt := range []struct{ language, location, locale string }{
		{"xx", "/account/security", ""}, {"ko-KR", "/account/security", ""}, {"ko", "/account/security?notice=language_saved", "ko"},
	} {
		a := g.post("/account/language", "language", tt.language)
		g.shows(a, 303, tt.location)
		p, err := g.Directory.Lookup(t.Context(), directory.ByID, "grace")
		g.ok(err)
		if kept := strings.Contains(a.header.Get("Set-Cookie"), "lang=ko"); p.Locale != tt.locale || kept != (tt.locale == "ko") {
			t.Errorf("%s: locale %q, cookie %q", tt.language, p.Locale, a.header.Get("Set-Cookie"))
		}
	}
	g.able = directory.Capabilities{SetPassword: true}
	g.shows(g.post("/account/language", "language", "fr"), 303, "/account/security")
}

func TestWhoIsGoneHasNoSettings(t *testing.T) {
	g := newRig(t)
	g.session.Account = "nobody"
	for _, path := range []string{"/account/security", "/account/email"} {
		if a := g.get(path); a.status != 400 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
